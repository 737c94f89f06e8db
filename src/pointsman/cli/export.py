"""`pointsman export DATA --out FILE`: labels as a set to fine-tune a classifier or a judge of your own on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pointsman.cli.learning import names, one_sentence


def export(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Labels in any shape that `pointsman train` reads, records included.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="JSON lines; a file that is there is replaced.")],
    form: Annotated[Literal["head", "judge"], typer.Option(help="head: text and label, for a model with a class per tier; judge: chats with one digit.")] = "head",
    ladder: Annotated[str | None, typer.Option(metavar="A,B,C", help="Tiers or models, cheapest first, where names and sizes do not say so.")] = None,
    prices: Annotated[str | None, typer.Option(metavar="A=1,B=5", help="Price of a call of each model, or a CSV file: the order of the rungs.")] = None,
    good_from: Annotated[float, typer.Option(min=0, max=1, help="An outcome from which an answer is good enough.")] = 0.5,
    max_chars: Annotated[int | None, typer.Option(min=100, help="Characters of a text. Default: what the stage shows (remote 8000, judge 500).")] = None,
    held_out: Annotated[float, typer.Option(min=0, max=0.9, help="Share of the prompts marked `dev`, near-duplicates together.")] = 0.1,
    format: Annotated[str | None, typer.Option(metavar="SHAPE", help="Shape of the data, where it is not seen.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same data and seed: the same bytes.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write a fine-tuning set.

    The class of a prompt is the cheapest rung whose answer was good enough, the last one where none was. A model with such a head is
    served as the stage `remote` (vLLM, SGLang, text-embeddings-inference, or a service of yours); `--form judge` writes the very
    questions that the stage `judge` puts, with the digit that would have been right.
    """
    with one_sentence():
        from pointsman.learn.dataset import read_dataset
        from pointsman.learn.fine_tuning import Wanted, write

        order = names(ladder)
        dataset = read_dataset(data, format, ladder=order)
        wanted = Wanted(form, tuple(order) if order else None, prices, good_from, max_chars, held_out, seed)
        written = write(dataset, out, wanted)
    if json:
        import msgspec

        typer.echo(msgspec.json.encode(written).decode())
        return
    counts = ", ".join(f"{name} {count:,}" for name, count in written.counts.items())
    typer.echo(f"{out}: {written.rows:,} rows ({counts}), {written.held_out:,} of them marked dev; cheapest first, {written.order}")
    if written.undecided:
        typer.echo(f"{written.undecided:,} rows were left out: a model that decides was not run on them")
