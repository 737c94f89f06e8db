"""`pointsman machines`: starts and stops a tier's rented machines as a running router wishes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from typing import Annotated

import typer

from pointsman.cli.options import ConfigOption
from pointsman.cli.running import NotReached, listener_of
from pointsman.errors import ConfigError
from pointsman.machines.attendant import Attendant
from pointsman.machines.hook import hook_of
from pointsman.machines.rounds import AdminListener, Rounds


def machines(
    tier: Annotated[str, typer.Option(help="The tier whose machines these are: each of its endpoints is one.")],
    start: Annotated[str, typer.Option(help="What starts a machine: a command (no shell; told by POINTSMAN_ENDPOINT and others in its environment), or a URL that is posted the same as JSON.")],
    stop: Annotated[str, typer.Option(help="What stops one, likewise.")],
    config: ConfigOption = None,
    admin: Annotated[str | None, typer.Option(metavar="URL", help="Admin listener of the router. Default: the one the configuration names.")] = None,
    token: Annotated[str | None, typer.Option(metavar="REFERENCE", help="Admin token as ${NAME}, os.environ/NAME or file:PATH. Default: the configured or generated one.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    floor: Annotated[int, typer.Option(min=0, help="Machines at least, whatever the router wishes.")] = 0,
    ceiling: Annotated[int | None, typer.Option(min=0, help="Machines at most, whatever the router wishes.")] = None,
    drain: Annotated[float, typer.Option(min=1, help="Seconds that requests under way may take to end before a machine is stopped.")] = 600.0,
    boot: Annotated[float, typer.Option(min=1, help="Seconds that a started machine may take to answer; then it is stopped, and another is tried.")] = 900.0,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that a hook may take.")] = 120.0,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 10.0,
) -> None:
    """Start and stop a tier's rented machines as the router wishes.

    The wish is `desired` of GET /admin/scale/TIER: load, promises and the schedule of `tiers.*.scale`, within its `min` and `max`. A machine
    is drained before it is stopped, the dearest goes first, and `scale.on_demand` that are not spot stay. Hooks must be idempotent. Ctrl-C or SIGTERM
    ends it; machines stay as they are.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if ceiling is not None and ceiling < floor:
        raise typer.BadParameter(f"--ceiling {ceiling} is below --floor {floor}", param_hint="--ceiling")
    try:
        url, _ = listener_of(config, admin, token)
        # The token anew at each question: a router that was started again has made another.
        router = AdminListener(url, lambda: listener_of(config, admin, token)[1])
        hooks = hook_of(start, timeout), hook_of(stop, timeout)
    except (NotReached, ConfigError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    attendant = Attendant(floor=floor, ceiling=ceiling, boot_s=boot)
    asyncio.run(_run(Rounds(tier, router, attendant, *hooks, drain_s=drain, dry_run=dry_run, clock=time.monotonic), every))


async def _run(rounds: Rounds, every_s: float) -> None:
    going = asyncio.ensure_future(rounds.run(every_s))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, going.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await going
