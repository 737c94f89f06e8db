"""A fleet without GPUs: real HTTP servers that behave like vLLM on the published tier table.

    async with simulated_fleet(time_scale=10) as (small, medium, large):
        small.url          # http://127.0.0.1:PORT/v1

What is real: sockets, HTTP, SSE, queueing, batching, KV pressure, error shapes, `/metrics`, aborts. What is modelled:
time (`gpu_models`) and scheduling (`engine`). What is made up: the answers (`answers`), which every reply admits with
`system_fingerprint: "pointsman-simulator"`.
"""

from __future__ import annotations

import asyncio
import datetime
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

from pointsman.testing import gpu_models, vllm_refusals
from pointsman.testing import openai_shapes as shapes
from pointsman.testing.day import EVENT_STREAM
from pointsman.testing.engine import PREFILL_BUDGET, Engine, QueueFull
from pointsman.testing.engine_blocks import BLOCK_TOKENS
from pointsman.testing.engine_metrics import EngineMetrics
from pointsman.testing.engine_rim import EngineRim
from pointsman.testing.engine_trouble import NONE, NOTICE_S, Trouble
from pointsman.testing.generation import Generation
from pointsman.testing.gpu_models import TIERS, Tier
from pointsman.testing.wire import Connection, Seen, WireServer, head

FINGERPRINT = "pointsman-simulator"
VERSION = "0.32.0+pointsman.simulator"
_HEADERS = (("server", FINGERPRINT),)


class Simulator:
    """One engine with one model on one GPU, behind a loopback port (`port` 0 = any free one).

    `slots`, `max_model_len`, `kv_blocks` None: from the table; a context that does not fit into the KV blocks is cut to what
    does. `max_queued` None: an endless queue, as vLLM has by default; a number: 503 once that many wait. `time_scale` 10:
    ten times as fast as the GPU would be. `trouble`: what is wrong with it. Unknown GPU: KeyError.
    """

    def __init__(self, tier_name: str, model: str, gpu: str, *, port: int = 0, host: str = "127.0.0.1",
                 time_scale: float = 1.0, slots: int | None = None, max_model_len: int | None = None,
                 max_queued: int | None = None, api_key: str | None = None, kv_blocks: int | None = None,
                 prefill_budget: int = PREFILL_BUDGET, prefix_caching: bool = True, stream_interval: int = 1,
                 trouble: Trouble = NONE) -> None:
        self.tier_name, self.trouble, self.stream_interval = tier_name, trouble, stream_interval
        self.gpu, self.model = gpu_models.gpu_named(gpu), gpu_models.model_named(model)
        self.slots = self.gpu.slots if slots is None else slots
        self.api_key = api_key
        self.timing = gpu_models.timing(self.gpu, self.model).slowed(trouble.slow)
        kv_tokens = gpu_models.kv_tokens(self.gpu, self.model) if kv_blocks is None else kv_blocks * BLOCK_TOKENS
        self.engine = Engine(self.timing, slots=self.slots, kv_tokens=kv_tokens, max_queued=max_queued,
                             prefill_budget=prefill_budget, prefix_caching=prefix_caching)
        self.max_model_len = min(max_model_len or self.model.context, self.engine.kv_tokens)
        self.metrics = EngineMetrics(self.model.name)
        self.metrics.is_lying = trouble.lies
        self._rim = EngineRim(self.engine, self.metrics, time_scale=time_scale)
        self._wire = WireServer(self._serve, host=host, port=port, remembers=False)
        # When this engine came up; /v1/models repeats it as vLLM repeats its own.
        self._created = int(time.time())
        self._troubles: list[asyncio.TimerHandle | asyncio.Task[None]] = []
        # RFC 3339; None while nobody has announced the end.
        self._taken_at: str | None = None

    def __repr__(self) -> str:
        return f"<Simulator {self.tier_name} {self.model.name} on {self.gpu.name} :{self._wire.port} {self.engine!r}>"

    @property
    def url(self) -> str:
        """The base URL: `http://127.0.0.1:PORT/v1`."""
        return f"http://{self._wire.host}:{self._wire.port}/v1"

    @property
    def port(self) -> int:
        return self._wire.port

    @property
    def time_scale(self) -> float:
        return self._rim.time_scale

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    @property
    def worst_lag_s(self) -> float:
        """The most real seconds that a token left late, because the loop or the machine was busy."""
        return self._rim.worst_lag_s

    async def start(self) -> None:
        """Listens. OSError: the port is taken."""
        await self._wire.listen()
        self.begin_trouble()

    def begin_trouble(self) -> None:
        """Counts the times of `trouble` from now on; `start` did so already."""
        self._end_troubles()
        loop = asyncio.get_running_loop()
        if self.trouble.ends_at is not None:
            self._troubles.append(loop.call_later(self.trouble.ends_at / self.time_scale, self._die))
        if self.trouble.notice_at is not None:
            self._troubles.append(loop.call_later(self.trouble.notice_at / self.time_scale, self._announce))

    async def aclose(self) -> None:
        """Resets open connections and stops the engine."""
        self._end_troubles()
        await self._wire.aclose()
        self._rim.close()

    def _end_troubles(self) -> None:
        for trouble in self._troubles:
            trouble.cancel()
        self._troubles = []

    def _die(self) -> None:
        self._troubles.append(asyncio.get_running_loop().create_task(self._wire.stop_listening()))

    def _announce(self) -> None:
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=NOTICE_S / self.time_scale)
        self._taken_at = f"{end:%Y-%m-%dT%H:%M:%SZ}"

    # -- HTTP

    async def _serve(self, seen: Seen, connection: Connection) -> None:
        path = seen.path.split("?")[0]
        if self.api_key is not None and path.startswith("/v1/") and seen.header("authorization") != f"Bearer {self.api_key}":
            connection.reply(401, b'{"error":"Unauthorized"}', headers=_HEADERS)
            return
        generates = ("/v1/embeddings",) if self.model.dimensions else ("/v1/chat/completions", "/v1/completions")
        if path in generates:
            await self._generate(seen, connection)
        else:
            self._answer_get(seen.method, path, connection)

    def _answer_get(self, method: str, path: str, connection: Connection) -> None:
        match path:
            case "/health" | "/ping":
                connection.reply(200, b"", headers=_HEADERS)
            case "/v1/models" if method == "GET":
                card = {"id": self.model.name, "object": "model", "created": self._created, "owned_by": FINGERPRINT,
                        "root": self.model.name, "parent": None, "max_model_len": self.max_model_len}
                connection.reply(200, shapes.encode({"object": "list", "data": [card]}), headers=_HEADERS)
            case "/metrics":
                connection.reply(200, self.metrics.render(self.engine).encode(), headers=_HEADERS,
                                 content_type="text/plain; version=0.0.4; charset=utf-8")
            case "/version":
                connection.reply(200, shapes.encode({"version": VERSION}), headers=_HEADERS)
            case "/load":
                load = len(self.engine.running) + len(self.engine.waiting)
                connection.reply(200, shapes.encode({"server_load": load}), headers=_HEADERS)
            case "/latest/api/token" if method == "PUT":
                connection.reply(200, b"simulated-metadata-token", headers=_HEADERS, content_type="text/plain")
            case "/latest/meta-data/spot/instance-action" if self._taken_at is not None:
                connection.reply(200, shapes.encode({"action": "terminate", "time": self._taken_at}), headers=_HEADERS)
            case "/v1/models":
                connection.reply(405, b'{"detail":"Method Not Allowed"}', headers=(("allow", "GET"), *_HEADERS))
            case _:
                connection.reply(404, b'{"detail":"Not Found"}', headers=_HEADERS)

    async def _generate(self, seen: Seen, connection: Connection) -> None:
        if seen.method != "POST":
            connection.reply(405, b'{"detail":"Method Not Allowed"}', headers=(("allow", "POST"), *_HEADERS))
            return
        try:
            arrived_at = self._rim.now()
            generation = self._planned(seen, connection)
            await asyncio.sleep(self.timing.front_s / self.time_scale)
            await self._run(generation, arrived_at)
        except vllm_refusals.Refusal as refusal:
            connection.reply(refusal.status, refusal.body, headers=_HEADERS)

    def _planned(self, seen: Seen, connection: Connection) -> Generation:
        asked = vllm_refusals.read(seen.path, seen.body, seen.header("content-type"))
        max_tokens = vllm_refusals.check(asked, self.model.name, self.max_model_len)
        prefix = {"chat": "chatcmpl", "completion": "cmpl"}.get(asked.kind, "embd")
        given = seen.header("x-request-id") or uuid.uuid4().hex[:16]
        origin = shapes.Origin(f"{prefix}-{given[:128]}", self.model.name, int(time.time()), FINGERPRINT)
        return Generation(asked, origin, connection, max_tokens, self.model.dimensions, self.stream_interval)

    async def _run(self, generation: Generation, arrived_at: float) -> None:
        try:
            self._rim.submit(generation.sequences, generation, arrived_at)
        except QueueFull:
            self.metrics.rejections += 1
            raise vllm_refusals.busy() from None
        try:
            if generation.asked.stream:
                generation.connection.write(
                    head(200, (("content-type", EVENT_STREAM), ("transfer-encoding", "chunked"), *_HEADERS)))
            await generation.done
        finally:
            # A client that leaves cancels us here: its sequences give up their slots at the next step.
            self._rim.abort(generation.sequences)


def fleet_of(tiers: Iterable[Tier] = TIERS, *, time_scale: float = 1.0, port_base: int | None = None) -> list[Simulator]:
    """One simulator per tier, not started. Ports: any free ones (None), or the tiers' own, moved to `port_base`."""
    return [Simulator(t.name, t.model, t.gpu, time_scale=time_scale,
                      port=0 if port_base is None else port_base + t.port - TIERS[0].port) for t in tiers]


@asynccontextmanager
async def simulated_fleet(tiers: Iterable[Tier] = TIERS, *, time_scale: float = 1.0,
                          port_base: int | None = None) -> AsyncIterator[list[Simulator]]:
    """The three default tiers (or others), running until the block ends. OSError: a port is taken."""
    async with AsyncExitStack() as stack:
        fleet = fleet_of(tiers, time_scale=time_scale, port_base=port_base)
        for simulator in fleet:
            await stack.enter_async_context(simulator)
        yield fleet


def tiers_yaml(fleet: Iterable[Simulator]) -> str:
    """The `tiers:` part of a Pointsman configuration for these simulators, ready to paste. Those of a tier stand together."""
    lines, tier = ["tiers:"], None
    for simulator in fleet:
        gpu = simulator.gpu
        if simulator.tier_name != tier:
            tier = simulator.tier_name
            lines += [f"  {tier}:", f"    model: {simulator.model.name}", "    endpoints:"]
        lines += [
            f'      - {{url: "{simulator.url}", engine: vllm, dialects: chat, slots: {simulator.slots},',
            f"         gpu: {{type: {gpu.name}, usd_per_hour: {gpu.usd_per_hour:.2f}, tokens_per_s: {gpu.tokens_per_s:g}}}}}",
        ]
    return "\n".join(lines) + "\n"
