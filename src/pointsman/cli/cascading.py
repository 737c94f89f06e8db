"""The `--cascade` halves of `pointsman evaluate` and `pointsman calibrate`: replays and verifiers, as tables and as YAML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pointsman.cli.learning import bars, one_sentence, refuse_picture
from pointsman.cli.standings import console

if TYPE_CHECKING:
    from pointsman.core.verdict import Rates
    from pointsman.learn.cascade_report import Gap, Report
    from pointsman.learn.cascade_trial import Fitted, Wishes
    from pointsman.learn.metrics import Interval
    from pointsman.learn.reliance import Reliance


def evaluate_cascade(data: Path, wishes: Wishes, *, plot: Path | None, json: bool, quiet: bool) -> None:
    """Prints the comparison, and saves the picture."""
    with one_sentence():
        from pointsman.errors import DataRefused
        from pointsman.learn.cascade_trial import evaluated

        refuse_picture(plot)
        with bars(quiet=quiet) as progress:
            found = evaluated(data, wishes, progress)
        if plot is not None:
            from pointsman.learn.cascade_picture import picture_of

            try:
                plot.write_text(picture_of(found, f"{data.name}: {found.rows:,} queries over {' < '.join(found.tiers)}"), "utf-8")
            except OSError as exc:
                raise DataRefused(str(plot), f"the picture cannot be written: {exc.strerror}") from exc
    if json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    _show(found, console())


def calibrate_cascade(data: Path, wishes: Wishes, *, price_weight: float, task: str | None, verifier: str, json: bool) -> None:
    """Prints what was measured, and the YAML to set."""
    with one_sentence():
        from pointsman.learn.cascade_trial import fitted

        found = fitted(data, wishes, price_weight=price_weight, task=task)
    if json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    screen = console()
    for note in found.notes:
        screen.print(Text(f"note: {note}", style="dim"))
    screen.print(_reliances(found))
    screen.print(Text("misses: bad answers that pass (score .5 and more); false alarms: good answers that fail; AUROC: chance that a good answer has the "
                      "higher score. accept_at: from there on giving the answer is worth more than the next tier's, at this weight of price "
                      f"({price_weight:g}). [95 % bootstrap]", style="dim"))
    _advise(found, screen)
    if found.overlaps:
        screen.print(_overlaps(found))
        screen.print(Text("overlap: 0 = two tiers succeed on the same queries no more often than their scores say, 1 = the higher one wherever the lower one does; "
                          "pulled towards 0.5, on a task towards all; written below where it is surely another. It says how much less a tier above is believed after a "
                          "bad answer below.", style="dim"))
    if found.on_tasks:
        screen.print(Text("by_task: only kinds of work that the router tells from a request (tools, json, code, maths, choices, text); other kinds' answers count "
                          "beside their own with the weight of 40.", style="dim"))
    screen.print(Text("Below: error rates beyond what the router expects of each query (a verifier that only repeats it is a coin, .5 and .5); without "
                      "prompts or `p` there is nothing to compare with, and they are the table's.", style="dim"))
    screen.print()
    screen.print(Text(settings_of(found, verifier), style="bold"), soft_wrap=True)


def settings_of(found: Fitted, verifier: str) -> str:
    """The YAML of all tiers that were measured: error rates, weights and overlaps for mode `benefit`, `accept_at` for mode `threshold`; and
    what of it is different on kinds of work."""
    lines = ["tiers:"]
    for reliance in (one for one in found.reliances if not one.task):
        rates, overlap = found.rates.get(reliance.tier), _overlap(found, reliance.tier, "")
        if rates is None:
            lines.append(f"  # {reliance.tier}: too few judged answers, good or bad, to say anything of its verifiers")
        if rates is None and not overlap:
            continue
        lines.append(f"  {reliance.tier}:")
        weights = found.weights.get(reliance.tier, {})
        name = "logprobs" if weights else verifier
        if rates is not None:
            lines += ["    verify:", f"      - {name}: {_measured(rates, weights)}"]
            if reliance.accept_at is not None:
                lines.append(f"    accept_at: {min(1.0, reliance.accept_at):g}  # only read where `cascade.mode` is `threshold`")
        if overlap:
            lines.append(f"    overlap: {overlap}")
        lines += _by_task(found, reliance.tier, name)
    return "\n".join(lines)


def _by_task(found: Fitted, tier: str, name: str) -> list[str]:
    lines = []
    on = {one.task: one for one in found.on_tasks if one.tier == tier}
    for task in sorted({*on, *(one.task for one in found.overlaps if one.task and one.tier == tier and one.is_told)}):
        parts = []
        if (one := on.get(task)) is not None:
            parts = [f"accept_at: {min(1.0, one.accept_at):g}", f"verify: {{{name}: {_measured(one.rates, one.weights)}}}"]
        if overlap := _overlap(found, tier, task):
            parts.append(f"overlap: {overlap}")
        lines.append(f"      {task}: {{{', '.join(parts)}}}")
    return ["    by_task:", *lines] if lines else []


def _measured(rates: Rates, weights: dict[str, float]) -> str:
    parts = [f"misses: {min(0.5, rates.misses):.3g}", f"false_alarms: {min(0.5, rates.false_alarms):.3g}"]
    if weights:
        parts.append("weights: {" + ", ".join(f"{name}: {one:g}" for name, one in weights.items()) + "}")
    return f"{{{', '.join(parts)}}}"


def _overlap(found: Fitted, tier: str, task: str) -> str:
    pairs = [f"{one.higher}: {one.value.value:.2g}" for one in found.overlaps if (one.tier, one.task) == (tier, task) and one.is_told]
    return f"{{{', '.join(pairs)}}}" if pairs else ""


def _show(found: Report, screen: Console) -> None:
    for note in found.notes:
        screen.print(Text(f"note: {note}", style="dim"))
    screen.print(_standings(found))
    screen.print(Text("quality, all budgets: mean over all budgets between the cheapest tier's cost and the largest's. cost at 95, 99, 100 %: of always the "
                      "largest, to keep that share of its quality. The other figures are at the cheapest setting that keeps 95 %, or at the best one. "
                      "[95 % bootstrap]", style="dim"))
    screen.print()
    screen.print(_gaps(found))
    screen.print(Text("Paired: the same resamples of queries for both. Worst and best: at the cost (a share of always the largest) where the gap is "
                      "lowest and highest.", style="dim"))
    screen.print(_verdict(found))


def _standings(found: Report) -> Table:
    table = Table("way", "quality, all budgets", "cost at 95 %", "99 %", "100 %", "quality", "cost", "climbs", "p50 s", "p95 s", "p99 s",
                  title=f"{found.rows:,} queries over {' < '.join(found.tiers)}, replayed through the machine", title_justify="left", box=None, pad_edge=False)
    for one in found.standings:
        table.add_row(one.name, _figure(one.area), *(_share(each) for each in one.cost_of), f"{one.quality:.3f}", f"{one.cost:.0%}", f"{one.climbs:.2f}",
                      _seconds(one.p50_s), _seconds(one.p95_s), _seconds(one.p99_s), style="bold" if one.name == "routing + cascade" else "")
    return table


def _gaps(found: Report) -> Table:
    table = Table("quality at equal cost", "over all budgets", "worst", "best", "", title_justify="left", box=None, pad_edge=False)
    for gap in found.gaps:
        table.add_row(f"{gap.name} less {gap.against}", _signed(gap.mean), f"{_signed(gap.lowest)} at {gap.lowest_at:.0%}",
                      f"{_signed(gap.highest)} at {gap.highest_at:.0%}", gap.verdict)
    return table


def _verdict(found: Report) -> Text:
    """What to do, in a sentence."""
    best = found.gap("routing + cascade", "routing alone")
    if best.verdict == "better":
        ours, largest = found.standing("routing + cascade"), found.standing("always largest")
        kept = f"; `price_weight: {min(10.0, ours.setting):g}` keeps {ours.quality / largest.quality:.0%} of the largest's quality at {ours.cost:.0%} of its cost"
        return Text(f"cascades pay here: `cascade.mode: benefit` adds {best.mean.value:+.3f} over routing alone at equal cost"
                    + (kept if largest.quality else ""), style="green")
    if best.verdict == "worse":
        return Text("cascades lose here: leave `cascade.mode` off, and look at the verifiers with `pointsman calibrate --cascade`", style="yellow")
    return Text("cascades change nothing that can be told here: with these verifiers routing alone is as good" + _slack(best), style="yellow")


def _slack(gap: Gap) -> str:
    return "" if gap.mean.high - gap.mean.low < 0.02 else "; more queries would tell"


def _advise(found: Fitted, screen: Console) -> None:
    for one in found.reliances:
        if not one.task and one.misses is not None and not one.is_useful:
            screen.print(Text(f"{one.tier}: these verifiers are not surely better than a coin; in mode `benefit` they will hardly be asked, and a plain "
                              "threshold would waste climbs", style="yellow"))


def _reliances(found: Fitted) -> Table:
    table = Table("tier", "task", "answers", "good", "abstains", "misses", "false alarms", "AUROC", "accept_at", title_justify="left", box=None, pad_edge=False,
                  title=f"Verifiers on {found.rows:,} queries over {' < '.join(found.tiers)}")
    for one in found.reliances:
        table.add_row(one.tier, one.task or "all", f"{one.rows:,}", f"{one.good:.0%}", f"{one.abstains:.0%}", _rate(one.misses), _rate(one.false_alarms),
                      "-" if one.auroc is None else f"{one.auroc:.3f}", _accept(one))
    return table


def _overlaps(found: Fitted) -> Table:
    table = Table("tier", "higher", "task", "queries", "overlap", title_justify="left", box=None, pad_edge=False, title="How far tiers succeed together")
    for one in found.overlaps:
        table.add_row(one.tier, one.higher, one.task or "all", f"{one.rows:,}", f"{one.value.value:.2f} [{one.value.low:.2f}, {one.value.high:.2f}]")
    return table


def _accept(one: Reliance) -> str:
    if one.accept_at is None or one.accept_between is None:
        return "-"
    return f"{one.accept_at:.2f} [{one.accept_between[0]:.2f}, {one.accept_between[1]:.2f}]"


def _figure(one: Interval) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _signed(one: Interval) -> str:
    return f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"


def _seconds(one: Interval) -> str:
    return f"{one.value:.2g} [{one.low:.2g}, {one.high:.2g}]"


def _share(one: Interval | None) -> str:
    return "never" if one is None else f"{one.value:.0%} [{one.low:.0%}, {one.high:.0%}]"


def _rate(one: Interval | None) -> str:
    return "-" if one is None else f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"
