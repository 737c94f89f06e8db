"""A small run of the fuzzer, with a seed of its own: `make fuzz` is the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).resolve().parents[2] / "bench" / "fuzz" / "run.py"


def test_two_thousand_odd_requests_do_no_harm(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, FUZZ, "--requests", "2000", "--seed", "20", "--save", tmp_path],
                          capture_output=True, text=True, timeout=240)

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "2000 requests" in done.stdout
