"""`pointsman top`: what a running router sees of its fleet, once a second."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.styled import Styled
from rich.text import Text

from pointsman.cli.fleet_picture import screen
from pointsman.cli.options import ConfigOption
from pointsman.cli.running import NotReached, ask, listener_of
from pointsman.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

PIPE_WIDTH = 160
"""Columns when the output is no terminal and nobody says how many."""


def top(
    config: ConfigOption = None,
    admin: Annotated[str | None, typer.Option(metavar="URL", help="Admin listener of the router. Default: the one the configuration names.")] = None,
    token: Annotated[str | None, typer.Option(metavar="REFERENCE", help="Admin token as ${NAME}, os.environ/NAME or file:PATH. Default: the configured or generated one.")] = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one look and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the state as JSON and end.")] = False,
) -> None:
    """Watch a running router: each tier (fit or not, why, who waits) and each endpoint (state, until when, why).

    Ctrl-C ends it; the router does not notice. On a pipe it prints one look after another. The same is at GET /admin/state.
    """
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(highlight=False, width=PIPE_WIDTH)
    try:
        url, _ = listener_of(config, admin, token)

        def look() -> dict[str, Any]:  # the token anew each time: a router that was started again has made another
            return ask(url, "/state", listener_of(config, admin, token)[1])

        state = look()
        if as_json:
            typer.echo(json.dumps(state, indent=2))
        elif once:
            console.print(screen(state, url, console.width))
        elif console.is_terminal and not console.is_dumb_terminal:
            _watch(console, url, look, state, every)
        else:
            _print(console, url, look, state, every)
    except (NotReached, ConfigError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except (KeyboardInterrupt, BrokenPipeError):
        return


def _watch(console: Console, url: str, look: Callable[[], dict[str, Any]], state: dict[str, Any], every: float) -> None:
    with Live(_picture(console, state, url), console=console, screen=True, auto_refresh=False) as live:
        seen = time.monotonic()
        while True:
            time.sleep(every)
            try:
                state, seen = look(), time.monotonic()
                live.update(_picture(console, state, url), refresh=True)
            except (NotReached, ConfigError) as error:  # it may be restarting: say so and look again
                ago = f"looking again every {every:g} s; what follows is {time.monotonic() - seen:.0f} s old"
                live.update(Group(Text(str(error), "red"), Text(ago, "red"), Text(), Styled(_picture(console, state, url, 4), "dim")), refresh=True)


def _picture(console: Console, state: dict[str, Any], url: str, above: int = 0) -> RenderableType:
    """`above`: lines that stand over it."""
    return screen(state, url, console.width, console.height - above)


def _print(console: Console, url: str, look: Callable[[], dict[str, Any]], state: dict[str, Any], every: float) -> None:
    """One look after another, as a file or a pager wants them."""
    while True:
        console.print(screen(state, url, console.width), Text())
        console.file.flush()
        time.sleep(every)
        state = look()
