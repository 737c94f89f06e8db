"""`pointsman top`: what a running router sees of its fleet, once a second."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pointsman.cli.options import ConfigOption
from pointsman.cli.running import NotReached, address_of, ask, token_of
from pointsman.config.load import find, is_configured, load
from pointsman.core.settings import Settings
from pointsman.errors import ConfigError

STYLES = {"healthy": "green", "probing": "yellow", "draining": "yellow", "ejected": "red"}
DASH = "–"
TENANTS_SHOWN = 3
"""Of those who wait to be read, the ones with most: where all come from one, its name says nothing."""


def top(
    config: ConfigOption = None,
    admin: Annotated[str | None, typer.Option(metavar="URL", help="Admin listener of the router. Default: the one the configuration names.")] = None,
    token: Annotated[str | None, typer.Option(metavar="REFERENCE", help="Admin token as ${NAME}, os.environ/NAME or file:PATH. Default: the configured or generated one.")] = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one look and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the state as JSON and end.")] = False,
) -> None:
    """Watch a running router: each tier (fit or not, why, who waits) and each endpoint (state, until when, why).

    Ctrl-C ends it; the router does not notice. The same is at GET /admin/state.
    """
    console = Console()
    try:
        settings = load(find(config)) if is_configured(config) else Settings({}, {}, {})
        url, secret = admin or address_of(settings), token_of(settings, token)
        state = ask(url, "/state", secret)
        if as_json:
            typer.echo(json.dumps(state, indent=2))
            return
        if once:
            console.print(screen(state, url))
            return
        _watch(console, url, secret, state, every)
    except (NotReached, ConfigError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        return


def _watch(console: Console, url: str, token: str, state: dict[str, Any], every: float) -> None:
    with Live(screen(state, url), console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            time.sleep(every)
            try:
                live.update(screen(ask(url, "/state", token), url), refresh=True)
            except NotReached as error:  # it may be restarting: say so and look again
                live.update(Text(f"{error}\nlooking again every {every:g} s; Ctrl-C ends this", style="red"), refresh=True)


def screen(state: dict[str, Any], url: str) -> Group:
    """One look: a line about the router, the tiers, the endpoints."""
    return Group(_headline(state, url), Text(), _tiers(state), Text(), _endpoints(state))


def _headline(state: dict[str, Any], url: str) -> Text:
    line = Text.assemble(("Pointsman ", "bold"), f"{state['version']}  {url}  {state['in_flight']} in flight  generation {state['generation']}")
    workers = state.get("workers")
    if workers:
        line.append(f"  {len(workers)} workers")
    if state["draining"]:
        line.append("  draining", "yellow")
    records = state.get("records", {})
    if not records.get("ok", True):
        line.append(f"  records: {records.get('last_error') or 'not kept'}", "red")
    return line


def _tiers(state: dict[str, Any]) -> Table:
    table = Table("tier", "is", "why", "for", "in line", "to be read", "answers/s", "failed", "TTFT p95", "token p95", "machines", box=None, header_style="dim",
                  pad_edge=False)
    for name, tier in state.get("tiers", {}).items():
        is_fit = tier["is_fit"]
        scale = state.get("scale", {}).get(name, {})
        ready, desired = scale.get("ready"), scale.get("desired")
        machines = DASH if ready is None else f"{ready}" if desired in (None, ready) else f"{ready} → {desired}: {scale['reason']}"
        table.add_row(
            name, Text("fit" if is_fit else tier["reason"], "green" if is_fit else "red"), tier["detail"] if not is_fit else "",
            _time(tier["for_s"]) if not is_fit else "", str(tier["waiting"]), _to_be_read(state, tier), _number(tier["answers_per_s"]), _number(tier.get("failures")),
            _time(tier["ttft_p95_s"]), _time(tier.get("inter_token_p95_s")), machines)
    return table


def _to_be_read(state: dict[str, Any], tier: dict[str, Any]) -> str:
    """Who waits in the anterooms of its pools: how many, how long the first has, and whose they are."""
    rooms = [room for pool in tier["pools"] if (room := state["pools"].get(pool, {}).get("anteroom")) is not None]
    if not rooms:
        return DASH
    waiting, tenants = sum(room["waiting"] for room in rooms), Counter[str]()
    for room in rooms:
        tenants.update(room["tenants"])
    if not waiting:
        return "0"
    shown = [f"{tenant} {count}" for tenant, count in tenants.most_common(TENANTS_SHOWN)] if len(tenants) > 1 else []
    return "  ".join((str(waiting), _time(max(room["oldest_s"] or 0.0 for room in rooms)), *shown))


def _endpoints(state: dict[str, Any]) -> Table:
    table = Table("endpoint", "state", "until", "why", "busy", "engine", "runs", "waits", "KV", "TTFT p95", "url", box=None, header_style="dim",
                  pad_edge=False)
    leaving, watched = state.get("departures", {}).get("leaving", {}), state.get("watched", {})
    for pool in state["pools"].values():
        for endpoint in pool["endpoints"]:
            _row(table, endpoint, leaving.get(endpoint["id"]), watched.get(endpoint["id"], {}))
    return table


def _row(table: Table, endpoint: dict[str, Any], leaving: dict[str, Any] | None, seen: dict[str, Any]) -> None:
    load, slots = endpoint.get("load") or {}, endpoint.get("slots")
    until, why = _time(endpoint["opens_in_s"]), endpoint["cause"] or seen.get("disbelieved", "")
    if leaving is not None:
        is_gone = leaving["leaves_in_s"] <= 0
        until, why = (DASH, f"has left: {leaving['reason']}") if is_gone else (_time(leaving["leaves_in_s"]), f"leaves: {leaving['reason']}")
    busy = endpoint["in_flight"] + endpoint.get("in_flight_elsewhere", 0)
    engine = " ".join(part for part in (seen.get("engine", ""), seen.get("version", "")) if part)
    table.add_row(
        endpoint["id"], Text(endpoint["state"], STYLES.get(endpoint["state"], "")), until, why,
        str(busy) if slots is None else f"{busy}/{slots}", engine or DASH, _number(load.get("running")), _number(load.get("waiting")),
        DASH if load.get("kv_usage") is None else f"{load['kv_usage']:.0%}", _time(endpoint["window"]["ttft_p95_s"]), endpoint["url"])


def _time(seconds: float | None) -> str:
    if seconds is None:
        return DASH
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min"


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:g}" if isinstance(value, int) else f"{value:.1f}"
