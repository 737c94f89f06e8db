"""What one decision costs: microseconds on one core, and bytes that stay in memory.

    python bench/quality/speed.py               the table alone, about a minute
    python bench/quality/speed.py --write       and put it into RESULTS.md, in the place of the one that is there

For a quiet machine: `run.py` measures this too, but beside hours of other work.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pointsman.artifact import Artifact
from pointsman.classify.embedders.sentence import find_sentence
from pointsman.classify.embedders.static import shipped_static
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.scorer import Scorer
from pointsman.learn.baselines import Neighbours, VectorRidge, WordRidge
from pointsman.learn.fit import fit
from pointsman.learn.table import OutcomeTable

LABELS = 1000
WARM, SHORT, LONG = 20, 300, 100
"""Texts before the clock runs, texts of 60 words, and texts of 16 KiB."""
TITLE = "## Latency and memory"


@dataclass(frozen=True)
class Latency:
    """Of one router: median and 99th percentile at 60 words, 99th percentile at 16 KiB, in microseconds."""

    router: str
    p50_us: float
    p99_us: float
    long_p99_us: float
    megabytes: float


def rows(embedder: Any) -> list[Latency]:
    """Routers fitted on a thousand made-up prompts of 60 words with made-up outcomes of three models: speed needs no truth."""
    rng = np.random.default_rng(3)
    words = [f"{a}{b}{c}" for a in ("re", "con", "in", "de") for b in ("struct", "form", "duct", "spect", "port") for c in ("", "ing", "ed", "ion", "s")]
    prompts = [" ".join(rng.choice(words, 60)) for _ in range(LABELS)]
    quality = (rng.random((LABELS, 3)) < 0.6).astype(float)
    table = OutcomeTable([str(i) for i in range(LABELS)], prompts, ("small", "medium", "large"), quality)
    draft = fit(table, seed=1, sentence=embedder, progress=lambda stage, done: None)
    scorer = Scorer.load(Artifact(draft.manifest, draft.arrays, "", Path()))
    held = sum(array.nbytes for array in draft.arrays.values()) / 1e6
    long = " ".join(rng.choice(words, 2600))[: 16 * 1024]
    made = [_timed("ours, static", lambda text: scorer.score_one(Query.of_prompt(text)), prompts, long, held)]
    word = WordRidge().fit(prompts, quality)
    made.append(_timed("TF-IDF + ridge", lambda text: word.predict([text]), prompts, long, word.ridge_.coef_.nbytes / 1e6))
    static = shipped_static()
    if embedder is None:
        near = Neighbours().fit(static.embed(prompts), quality)
        return [*made, _timed("kNN (static)", lambda text: near.predict(static.embed([text])), prompts, long, near.vectors_.nbytes / 1e6)]
    vectors = embedder.embed(prompts)
    near, flat = Neighbours().fit(vectors, quality), VectorRidge().fit(vectors, quality)

    def full(text: str) -> Any:
        query = Query.of_prompt(text)
        return scorer.score_one(query, embedder.embed([scorer.text(query)])[0])

    made.append(_timed("ours, MiniLM", full, prompts, long, held))
    made.append(_timed("kNN", lambda text: near.predict(embedder.embed([text])), prompts, long, near.vectors_.nbytes / 1e6))
    made.append(_timed("MiniLM + ridge", lambda text: flat.predict(embedder.embed([text])), prompts, long, flat.ridge_.coef_.nbytes / 1e6))
    return made


def _timed(router: str, call: Callable[[str], Any], prompts: list[str], long: str, megabytes: float) -> Latency:
    # Every text is new: embedders remember those that they have seen.
    for at in range(WARM):
        call(f"{router} {at} {prompts[at]} {prompts[-1]}")
    gc.collect()
    gc.freeze()  # what fitting left behind is none of the decision's: a router that serves freezes too
    try:
        short = [_one(call, f"{router} {at} {prompt}") for at, prompt in enumerate(prompts[:SHORT])]
        longs = [_one(call, f"{router} {at} {long}") for at in range(LONG)]
    finally:
        gc.unfreeze()
    return Latency(router, float(np.percentile(short, 50)), float(np.percentile(short, 99)), float(np.percentile(longs, 99)), megabytes)


def _one(call: Callable[[str], Any], text: str) -> float:
    began = time.perf_counter()
    call(text)
    return (time.perf_counter() - began) * 1e6


def section(found: list[Latency]) -> str:
    """The table, with a warning when others used the machine."""
    load = os.getloadavg()[0]
    crowd = f" Other work ran on the machine (load {load:.1f}): read the p99 as an upper bound." if load > 1.5 else ""
    lines = [f"{TITLE}\n", "One decision from the prompt's text on, one core, microseconds; three models, 1,000 labels. Memory is what the artifact's arrays "
             f"take.{crowd}\n", "| router | p50, 60 words | p99, 60 words | p99, 16 KiB | MB |", "|---|---:|---:|---:|---:|"]
    for one in found:
        name = f"**{one.router}**" if one.router.startswith("ours") else one.router
        lines.append(f"| {name} | {one.p50_us:,.0f} | {one.p99_us:,.0f} | {one.long_p99_us:,.0f} | {one.megabytes:.1f} |")
    return "\n".join(lines) + "\n"


def replaced(page: str, made: str) -> str:
    """A page with its section of this title replaced, or with one more at its end."""
    old = re.search(rf"^{re.escape(TITLE)}\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    if old is None:
        return f"{page.rstrip()}\n\n{made}"
    rest = page[old.end():]
    return page[: old.start()] + made + (f"\n{rest}" if rest else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="replace the table in RESULTS.md beside this file")
    options = parser.parse_args()
    made = section(rows(find_sentence()))
    print(made)
    if options.write:
        page = Path(__file__).with_name("RESULTS.md")
        page.write_text(replaced(page.read_text("utf-8"), made), "utf-8")


if __name__ == "__main__":
    main()
