"""A whole router on loopback ports, for tests: real sockets, real records, thrown away at the end."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from pointsman.core.record import Record
from pointsman.core.settings import AdminSettings, RecordsSettings, Settings
from pointsman.records.store import Store
from pointsman.wiring import Service


class RunningRouter:
    """`async with RunningRouter(settings) as router: ...router.url...`

    Ports are free ones, records go to a temporary directory, the admin token is `admin-token`. Endpoints are not polled
    for their load unless `polls`: a poll would take a turn of what a test has scripted for connections.
    """

    def __init__(self, settings: Settings, *, content: str = "none", polls: bool = False) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="pointsman-test-")
        self.records_path = Path(self._directory.name) / "records.db"
        server = msgspec.structs.replace(settings.server, port=0)
        if not polls:
            settings = unpolled(settings)
        self.settings = msgspec.structs.replace(
            settings, server=server, admin=AdminSettings(port=0, token="admin-token", notice_key="notice-key"),  # noqa: S106  nobody else reaches a test
            records=RecordsSettings(str(self.records_path), content),
        )
        self.service = Service(self.settings, load=lambda: self.next_settings, seed=1)
        self.next_settings = self.settings
        """What a reload reads."""

    @property
    def url(self) -> str:
        """Base URL of a client, including `/v1`."""
        return f"http://127.0.0.1:{self.service.port}/v1"

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.service.port}"

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self.service.admin_port}"

    async def __aenter__(self) -> Self:
        await self.service.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self.service.aclose(at_once=True)
        self._directory.cleanup()

    async def at_rest(self) -> None:
        """Returns when no request is under way, which is a moment after its client has the last byte."""
        while self.service.in_flight:  # noqa: ASYNC110  the service tells nobody of it
            await asyncio.sleep(0.002)

    def records(self) -> list[Record]:
        """All records so far, oldest first."""
        self.service.import_records()
        store = Store(self.records_path)
        try:
            return store.recent(10_000)[::-1]
        finally:
            store.close()

    @property
    def leases(self) -> int:
        """Endpoints held right now, over all pools."""
        return self.service.gateway.graph.fleet.in_flight


def unpolled(settings: Settings) -> Settings:
    """The settings with every `poll: auto` turned off."""
    replace = msgspec.structs.replace
    return replace(settings, pools={name: replace(pool, endpoints=tuple(
        replace(endpoint, poll="off") if endpoint.poll == "auto" else endpoint for endpoint in pool.endpoints))
        for name, pool in settings.pools.items()})
