"""Blanks that say nothing: two after a full stop or a word, and a text in which every blank is doubled.

Three and more in a row are the layout of a table or a puzzle, those that begin a line the indentation of code or of a list; they
stay, and so do tabs and line breaks.

Why not all runs as one? On labels of puzzles drawn in characters a trained classifier then ranked worse by .007 APGR: what
is laid out is another kind of task.
"""

from __future__ import annotations

from pointsman.classify.patterns import compiled

_RUN = compiled("[^ \n]  ")
"""Where nothing but indentation is doubled, as in most code, one look tells."""
_ONE = compiled("[^ \n] [^ \n]")
_KEPT = "\0"
"""Stands for a blank that stays."""


def evened(text: str, data: bytes) -> str:
    """The text without blanks that say nothing; itself when it has none. `data`: the text as UTF-8."""
    if b"  " not in data or _RUN.search(data) is None:
        return text
    if _ONE.search(data) is None:
        text = text.replace("  ", " ")
    return _pairs(text) if "  " in text and _KEPT not in text else text


def _pairs(text: str) -> str:
    """Exactly two blanks between words become one. By replacing whole strings: a pattern takes milliseconds for a page."""
    text = f"\n{text}".replace("   ", 3 * _KEPT).replace(f"{_KEPT}  ", 3 * _KEPT).replace(f"{_KEPT} ", 2 * _KEPT)
    text = text.replace("\n  ", f"\n{2 * _KEPT}").replace("  ", " ")
    return text[1:].replace(_KEPT, " ")
