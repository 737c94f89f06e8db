"""`pointsman report`: what each rung of each ladder had to do, what it cost, and how long it took."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from pointsman.cli.learning import one_sentence
from pointsman.cli.standings import console

if TYPE_CHECKING:
    from pointsman.records.ladder import RungAccount

NANO = 1e-9


def report(
    records: Annotated[Path, typer.Option("--records", "-r", metavar="FILE", help="The store, as `records.path` says.")] = Path(".pointsman/records.db"),
    last: Annotated[int, typer.Option(min=1, help="Of the newest requests, so many.")] = 100_000,
    route: Annotated[str | None, typer.Option(metavar="NAME", help="Only this route.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Each rung's share, price and delay, from the records: who began, who answered, whose answers were left for better ones.

    A request that climbs pays for every rung that it touches and waits for each: a rung's dollars are those of all its attempts,
    given or not, and what verifiers cost stands beside them.
    """
    with one_sentence():
        found = _accounts(records, last, route)
    if json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode([_figures(one) for one in found]), indent=2).decode())
        return
    screen = console()
    if not found:
        screen.print("no request has reached a tier yet")
        return
    screen.print(_table(found))
    screen.print(Text("left: of the judged answers, those that a better one was sought for. p50, p95: until the answer was there, of attempts that "
                      "answered. +: not all costs are known.", style="dim"))


def _accounts(path: Path, last: int, route: str | None) -> list[RungAccount]:
    from pointsman.errors import DataRefused
    from pointsman.records.ladder import by_rung
    from pointsman.records.store import Store

    if not path.is_file():
        raise DataRefused(str(path), "there are no records: say where they are with --records, as `records.path` in the configuration")
    store = Store(path)
    try:
        rows = store.recent(last) if route is None else store.recent(last, route=route)
    finally:
        store.close()
    return by_rung(rows)


def _table(found: list[RungAccount]) -> Table:
    table = Table("route", "tier", "began", "answered", "share", "judged", "left", "dollars", "checks $", "p50 s", "p95 s", box=None, pad_edge=False)
    for one in found:
        more = "+" if one.unknown_costs else ""
        figures = _figures(one)
        table.add_row(one.route, one.tier, f"{one.began:,}", f"{one.answered:,}", f"{one.share:.1%}", f"{one.judged:,}", _left(one),
                      f"{_dollars(one.cost_nano_usd)}{more}", _dollars(one.checks_nano_usd), _seconds(figures["p50_s"]), _seconds(figures["p95_s"]))
    return table


def _dollars(nano: int) -> str:
    """A cheap tier's hundred answers are a hundredth of a cent: that is not nothing."""
    return f"{nano * NANO:.4f}" if nano * NANO >= 1 else f"{nano * NANO:.6f}"


def _figures(one: RungAccount) -> dict[str, object]:
    from pointsman.records.ladder import quantile

    return {"route": one.route, "tier": one.tier, "requests": one.requests, "began": one.began, "answered": one.answered, "share": round(one.share, 6),
            "judged": one.judged, "unjudged": one.unjudged, "left": one.left, "broken_off": one.broken_off, "cost_nano_usd": one.cost_nano_usd,
            "checks_nano_usd": one.checks_nano_usd, "unknown_costs": one.unknown_costs, "p50_s": quantile(one.durations_s, 0.5),
            "p95_s": quantile(one.durations_s, 0.95), "p95_check_s": quantile(one.checks_s, 0.95)}


def _left(one: RungAccount) -> str:
    return f"{one.left:,} ({one.left / one.judged:.0%})" if one.judged else f"{one.left:,}"


def _seconds(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "-"
