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
from typing import Any, ClassVar

from pointsman import __version__
from pointsman.classify.classifier import classifier_of
from pointsman.classify.decider import build_decider
from pointsman.config.difference import NEEDS_RESTART, plain
from pointsman.core.clock import SystemClock
from pointsman.core.fleet import EndpointId, EndpointSpec, Readiness, Sighting
from pointsman.core.protocols import Posts, RungVerifications, Sink
from pointsman.core.record import Record
from pointsman.core.settings import Settings
from pointsman.gateway.cache_follower import CacheFollower
from pointsman.gateway.departures import By
from pointsman.gateway.gateway import Gateway
from pointsman.gateway.graph import Graph, Learned
from pointsman.gateway.meter import Meter
from pointsman.gateway.monitor import Monitor
from pointsman.gateway.stages import consulting_of, priors_of, sentences_of
from pointsman.gateway.traffic import Traffic
from pointsman.pools.fleet import Fleet
from pointsman.pools.pool import Pool
from pointsman.records.journal import Journal
from pointsman.records.sink import Fanout
from pointsman.server.address import Addresses
from pointsman.server.admin import NoSuchEndpoint, admin_app
from pointsman.server.admin_guard import admin_token
from pointsman.server.anthropic import AnthropicEndpoints
from pointsman.server.app import App
from pointsman.server.auth import Hosts
from pointsman.server.collector import Collector
from pointsman.server.drained import Drained
from pointsman.server.front import Front
from pointsman.server.listener import Listener
from pointsman.server.listing import ListingEndpoints
from pointsman.server.openai import OpenAIEndpoints
from pointsman.server.picture import Picture
from pointsman.server.responses import ResponsesEndpoints
from pointsman.server.route import RouteEndpoints
from pointsman.telemetry.logs import LogSink
from pointsman.telemetry.metrics import Metrics
from pointsman.upstream.cache_events import follow
from pointsman.upstream.client import HttpUpstream
from pointsman.upstream.contexts import Contexts
from pointsman.upstream.load_report.reader import HttpLoadReader
from pointsman.upstream.tokens import Tokens
from pointsman.verification.rungs import Means as VerificationMeans
from pointsman.verification.rungs import Rungs, commands_of

_log = logging.getLogger(__name__)


def build_graph(settings: Settings, old: Graph | None = None, generation: int = 1, *, learned: Learned | None = None,
                verifications: RungVerifications | None = None, posts: Posts | None = None) -> Graph:
    """The live objects of one configuration; endpoints that stay keep their health and their leases.

    `learned`: what `learned_of` has made of these settings already. `posts`: the way to services of the operator's; without it they
    are not asked. Raises ConfigError for what only building shows.
    """
    clock = SystemClock()
    if learned is None:
        learned = old.learned if old is not None and old.generation == generation else learned_of(settings, old, posts=posts)
    fleet = Fleet(settings)
    if old is not None:
        fleet.adopt(old.fleet)
    deciders = {}
    for name in settings.routes:
        deciders[name] = build_decider(settings, name, clock.now, classifier=learned.classifier, priors=priors_of(settings, name, learned, old),
                                       consulting=consulting_of(settings, name, learned, fleet, posts, old))
    return Graph(settings, fleet, deciders, generation, old.sessions if old is not None else None,
                 old.conversations if old is not None else None, learned=learned, verifications=verifications)


def learned_of(settings: Settings, old: Graph | None = None, *, decides: bool = True, posts: Posts | None = None) -> Learned:
    """What trained stages go by, read from disk: takes up to a second. Raises ConfigError. What did not change is kept.

    `posts`: the way to an embedder elsewhere; without it, it is not asked.
    """
    known = Learned() if old is None else old.learned
    classifier = classifier_of(settings, known.classifier, with_sentence=decides)
    return Learned(classifier, sentences_of(settings, classifier, known.sentences, posts))


class Service:
    """A router: gateway, listeners, records. `start`, then `reload` and `drain` as you like, then `aclose`.

    Where several processes serve (`supervisor/`), one keeps house and does not serve, the others the other way round.
    """

    serves: ClassVar[bool] = True
    """Answers clients."""
    keeps_house: ClassVar[bool] = True
    """Does what is done once however many serve: imports records, asks engines how they are, answers the operator."""

    def __init__(self, settings: Settings, *, load: Callable[[], Settings] | None = None, log_fd: int | None = None,
                 seed: int | None = None, overridden: tuple[str, ...] = (), addresses: Addresses | None = None) -> None:
        """`load` reads the configuration again; `overridden` names its settings that the command line replaced; `addresses` are
        held already, else `start` binds them."""
        self.settings = self._started = settings
        self._load, self._overridden, self._addresses = load, overridden, addresses
        self._clock = SystemClock()
        self._journal = Journal(settings.records, imports=self.keeps_house)
        self._log_sink = LogSink(log_fd, shared=not self.keeps_house) if log_fd is not None else None
        self._metrics = Metrics(settings, version=__version__, fleet_status=self._fleet_status,
                                tier_status=self._tier_status, anterooms=self.anterooms, machines=lambda: self._meter.machines(), readings={
            "pointsman_records_dropped_total": lambda: float(self._journal.spool.dropped),
            "pointsman_records_lag_bytes": lambda: float(self._journal.importer.lag_bytes()),
            "pointsman_endpoints_leaving": lambda: float(len(self.gateway.departures.notices)),
            "pointsman_workers": lambda: float(self.workers),
            "pointsman_log_lines_dropped_total": lambda: float(self._log_sink.dropped if self._log_sink else 0),
        })
        self._traffic = Traffic()
        sinks: list[Sink] = [self._journal, self._metrics, self._traffic]
        if self._log_sink is not None:
            sinks.append(self._log_sink)
        self._sinks = Fanout(*sinks)
        self._upstream = HttpUpstream()
        self._verifying = VerificationMeans(self._upstream.post, Random(seed))
        learned = learned_of(settings, decides=self.serves, posts=self._upstream.post)
        graph = build_graph(settings, learned=learned, verifications=Rungs(settings, self._verifying), posts=self._upstream.post)
        self.gateway = Gateway(graph, self._upstream, self._sinks, self._clock, Random(seed))
        self.gateway.departures.counted = lambda how: self._metrics.count("pointsman_spot_interruptions_total", how)
        # Loaded for the next swap, off the event loop.
        self._learned_anew: Learned | None = None
        # What the operator has drained, for the next start. Only who answers the operator has it.
        self._drained = Drained(settings.records.path, self.gateway.departures, self._clock) if self.keeps_house else None
        if self._drained is not None:
            self._drained.resume(graph.fleet)
        self._front = Front(settings)
        self._contexts = Contexts()
        self._reader = HttpLoadReader()
        self._monitor = Monitor(
            self._reader, self.sight, clock=self._clock, rng=Random(seed), in_flight=self._in_flight_at,
            answers=self._traffic.of, learned=self._learned, count=self._metrics.count)
        self._meter = Meter(self._clock, settings=lambda: self.gateway.graph.settings, fleet=lambda: self.gateway.graph.fleet,
                            tokens=self._tokens_of, waiting=self._wanting, refused=self._refused_by,
                            taken=lambda: self.gateway.departures.taken(self._clock.now()))
        self._tokens = Tokens()
        self._follower = CacheFollower(follow, self._tokens, clock=self._clock)
        self._following: asyncio.Task[None] | None = None
        self._metering: asyncio.Task[None] | None = None
        self._picture = Picture(self.gateway, self._clock, lambda: self._tier_status())
        self._standing: asyncio.Task[None] | None = None
        self._collector = Collector(lambda: self.gateway.in_flight)
        self._collecting: asyncio.Task[None] | None = None
        self._listeners: list[Listener] = []
        self._watching: asyncio.Task[None] | None = None
        self.failed = asyncio.Event()
        """Set when it can serve no more and nothing here will change that: whoever runs the process should end it."""
        self.admin_token_file: Path | None = None
        self.port = self.admin_port = 0

    # -- life ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listens and serves. Raises CannotListen; whatever had been started is stopped again."""
        try:
            if self.serves:
                front = self._front_listener()
                self._listeners.append(front)
                self.port = front.port
            if self.keeps_house:
                admin = self._admin_listener()
                self._listeners.append(admin)
                self.admin_port = admin.port
            self._journal.start()
            await self._ready_for_commands(self.settings)
            for listener in self._listeners:
                await listener.start()
        except BaseException:  # half a start leaves nothing open
            await self.aclose(at_once=True)
            raise
        if self.keeps_house:
            self._monitor.watch(self._contexts.filled(self.settings))
            self._watching = asyncio.get_running_loop().create_task(self._monitor.run())
            self._metering = asyncio.get_running_loop().create_task(self._meter.run())
            self._standing = asyncio.get_running_loop().create_task(self._picture.run())
        self._follow_caches()
        self._begin_sentences()
        gc.collect()
        gc.freeze()  # what lives as long as the process need not be visited again
        if self.serves:
            self._collector.begin()
            self._collecting = asyncio.get_running_loop().create_task(self._collector.run())

    def _begin_sentences(self) -> None:
        """An embedder elsewhere is looked at before a request wants it."""
        sentences = self.gateway.graph.learned.sentences
        if self.serves and sentences is not None:
            sentences.begin()

    def _follow_caches(self) -> None:
        """Every process that serves follows for itself: what it learns is about what it has sent."""
        if self.serves:
            self._follower.watch(self.gateway.graph.fleet)
            if self._follower.follows and self._following is None:
                self._following = asyncio.get_running_loop().create_task(self._follower.run())

    def _front_listener(self) -> Listener:
        held = None if self._addresses is None else self._addresses.front
        return Listener(self._app(), self.settings.server.host, self.settings.server.port, listening=held)

    def _admin_listener(self) -> Listener:
        settings = self.settings
        token, self.admin_token_file = admin_token(settings.admin, Path(settings.records.path).parent)
        return Listener(admin_app(self, token, Hosts(settings.server, settings.admin.host)), settings.admin.host, settings.admin.port,
                        setting="admin", grace_s=5, listening=None if self._addresses is None else self._addresses.admin)

    def _app(self) -> App:
        front = self._current_front
        return App(
            OpenAIEndpoints(self.gateway, front),
            AnthropicEndpoints(self.gateway, front, self._count_dropped),
            ResponsesEndpoints(self.gateway, front, self._count_dropped),
            RouteEndpoints(self.gateway, front, lambda: self._metrics.count("pointsman_classify_no_body_total")),
            ListingEndpoints(self.gateway, front, self._clock, self.page, self._journal.health, self._without_isolation),
            lambda code: self._metrics.count("pointsman_refused_total", code),
        )

    async def _ready_for_commands(self, settings: Settings) -> None:
        """Verifiers' helper process is there before a request could want it, never because one does."""
        if self.serves and commands_of(settings):
            self._verifying.keeper.begin()
            await self._verifying.keeper.ready()

    def _without_isolation(self) -> list[str]:
        """What readiness says about commands that are run on answers."""
        keeper, commands = self._verifying.keeper, commands_of(self.gateway.graph.settings)
        if not commands or not self.serves:
            return []
        if not keeper.is_up:
            return ["the helper process for command checks is not there: they abstain"]
        if keeper.isolation == "namespaces":
            return []
        loose = [command.name for command in commands if command.accepts_no_isolation]
        held = [command.name for command in commands if not command.accepts_no_isolation]
        said = [f"command check {name!r} runs without isolation ({keeper.why_not})" for name in loose]
        return said + [f"command check {name!r} abstains: there is no isolation here ({keeper.why_not})" for name in held]

    def _count_dropped(self, tool: str) -> None:
        self._metrics.count("pointsman_tools_dropped_total", tool)

    def _current_front(self) -> Front:
        return self._front

    def drain(self) -> None:
        """Takes no new requests; those under way end. Readiness says `draining`."""
        self.gateway.is_draining = True

    def hurry(self) -> None:
        """What still runs is cut."""
        for listener in self._listeners:
            listener.hurry()

    async def aclose(self, *, at_once: bool = False, linger: bool = True) -> None:
        """Ends requests under way (at once, or within the grace), then everything else. Idempotent.

        Without `linger` no new connections are taken meanwhile, and what comes on open ones is still served: for a
        process among several that goes alone.
        """
        if linger:
            self.drain()
        running = [task for task in (self._watching, self._metering, self._standing, self._following, self._collecting) if task is not None]
        self._watching = self._metering = self._standing = self._following = self._collecting = None
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.gather(*(listener.stop(at_once=at_once, linger=linger) for listener in self._listeners))
        self._listeners.clear()
        self._collector.end()
        await asyncio.gather(self._upstream.aclose(), self._reader.aclose(), self._tokens.aclose(), self._verifying.keeper.aclose())
        await asyncio.to_thread(self._journal.stop)
        if (sentences := self.gateway.graph.learned.sentences) is not None:
            sentences.close()
        if self._log_sink is not None:
            self._log_sink.close()

    # -- what the operator may do --------------------------------------------------------------------------

    async def reload(self) -> dict[str, Any]:
        """Reads the file again and swaps the graph. Raises ConfigError and keeps the old one."""
        if self._load is None:
            return {"reloaded": False, "why": "this router was started without a file"}
        settings = await asyncio.to_thread(self._load)
        old = self.gateway.graph
        self._learned_anew = await asyncio.to_thread(lambda: learned_of(settings, old, decides=self.serves, posts=self._upstream.post))
        fixed = [name for name in NEEDS_RESTART if _at(self._started, name) != _at(settings, name)]
        self._swap(settings, self.gateway.graph.generation + 1)
        _log.info("configuration reloaded, generation %d", self.gateway.graph.generation)
        return {"reloaded": True, "generation": self.gateway.graph.generation, "needs_restart": fixed}

    def _swap(self, settings: Settings, generation: int) -> None:
        learned, self._learned_anew = self._learned_anew, None
        filled, old = self._contexts.filled(settings), self.gateway.graph
        if learned is None and generation != old.generation:
            learned = learned_of(settings, old, decides=self.serves, posts=self._upstream.post)
        if self.serves and commands_of(filled):
            self._verifying.keeper.begin()
        graph = build_graph(filled, old, generation, learned=learned, verifications=Rungs(filled, self._verifying), posts=self._upstream.post)
        front = Front(filled)
        self.settings = settings
        if old.learned.sentences is not None and old.learned.sentences is not graph.learned.sentences:
            old.learned.sentences.close()
        self._front = front
        self._metrics.configure(filled)
        self.gateway.graph = graph
        if self._drained is not None:
            self._drained.resume(graph.fleet)
        self._follow_caches()
        self._begin_sentences()
        if self.keeps_house:
            self._monitor.watch(filled)
        self._reader.forget({(e.id, e.url) for pool in filled.pools.values() for e in pool.endpoints})

    def state(self) -> dict[str, Any]:
        """The fleet as it is, for the operator."""
        graph, now, anterooms = self.gateway.graph, self._clock.now(), self.anterooms()
        self._picture.look()
        return {
            "version": __version__, "generation": graph.generation, "draining": self.gateway.is_draining,
            "in_flight": self.in_flight, "source": graph.settings.source,
            "pools": {name: self._picture.pool(pool) | {"anteroom": anterooms.get(name)} for name, pool in graph.fleet.pools.items()},
            "watched": self._monitor.status(),
            "caches": self._follower.status(),
            "routes": {name: {"ladder": route.ladder, "quality": route.quality, "pipeline": route.pipeline,
                              "priors": {"sums": len(priors := graph.deciders[name].priors), "heard": priors.heard}}
                       for name, route in graph.settings.routes.items()},
            "classifier": _classifier_state(graph.learned),
            "records": self._journal.health(),
            "tiers": {status["tier"]: self._picture.tier(status) for status in self._tier_status()},
            "scale": self._meter.scale()["tiers"],
            "queue": self.gateway.admission.status(),
            "departures": self.gateway.departures.status(now) | {"not_kept": self._drained.last_error if self._drained is not None else None},
        }

    @property
    def notice_key(self) -> str | None:
        return self.settings.admin.notice_key

    def depart(self, endpoint: str, lead_s: float | None, reason: str, by: By = "operator") -> dict[str, Any]:
        """Takes an endpoint out of service; what runs there may go on until shortly before it leaves. Raises NoSuchEndpoint."""
        pool = self._pool_of(endpoint)
        now = self._clock.now()
        pool.drain(endpoint)
        is_news = endpoint not in self.gateway.departures.notices
        notice = self.gateway.departures.announce(endpoint, now, lead_s, reason, by)
        if is_news:
            _log.warning("%s leaves in %.0f s: %s", endpoint, notice.leaves_at - now, reason)
            self._meter.look()  # whoever starts machines need not wait for the next look
        is_kept = by == "operator" and self._drained is not None and self._drained.keep(pool, endpoint)
        return {"endpoint": endpoint, "draining": True, "leaves_in_s": round(notice.leaves_at - now, 3), "reason": reason,
                "in_flight": self._in_flight_at(endpoint), "is_kept": is_kept}

    def stay(self, endpoint: str, by: By = "operator") -> dict[str, Any]:
        """Puts an endpoint back into service, unless an agent says so of one that the operator has drained. Raises NoSuchEndpoint."""
        pool, departures = self._pool_of(endpoint), self.gateway.departures
        was_leaving = departures.withdraw(endpoint, by)
        if endpoint in departures.notices:
            _log.warning("%s: its agent says that it is there; it stays out of service until the operator puts it back", endpoint)
            return {"endpoint": endpoint, "draining": True, "was_leaving": True, "asked_by": departures.asked_by(endpoint)}
        pool.drain(endpoint, on=False)
        if self._drained is not None:
            self._drained.put_back(pool, endpoint)
        if was_leaving:
            _log.warning("%s is back in service", endpoint)
        return {"endpoint": endpoint, "draining": False, "was_leaving": was_leaving}

    def _pool_of(self, endpoint: EndpointId) -> Pool:
        pool = self.gateway.graph.fleet.pools.get(endpoint.rpartition("/")[0])
        if pool is None or endpoint not in pool.endpoint_ids:
            raise NoSuchEndpoint(f"there is no endpoint {endpoint[:100]!r}; GET /state lists them (pool/index)")
        return pool

    def config(self) -> dict[str, Any]:
        """What a reload would be compared with: the configuration as it was read, secrets as digests.

        What only a restart changes is shown as it was at the start, since that is what runs.
        """
        started, read = plain(self._started), plain(self.settings)
        read["server"] |= {name: started["server"][name] for name in ("host", "port", "workers", "huge_pages")}
        read |= {"admin": started["admin"], "records": read["records"] | {name: started["records"][name] for name in ("path", "flush")}}
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

    async def page(self) -> tuple[bytes, str]:
        """`/metrics` as a client of this process gets it."""
        return await self._metrics.page()

    @property
    def workers(self) -> int:
        """Processes that answer clients."""
        return 1

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return self.gateway.in_flight

    def _fleet_status(self) -> list[dict[str, Any]]:
        now = self._clock.now()
        return [endpoint | {"pool": name} for name, pool in self.gateway.graph.fleet.pools.items()
                for endpoint in pool.status(now)["endpoints"]]

    def _tier_status(self) -> list[dict[str, Any]]:
        now, fleet = self._clock.now(), self.gateway.graph.fleet
        scale = self._meter.scale()["tiers"]
        return [{"tier": tier, "waiting": self.gateway.admission.waiting(tier), "unfit": fleet.fitness(tier, now).reason,
                 "desired": scale.get(tier, {}).get("desired"), "idle_usd_per_hour": scale.get(tier, {}).get("idle_usd_per_hour")}
                for tier in fleet.tiers]

    def _waiting_for(self, tier: str) -> int:
        return self.gateway.admission.waiting(tier)

    def anterooms(self) -> dict[str, dict[str, Any]]:
        """By pool: who waits until one of its endpoints has less to read."""
        now = self._clock.now()
        return {name: pool.anteroom.status(now) for name, pool in self.gateway.graph.fleet.pools.items() if pool.anteroom is not None}

    def _wanting(self, tier: str) -> int:
        """Who has no endpoint yet, in line or in an anteroom: what more machines would be for."""
        anterooms = self.anterooms()
        pools = self.gateway.graph.fleet.tiers[tier].pools
        return self._waiting_for(tier) + sum(int(anterooms[pool]["waiting"]) for pool in pools if pool in anterooms)

    def _refused_by(self, tier: str) -> int:
        """Requests of a tier that were turned away since the start, in all processes."""
        return int(self._metrics.total("pointsman_shed_total", tier))

    def _tokens_of(self, endpoint: EndpointId) -> int:
        return int(self._metrics.total("pointsman_endpoint_tokens_total", endpoint.rpartition("/")[0], endpoint))

    def scale(self) -> dict[str, Any]:
        """How many machines each tier wants, and why."""
        return self._meter.scale()

    def bill(self) -> dict[str, Any]:
        """What the rented GPUs have cost since the start."""
        return self._meter.bill()

    # -- what is seen of the endpoints -----------------------------------------------------------------------

    def sight(self, sighting: Sighting) -> None:
        """What a look at an endpoint showed, whoever looked; of one that a reload took out it says nothing."""
        pool = self.gateway.graph.fleet.pools.get(sighting.endpoint.rpartition("/")[0])
        if pool is None or sighting.endpoint not in pool.endpoint_ids:
            return
        pool.observe(sighting.endpoint, sighting.report)
        alive = None if sighting.readiness is Readiness.UNKNOWN else sighting.readiness.is_fit
        pool.mark(sighting.endpoint, alive, sighting.why, self._clock.now())

    def _in_flight_at(self, endpoint: EndpointId) -> int:
        pool = self.gateway.graph.fleet.pools.get(endpoint.rpartition("/")[0])
        return 0 if pool is None else next((e.vitals.busy for e in pool.endpoints if e.id == endpoint), 0)

    def _learned(self, endpoint: EndpointSpec, tokens: int) -> None:
        """A context length that the configuration leaves out."""
        if self._contexts.learn(endpoint, tokens) and self._contexts.filled(self.settings) != self.gateway.graph.settings:
            self._swap(self.settings, self.gateway.graph.generation)


def _classifier_state(learned: Learned) -> dict[str, Any] | None:
    """What the trained stages go by; None = no route asks for them."""
    classifier = learned.classifier
    if classifier is None:
        return None
    return {"version": classifier.version, "is_generic": classifier.is_generic, "models": classifier.models,
            "sentence": classifier.sentence.name if classifier.sentence is not None else None, "why_no_sentence": classifier.why_no_sentence,
            "kernel": classifier.kernel}


def _at(settings: Settings, path: str) -> Any:
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value
