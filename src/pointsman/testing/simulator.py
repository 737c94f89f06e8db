"""A fleet without GPUs: real HTTP servers that behave like vLLM on the published tier table.

    async with simulated_fleet(time_scale=10) as (small, medium, large):
        small.url          # http://127.0.0.1:PORT/v1

What is real: sockets, HTTP, SSE, queueing, batching, KV pressure, error shapes, `/metrics`, aborts. What is modelled:
time (`gpu_models`) and scheduling (`engine`). What is made up: the answers (`answers`), which every reply admits with
`system_fingerprint: "pointsman-simulator"`.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

from pointsman.testing import gpu_models, vllm_refusals
from pointsman.testing import openai_shapes as shapes
from pointsman.testing.day import EVENT_STREAM
from pointsman.testing.engine import Engine, QueueFull
from pointsman.testing.engine_metrics import EngineMetrics
from pointsman.testing.engine_rim import EngineRim
from pointsman.testing.generation import Generation
from pointsman.testing.gpu_models import TIERS, Tier
from pointsman.testing.wire import Connection, Seen, WireServer, head

FINGERPRINT = "pointsman-simulator"
VERSION = "0.32.0+pointsman.simulator"
_HEADERS = (("server", FINGERPRINT),)


class Simulator:
    """One engine with one model on one GPU, behind a loopback port (`port` 0 = any free one).

    `slots`, `max_model_len` None: from the table. `max_queued` None: an endless queue, as vLLM has by default; a
    number: 503 once that many wait. `time_scale` 10: ten times as fast as the GPU would be. Unknown GPU: KeyError.
    """

    def __init__(self, tier_name: str, model: str, gpu: str, *, port: int = 0, host: str = "127.0.0.1",
                 time_scale: float = 1.0, slots: int | None = None, max_model_len: int | None = None,
                 max_queued: int | None = None, api_key: str | None = None) -> None:
        self.tier_name = tier_name
        self.gpu, self.model = gpu_models.gpu_named(gpu), gpu_models.model_named(model)
        self.slots = self.gpu.slots if slots is None else slots
        self.max_model_len = self.model.context if max_model_len is None else max_model_len
        self.api_key = api_key
        self.timing = gpu_models.timing(self.gpu, self.model)
        self.engine = Engine(self.timing, slots=self.slots, kv_tokens=gpu_models.kv_tokens(self.gpu, self.model),
                             max_queued=max_queued)
        self.metrics = EngineMetrics(self.model.name)
        self._rim = EngineRim(self.engine, self.metrics, time_scale=time_scale)
        self._wire = WireServer(self._serve, host=host, port=port, remembers=False)
        # When this engine came up; /v1/models repeats it as vLLM repeats its own.
        self._created = int(time.time())

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

    async def start(self) -> None:
        """Listens. OSError: the port is taken."""
        await self._wire.listen()

    async def aclose(self) -> None:
        """Resets open connections and stops the engine."""
        await self._wire.aclose()
        self._rim.close()

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
        return Generation(asked, origin, connection, max_tokens, self.model.dimensions)

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
    """The `tiers:` part of a Pointsman configuration for these simulators, ready to paste."""
    lines = ["tiers:"]
    for simulator in fleet:
        gpu = simulator.gpu
        lines += [
            f"  {simulator.tier_name}:",
            f"    model: {simulator.model.name}",
            "    endpoints:",
            f'      - {{url: "{simulator.url}", engine: vllm, slots: {simulator.slots},',
            f"         gpu: {{type: {gpu.name}, usd_per_hour: {gpu.usd_per_hour:.2f}, tokens_per_s: {gpu.tokens_per_s:g}}}}}",
        ]
    return "\n".join(lines) + "\n"
