"""`pointsman calibrate DATA --artifact DIR`: scores made true on your labels, and the setting that reaches a goal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pointsman.cli.learning import bars, names, one_sentence
from pointsman.cli.standings import console

if TYPE_CHECKING:
    from pointsman.learn.calibrate import Calibrated
    from pointsman.learn.calibration import Calibration
    from pointsman.learn.setting import Found


def calibrate(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Your labels, in any shape that `pointsman train` reads; 1,000 are comfortable.")],
    artifact: Annotated[Path | None, typer.Option("--artifact", "-a", metavar="DIR", help="What `pointsman train` wrote. Needed but for --cascade.")] = None,
    quality: Annotated[float | None, typer.Option(min=0, max=1, help="Goal: keep this share of the reference's quality, 0.95 say.")] = None,
    share: Annotated[float | None, typer.Option(min=0, max=1, help="Goal: send at most this share of requests to the reference.")] = None,
    budget: Annotated[float | None, typer.Option(min=0, help="Goal: spend at most this on a request, in the unit of --prices.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write the artifact with true scores there; may be the same place.")] = None,
    split: Annotated[str | None, typer.Option(metavar="NAME", help="Only rows of this split. Default: all but `train`.")] = None,
    format: Annotated[str | None, typer.Option(metavar="SHAPE", help="Shape of the data, where it is not seen.")] = None,
    ladder: Annotated[str | None, typer.Option(metavar="A,B,C", help="Models, cheapest first.")] = None,
    prices: Annotated[str | None, typer.Option(metavar="A=1,B=5", help="Price of a request to each model, or a CSV file with `model` and `usd`.")] = None,
    reference: Annotated[str | None, typer.Option(metavar="MODEL", help="Whose quality is to be kept. Default: the dearest.")] = None,
    route: Annotated[str, typer.Option(help="Name of the route in the YAML that is printed.")] = "auto",
    embedder: Annotated[str, typer.Option(metavar="NAME", help="auto (the one it was trained with), static, or a folder.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of folds and resamples.")] = 0,
    cascade: Annotated[bool, typer.Option("--cascade", help="Calibrate verifiers instead: see above.")] = False,
    price_weight: Annotated[float, typer.Option(min=0, max=10, help="--cascade: what the dearest tier's price is worth in quality, as in the configuration.")] = 0.2,
    task: Annotated[str | None, typer.Option(metavar="NAME", help="--cascade: only rows of this task.")] = None,
    verifier: Annotated[str, typer.Option(metavar="NAME", help="--cascade: whose scores `verified` holds.")] = "model",
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Set a trained classifier right on your own labels.

    Two things. Its scores are made true: where it says .8, eight in ten are good (Platt's curve, beyond 1,000 labels with
    an isotonic one); each model's queries keep their order. `--out` writes the artifact that has them. And one goal is turned into the setting to
    write into the configuration, with an interval:

    \b
      keep 95 % of the reference's quality:
        pointsman calibrate mine.jsonl -a router/ --quality 0.95
      at most 30 % of the requests to the reference:
        pointsman calibrate mine.jsonl -a router/ --share 0.3
      at most 0.2 cents a request:
        pointsman calibrate mine.jsonl -a router/ --budget 0.002
                            --prices small=0.0004,large=0.009

    Use rows that training has not seen; what is measured here was left out of the curves, too.

    With --cascade it is about verifiers: how often they err on your answers, per tier and task, the weights of log-probabilities, and
    the threshold that pays, as YAML. DATA has a row per query and tier (JSON lines), with `features` as records keep them, or with
    `verified`, the score of one verifier:

    \b
      {"query": "17", "task": "sql", "tier": "small", "quality": 1, "features": {"mean": -0.21, "min": -2.4, "q10": -0.9}}

    \b
      pointsman calibrate judged.jsonl --cascade
      pointsman calibrate judged.jsonl --cascade --task sql
    """
    if cascade:
        from pointsman.cli.cascading import calibrate_cascade

        with one_sentence():
            from pointsman.learn.cascade_trial import Wishes

        calibrate_cascade(data, Wishes(ladder=names(ladder), prices=prices, seed=seed), price_weight=price_weight, task=task, verifier=verifier, json=json)
        return
    with one_sentence():
        from pointsman.errors import DataRefused
        from pointsman.learn.calibration import Goal, calibration

        if artifact is None:
            raise DataRefused("--artifact", "say which classifier is to be calibrated (or --cascade: verifiers)")
        goals = [name for name, value in (("--quality", quality), ("--share", share), ("--budget", budget)) if value is not None]
        if len(goals) > 1:
            raise DataRefused(goals[1], f"one goal at a time; {goals[0]} is one already")
        with bars(quiet=quiet) as progress:
            found = calibration(artifact, data, Goal(quality, share, budget, names(ladder), prices, reference), out=out, shape=format,
                                split=split, embedder=embedder, seed=seed, progress=progress)
    if json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    _show(found, route, console())


def _show(found: Calibration, route: str, screen: Console) -> None:
    for note in found.notes:
        screen.print(Text(f"note: {note}", style="dim"))
    screen.print(_errors(found.models))
    screen.print(Text("ECE: mean distance between what was said and what came, in ten bins of equal size; 'noise' is what perfect scores show at as many "
                      "rows. After: on rows that the curve had not seen.", style="dim"))
    if found.written is not None:
        screen.print(f"{found.written}: version {found.version}, calibrated on {found.rows:,} rows")
    else:
        screen.print(Text("nothing was written: a setting below is for the artifact as it is; --out DIR writes one with these "
                               "curves, and tells the setting for that", style="dim"))
    if found.setting is not None:
        screen.print()
        _setting(found.setting, found, route, screen)


def _errors(models: tuple[Calibrated, ...]) -> Table:
    table = Table("model", "rows", "curve", "ECE before", "after", "of that noise", title="Calibration", title_justify="left", box=None, pad_edge=False)
    for one in models:
        table.add_row(one.model, f"{one.rows:,}", one.way, f"{one.ece_before:.3f}", f"{one.ece_after:.3f}", f"{one.ece_floor:.3f}")
    return table


def _cost(setting: Found, found: Calibration) -> str:
    """Prices that were guessed are ratios: an amount would be one of nothing."""
    share = f"{setting.cost.value / found.reference_price:.0%} of always {found.reference}"
    return share if found.is_price_guessed else f"{setting.cost.value:.4g} a request ({share})"


def _setting(setting: Found, found: Calibration, route: str, screen: Console) -> None:
    if not setting.is_reached:
        screen.print(Text("no setting reaches the goal on these rows; this one comes nearest", style="yellow"))
    screen.print(Text(f"routes:\n  {route}:\n    quality: {setting.quality:g}", style="bold"))
    low, high = setting.interval
    screen.print(f"between {low:g} and {high:g} in 95 % of resamples. On these rows it keeps {setting.kept.value:.1%} "
                 f"[{setting.kept.low:.1%}, {setting.kept.high:.1%}] of {found.reference}'s quality, costs {_cost(setting, found)} and sends "
                 f"{setting.reference_share.value:.0%} there.")
    screen.print(Text(", ".join(f"{model} {share:.0%}" for model, share in setting.shares.items()), style="dim"))
    screen.print(Text(f"prices: {found.prices}", style="dim"))
