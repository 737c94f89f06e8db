"""A model server with a script of good and bad `days`, on a real loopback socket.

    async with ModelServer(days.Reset(), days.Answer("Hello")) as server:
        ...  # the first request is reset, every further one answered
        server.url, server.requests[0].body, server.open_connections

Each POST takes the next day; the last one repeats. GETs (`/v1/models`, `/health`, `/metrics`) are answered beside the
script and land in `probes`, so that health checks and load polls never eat a day.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Self

import msgspec

from pointsman.testing import openai_shapes as shapes
from pointsman.testing.bad_days import Refuse
from pointsman.testing.day import Answer, Day, Exchange
from pointsman.testing.server_thread import ServerThread
from pointsman.testing.wire import Connection, Seen, WireServer

__all__ = ["ModelServer", "Seen", "ServerThread"]


class ModelServer:
    """Plays `days`, one per request, the last one again and again; one `Answer()` when none is given.

    `model` and `max_model_len` are what `/v1/models` says; `metrics` the text of `/metrics` (None = 404), which a test
    may replace at any time, as it may `days`.
    """

    def __init__(self, *days: Day, model: str = "small-model", max_model_len: int | None = 32768,
                 metrics: str | None = None, port: int = 0) -> None:
        self.days: list[Day] = list(days) or [Answer()]
        self.model, self.max_model_len, self.metrics = model, max_model_len, metrics
        self.is_healthy = True
        self.requests: list[Seen] = []
        """Every POST, in order of arrival (connections taken over by `AcceptOnly` and the like send none)."""
        self.probes: list[Seen] = []
        """Every GET and other method."""
        self._carrying: set[int] = set()
        self._probing: set[int] = set()
        """Numbers of the connections that have carried probes and nothing else: who watches a server keeps one open."""
        self._wire = WireServer(self._serve, port=port, greet=self._greet)

    def __repr__(self) -> str:
        return (f"<ModelServer {self.model} :{self._wire.port} "
                f"[{len(self.requests)} seen, {self.open_connections} open, next {self.days[0]!r}]>")

    @property
    def url(self) -> str:
        """The base URL of a client: `http://127.0.0.1:PORT/v1`."""
        return f"http://{self._wire.host}:{self._wire.port}/v1"

    @property
    def port(self) -> int:
        return self._wire.port

    @property
    def open_connections(self) -> int:
        """Connections now open, but for those that only probe."""
        return sum(connection.number not in self._probing for connection in self._wire.connections)

    @property
    def connections_total(self) -> int:
        """Connections ever accepted, but for those that only probed."""
        return self._wire.opened_total - len(self._probing)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Listens, unless the script begins with `Refuse`; the port is taken in either case."""
        if isinstance(self.days[0], Refuse):
            await self._wire.reserve()
        else:
            await self._wire.listen()

    async def aclose(self) -> None:
        """Closes listener and connections, and waits for them. Raises what a day of the script raised by mistake."""
        await self._wire.aclose()
        if self._wire.errors:
            raise self._wire.errors[0]

    async def stop_listening(self, *, drop: bool = True) -> None:
        """Connects are refused from here on; `drop` also resets the open connections."""
        await self._wire.stop_listening(drop=drop)

    async def start_listening(self) -> None:
        """Listens again on the same port; a `Refuse` that was current is over."""
        if isinstance(self.days[0], Refuse):
            self.days = self.days[1:] or [Answer()]
        await self._wire.listen()

    async def restart(self) -> None:
        """What clients see of a quick restart: every connection reset, the same port again."""
        await self.stop_listening()
        await self.start_listening()

    async def drop_connections(self) -> None:
        """Resets every open connection, idle ones too."""
        await self._wire.drop_connections()

    async def wait_for(self, holds: Callable[[], object], timeout_s: float = 30.0) -> None:
        """Returns once `holds()`; asked at every request, reply and close. TimeoutError after `timeout_s`."""
        await self._wire.wait_for(holds, timeout_s)

    # -- serving

    def _next_day(self) -> Day:
        return self.days.pop(0) if len(self.days) > 1 else self.days[0]

    async def _refuse_if_scripted(self) -> None:
        if isinstance(self.days[0], Refuse):
            await self._wire.stop_listening(drop=False)
            for connection in tuple(self._wire.connections):
                connection.close()

    def _greet(self, connection: Connection) -> Coroutine[Any, Any, None] | None:
        return self._next_day().greet(connection) if self.days[0].on_connect else None

    async def _serve(self, seen: Seen, connection: Connection) -> None:
        if seen.method != "POST":
            self.probes.append(seen)
            if connection.number not in self._carrying:
                self._probing.add(connection.number)
            self._wire.changed()
            self._answer_probe(seen, connection)
            return
        self._carrying.add(connection.number)
        self._probing.discard(connection.number)
        self.requests.append(seen)
        self._wire.changed()
        day = self._next_day()
        await day.serve(Exchange(seen, connection, _read(seen), len(self.requests)))
        await self._refuse_if_scripted()

    def _answer_probe(self, seen: Seen, connection: Connection) -> None:
        match seen.path.split("?")[0]:
            case "/v1/models":
                card = {"id": self.model, "object": "model", "created": 1_795_293_544, "owned_by": "pointsman-model-server",
                        "root": self.model, "parent": None}
                known = {"max_model_len": self.max_model_len} if self.max_model_len is not None else {}
                connection.reply(200, shapes.encode({"object": "list", "data": [card | known]}))
            case "/health":
                connection.reply(200 if self.is_healthy else 503, b"")
            case "/metrics" if self.metrics is not None:
                connection.reply(200, self.metrics.encode(), content_type="text/plain; version=0.0.4; charset=utf-8")
            case _:
                connection.reply(404, b'{"detail":"Not Found"}')


def _read(seen: Seen) -> shapes.Asked:
    """What was asked; a body that is no JSON object counts as an empty one, since the script decides the reply."""
    try:
        return shapes.read(seen.path, seen.body)
    except (msgspec.DecodeError, TypeError):
        return shapes.read(seen.path, b"{}")
