"""How well do classifiers route? Learned from few labels, judged on held-out outcomes of real models, beside what anybody could do.

`python bench/quality/run.py DATA [--minutes M | --hours H] [--write] [--routers plain,ours] [--only public,dev,curves,speed] [--quick]`

DATA holds `outcomes/*.parquet`. Needs the extras that `make setup` installs. Everything that was made is kept (`--cache`), so a full
table is built up over as many runs as it takes: a run makes what is missing, first draws first, stops in time, and tells what it has. `--minutes
0` only tells. `--quick` (few draws, few rows: to see that it runs) takes some five minutes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a process for each core; more threads only wait for each other

import cells
import progress
import report
import sources
import speed
import trial
from cells import Cell, Trial
from routers import MAKERS
from store import Store

from pointsman.classify.embedders.sentence import find_sentence

QUICK_ROWS = 3000
"""Of a source at most, in a quick run: reading and embedding all takes longer than the trials."""
ENDLESS_S = 1e9
RESULTS = Path(__file__).parent / "RESULTS.md"


class Bench(NamedTuple):
    """What a run works with."""

    outcomes: Path
    store: Store
    embedder: Any
    quick: bool
    until: float
    """On the monotonic clock."""

    def makes(self, cell: Cell) -> tuple[Cell, float | None]:
        """The cell's scores, into the store, and the trial's figures when it is whole; seconds, or None when time was over before it began."""
        if time.monotonic() >= self.until:
            return cell, None
        source = self.source(cell.trial.source)
        learn, judged = trial.drawn(source, cell.trial)
        began = time.perf_counter()
        said = MAKERS[cell.part](source, learn, judged, max(0, cell.trial.draw))
        self.store.keep(cell, said, time.perf_counter() - began)
        if all(self.store.has(Cell(cell.trial, part)) for part in cells.PARTS):
            self.result(cell.trial)  # computed now and kept, so that the end of a run is no second run
        return cell, time.perf_counter() - began

    def source(self, name: str) -> sources.Source:
        return _source(self.outcomes, name, self.quick, self.store, self.embedder)

    def result(self, which: Trial) -> trial.Result | None:
        """Figures of what is stored of a trial; None = nothing is."""
        parts = [part for part in cells.PARTS if self.store.has(Cell(which, part))]
        if not parts:
            return None
        if (found := self.store.result(which, parts)) is None:
            said: dict[str, Any] = {}
            seconds = {}
            for part in parts:
                held = self.store.said(Cell(which, part)) or {}
                seconds[part] = float(held.pop("seconds"))
                said |= held
            found = trial.measured(self.source(which.source), which, said)
            found.seconds = seconds
            self.store.keep_result(which, parts, found)
        return found


@cache
def _source(outcomes: Path, name: str, quick: bool, store: Store, embedder: Any) -> sources.Source:
    """Read when it is first needed: a run that only tells what is stored reads none."""
    source = sources.load(outcomes, name, QUICK_ROWS if quick else None)
    source.presumed = store.presumed(outcomes, name)
    if embedder is not None:
        source.sentence, source.embedder = store.vectors(source, embedder), embedder
    return source


_BENCH: list[Bench] = []


def _made(cell: Cell) -> tuple[Cell, float | None]:
    return _BENCH[0].makes(cell)


def _result(which: Trial) -> trial.Result | None:
    return _BENCH[0].result(which)


def fill(bench: Bench, wanted: Sequence[Cell], jobs: int) -> int:
    """Makes what is missing until time is over. The number of cells that are still missing."""
    taken = {cell: seconds for cell in wanted if (seconds := bench.store.seconds(cell)) is not None}
    missing = [cell for cell in wanted if cell not in taken]
    pace, done = progress.Pace(taken), len(taken)
    sys.stderr.write(f"{done} of {len(wanted)} cells are there; the rest takes about {progress.duration(pace.left_s(missing, jobs))}\n")
    for cell, seconds in _each(_made, tuple(missing), jobs):
        if seconds is None:
            continue
        done += 1
        missing.remove(cell)
        pace.add(cell, seconds)
        sys.stderr.write("\r\033[K" + progress.bar(done, len(wanted), pace.left_s(missing, jobs), str(cell)))
        sys.stderr.flush()
    sys.stderr.write("\n")
    return len(missing)


def _each(work: Any, items: Sequence[Any], jobs: int) -> Any:
    """In this process, or in several: as they come."""
    if jobs == 1:
        yield from map(work, items)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap_unordered(work, items)


def main() -> None:
    options = _options()
    only = set(options.only.split(","))
    embedder: Any = find_sentence("auto")
    sys.stderr.write("no sentence embedder is installed: static stacks only\n" if embedder is None else f"sentence embedder: {embedder.name}\n")
    made_by = ("static" if embedder is None else embedder.digest[:12]) + ("-quick" if options.quick else "")
    allowed_s = ENDLESS_S if options.minutes is None else 60 * options.minutes
    bench = Bench(options.data / "outcomes", Store(options.cache, made_by), embedder, options.quick, time.monotonic() + allowed_s)
    _BENCH.append(bench)
    wanted = cells.trials(only, options.quick)
    try:
        missing = fill(bench, cells.cells(wanted, options.routers.split(",")), options.jobs)
    except KeyboardInterrupt:
        sys.exit("\nstopped; what was made is kept: the same command goes on from here")
    if missing:
        sys.stderr.write(f"time is over, {missing} cells are missing: the same command goes on from here\n")
    results = [one for one in _each(_result, wanted, options.jobs) if one is not None]
    if not results:
        sys.exit("nothing is stored yet: give it a few minutes")
    text = report.text(results, _speed(bench, only), options.data / "outcomes", missing)
    sys.stdout.write(f"*Quick: {QUICK_ROWS:,} rows of a source at most, few draws. It shows that everything runs, not how well.*\n\n{text}" if options.quick else text)
    if options.write:
        RESULTS.write_text(text)
        report.plots(results, RESULTS.parent)


def _speed(bench: Bench, only: set[str]) -> str:
    """Measured when it is asked for and there is time, else as it stands in the last report."""
    if "speed" in only and time.monotonic() < bench.until:
        return speed.section(speed.rows(bench.embedder))
    last = RESULTS.read_text() if RESULTS.exists() else ""
    return last[last.index(speed.TITLE):] if speed.TITLE in last else ""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--quick", action="store_true", help="few draws of few rows: five minutes")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md and the plots beside this file")
    parser.add_argument("--cache", type=Path, default=_cache(), help="folder for vectors, scores and figures (default: %(default)s)")
    parser.add_argument("--only", default="public,dev,curves,speed", help="parts of the table")
    parser.add_argument("--routers", default=",".join(cells.PARTS), help="whose scores are made: plain (everybody else's), ours")
    parser.add_argument("--minutes", type=float, help="begin nothing after so long; what was made is kept")
    parser.add_argument("--hours", type=float, help="the same in hours")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args()
    if options.quick and options.write:
        parser.error("a quick run's figures are not for RESULTS.md")
    if unknown := set(options.routers.split(",")) - set(cells.PARTS):
        parser.error(f"--routers knows {' and '.join(cells.PARTS)}, not {', '.join(sorted(unknown))}")
    if options.hours is not None:
        options.minutes = 60 * options.hours
    return options


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pointsman" / "bench-quality"


if __name__ == "__main__":
    main()
