"""The throughput bench: direct, nginx, Pointsman and the layers under it, one core each side, in one run.

    make bench-throughput                       full run, about 8 minutes
    make bench-throughput ARGS=--quick          one round of 2 s cells, for development
    make bench-throughput ARGS="--write"        and write RESULTS.md beside this file
    make bench-throughput ARGS=--rivals         with vllm-router, sglang-router, LiteLLM and Portkey (PyPI, npm)
    make bench-throughput ARGS="--also mine=http://127.0.0.1:4100#PID"    one more, started by hand

The contestant runs on the first core, the C upstream and the C load generator on the second. See ../README.md for what
each number means.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from contestants import HERE
from measure import Bench
from processes import Processes
from report import report
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rivals import DEFAULT_CACHE


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-throughput ARGS=", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of 2 s cells")
    parser.add_argument("--smoke", action="store_true", help="start everybody and measure two cells of 1 s: does it work here?")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (5)")
    parser.add_argument("--seconds", type=float, help="measured seconds of each cell (1.2)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this contestant besides direct; repeatable")
    parser.add_argument("--rivals", action="store_true", help="install (once, pinned with hashes) and measure the other routers too")
    parser.add_argument("--rivals-dir", type=Path, default=DEFAULT_CACHE, metavar="DIR",
                        help="where their environments are kept, about 1.3 GB (.rivals)")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=URL[#PID]", help="one more router, started by hand on loopback")
    parser.add_argument("--also-key", metavar="KEY", help="bearer token for --also")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md beside run.py")
    options = parser.parse_args()
    options.rivals_dir = options.rivals_dir.resolve()
    options.rounds = options.rounds or (1 if options.quick or options.smoke else 5)
    options.seconds = options.seconds or (2.0 if options.quick else 1.0 if options.smoke else 1.2)
    if options.smoke and options.write:
        parser.error("--smoke is no measurement to be written")
    return options


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """The first signal ends the run; an impatient second one must not end the cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def _surroundings(console: Console) -> Iterator[tuple[Path, Processes, Progress]]:
    """A temporary folder, the processes in it and a progress bar; all gone afterwards, whatever happened."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    processes = Processes()
    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory(prefix="bench-throughput-") as folder:
        try:
            with Progress(*columns, console=console, refresh_per_second=2) as progress:
                yield Path(folder), processes, progress
        finally:
            processes.stop_all()


def main() -> int:
    """0 when Pointsman ran (or was not asked for), 1 when it did not start, 130 after Ctrl-C."""
    options = _options()
    console = Console(stderr=True)
    began = time.monotonic()
    try:
        with _surroundings(console) as (folder, processes, progress):
            bench = Bench(options, folder, processes, progress)
            wants_pointsman = any(c.name == "pointsman" for c in bench.contestants)
            bench.run()
    except KeyboardInterrupt:
        console.print("stopped; everything that was started has ended")
        return 130
    text = report(bench, time.monotonic() - began)
    print(text)
    if options.write:
        (HERE / "RESULTS.md").write_text(text)
        console.print("wrote bench/throughput/RESULTS.md")
    return 1 if wants_pointsman and not any(c.name == "pointsman" for c in bench.contestants) else 0


if __name__ == "__main__":
    sys.exit(main())
