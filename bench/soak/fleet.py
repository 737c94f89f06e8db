"""The world of a soak: endpoints with good and bad days, and the router's configuration over them."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

from pointsman.testing import days
from pointsman.testing.model_server import ModelServer

LONG = "A long answer in many small pieces that a slow reader takes one by one. " * 40

HIDDEN: tuple[days.Day, ...] = (
    days.Refuse(), days.AcceptOnly(), days.CloseAtOnce(), days.Hang(), days.Reset(), days.NoFirstToken(), days.NoFirstToken(role=True),
    days.StallAfter(0), days.CutAfter(0), days.CutAfter(0, "rst"), days.GarbageSse(), days.ErrorIn200(), days.WrongContentType(),
    days.InBandError(0), days.ShortBody(2000), days.EmptyBody(), days.rate_limited("1"), days.rate_limited(), days.server_error(),
    days.bad_gateway(), days.queue_full(), days.overloaded(),
    days.Raw((b"HTTP/1.1 200 OK\r\ncontent-length: nonsense\r\n\r\n",)), days.Raw((b"\x00\xff" * 50,), "reset"),
)
"""Failures before the first answer byte: while somebody else could answer, no client may see one."""
QUARANTINED: tuple[days.Day, ...] = (days.unauthorized(), days.not_found())
"""Take an endpoint out of service until the next reload, so they must be rare or nothing else would ever happen."""
VISIBLE: tuple[days.Day, ...] = (
    days.StallAfter(2), days.CutAfter(2), days.CutAfter(2, "rst"), days.CutAfter(1, "chunked-truncated"), days.GarbageSse(1),
    days.InBandError(2), days.EndWithoutFinish(), days.ShortBody(),
)
"""Failures in the middle of a stream: they end it in one error frame. Plain answers hide them."""
ODD: tuple[days.Day, ...] = (
    days.SlowHeaders(0.001), days.SplitUtf8(), days.ExtraBytes(), days.JsonForStream(), days.Answer(usage=False),
    days.Answer(in_one_segment=True), days.Answer(framing="close"), days.Answer(LONG), days.Answer(first_token_after=0.05, between=0.002),
    days.Answer(tool_calls=(("f", '{"a":1}'),)), days.Answer(cached_tokens=3),
)
"""Right answers in unusual shapes."""
REFUSALS: tuple[days.Day, ...] = (days.bad_request(), days.unprocessable(), days.too_large())
"""The engine finds the request at fault: its 4xx is the client's answer."""


class Fleet:
    """Four shaky endpoints, each with a steady neighbour on its tier or above, and one for vectors."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.shaky = {name: ModelServer(model=name) for name in ("small-a", "medium-a", "medium-b", "large-a")}
        self.steady = {name: ModelServer(model=name) for name in ("small-b", "large-b", "vectors")}
        self.idle = ModelServer(days.StallAfter(1), model="idle")
        self._keeping: asyncio.Task[None] | None = None
        self.restarts = 0

    @property
    def servers(self) -> list[ModelServer]:
        return [*self.shaky.values(), *self.steady.values(), self.idle]

    async def start(self) -> None:
        self._deal()
        for server in self.servers:
            server.days = [days.Answer(), *server.days]  # the first day is good: whoever begins with Refuse never listens
            await server.start()
        self._keeping = asyncio.create_task(self._keep())

    async def aclose(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        for server in self.servers:
            await server.aclose()

    async def _keep(self) -> None:
        """Fresh days, a listener again after a Refuse, a restart now and then, and no memory of what was asked."""
        while True:
            await asyncio.sleep(0.1)
            self._deal()
            for server in self.servers:
                server.requests.clear()
                server.probes.clear()
            for server in self.shaky.values():
                if isinstance(server.days[0], days.Refuse) and self._rng.random() < 0.2:
                    with contextlib.suppress(OSError):
                        await server.start_listening()
                elif self._rng.random() < 0.003:
                    self.restarts += 1
                    await server.restart()

    def _deal(self) -> None:
        for server in self.shaky.values():
            while len(server.days) < 200:
                server.days.append(self._a_day())
        for server in self.steady.values():
            while len(server.days) < 200:
                server.days.append(days.Answer(self._rng.choice(("Yes.", "Paris is the capital of France.", LONG))))

    def _a_day(self) -> days.Day:
        share = self._rng.random()
        if share < 0.55:
            return days.Answer()
        if share < 0.70:
            return self._rng.choice(ODD)
        if share < 0.93:
            return self._rng.choice(HIDDEN if share < 0.929 else QUARANTINED)
        return self._rng.choice(VISIBLE if share < 0.98 else REFUSALS)

    def config(self, port: int, admin_port: int) -> str:
        def pool(*names: str, more: str = "") -> str:
            servers = {**self.shaky, **self.steady, "idle": self.idle}
            listed = ", ".join(f'{{url: "{servers[name].url}", slots: 500, connect_timeout: 500ms, '
                               f'gpu: {{type: RTX 4090, usd_per_hour: 0.51, tokens_per_s: 1000}}}}' for name in names)
            health = "health: {eject_for: 300ms, eject_max: 1s, cooldown_max: 1s}"
            return f"{{model: {names[0]}, capabilities: {{context: 100000{more}}}, {health}, endpoints: [{listed}]}}"

        return f"""
server: {{host: 127.0.0.1, port: {port}}}
admin: {{host: 127.0.0.1, port: {admin_port}, token: "file:token"}}
auth: {{keys: [{{name: soak, key: "file:key", tenant: acme}}]}}
records: {{path: state/records.db}}
tiers:
  small: {pool("small-a", "small-b")}
  medium: {pool("medium-a", "medium-b")}
  large: {pool("large-a", "large-b")}
  idle: {pool("idle")}
pools:
  vectors: {pool("vectors", more=", embeddings: true")}
routes:
  auto:
    ladder: [small, medium, large]
    fallbacks: [small]
    default_tier: large
    deadline: 20s
    ttft_timeout: 1s
    stall_timeout: 1s
    answer_timeout: 1500ms
    open_after: 3s
    rules:
      - {{when: {{header: {{x-tier: small}}}}, tier: small}}
      - {{when: {{header: {{x-tier: medium}}}}, tier: medium}}
      - {{when: {{header: {{x-tier: large}}}}, tier: large}}
  patient: {{ladder: [idle], default_tier: idle, stall_timeout: 600s}}
"""
