"""`pointsman check FILE [--live] [--json]`: all problems of a configuration, or what it says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

if TYPE_CHECKING:
    from pointsman.cli.probe import Probe
    from pointsman.config.load import Loaded
    from pointsman.core.fleet import EndpointSpec
    from pointsman.core.settings import Settings


PIPE_WIDTH = 1000
"""Columns when the output is no terminal: scripts and logs want whole lines."""


def check(
    file: Annotated[
        Path | None,
        typer.Argument(help="Configuration file. Default: $POINTSMAN_CONFIG, else pointsman.yaml.", show_default=False),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Also ask every endpoint what it is, what it serves and how busy it is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for one endpoint with --live.")] = 5.0,
) -> None:
    """Check a configuration file: print all its problems, or a summary of what it says.

    Exits 0 when it can be served (and, with --live, every endpoint answers and lists its model), else 1.
    """
    from pointsman.cli.knowledge import as_data, flows_of, knowledge_of
    from pointsman.config.load import find, load_with_warnings
    from pointsman.errors import ConfigError

    path = find(file)
    try:
        loaded = load_with_warnings(path)
        knowledge = knowledge_of(loaded.settings)
    except ConfigError as exc:
        _print_problems(exc.problems, path, as_json)
        raise typer.Exit(1) from exc
    probes: tuple[Probe, ...] = ()
    if live:
        from pointsman.cli.probe import probe_all

        probes = asyncio.run(probe_all(loaded.settings, timeout))
    if as_json:
        told = {"classifier": as_data(knowledge), "data_flows": flows_of(loaded.settings)}
        typer.echo(json.dumps(described(loaded, probes, is_live=live) | told, indent=2))
    else:
        known = knowledge.in_words() if knowledge else []
        _print_summary(loaded, probes, is_live=live, classifier=[*known, *flows_of(loaded.settings)])
    if not all(probe.is_good for probe in probes):
        raise typer.Exit(1)


# ---------------------------------------------------------------------------------------------------------
# Output


def _print_problems(problems: tuple[str, ...], path: Path, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"ok": False, "file": str(path), "problems": problems}, indent=2))
        return
    for problem in problems:
        typer.echo(problem)
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    typer.echo(f"{count} in {path}", err=True)


def described(loaded: Loaded, probes: tuple[Probe, ...], *, is_live: bool) -> dict[str, Any]:
    """The summary as plain data. Holds no secret: endpoints say only whether they have a key."""
    settings = loaded.settings
    return {
        "ok": all(probe.is_good for probe in probes),
        "file": settings.source,
        "problems": [],
        "warnings": list(loaded.warnings),
        "routes": {name: {"ladder": route.ladder, "default_tier": route.default_tier, "quality": route.quality,
                          "pipeline": route.pipeline, "rules": len(route.rules)}
                   for name, route in settings.routes.items()},
        "tiers": {name: {"pools": tier.pools} for name, tier in settings.tiers.items()},
        "pools": {name: {"model": pool.model, "embeddings": pool.embeddings,
                         "capabilities": msgspec.to_builtins(pool.capabilities),
                         "endpoints": [_described_endpoint(endpoint) for endpoint in pool.endpoints]}
                  for name, pool in settings.pools.items()},
        **({"live": [msgspec.to_builtins(probe) for probe in probes]} if is_live else {}),
    }


def _described_endpoint(endpoint: EndpointSpec) -> dict[str, Any]:
    return {
        "id": endpoint.id, "url": endpoint.url, "model": endpoint.model, "engine": endpoint.engine,
        "provider": endpoint.provider, "has_key": endpoint.api_key is not None, "slots": endpoint.slots,
        "price": price_in_words(endpoint),
    }


def price_in_words(endpoint: EndpointSpec) -> str:
    """`$0.88 in, $0.88 out per million tokens`, `1 x H100 at $2.4/h, 400 tokens/s`, or `unpriced`."""
    from pointsman.core.price import GpuPrice, TokenPrice

    match endpoint.price:
        case TokenPrice(input=given, output=made):
            return f"${given:g} in, ${made:g} out per million tokens"
        case GpuPrice(type=gpu, usd_per_hour=dollars, count=count, tokens_per_s=speed):
            rate = "nominal throughput" if speed is None else f"{speed:g} tokens/s"
            return f"{count} x {gpu} at ${dollars:g}/h, {rate}"
        case _:
            return "unpriced"


def _print_summary(loaded: Loaded, probes: tuple[Probe, ...], *, is_live: bool, classifier: Sequence[str] = ()) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_WIDTH)
    settings = loaded.settings
    said = {probe.endpoint: probe for probe in probes}
    tree = Tree(Text(f"{settings.source}: {_counts(settings)}", style="bold"))
    for name, route in settings.routes.items():
        words = f"route {name}: {' -> '.join(route.pipeline) or 'no stage'}, quality {route.quality:g}, {_some(len(route.rules), 'rule')}"
        branch = tree.add(Text(words, style="bold cyan"))
        for rung, tier in enumerate(route.ladder, start=1):
            mark = " (default)" if tier == route.default_tier else ""
            branch.add(Text(f"{rung}. tier {tier}{mark}: {', '.join(settings.tiers[tier].pools)}"))
    if classifier:
        branch = tree.add(Text(classifier[0], style="bold magenta"))
        for line in classifier[1:]:
            branch.add(Text(line))
    for pool in settings.pools.values():
        words = f"pool {pool.name}: {pool.model}{' (embeddings)' if pool.embeddings else ''}"
        branch = tree.add(Text(words, style="bold green"))
        for endpoint in pool.endpoints:
            slots = "slots unknown" if endpoint.slots is None else f"{endpoint.slots} slots"
            leaf = branch.add(Text(f"{endpoint.id}  {endpoint.url}  {endpoint.engine}, {slots}, {price_in_words(endpoint)}"))
            if endpoint.id in said:
                for words, style in said[endpoint.id].in_words(endpoint):
                    leaf.add(Text(words, style=style))
    console.print(tree)
    for warning in loaded.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    good = sum(probe.is_good for probe in probes)
    verdict = ["ok"] if good == len(probes) else []
    if is_live:
        verdict.append(f"{good} of {len(probes)} endpoints answer and list their model")
    console.print(Text("; ".join(verdict), style="bold"))


def _counts(settings: Settings) -> str:
    endpoints = sum(len(pool.endpoints) for pool in settings.pools.values())
    numbers = (("route", len(settings.routes)), ("tier", len(settings.tiers)), ("pool", len(settings.pools)),
               ("endpoint", endpoints), ("client key", len(settings.keys)))
    return ", ".join(_some(n, word) for word, n in numbers)


def _some(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"
