"""Which column of the shared counts is whose. A column is never given twice: requests of an old configuration may still
count in theirs.
"""

from __future__ import annotations

from pointsman.core.fleet import EndpointId, EndpointSpec
from pointsman.core.settings import Settings

COLUMNS = 4096
"""Servers that a router may meet in its life and share exactly; 32 KiB a worker. Later ones are told every few milliseconds."""

Server = tuple[str, str, str, str | None]


class Columns:
    """Server -> column, over all configurations of a router's life."""

    def __init__(self, width: int = COLUMNS) -> None:
        self._width = width
        self._given: dict[Server, int] = {}

    def of(self, settings: Settings) -> dict[EndpointId, int]:
        """Those of a configuration's endpoints. The same server keeps its column; two of the same in one pool have one each."""
        found, taken = dict[EndpointId, int](), set[int]()
        for pool in settings.pools.values():
            for endpoint in pool.endpoints:
                column = self._column(_server(endpoint, taken, self._given))
                if column is not None:
                    found[endpoint.id] = column
                    taken.add(column)
        return found

    def _column(self, server: Server) -> int | None:
        if server not in self._given and len(self._given) < self._width:
            self._given[server] = len(self._given)
        return self._given.get(server)

    def __repr__(self) -> str:
        return f"<Columns [{len(self._given)} of {self._width} given]>"


def _server(endpoint: EndpointSpec, taken: set[int], given: dict[Server, int]) -> Server:
    """What makes an endpoint the same after a reload; the second of two equal ones has its place in the pool added."""
    server = (endpoint.pool, endpoint.url, endpoint.model, endpoint.api_key)
    return server if given.get(server) not in taken else (endpoint.id, *server[1:])
