"""Links, file names and names of things in the prose lead somewhere."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from pointsman.cli.main import COMMANDS
from pointsman.telemetry.series import SERIES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "pointsman"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "bench").rglob("*.md")])

LINK = re.compile(r"(?<!\!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|json|yaml|md|c|in|txt))`")
SERIES_NAME = re.compile(r"\b(?:pointsman|llm_router)_[a-z_]+(?:_total|_seconds|_ms|_bytes|_state|_in_flight|_info)\b")
PLACES = (ROOT, SOURCE, DOCS, DOCS / "explanation", ROOT / "bench")
"""Where a file named in prose may be meant to lie."""


def name(page):
    return page.relative_to(ROOT).as_posix()


def prose(page):
    return FENCE.sub("", page.read_text("utf-8"))


def slug(heading):
    """The anchor that GitHub gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page):
    return {slug(match[1]) for match in re.finditer(r"^#{1,6} (.+)$", prose(page), re.MULTILINE)}


def links(page):
    return [found[0] or found[1] for found in LINK.findall(prose(page))]


def module_map():
    spec = importlib.util.spec_from_file_location("module_map", DOCS / "module_map.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_somewhere(page):
    broken = []
    for link in links(page):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or not file.is_relative_to(ROOT) or (anchor and anchor not in anchors(file)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_named_in_prose_exist(page):
    named = set(FILE.findall(prose(page)))

    assert {file for file in named if not any((place / file).exists() for place in PLACES) and "<" not in file
            and not file.startswith(("records.spool/", ".pointsman/", "etc/"))} == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_metrics_named_anywhere_are_exported(page):
    known = {series.name for series in SERIES} | {series.name.removesuffix("_total") for series in SERIES}
    named = {re.sub(r"_(?:bucket|count|sum)$", "", found) for found in SERIES_NAME.findall(page.read_text("utf-8"))}

    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_named_anywhere_exist(page):
    named = set(re.findall(r"(?:^|[`/ ])pointsman ([a-z]+)(?=[ `\n\"])", page.read_text("utf-8"), re.MULTILINE))
    blocks = "\n".join(found[0] for found in re.finditer(FENCE, page.read_text("utf-8")))
    commands = set(re.findall(r"(?:^|bin/|\$ )pointsman ([a-z]+)", blocks, re.MULTILINE))
    quoted = set(re.findall(r"`pointsman ([a-z]+)", prose(page)))

    assert (commands | quoted) & named <= set(COMMANDS)


def test_every_page_can_be_reached_from_the_index():
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if not re.match(r"[a-z]+:|#", link)]

    assert {name(page) for page in DOCS.rglob("*.md")} <= {name(page) for page in reached}


def test_the_folder_map_is_up_to_date():
    maps = module_map()
    page = maps.PAGE.read_text("utf-8")

    assert page == maps.page(page), "run python docs/module_map.py"


def test_the_folder_map_names_every_module():
    shown = module_map().folder_map()

    for path in SOURCE.rglob("*.py"):
        if path.name != "__init__.py":
            assert f"| `{path.name}` | " in shown
    assert sys.modules["pointsman"].__doc__


def test_the_readme_begins_with_what_it_is_and_the_two_commands():
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    screen = "\n".join(lines[:30])

    assert lines[0] == "# Pointsman"
    assert "OpenAI-compatible inference router" in screen
    assert "\nmake demo" in screen
    assert "\nmake test" in screen


def test_the_licence_is_the_one_that_is_named():
    assert "Apache-2.0" in (ROOT / "README.md").read_text("utf-8")
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
