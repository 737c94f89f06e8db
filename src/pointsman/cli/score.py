"""`pointsman score Q.parquet --artifact DIR --out S.parquet`: what a trained classifier expects of each model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pointsman.cli.learning import bars, one_sentence


def score(
    queries: Annotated[Path, typer.Argument(metavar="QUERIES", help="Parquet, CSV or JSON lines with `query_id` and `prompt`; other columns are ignored.")],
    artifact: Annotated[Path, typer.Option("--artifact", "-a", metavar="DIR", help="What `pointsman train` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Parquet (or .csv): `query_id` and one column per model.")],
    embedder: Annotated[str, typer.Option(metavar="NAME", help="auto (the best that the artifact has and that runs here) or static.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Score prompts with a trained artifact: for each model the expected quality of its answer, calibrated, in [0, 1].

    Rows stay in their order and `query_id` keeps its type. Same artifact, same prompts, same bytes.
    """
    with one_sentence():
        from pointsman.learn.score_file import score_file

        with bars(quiet=quiet) as progress:
            written = score_file(queries, out, artifact, embedder=embedder, progress=progress)
    if written.note:
        typer.echo(f"note: {written.note}", err=True)
    if json:
        import msgspec

        typer.echo(msgspec.json.encode({"out": str(out), "rows": written.rows, "models": written.models, "embedder": written.embedder,
                                        "artifact": written.version}).decode())
    else:
        typer.echo(f"{out}: {written.rows:,} rows, {len(written.models)} models, scored with {written.embedder} embeddings")
