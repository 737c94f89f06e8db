"""Settings -> a running service: the only file that knows every concrete class.

Parsing a configuration starts nothing; this does. A reload builds the next graph beside the running one and swaps
references, so that requests under way end on the graph they began with.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from pointsman import __version__
from pointsman.classify.decider import build_decider
from pointsman.config.difference import NEEDS_RESTART, plain
from pointsman.core.clock import SystemClock
from pointsman.core.protocols import Sink
from pointsman.core.record import Record
from pointsman.core.settings import Settings
from pointsman.gateway.gateway import Gateway
from pointsman.gateway.graph import Graph
from pointsman.pools.balancers.power_of_two import PowerOfTwo
from pointsman.pools.fleet import Fleet
from pointsman.records.journal import Journal
from pointsman.records.sink import Fanout
from pointsman.server.admin import admin_app, admin_token
from pointsman.server.anthropic import AnthropicEndpoints
from pointsman.server.app import App
from pointsman.server.auth import Hosts
from pointsman.server.front import Front
from pointsman.server.listener import Listener
from pointsman.server.listing import ListingEndpoints
from pointsman.server.openai import OpenAIEndpoints
from pointsman.server.responses import ResponsesEndpoints
from pointsman.server.route import RouteEndpoints
from pointsman.telemetry.logs import LogSink
from pointsman.telemetry.metrics import Metrics
from pointsman.upstream.client import HttpUpstream
from pointsman.upstream.contexts import Contexts

_log = logging.getLogger(__name__)
ASK_MODELS_AGAIN_S = 60.0
"""How often engines that have not told their context length are asked again. Not in the request path."""


def build_graph(settings: Settings, old: Graph | None = None, generation: int = 1) -> Graph:
    """The live objects of one configuration; endpoints that stay keep their health and their leases."""
    fleet = Fleet(settings, PowerOfTwo)
    if old is not None:
        fleet.adopt(old.fleet)
    clock = SystemClock()
    deciders = {name: build_decider(settings, name, clock.now) for name in settings.routes}
    return Graph(settings, fleet, deciders, generation)


class Service:
    """A router: gateway, listeners, records. `start`, then `reload` and `drain` as you like, then `aclose`."""

    def __init__(self, settings: Settings, *, load: Callable[[], Settings] | None = None, log_fd: int | None = None,
                 seed: int | None = None, overridden: tuple[str, ...] = ()) -> None:
        """`load` reads the configuration again; `overridden` names its settings that the command line replaced."""
        self.settings = self._started = settings
        self._load, self._overridden = load, overridden
        self._clock = SystemClock()
        self._journal = Journal(settings.records)
        self._log_sink = LogSink(log_fd) if log_fd is not None else None
        self._metrics = Metrics(settings, version=__version__, fleet_status=self._fleet_status, readings={
            "pointsman_records_dropped_total": lambda: float(self._journal.spool.dropped),
            "pointsman_records_lag_bytes": lambda: float(self._journal.importer.lag_bytes()),
            "pointsman_log_lines_dropped_total": lambda: float(self._log_sink.dropped if self._log_sink else 0),
        })
        sinks: list[Sink] = [self._journal, self._metrics]
        if self._log_sink is not None:
            sinks.append(self._log_sink)
        self._upstream = HttpUpstream()
        self.gateway = Gateway(build_graph(settings), self._upstream, Fanout(*sinks), self._clock, Random(seed))
        self._front = Front(settings)
        self._contexts = Contexts()
        self._listeners: list[Listener] = []
        self._asking: asyncio.Task[None] | None = None
        self.admin_token_file: Path | None = None
        self.port = self.admin_port = 0

    # -- life ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listens and serves. Raises CannotListen; whatever had been started is stopped again."""
        settings = self.settings
        token, self.admin_token_file = admin_token(settings.admin, Path(settings.records.path).parent)
        front = Listener(self._app(), settings.server.host, settings.server.port)
        self._listeners.append(front)
        try:
            admin = Listener(admin_app(self, token, Hosts(settings.server)), settings.admin.host, settings.admin.port,
                             setting="admin", grace_s=5)
            self._listeners.append(admin)
            self._journal.start()
            for listener in self._listeners:
                await listener.start()
        except BaseException:
            await self.aclose(at_once=True)
            raise
        self.port, self.admin_port = front.port, admin.port
        self._asking = asyncio.get_running_loop().create_task(self._ask_for_contexts())
        gc.collect()
        gc.freeze()  # what lives as long as the process need not be visited again

    def _app(self) -> App:
        front = self._current_front
        return App(
            OpenAIEndpoints(self.gateway, front),
            AnthropicEndpoints(self.gateway, front),
            ResponsesEndpoints(self.gateway, front),
            RouteEndpoints(self.gateway, front, lambda: self._metrics.count("pointsman_classify_no_body_total")),
            ListingEndpoints(self.gateway, front, self._clock, self.metrics, self._journal.health),
            lambda code: self._metrics.count("pointsman_refused_total", code),
        )

    def _current_front(self) -> Front:
        return self._front

    def drain(self) -> None:
        """Takes no new requests; those under way end. Readiness says `draining`."""
        self.gateway.is_draining = True

    def hurry(self) -> None:
        """What still runs is cut."""
        for listener in self._listeners:
            listener.hurry()

    async def aclose(self, *, at_once: bool = False) -> None:
        """Ends requests under way (at once, or within the grace), then everything else. Idempotent."""
        self.drain()
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
            self._asking = None
        await asyncio.gather(*(listener.stop(at_once=at_once) for listener in self._listeners))
        self._listeners.clear()
        await self._upstream.aclose()
        await asyncio.to_thread(self._journal.stop)
        if self._log_sink is not None:
            self._log_sink.close()

    # -- what the operator may do --------------------------------------------------------------------------

    async def reload(self) -> dict[str, Any]:
        """Reads the file again and swaps the graph. Raises ConfigError and keeps the old one."""
        if self._load is None:
            return {"reloaded": False, "why": "this router was started without a file"}
        settings = await asyncio.to_thread(self._load)
        fixed = [name for name in NEEDS_RESTART if _at(self._started, name) != _at(settings, name)]
        self._swap(settings, self.gateway.graph.generation + 1)
        _log.info("configuration reloaded, generation %d", self.gateway.graph.generation)
        return {"reloaded": True, "generation": self.gateway.graph.generation, "needs_restart": fixed}

    def _swap(self, settings: Settings, generation: int) -> None:
        self.settings = settings
        filled = self._contexts.filled(settings)
        graph, front = build_graph(filled, self.gateway.graph, generation), Front(filled)
        self._front = front
        self._metrics.configure(filled)
        self.gateway.graph = graph

    def state(self) -> dict[str, Any]:
        """The fleet as it is, for the operator."""
        graph, now = self.gateway.graph, self._clock.now()
        return {
            "version": __version__, "generation": graph.generation, "draining": self.gateway.is_draining,
            "in_flight": self.gateway.in_flight, "source": graph.settings.source,
            "pools": {name: pool.status(now) for name, pool in graph.fleet.pools.items()},
            "routes": {name: {"ladder": route.ladder, "quality": route.quality, "pipeline": route.pipeline}
                       for name, route in graph.settings.routes.items()},
            "records": self._journal.health(),
        }

    def config(self) -> dict[str, Any]:
        """What a reload would be compared with: the configuration as it was read, secrets as digests.

        What only a restart changes is shown as it was at the start, since that is what runs.
        """
        started, read = plain(self._started), plain(self.settings)
        read["server"] |= {name: started["server"][name] for name in ("host", "port")}
        read |= {"admin": started["admin"], "records": read["records"] | {"path": started["records"]["path"]}}
        return {"source": self.settings.source, "generation": self.gateway.graph.generation,
                "overridden": self._overridden, "settings": read}

    async def record(self, id: str) -> Record | None:
        """A record by id, as soon as it is in the store; what the spool still holds is imported first."""
        return await asyncio.to_thread(self._journal.get, id)

    def import_records(self) -> bool:
        """Moves what the spool holds into the store now."""
        return self._journal.flush()

    def metrics(self) -> tuple[bytes, str]:
        return self._metrics.render()

    def _fleet_status(self) -> list[dict[str, Any]]:
        now = self._clock.now()
        return [endpoint | {"pool": name} for name, pool in self.gateway.graph.fleet.pools.items()
                for endpoint in pool.status(now)["endpoints"]]

    # -- what nobody has declared is asked for ---------------------------------------------------------------

    async def _ask_for_contexts(self) -> None:
        """Context lengths that the configuration leaves out are asked from the engines; not in the request path."""
        while True:
            if await self._contexts.ask(self.settings):
                self._swap(self.settings, self.gateway.graph.generation)
            await asyncio.sleep(ASK_MODELS_AGAIN_S)


def _at(settings: Settings, path: str) -> Any:
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value
