"""`pointsman evaluate DATA --artifact DIR`: what a classifier is worth on labels that it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from pointsman.cli.learning import bars, names, one_sentence, refuse_picture
from pointsman.cli.standings import console, show, show_settings


def evaluate(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Labels in any shape that `pointsman train` reads.")],
    artifact: Annotated[Path | None, typer.Option("--artifact", "-a", metavar="DIR", help="What `pointsman train` wrote. Needed but for --cascade.")] = None,
    split: Annotated[str | None, typer.Option(metavar="NAME", help="Only rows of this split. Default: all but `train`.")] = None,
    trained_on: Annotated[Path | None, typer.Option(
        "--trained-on", metavar="FILE", help="What the artifact was trained on: baselines then learn from the same rows. Default: the split `train` of "
                                             "DATA, else the other rows of DATA.")] = None,
    format: Annotated[str | None, typer.Option(metavar="SHAPE", help="Shape of the data, where it is not seen: see `pointsman train --help`.")] = None,
    ladder: Annotated[str | None, typer.Option(metavar="A,B,C", help="Models, cheapest first.")] = None,
    prices: Annotated[str | None, typer.Option(metavar="A=1,B=5", help="Price of a call of each model, or a CSV file with `model` and `usd`.")] = None,
    reference: Annotated[str | None, typer.Option(metavar="MODEL", help="What others are measured against. Default: the dearest.")] = None,
    embedder: Annotated[str, typer.Option(metavar="NAME", help="auto (the one it was trained with), static, or a folder.")] = "auto",
    plot: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Save cost against quality as a picture.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 1,
    cascade: Annotated[bool, typer.Option("--cascade", help="Compare cascades instead: see above.")] = False,
    verifier_error: Annotated[float | None, typer.Option(min=0, max=0.5, metavar="E", help="--cascade: simulate a verifier that errs in this share of the cases.")] = None,
    most: Annotated[int, typer.Option("--queries", min=40, help="--cascade: replay so many at most.")] = 2000,
    delay_weight: Annotated[float, typer.Option(min=0, max=10, help="--cascade: what a second is worth in quality.")] = 0.0,
    max_climbs: Annotated[int, typer.Option(min=1, max=2, help="--cascade: climbs of one request.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Measure a trained classifier, honestly: beside what anybody could do without it, every figure with a 95 % bootstrap interval.

    Without labels: random mixing, always the cheapest, always the dearest, prompt length. With labels: the best single model, a table of
    tasks (a column `task`, `benchmark` or `domain`, else the kind of work told from the prompt), ridge regression on words (TF-IDF),
    k nearest neighbours. And the oracle, who knows the outcome. What ours is above or below each of them is paired on the same
    resamples; where the interval holds 0, it is not to be told apart.

    Use rows that training has not seen: a file of its own, or the split `dev` or `test` of the same one.

    \b
      the split `train` of the file teaches the baselines, the rest is measured:
        pointsman evaluate mine.parquet -a router/
      they learn from what the artifact learned from; prices, a picture:
        pointsman evaluate new.jsonl -a router/ --trained-on labels.jsonl
                           --prices small=0.4,large=9 --plot curve.svg

    Figures: APGR and CPT50/80 as RouteLLM defines them (by trapezoids), AIQ as RouterBench does, what is saved while keeping 95,
    99 and 100 % of the reference's quality, calibration error beside its noise floor, and what each value of `quality` in
    the configuration would have done here.

    With --cascade recorded answers go through the machine that serves, and ways to send them stand beside each other: the cheapest,
    the largest, routing alone, a cascade by threshold, by benefit, routing + cascade, the oracle; quality over cost over time, gaps
    paired at equal cost. DATA then has a row per query and tier (JSON lines):

    \b
      {"query": "17", "prompt": "...", "tier": "small", "quality": 1, "verified": 0.83, "usd": 0.0002, "seconds": 0.8}

    \b
      pointsman evaluate judged.jsonl --cascade                        what your verifiers said (`verified`, or `features`)
      pointsman evaluate mine.parquet --cascade --verifier-error 0.1   any labels, and a simulated verifier of that error
    """
    if cascade:
        from pointsman.cli.cascading import evaluate_cascade

        with one_sentence():
            from pointsman.learn.cascade_trial import Wishes

        evaluate_cascade(data, Wishes(verifier_error, names(ladder), prices, artifact, split, format, most, delay_weight, max_climbs, seed),
                         plot=plot, json=json, quiet=quiet)
        return
    with one_sentence():
        from pointsman.artifact import read
        from pointsman.errors import DataRefused
        from pointsman.learn.evaluate import evaluate as evaluated
        from pointsman.learn.measured import measured
        from pointsman.learn.prices import prices_of
        from pointsman.learn.rivalry import rivalry

        if artifact is None:
            raise DataRefused("--artifact", "say which classifier is to be measured (or --cascade: which answers)")
        refuse_picture(plot)
        with bars(quiet=quiet) as progress:
            made = read(artifact)
            rows = measured(made, data, shape=format, split=split, embedder=embedder, progress=progress)
            if reference is not None and reference not in rows.table.models:
                raise DataRefused("--reference", f"{reference!r} is no model of these rows; there are {', '.join(rows.table.models[:8])}")
            ratios = prices_of(rows.table.models, rows.table.quality, prices, names(ladder))
            others = rivalry(made, rows, trained_on, data=data, shape=format, embedder=embedder, seed=seed, progress=progress)
            found = evaluated(rows.table, rows.scores, ratios, reference=reference, seed=seed, others=others.expectations, progress=progress)
        if plot is not None:
            from pointsman.learn.plot import svg

            try:
                plot.write_text(svg(found, f"{artifact.name} {made.version} on {data.name}: {found.rows:,} rows"), "utf-8")
            except OSError as exc:
                raise DataRefused(str(plot), f"the picture cannot be written: {exc.strerror}") from exc
    if json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode({"artifact": made.version, "embedder": rows.scored.embedder, "notes": rows.notes,
                                                            "baselines": {"learned_from": others.told, "rows": others.rows}, "evaluation": found}), indent=2).decode())
        return
    screen = console()
    for note in rows.notes:
        screen.print(Text(f"note: {note}", style="dim"))
    show(found, screen)
    screen.print(Text(f"baselines: {others.told}", style="dim"))
    screen.print()
    show_settings(found, screen)
    screen.print(Text(f"scored with {rows.scored.embedder} embeddings; {found.foreign:.1%} of the rows are unlike anything labelled and go to the reference",
                      style="dim"))
