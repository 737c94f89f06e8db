"""`pointsman plan engines`: will these engines start on those cards?"""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import wrap
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pointsman.planning.cards import Card, UnknownCard, card_of
from pointsman.planning.fit import Fit, fit
from pointsman.planning.launch import BadCommand, Launch, read_launch
from pointsman.planning.models import Architecture, UnknownModel, architecture_of

plan = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Plan machines before renting them.")

PUBLISHED = (
    ("tier 1, as published", "RTX 4090", "vllm serve Qwen/Qwen2.5-7B-Instruct --dtype fp8 --gpu-memory-utilization 0.85 --max-num-seqs 256"),
    ("tier 2, as published", "A100 80 GB", "vllm serve Qwen/Qwen2.5-32B-Instruct --dtype fp8 --gpu-memory-utilization 0.90 --max-num-seqs 128"),
    ("tier 3, as published", "H100 80 GB", "vllm serve meta-llama/Llama-3.3-70B-Instruct --quantization fp8 --gpu-memory-utilization 0.92 "
                                           "--max-num-seqs 64 --max-model-len 32768"),
)
"""The published recipes, flags verbatim where memory depends on them."""
STYLES = {"fits": "green", "tight": "yellow", "does not fit": "red", "does not start": "red"}


@plan.callback()
def _group() -> None:
    """Keeps `engines` a command of its own."""


@plan.command()
def engines(
    launches: Annotated[list[str] | None, typer.Argument(metavar="COMMAND|FILE", help="Launch commands, or files with them (such as deploy/engines/vllm/*.sh). Default: the published recipes.", show_default=False)] = None,
    gpu: Annotated[str | None, typer.Option(help="Card to start on: RTX 4090, A100, H100, H200, h100 mig 3g.40gb. A file may name its own in a line `# gpu: NAME`.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Compute weights and KV cache against the card, and say whether a launch fits and what to change.

    Exits 0 when everything fits, 1 when something does not, 2 when something cannot be read. Figures are estimates, good to
    about half a gibibyte per GPU.

    Example: pointsman plan engines --gpu H100 "vllm serve meta-llama/Llama-3.3-70B-Instruct --quantization fp8"
    """
    found: list[tuple[str, Launch, Fit]] = []
    try:
        for name, card_name, command in _asked(launches, gpu):
            launch = read_launch(command)
            found.append((name, launch, _fitted(launch, card_of(card_name))))
    except (BadCommand, UnknownCard, UnknownModel, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps([{"name": name, "launch": msgspec.to_builtins(launch), "fit": msgspec.to_builtins(fitted)}
                               for name, launch, fitted in found], indent=2))
    else:
        console = Console()
        for name, launch, fitted in found:
            _show(console, name, launch, fitted)
    if any(fitted.verdict in ("does not fit", "does not start") for _, _, fitted in found):
        raise typer.Exit(1)


def _asked(launches: list[str] | None, gpu: str | None) -> list[tuple[str, str, str]]:
    """Name, card and command of each."""
    if not launches:
        return [(name, gpu or card, command) for name, card, command in PUBLISHED]
    found = []
    for text in launches:
        path = Path(text) if len(text) < 1024 and "\n" not in text else None
        is_file = path is not None and path.is_file()
        if path is not None and not is_file and len(text.split()) == 1 and ("/" in text or path.suffix):
            raise BadCommand(f"there is no file {text!r}; name one, or write a whole launch command")
        script = path.read_text("utf-8") if path is not None and is_file else text
        card = gpu or _card_in(script)
        if card is None:
            raise BadCommand(f"{text[:80]}: which card? Say --gpu NAME, or write a line `# gpu: NAME` into the file")
        found.append((path.name if path is not None and is_file else "", card, _command_in(script) if is_file else text))
    return found


def _card_in(script: str) -> str | None:
    return next((line.partition(":")[2].strip() for line in script.splitlines() if line.strip().lower().startswith("# gpu:")), None)


def _command_in(script: str) -> str:
    """The launch command of a script: the first line, with its continuations, that starts an engine."""
    joined = script.replace("\\\n", " ")
    for line in joined.splitlines():
        words = line.strip().removeprefix("exec ")
        if not words.startswith("#") and ("vllm" in words or "sglang" in words) and ("serve" in words or "launch_server" in words or "api_server" in words):
            return words
    raise BadCommand("no line of the file starts an engine (`vllm serve ...`, `python -m sglang.launch_server ...`)")


def _fitted(launch: Launch, card: Card) -> Fit:
    model: Architecture = architecture_of(launch.model)
    return fit(launch, model, card)


def _show(console: Console, name: str, launch: Launch, fitted: Fit) -> None:
    cards = fitted.card if fitted.gpus == 1 else f"{fitted.gpus} x {fitted.card}"
    console.print(Text.assemble((name or launch.model, "bold"), ": ", (fitted.verdict, f"bold {STYLES[fitted.verdict]}")))
    _say(console, f"{launch.model} on {cards} with {launch.engine}" if name else f"on {cards} with {launch.engine}")
    _say(console, fitted.why, STYLES[fitted.verdict])
    table = Table.grid(padding=(0, 2))
    a_token = f"{fitted.kv_bytes_per_token / 1024:.0f} KiB a token"
    for what, value in (
        ("  weights", f"{fitted.weights_gib:5.1f} GiB"), ("  working memory", f"{fitted.working_gib:5.1f} GiB, about"),
        ("  KV cache", f"{fitted.kv_gib:5.1f} GiB = {fitted.tokens:,} tokens, {a_token}"),
        ("  at once", f"{fitted.full_requests:.1f} requests of {fitted.context:,} tokens, or {fitted.typical_requests:,} of 700"),
    ):
        table.add_row(what, value)
    console.print(table)
    for warning in fitted.warnings:
        _say(console, f"note: {warning}", "yellow")
    for change in fitted.changes:
        _say(console, f"fits with: {change}", "green")
    console.print()


def _say(console: Console, text: str, style: str = "") -> None:
    """Indented, what does not fit into a line too."""
    for line in wrap(text, max(40, console.width), initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False):
        console.print(Text(line, style, no_wrap=True, overflow="ignore"), soft_wrap=True)
