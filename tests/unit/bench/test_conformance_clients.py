"""The clients that conformance tries: their scripts try everything, and everything that is installed is pinned with hashes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ROOT / "bench" / "conformance" / "clients"
PINS = ROOT / "requirements"
FEATURES = ("chat", "stream", "tools", "json_schema", "usage", "errors", "cancellation")
LOCKS = sorted(PINS.glob("*/*/package-lock.json"))
REQUIREMENTS = sorted(path for path in (*PINS.glob("*.txt"), *PINS.glob("*/*.txt")) if not path.stem.endswith("-overrides"))


def clients() -> list[tuple[str, str]]:
    """(name, script) of each, read from the table in the source: importing it would put the bench folder on the path."""
    source = (ROOT / "bench" / "conformance" / "client.py").read_text()
    return re.findall(r'^    Client\("([\w-]+)", "[^"]+", "([\w.]+)", "[\w ]+"\),$', source, re.MULTILINE)


def identifier(path: Path) -> str:
    return path.relative_to(PINS).as_posix()


def test_the_table_is_read() -> None:
    assert {"openai", "llm", "npm-openai", "npm-anthropic", "npm-ai"} <= {name for name, _ in clients()}


@pytest.mark.parametrize(("name", "script"), clients())
def test_every_client_is_pinned_and_its_script_tries_every_feature(name: str, script: str) -> None:
    pins = PINS / "conformance" / (name if script.endswith(".mjs") else f"{name}.txt")
    text = (SCRIPTS / script).read_text()
    text = text[text.rindex("report("):]
    tried = re.findall(r"^  (?:async )?(\w+)(?:\(\)|:) ", text, re.MULTILINE) if script.endswith(".mjs") else re.findall(r"\b(\w+)=\1\b", text)

    assert pins.exists()
    assert sorted(tried) == sorted(FEATURES)


@pytest.mark.parametrize("path", REQUIREMENTS, ids=identifier)
def test_every_pinned_package_has_a_version_and_a_hash(path: Path) -> None:
    logical = re.sub(r"\\\n", " ", path.read_text())
    packages = [line for line in logical.splitlines() if line.strip() and not line.lstrip().startswith("#")]

    assert packages
    assert [line for line in packages if not re.match(r"[\w.\[\],-]+==\S+( ; .+?)? .*--hash=sha256:", line)] == []


@pytest.mark.parametrize("path", LOCKS, ids=identifier)
def test_every_npm_package_has_a_hash_and_no_registry(path: Path) -> None:
    packages = {name: package for name, package in json.loads(path.read_text())["packages"].items() if name}

    assert packages
    assert [name for name, package in packages.items() if not package.get("integrity", "").startswith("sha512-")] == []
    assert [name for name, package in packages.items() if "resolved" in package] == []


@pytest.mark.parametrize("path", LOCKS, ids=identifier)
def test_what_is_asked_of_npm_is_what_is_locked(path: Path) -> None:
    asked = json.loads(path.with_name("package.json").read_text())["dependencies"]
    locked = json.loads(path.read_text())["packages"]

    assert asked == {name: locked[f"node_modules/{name}"]["version"] for name in asked}
