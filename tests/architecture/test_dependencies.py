"""The base install stays small, pinned and explained."""

import re
from importlib.metadata import requires
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
MAX_PACKAGES = 35
OFFLINE = {"scikit-learn", "pyarrow", "pandas", "torch", "scipy", "httpx", "requests", "fastapi"}


def name_of(line):
    return re.split(r"[\s<>=!~;\[@]", line, maxsplit=1)[0].lower().replace("_", "-")


def locked(name):
    """Package -> its lines in a lock file."""
    packages = {}
    for line in (REQUIREMENTS / name).read_text("utf-8").splitlines():
        if line[:1].isalnum():
            packages[name_of(line)] = [line]
        elif line.strip() and packages:
            packages[next(reversed(packages))].append(line)
    return packages


def wanted(name):
    lines = (REQUIREMENTS / name).read_text("utf-8").splitlines()
    return [line for line in lines if line[:1].isalnum()]


def test_the_base_install_is_small():
    packages = locked("base.txt")

    assert len(packages) <= MAX_PACKAGES, sorted(packages)
    assert not OFFLINE & set(packages)


@pytest.mark.parametrize("line", [line for file in sorted(REQUIREMENTS.glob("*.in")) for line in wanted(file.name)], ids=name_of)
def test_a_dependency_has_its_weight_and_reason(line):
    _, _, why = line.partition("#")

    assert re.search(r"\d MB|\d kB", why), "its weight"
    assert len(why.split()) >= 6, "its reason"


@pytest.mark.parametrize("file", sorted(path.stem for path in REQUIREMENTS.glob("*.in")))
def test_everything_is_pinned_with_hashes(file):
    packages = locked(f"{file}.txt")

    assert {name_of(line) for line in wanted(f"{file}.in") if not line.startswith("-")} <= set(packages)
    for name, lines in packages.items():
        assert " @ " in lines[0] or "==" in lines[0], name
        assert any("--hash=sha256:" in line for line in lines), name


def test_the_installed_package_asks_for_what_is_locked():
    asked = {name_of(line) for line in requires("pointsman") or () if "extra ==" not in line}

    assert asked == {name_of(line) for line in wanted("base.in")}
