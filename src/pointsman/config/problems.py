"""What is wrong with a configuration: where, in a sentence, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

import msgspec

Loc = tuple[str | int, ...]
"""Where in the document: mapping keys and list indices, outermost first."""


class Problem(msgspec.Struct, frozen=True):
    """One thing to change. Never carries a secret's value."""

    loc: Loc
    sentence: str
    hint: str = ""
    line: int | None = None
    """1-based line when the reader knows it better than the place does."""


class Report(msgspec.Struct):
    """Collects what is wrong: problems forbid serving, warnings are read by `pointsman check`."""

    problems: list[Problem] = []
    warnings: list[Problem] = []

    def problem(self, loc: Loc, sentence: str, hint: str = "") -> None:
        self.problems.append(Problem(loc, sentence, hint))

    def warning(self, loc: Loc, sentence: str, hint: str = "") -> None:
        self.warnings.append(Problem(loc, sentence, hint))


def render(problems: Iterable[Problem], source: str, lines: Mapping[Loc, int]) -> tuple[str, ...]:
    """`router.yaml:14: routes.auto.ladder[1]: sentence; hint`, in the order of the file, each once."""
    placed = sorted({(p.line or line_of(p.loc, lines), p.loc == (), path(p.loc), p.sentence, p.hint) for p in problems})
    return tuple(
        f"{source}:{line}: {where}: {sentence}{'; ' + hint if hint else ''}" for line, _, where, sentence, hint in placed
    )


def line_of(loc: Loc, lines: Mapping[Loc, int]) -> int:
    """The line of the place, or of what should have contained it."""
    while loc and loc not in lines:
        loc = loc[:-1]
    return lines.get(loc, 1)


def path(loc: Loc) -> str:
    """`routes.auto.ladder[1]`; the document itself is `file`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "file"


def near(name: str, known: Iterable[str]) -> str:
    """`did you mean 'large'?`, or what there is, or nothing when there is nothing."""
    names = sorted(set(known))
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"there is: {shown}" if names else ""
