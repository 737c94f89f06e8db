"""An evaluation on a terminal: routers beside each other, models beside each other, what settings do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pointsman.learn.evaluate import Evaluation
    from pointsman.learn.metrics import Interval

WIDE = 150
"""Columns that the table of routers takes with every interval; a narrower terminal gets the figures, and the interval of one."""
ALL = "all models"
PIPE_WIDTH = 160
"""Columns when the output is no terminal."""


def console() -> Console:
    """On a pipe wide enough for whole rows."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def show(found: Evaluation, screen: Console, *, with_errors: bool = True) -> None:
    """Everything. `with_errors`: calibration errors too, when the rows played no part in calibrating."""
    for remark in found.remarks:
        screen.print(Text(f"note: {remark}", style="yellow"))
    if found.routers:
        is_wide = screen.width >= WIDE
        screen.print(_routers(found) if is_wide else _narrow(found))
        if not is_wide:
            screen.print(Text(f"intervals of the other figures: in {WIDE} columns, or in a pipe (| less -S)", style="dim"))
        screen.print(Text(
            "APGR: share of the gap between the two models that is recovered, averaged over all shares of calls to the dearer one; .50 is random. "
            "CPT: share of calls to it that recovers 50 or 80 % of the gap. AIQ: mean quality over all budgets. "
            "Saved: of the reference's cost while keeping 95, 99, 100 % of its quality. [95 % bootstrap]", style="dim"))
        if found.margins:
            screen.print()
            screen.print(_margins(found))
        screen.print(Text(f"prices: {found.prices}", style="dim"))
    screen.print(_heads(found, with_errors=with_errors))


def show_settings(found: Evaluation, screen: Console) -> None:
    """What each value of `quality` would have done."""
    if not found.settings:
        return
    table = Table("quality:", "kept of the reference", "cost", *found.settings[0].shares, title="What the setting `quality` does on these rows",
                  title_justify="left", box=None, pad_edge=False)
    for setting in found.settings:
        table.add_row(f"{setting.quality:g}", _percent(setting.kept), f"{setting.cost:.0%}", *(f"{share:.0%}" for share in setting.shares.values()))
    screen.print(table)


def _routers(found: Evaluation) -> Table:
    table = Table("router", "APGR", "CPT50", "CPT80", "AIQ", "saved at 95 %", "99 %", "100 %", title=_title(found), title_justify="left", box=None, pad_edge=False)
    for router in found.routers:
        style = "bold" if router.name.startswith("ours") else ""
        table.add_row(_name(router.name), _figure(router.apgr), _percent(router.cpt50), _percent(router.cpt80), _figure(router.aiq),
                      *(_saved(saved) for saved in router.savings), style=style)
    return table


def _narrow(found: Evaluation) -> Table:
    """In 80 columns."""
    table = Table("router", "APGR", "CPT50", "CPT80", "AIQ", "saved 95", "99", "100 %", title=_title(found), title_justify="left", box=None, padding=(0, 1, 0, 0))
    for router in found.routers:
        shares = ("-" if one is None else f"{one.value:.1%}" for one in (router.cpt50, router.cpt80))
        saved = ("never" if one is None else f"{one.value:.0%}" for one in router.savings)
        table.add_row(_name(router.name), _figure(router.apgr), *shares, "-" if router.aiq is None else f"{router.aiq.value:.3f}", *saved,
                      style="bold" if router.name.startswith("ours") else "")
    return table


def _margins(found: Evaluation) -> Table:
    """Ours beside each of the others: which it is above or below by more than chance."""
    figures = [("APGR", [one.apgr for one in found.margins])] if any(one.apgr for one in found.margins) else []
    figures.append(("AIQ" if len(found.heads) < 3 else "AIQ, all models", [one.aiq for one in found.margins]))
    table = Table("ours beside", *(title for title, _ in figures), title="Paired on the same resamples; where neither is said, it may be chance",
                  title_justify="left", box=None, padding=(0, 2, 0, 0))
    for place, margin in enumerate(found.margins):
        table.add_row(margin.router, *(_gap(column[place]) for _, column in figures))
    return table


def _gap(gap: Interval | None) -> str:
    if gap is None:
        return "-"
    verdict = " above" if gap.low > 0 else " below" if gap.high < 0 else ""
    return f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]{verdict}"


def _name(name: str) -> str:
    """Of a way to choose. With all models it stands below the same one with two."""
    return f"  {ALL}" if name.endswith(f", {ALL}") and not name.startswith("ours, all") else name


def _title(found: Evaluation) -> str:
    return f"{found.rows:,} rows: {found.cheapest} (cheapest) and {found.reference} (reference)"


def _heads(found: Evaluation, *, with_errors: bool) -> Table:
    errors = ("Brier", "ECE", "of that noise") if with_errors else ()
    table = Table("model", "rows", "quality", "expected", "AUROC", *errors, title="Scores of each model", title_justify="left", box=None, pad_edge=False)
    for head in found.heads:
        cells = (f"{head.brier:.3f}", f"{head.ece:.3f}", f"{head.ece_floor:.3f}") if with_errors else ()
        table.add_row(head.model, f"{head.rows:,}", f"{head.mean:.3f}", f"{head.expected:.3f}", "-" if head.auroc is None else f"{head.auroc:.3f}", *cells)
    return table


def _figure(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _percent(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.value:.1%} [{interval.low:.1%}, {interval.high:.1%}]"


def _saved(interval: Interval | None) -> str:
    return "never" if interval is None else f"{interval.value:.0%} [{interval.low:.0%}, {interval.high:.0%}]"
