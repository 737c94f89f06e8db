"""How well do classifiers route? Learned from few labels, judged on held-out outcomes of real models, beside what anybody could do.

`python bench/quality/run.py DATA [--quick] [--write] [--cache DIR] [--only public,dev,curves,speed]`; DATA holds
`outcomes/*.parquet`. Needs the extras that `make setup` installs. A full run takes about half an hour on two cores that are not used
otherwise, `--quick` (few draws, few rows: to see that it runs) about three minutes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # two processes on two cores; more threads only wait for each other

import report
import sources
import speed
import trial
from store import Store

from pointsman.classify.embedders.sentence import find_sentence

GOLD = -1
"""Number of the draw that the public protocol marks."""
QUICK_ROWS = 3000
"""Of a source at most, in a quick run: reading and embedding all takes longer than the trials."""
Plan = list[tuple[str, int, int]]

_SOURCES: dict[str, sources.Source] = {}
_STORE: list[Store] = []


def plan(only: set[str], quick: bool) -> Plan:
    """(source, labels, draw) of every trial."""
    trials: Plan = []
    if "public" in only:
        draws = 3 if quick else 20
        trials += [("RouteLLM GSM8K", 650, draw) for draw in range(draws)]
        trials += [("RouteLLM MMLU", 1500, draw) for draw in [GOLD, *range(1 if quick else draws)]]
    if "dev" in only:
        for source in sources.DEV:
            trials += [(source, 300, draw) for draw in range(1 if quick else 3)]
            trials += [] if quick else [(source, 1000, draw) for draw in range(2)]
    if "curves" in only and not quick:
        trials += [("RouteLLM MMLU", labels, draw) for labels in (100, 300, 1000) for draw in range(3)]
        trials += [(source, 5000, 0) for source in ("RouteLLM MMLU", *sources.LARGE)]
        trials += [(source, 100, draw) for source in sources.DEV for draw in range(3)]
    return trials


def one(what: tuple[str, int, int]) -> trial.Result:
    """One trial, from the store when it was made already."""
    name, labels, draw = what
    if (found := _STORE[0].trial(name, labels, draw)) is not None:
        return found
    source = _SOURCES[name]
    learn, judged = source.gold_draw() if draw == GOLD else source.draw(labels, draw)
    made = trial.run(source, learn, judged, labels, draw)
    _STORE[0].keep(made)
    sys.stderr.write(f"{name}, {labels} labels, draw {draw}: {made.fit_s:.0f} s\n")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--quick", action="store_true", help="few draws of few rows: three minutes")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md and the plots beside this file")
    parser.add_argument("--cache", type=Path, help="folder for vectors and finished trials")
    parser.add_argument("--only", default="public,dev,curves,speed", help="parts to run")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args()
    if options.quick and options.write:
        parser.error("a quick run's figures are not for RESULTS.md")
    only = set(options.only.split(","))
    embedder: Any = find_sentence("auto")
    sys.stderr.write("no sentence embedder is installed: static stacks only\n" if embedder is None else f"sentence embedder: {embedder.name}\n")
    made_by = ("static" if embedder is None else embedder.digest[:12]) + ("-quick" if options.quick else "")
    _STORE.append(Store(options.cache, made_by))
    trials = plan(only, options.quick)
    for name in sorted({what[0] for what in trials}):
        _SOURCES[name] = sources.load(options.data / "outcomes", name, QUICK_ROWS if options.quick else None)
        if embedder is not None:
            sys.stderr.write(f"{name}: {len(_SOURCES[name].prompts):,} rows\n")
            _SOURCES[name].sentence = _STORE[0].vectors(_SOURCES[name], embedder)
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        results = pool.map(one, trials, chunksize=1)
    latencies = speed.rows(embedder) if "speed" in only else []
    text = report.text(results, latencies, options.data / "outcomes")
    sys.stdout.write(f"*Quick: {QUICK_ROWS:,} rows of a source at most, few draws. It shows that everything runs, not how well.*\n\n{text}" if options.quick else text)
    if options.write:
        here = Path(__file__).parent
        (here / "RESULTS.md").write_text(text)
        report.plots(results, here)


if __name__ == "__main__":
    main()
