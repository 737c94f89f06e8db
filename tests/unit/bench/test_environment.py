"""Environments for other people's software: made once, again when the pins change, and honest when they cannot be made."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).resolve().parents[3] / "bench" / "environment.py"


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_environment", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_environment"] = module
    spec.loader.exec_module(module)
    return module


environment = _module()


class Installer:
    """Stands in for pip and npm: remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.fails_with: str | None = None

    def __call__(self, name: str, argv: list[str | Path], **_: object) -> None:
        self.asked.append([str(part) for part in argv])
        if self.fails_with is not None:
            raise environment.NotInstalled(name, self.fails_with)


@pytest.fixture
def installer(monkeypatch: pytest.MonkeyPatch) -> Installer:
    stand_in = Installer()
    monkeypatch.setattr(environment, "_run", stand_in)
    monkeypatch.setattr(environment.venv, "create", lambda home, with_pip: home.mkdir(parents=True))
    return stand_in


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    path = tmp_path / "client.txt"
    path.write_text("openai==1 --hash=sha256:0")
    return path


def test_an_environment_is_made_once(tmp_path: Path, pins: Path, installer: Installer) -> None:
    home = tmp_path / "home"

    assert environment.python_environment(home, pins) == home / "bin" / "python"
    environment.python_environment(home, pins)

    assert len(installer.asked) == 1
    assert {"--require-hashes", "--only-binary", str(pins)} <= set(installer.asked[0])


def test_another_pin_makes_it_again(tmp_path: Path, pins: Path, installer: Installer) -> None:
    environment.python_environment(tmp_path / "home", pins)
    pins.write_text("openai==2 --hash=sha256:0")
    (tmp_path / "home" / "left over").touch()

    environment.python_environment(tmp_path / "home", pins)

    assert len(installer.asked) == 2
    assert not (tmp_path / "home" / "left over").exists()


def test_one_that_failed_is_tried_again(tmp_path: Path, pins: Path, installer: Installer) -> None:
    installer.fails_with = "no matching distribution"
    with pytest.raises(environment.NotInstalled, match="client could not be installed: no matching distribution"):
        environment.python_environment(tmp_path / "home", pins)
    installer.fails_with = None

    environment.python_environment(tmp_path / "home", pins)

    assert len(installer.asked) == 2


def test_npm_installs_what_the_lock_names_and_runs_no_script(tmp_path: Path, installer: Installer) -> None:
    pins = tmp_path / "npm-ai"
    pins.mkdir()
    for name in ("package.json", "package-lock.json"):
        (pins / name).write_text("{}")

    home = environment.node_environment(tmp_path / "home", pins, tmp_path / "wheel" / "bin" / "node")

    assert installer.asked[0][1].endswith("npm-cli.js")
    assert {"ci", "--ignore-scripts"} <= set(installer.asked[0])
    assert (home / "package-lock.json").exists()


def test_a_failed_installer_is_told_with_its_last_words() -> None:
    script = "import sys; print('one\\n\\ntwo\\nthree\\nERROR: no wheel', file=sys.stderr); sys.exit(1)"

    with pytest.raises(environment.NotInstalled, match=r"^it could not be installed: two three ERROR: no wheel$"):
        environment._run("it", [sys.executable, "-c", script])
