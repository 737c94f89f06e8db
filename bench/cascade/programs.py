"""Runs a small program of a model's in a process of its own: isolated interpreter, limits on time, memory and files."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile

WALL_S = 5
MEMORY_BYTES = 512 * 1024 * 1024


def _limits() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


def runs(program: str) -> bool:
    """It ends well within its limits."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run([sys.executable, "-I", "-c", program], cwd=folder, env={}, stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=WALL_S, preexec_fn=_limits, check=False)
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0
