"""What is committed belongs to the project: no machine, no registry, no secret, nothing enormous."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_BYTES = 1024 * 1024
LARGE = {"src/pointsman/classify/embedders/static.npz": 4 * MAX_BYTES}
"""The words that every installation embeds with: smaller, it knows fewer."""


def joined(*parts):
    """Patterns are put together here so that this file does not hold what it looks for."""
    return "".join(parts)


HOME = joined(r"(?<![\w.:/-])/", "(?:wo", "rk|ro", "ot|ho", "me|Us", r"ers)/[\w.-]")
REGISTRY = "|".join((
    joined("py", r"pi\.org/", "simple"), joined("pythonho", r"sted\.org"), joined(r"registry\.np", r"mjs"),
    joined("--(?:extra-)?in", "dex-url", r"[ =]\S"), joined("--fi", "nd-links", r"[ =]\S"), joined("--tru", "sted-host"),
    joined(r"https?://[^\s/]+/(?:\S+/)?", "simp", r"le/?(?=\s|$|\")"), joined("arti", "factory|dev", "pi|/nexus", "/repository"),
))
SECRET = "|".join((
    joined("-----BEGIN (?:[A-Z]+ )?PRI", "VATE KEY-----"), joined(r"\bs", r"k-(?:proj-|ant-)?[A-Za-z0-9]{32,}"),
    joined(r"\bgh", r"[pousr]_[A-Za-z0-9]{36}"), joined(r"\bAK", r"IA[0-9A-Z]{16}\b"),
))
RULES = {"a path of somebody's machine": HOME, "a package registry": REGISTRY, "a secret": SECRET}
NOT_OURS: dict[str, set[str]] = {}
"""Rule -> files that may hold such a thing, with the reason beside the name."""


def committed():
    """Files that git has or would take, else (an unpacked archive) all but the hidden ones."""
    try:
        said = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                              capture_output=True).stdout
        paths = [ROOT / name for name in said.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path for path in ROOT.rglob("*") if not any(p.startswith(".") for p in path.relative_to(ROOT).parts)]
    return sorted({path for path in paths if path.is_file() and not path.is_symlink()})


def found(pattern, text):
    return [match[0] for match in re.finditer(pattern, text)]


@pytest.mark.parametrize("rule", RULES)
def test_no_committed_file_holds(rule):
    guilty = {}
    for path in committed():
        name = path.relative_to(ROOT).as_posix()
        text = path.read_bytes().decode("utf-8", "replace")
        if name not in NOT_OURS.get(rule, ()) and (hits := found(RULES[rule], text)):
            guilty[name] = hits[:3]

    assert guilty == {}


@pytest.mark.parametrize(("rule", "text"), [
    ("a path of somebody's machine", joined("see /ho", "me/ann/notes.md")),
    ("a path of somebody's machine", joined("'/wo", "rk/x'")),
    ("a package registry", joined("--in", "dex-url https://a.example/x")),
    ("a package registry", joined("https://mirror.example/", "simp", "le/")),
    ("a secret", joined("s", "k-", "a" * 40)),
])
def test_the_rules_find_what_they_should(rule, text):
    assert found(RULES[rule], text)


@pytest.mark.parametrize("text", ["https://example.com/item", "10.0.0.10:8001/v1", "sk-unused", "simple/ladder"])
def test_the_rules_leave_ordinary_text_alone(text):
    assert not any(found(pattern, text) for pattern in RULES.values())


def test_nothing_enormous_is_committed():
    large = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in committed()
             if path.stat().st_size > LARGE.get(path.relative_to(ROOT).as_posix(), MAX_BYTES)}

    assert large == {}


def test_what_runs_leave_behind_is_ignored():
    assert not [path for path in committed() if {".pointsman", "__pycache__", ".venv"} & set(path.relative_to(ROOT).parts)]
