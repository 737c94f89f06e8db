"""`pointsman train DATA --out DIR`: from labels to an artifact, and what it is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from pointsman.cli.learning import bars, names, one_sentence
from pointsman.cli.standings import console, show

if TYPE_CHECKING:
    from pointsman.learn.training import Trained

FORMATS = ("auto", "matrix", "outcomes", "answers", "preferences", "tiers", "categories", "records")


def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Labels: a Parquet or CSV matrix, JSON lines, a store of records or its spool.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where the artifact goes. An artifact that is there is replaced in one step.")],
    models: Annotated[str | None, typer.Option(metavar="A,B", help="Only these models (columns), in this order. Default: every floating-point column.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same data and seed: the same bytes.")] = 0,
    format: Annotated[str, typer.Option(metavar="SHAPE", help=f"Shape of the data: {', '.join(FORMATS)}.")] = "auto",
    ladder: Annotated[str | None, typer.Option(metavar="A,B,C", help="Tiers, cheapest first, where their names do not say so.")] = None,
    prices: Annotated[str | None, typer.Option(metavar="A=1,B=5", help="Price of a call of each model, or a CSV file; only for the report.")] = None,
    embedder: Annotated[str, typer.Option(metavar="NAME", help="auto (the best installed), static, l6, l3, or a folder with weights.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON; progress stays on standard error.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train a classifier on your own labels.

    One line of JSON per prompt is enough:

    \b
      {"text": "Where is my order?", "tier": "small"}
      {"prompt": "...", "outcomes": {"qwen-7b": 0, "llama-70b": 1}}
      {"prompt": "...", "model_a": "qwen-7b", "model_b": "llama-70b", "winner": "tie"}

    A matrix (Parquet, CSV) has `query_id`, `prompt` and one floating-point column per model, quality in [0, 1], empty where the
    model was not run; `split` (train, dev) and `group` are honoured. 300 labels are a start, 1,000 comfortable.

    Ends with a table: how well the scores rank prompts that they were not fitted on, beside random mixing, prompt length, the
    best single model and the oracle. Next: `pointsman evaluate` on data that training never saw.
    """
    with one_sentence():
        from pointsman.errors import DataRefused

        if format not in FORMATS:
            raise DataRefused("--format", f"{format!r} is no shape; shapes are {', '.join(FORMATS)}")
        from pointsman.learn.training import Wishes
        from pointsman.learn.training import train as trained

        wishes = Wishes(None if format == "auto" else format, names(models), names(ladder), prices, embedder, seed)
        with bars(quiet=quiet) as progress:
            found = trained(data, out, wishes, progress)
    if json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(described(found)), indent=2).decode())
    else:
        _show(found)


def described(found: Trained) -> dict[str, Any]:
    """The outcome as plain data."""
    return {
        "artifact": str(found.artifact.path), "version": found.artifact.version, "shape": found.dataset.shape,
        "rows": len(found.table), "models": found.table.models, "embedder": found.embedder, "why_static": found.why_static,
        "notes": found.dataset.notes, "findings": [{"level": one.level, "code": one.code, "text": one.text} for one in found.findings],
        "differences": differences(found), "held_out": found.picture,
    }


def differences(found: Trained) -> float:
    """How far differences between models are believed, by the stack that believes least; 1 = all that was fitted."""
    return min(float(stack.get("differences", 1.0)) for stack in found.artifact.manifest["stacks"].values())


def _show(found: Trained) -> None:
    screen = console()
    for note in found.dataset.notes:
        screen.print(Text(f"note: {note}", style="dim"))
    for finding in found.findings:
        screen.print(Text(f"{finding.level}: {finding.text}", style="yellow" if finding.level == "warning" else "dim"))
    screen.print()
    screen.print(Text("Held out: every row scored by a fit that had not seen it", style="bold"))
    show(found.picture, screen, with_errors=False)
    screen.print()
    used = "static embeddings and n-grams" if found.embedder == "static" else f"{found.embedder}, static embeddings and n-grams"
    screen.print(f"{found.artifact.path}: version {found.artifact.version}, {len(found.table.models)} models, {len(found.table):,} rows, {used}")
    if (share := differences(found)) < 1:
        screen.print(Text(f"differences between models from query to query are believed to {share:.0%}: so much of them came true on held-out rows for "
                          "sure; more labels tell more", style="dim"))
    if found.embedder == "static" and found.why_static:
        screen.print(Text(f"sentence embeddings would know more: {found.why_static}", style="dim"))
    screen.print(Text(f"next: pointsman evaluate NEW_DATA --artifact {found.artifact.path}, then name it in the configuration:\n"
                      f"  classifier:\n    artifact: {found.artifact.path}", style="dim"))
