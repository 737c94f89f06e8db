"""`pointsman simulate`: a fleet to point a router at, on a machine without GPUs."""

from __future__ import annotations

import asyncio
import errno
import signal
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from pointsman.testing.engine_trouble import NONE, Trouble, trouble_of
from pointsman.testing.gpu_models import GPUS, TIERS, Tier
from pointsman.testing.simulator import Simulator, tiers_yaml

console = Console()


def simulate(
    port_base: Annotated[int | None, typer.Option(help="Port of the first engine; the others follow. Default: each tier's usual one, from 8001.", min=1, max=65000)] = None,
    fast: Annotated[float, typer.Option(help="How many simulated seconds pass in one real one.", min=0.01)] = 1.0,
    only: Annotated[list[str] | None, typer.Option(help="Start this tier alone (may be repeated).")] = None,
    gpu: Annotated[str | None, typer.Option(help=f"Another GPU for the one tier: {', '.join(GPUS)}.")] = None,
    model: Annotated[str | None, typer.Option(help="Another model for the one tier; unknown ones are sized by name.")] = None,
    slots: Annotated[int | None, typer.Option(help="Sequences it runs at once, instead of the table's.", min=1)] = None,
    max_queued: Annotated[int | None, typer.Option(help="Answer 503 once so many wait; no limit by default.", min=0)] = None,
    endpoints: Annotated[int, typer.Option(help="Engines per tier, on consecutive ports.", min=1, max=64)] = 1,
    bad: Annotated[list[str] | None, typer.Option(
        help="What is wrong with one engine, as small/1:slow=3 (times), :dies=60 (seconds), :lies, :notice=30 (seconds); "
             "may be repeated.")] = None,
    kv_blocks: Annotated[int | None, typer.Option(help="KV blocks of 16 tokens, instead of what the GPU has room for.", min=1)] = None,
    stream_interval: Annotated[int, typer.Option(help="Tokens per streamed event.", min=1)] = 1,
) -> None:
    """Start simulated vLLM servers: real HTTP, modelled time, made-up answers. Ctrl-C ends it."""
    tiers = _tiers(only or [], gpu, model)
    troubles = _troubles(bad or [], tiers, endpoints)
    engines = [(tier, i) for tier in tiers for i in range(endpoints)]
    fleet = [Simulator(tier.name, tier.model, tier.gpu, time_scale=fast, slots=slots, max_queued=max_queued,
                       kv_blocks=kv_blocks, stream_interval=stream_interval,
                       port=tier.port if port_base is None and endpoints == 1 else (port_base or TIERS[0].port) + number,
                       trouble=troubles.get(f"{tier.name}/{i}", NONE))
             for number, (tier, i) in enumerate(engines)]
    problem = asyncio.run(_run(fleet, fast))
    if problem is not None:
        console.print(problem, style="red", highlight=False)
        raise typer.Exit(1)


def _tiers(only: list[str], gpu: str | None, model: str | None) -> list[Tier]:
    known = [tier.name for tier in TIERS]
    if unknown := [name for name in only if name not in known]:
        raise typer.BadParameter(f"no tier {unknown[0]!r}; the tiers are {', '.join(known)}", param_hint="--only")
    tiers = [tier for tier in TIERS if not only or tier.name in only]
    if (gpu is not None or model is not None) and len(tiers) != 1:
        raise typer.BadParameter("says something about one tier: name it with --only", param_hint="--gpu/--model")
    if gpu is not None and gpu.lower() not in {name.lower() for name in GPUS}:
        raise typer.BadParameter(f"no GPU {gpu!r} in the table; known: {', '.join(GPUS)}", param_hint="--gpu")
    changes = {name: value for name, value in (("gpu", gpu), ("model", model)) if value is not None}
    return [msgspec.structs.replace(tier, **changes) for tier in tiers]


def _troubles(bad: list[str], tiers: list[Tier], endpoints: int) -> dict[str, Trouble]:
    """`tier/index` -> trouble."""
    known = [f"{tier.name}/{i}" for tier in tiers for i in range(endpoints)]
    troubles = {}
    for text in bad:
        name, _, said = text.partition(":")
        if name not in known:
            raise typer.BadParameter(f"no engine {name!r}; there are {', '.join(known)}", param_hint="--bad")
        try:
            troubles[name] = trouble_of(said)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--bad") from None
    return troubles


async def _run(fleet: list[Simulator], fast: float) -> str | None:
    """Serves until a signal; returns what went wrong, for the person, or None."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        for simulator in fleet:
            await simulator.start()
        _announce(fleet, fast)
        await stop.wait()
        console.print("\nstopped")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return (f"port {simulator.port} (tier {simulator.tier_name}) is taken: stop what listens there, "
                    f"or choose other ports with --port-base")
        return f"cannot listen on port {simulator.port} (tier {simulator.tier_name}): {error.strerror}"
    finally:
        for simulator in fleet:
            await simulator.aclose()
    return None


def _announce(fleet: list[Simulator], fast: float) -> None:
    speed = f", {fast:g} x as fast as the real ones" if fast != 1 else ""
    console.print(f"Simulated engines{speed}\n", style="bold", highlight=False)
    # No frame and no wrapping: addresses are there to be copied.
    table = Table(box=None, padding=(0, 1, 0, 0))
    for column in ("tier", "URL", "model", "GPU", "$/h", "slots"):
        table.add_column(column, justify="right" if column in ("$/h", "slots") else "left", no_wrap=True)
    for s in fleet:
        table.add_row(s.tier_name, s.url, s.model.name.split("/")[-1], s.gpu.name, f"{s.gpu.usd_per_hour:.2f}", str(s.slots))
    console.print(table)
    console.print("\nPrices of 5 April 2026. Time is modelled, answers are made up: no GPU was used.\n", highlight=False)
    console.print("For your configuration:\n", style="bold")
    # Plain: a terminal's line wrapping would break the YAML.
    console.print(tiers_yaml(fleet), soft_wrap=True, highlight=False, markup=False)
    console.print("Ctrl-C ends it.")
