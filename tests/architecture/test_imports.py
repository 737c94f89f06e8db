"""Imports point down, each library has its home, and the picture in the docs is the one that is enforced."""

import configparser
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "pointsman"


def contracts():
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


def layers():
    rows = contracts()["importlinter:contract:layers"]["layers"].split("\n")
    return [[name.strip().removeprefix("pointsman.") for name in row.split("|")] for row in rows if row.strip()]


def test_every_contract_holds():
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", done.stdout)


def test_every_room_has_its_row():
    rows = {name for row in layers() for name in row}
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    files = {path.stem for path in SOURCE.glob("*.py") if path.name != "__init__.py"}

    assert (rooms | files) == rows


def test_the_decision_rooms_are_held_pure():
    pure = contracts()["importlinter:contract:pure"]

    assert set(pure["source_modules"].split()) == {
        f"pointsman.{room}" for room in ("core", "classify", "cascade", "pools", "money", "translation")}
    assert {"asyncio", "socket", "pydantic", "yaml"} <= set(pure["forbidden_modules"].split())


def test_the_architecture_page_shows_the_enforced_rows():
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
    block = re.search(r"<!-- layers -->\n```text\n(.*?)\n```\n<!-- /layers -->", page, re.DOTALL)

    assert [line.split(" · ") for line in block[1].split("\n")] == layers()
