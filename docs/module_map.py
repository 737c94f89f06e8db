"""Writes the folder map in `explanation/architecture.md`: one line per module, the first sentence of its docstring.

`python docs/module_map.py` writes it, `--check` only says whether it is out of date (a test does the same).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "pointsman"
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
BLOCK = re.compile(r"(<!-- modules -->\n).*?(\n<!-- /modules -->)", re.DOTALL)
ORDER = (
    "", "core", "config", "migration", "classify", "cascade", "pools", "money", "translation", "gateway", "upstream", "records", "telemetry", "state",
    "verification",
    "server", "supervisor", "learn", "testing", "cli",
)
"""Folders as a reader meets them; those not named here follow in alphabetical order."""
TELLING = 40
"""Characters from which on a first sentence stands alone."""
_SENTENCE = re.compile(r"(?<=[a-z0-9`)\"][.?!]) (?=[A-Z`\"])")


def folder_map() -> str:
    """The whole block, without its markers."""
    return "\n\n".join(_folder(name) for name in _folders())


def _folders() -> Iterator[str]:
    found = {path.parent.relative_to(SOURCE).as_posix().replace(".", "", 1) if path.parent == SOURCE
             else path.parent.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py")}
    known = [name for name in ORDER if name in found]
    rest = sorted(found - set(known))
    for name in known:
        yield name
        yield from (inner for inner in rest if inner.startswith(f"{name}/") and name)
    yield from (name for name in rest if name.split("/")[0] not in known)


def _folder(name: str) -> str:
    folder = SOURCE / name
    title = f"`{name}/`: {said(folder / '__init__.py')}" if name else "`pointsman/`"
    rows = [f"| `{path.name}` | {said(path)} |" for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    table = ["| module | what it is for |", "|---|---|", *rows] if rows else []
    return "\n".join([f"### {title}", *([""] if table else []), *table])


def said(path: Path) -> str:
    """The first sentence of a module's docstring, with the next when it says little, fit for a table cell."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    sentences = _SENTENCE.split(paragraph)
    shown = sentences.pop(0)
    while len(shown) < TELLING and sentences:
        shown += f" {sentences.pop(0)}"
    return shown.replace("|", "\\|")


def page(text: str) -> str:
    """The page with its block written anew."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{folder_map()}\n{found[2]}", text)


def main(arguments: list[str]) -> int:
    """Writes the block, or with `--check` says whether it differs."""
    old = PAGE.read_text("utf-8")
    new = page(old)
    if old == new:
        return 0
    if "--check" in arguments:
        sys.stdout.write("docs/explanation/architecture.md is out of date: run python docs/module_map.py\n")
        return 1
    PAGE.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
