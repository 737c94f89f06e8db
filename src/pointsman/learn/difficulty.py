"""What public outcomes teach about difficulty: `python -m pointsman.learn.difficulty DATA` makes the shipped artifact.

DATA holds `outcomes/*.parquet` (a prompt and a quality in [0, 1] per model) and `traffic/prompts.parquet`. Only `train`
rows are read, and none that a public test also holds.

Learned are the weights of one difficulty over the signs of a prompt (`classify.heads.signs`): ridge on how often small models
fail, every source weighing the same and seen from its own mean (how hard a benchmark is says nothing about your traffic), pulled
towards `PRIOR`, weights set by hand.

Why a prior set by hand and pulled to so strongly? With four sources, a free fit learns which of them a prompt comes from.
Left out one at a time, they are ranked worse by a free fit (mean APGR .556 to .564 over the five of `bench/generic`) than by the
prior alone, and best by the two together (.604). Static and sentence vectors in place of the signs: .49 to .52; mixed with
them by 30 %, they lose .006 and more.

How much more could weights of signs do? Fitted on a source's own outcomes (five folds) they rank all its rows at .599 in the mean of five sources, where
the guess made without the source has .582: most of what is missing is not in these signs. A hundred other counts (words of logic, time, negation,
comparison, names, long numbers, compressed size) were tried beside them; left out as well, none gained .001 but whether somebody is told what to do (+.003).

Why failures of small models and not what a large one adds? The two rank sources left out alike (within .001), and failures are
less noisy. Where the tiers part is no matter of benchmarks: offsets are quantiles over a mix of ordinary traffic.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.artifact import ArtifactDraft, write
from pointsman.classify.heads import signs, surface
from pointsman.classify.heads.core import core
from pointsman.classify.heads.ladder import HEAD, guarded
from pointsman.classify.heads.prior import CLIP, Prior, shipped_folder, signs_version
from pointsman.classify.heads.query import Query
from pointsman.learn.outcomes import SMALL, contrasting_prompts, mixed_prompts, rows
from pointsman.learn.presumed import ARRAY, surface_version, weights_of

Floats: TypeAlias = NDArray[np.float64]

SOURCES = ("mmlu_pro", "reasoning_gym", "llmrouter", "routerbench")
PRIOR: dict[str, float] = {
    "commas": 0.8, "numbers": 0.7, "quantities": 0.3, "line": 0.9, "told": 0.3, "story": 0.3, "common": 0.7, "long_words": 0.3, "blanks": 0.4,
    "brackets": -0.4, "repeated": -0.5, "sentences": -0.5, "options": -0.7,
    "structural.code_task": 1.3, "structural.proof": 2.5, "structural.algorithm": 0.5, "structural.code_error": 1.3, "structural.code": 0.2,
    "structural.analysis": 0.3, "structural.constraints": 0.3, "structural.turns": 0.1, "structural.tools": 0.5,
    "structural.schema": 0.1, "structural.images": 0.3,
    "structural.daily": -0.1, "structural.question": -0.4, "structural.greeting": -0.5, "structural.simple_task": -0.4,
}
"""Weights of standardised signs, set by hand; 0 for the rest. The first two lines and `code_task`
rank the sources; the others are about things that benchmarks do not hold (proofs, stack traces, greetings, tools). How thorough an answer is to be
weighs nothing, and that an analysis is asked for little: in seven languages that was the cheapest way to the dear model (22 % of prompts, now 7)."""
PRIOR_SCALE = 0.2
"""Size of the prior beside targets of unit variance. .05 to .2 rank equally well; the largest forgets least of it."""
PRIOR_STRENGTH = 10.0
"""Ridge penalty on the distance from the prior, per unit of mean squared loss. 1 to 30 rank equally well on `dev`."""
SPREAD_FLOOR, STRUCTURAL_FLOOR = 0.02, 0.25
"""Least spread of a sign. A structural one that the data hardly hold (tools, turns) must not count fourfold when it comes."""

PLACES = (0.0, 0.5, 1.0)
SHARES = (0.75, 0.90, 0.99)
"""Quantiles of the mix up to which the first, middle and last place clear the target. Not the 65 and 88 % of the stage `heuristic`:
60 % of the mix are short requests, and a line drawn among them is one that a few words more would cross (at .70 in place of .75 suffixes written
for the purpose do so a seventh more often, and openings a fifth)."""
QUALITY = 0.8
"""The target at which the shares hold: the default of `route.quality`."""
SPAN = 2.04
"""Logits between the first and the last offset, as of the stage `heuristic`: how quickly a guess becomes sure is a
convention, since no outcome of yours is behind it."""


@dataclass(frozen=True)
class Source:
    """Rows of one source."""

    name: str
    signs: Floats
    """(n, d), not yet scaled."""
    hardness: Floats
    """(n,) how often small models fail, or what we think, in [0, 1]."""
    weight: Floats
    """(n,), adding up to 1."""
    models: int = 0
    """How many models' outcomes are behind it; 0 = none, only our reading of a label."""
    queries: tuple[Query, ...] = ()
    """What the signs were counted in."""


def outcome_source(outcomes: Path, name: str) -> Source:
    """`train` rows of a source that no public test holds."""
    kept = [row for row in rows(outcomes / f"{name}.parquet") if row["split"] == "train" and not row["overlaps_public_test"]]
    models = SMALL[name]
    small = np.array([[np.nan if row[model] is None else row[model] for model in models] for row in kept], dtype=np.float64)
    known = np.isfinite(small).any(axis=1)
    prompts = [kept[at]["prompt"] for at in np.flatnonzero(known)]
    queries = queries_of(prompts)
    return Source(name, signs_of(queries), 1.0 - np.nanmean(small[known], axis=1), np.full(len(prompts), 1.0 / len(prompts)), len(models), queries)


def traffic_source(prompts: Path) -> Source:
    """Support requests, graded instructions and hard tasks, a third of the weight each."""
    kinds = contrasting_prompts(prompts)
    everything = [row for kind in kinds for row in kind]
    weight = np.concatenate([np.full(len(kind), 1.0 / len(kind) / len(kinds)) for kind in kinds])
    queries = queries_of([prompt for prompt, _ in everything])
    return Source("traffic", signs_of(queries), np.array([need for _, need in everything]), weight, queries=queries)


def queries_of(prompts: Sequence[str]) -> tuple[Query, ...]:
    """Prompts as a client would send them."""
    return tuple(map(Query.of_prompt, prompts))


def signs_of(queries: Sequence[Query]) -> Floats:
    """(n, d)."""
    return np.array([signs.read(query.data, query.chars, query.structural) for query in queries])


class Difficulty:
    """Learns the usual values and the weights. Learned names end in `_`."""

    def fit(self, sources: Sequence[Source], traffic: Source) -> Difficulty:
        """From sources with outcomes, and traffic without any."""
        everything = [*sources, traffic]
        weight = np.concatenate([source.weight for source in everything]) / len(everything)
        found = np.concatenate([source.signs for source in everything])
        floor = np.where([name.startswith("structural.") for name in signs.NAMES], STRUCTURAL_FLOOR, SPREAD_FLOOR)
        self.centre_ = (weight @ found).round(6).astype(np.float32)
        self.spread_ = np.maximum(np.sqrt(weight @ (found - self.centre_) ** 2), floor).round(6).astype(np.float32)
        self.weights_ = self._difficulty(everything)
        return self

    def standard(self, found: Floats) -> Floats:
        """Signs as the weights expect them."""
        scaled: Floats = np.clip((found - self.centre_) / self.spread_, -CLIP, CLIP)
        return scaled

    def _difficulty(self, sources: Sequence[Source]) -> Floats:
        prior = PRIOR_SCALE * np.array([PRIOR.get(name, 0.0) for name in signs.NAMES])
        square, product = np.zeros((len(prior), len(prior))), np.zeros(len(prior))
        for source in sources:
            x, y = self.standard(source.signs), source.hardness
            x, y = x - source.weight @ x, y - source.weight @ y
            y = y / np.sqrt(source.weight @ y ** 2)
            square += (x * source.weight[:, None]).T @ x / len(sources)
            product += (x * source.weight[:, None]).T @ y / len(sources)
        return prior + np.linalg.solve(square + PRIOR_STRENGTH * np.eye(len(prior)), product - square @ prior)


def presumption(learned: Difficulty, sources: Sequence[Source]) -> Floats:
    """The learned difficulty as weights of what a trained head counts (`learn.presumed`): what it reads of these queries, and how hard they are."""
    queries = [query for source in sources for query in source.queries]
    difficulty = guarded(Prior({"centre": learned.centre_, "spread": learned.spread_, "weights": learned.weights_}), queries)
    cores = map(core, queries)
    counts = np.array([surface.read(one.data, one.chars, one.structural) for one in cores])
    return weights_of(counts, difficulty, np.concatenate([source.weight for source in sources]))


def draft(learned: Difficulty, presumed: Floats, mix: Sequence[Query], mix_weight: Floats, training: dict[str, Any]) -> ArtifactDraft:
    """The artifact: difficulty in logits, offsets from the quantiles of the mix (its queries, and the weight of each); and what trainings presume."""
    difficulty = guarded(Prior({"centre": learned.centre_, "spread": learned.spread_, "weights": learned.weights_}), mix)
    cuts = np.array([quantile(difficulty, mix_weight, share) for share in SHARES])
    scale = SPAN / float(cuts[-1] - cuts[0])
    offsets = scale * cuts + np.log(QUALITY / (1 - QUALITY))
    # Rounded, since the last digits of a linear algebra library differ with its threads.
    arrays = {"centre": learned.centre_, "spread": learned.spread_, "weights": (scale * learned.weights_).round(5).astype(np.float32),
              "offsets": offsets.round(4), ARRAY: presumed.round(4).astype(np.float32)}
    manifest = {"head": HEAD, "models": [f"place:{place:g}" for place in PLACES], "generic": True, "calibrated": False,
                "features": {"signs": signs_version(), "surface": surface_version(), "sentence": None}, "training": training}
    return ArtifactDraft(manifest, arrays)


def quantile(values: Floats, weight: Floats, share: float) -> float:
    """The value up to which `share` of the weight lies."""
    order = np.argsort(values, kind="stable")
    return float(np.interp(share, np.cumsum(weight[order]) / weight.sum(), values[order]))


def mix_of(data: Path) -> tuple[list[Query], Floats]:
    """Queries and weights of the mix of ordinary traffic."""
    parts = mixed_prompts(data / "traffic" / "prompts.parquet", data / "outcomes")
    weight = np.concatenate([np.full(len(part), share / len(part)) for share, part in parts])
    return [Query.of_prompt(prompt) for _, part in parts for prompt, _ in part], weight


def main(argv: list[str] | None = None) -> int:
    """Command line: writes the artifact."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="directory with outcomes/ and traffic/")
    parser.add_argument("--out", type=Path, default=shipped_folder())
    parser.add_argument("--without", default="", help="a source to leave out, for honest measurements on it")
    options = parser.parse_args(argv)
    sources = [outcome_source(options.data / "outcomes", name) for name in SOURCES if name != options.without]
    traffic = traffic_source(options.data / "traffic" / "prompts.parquet")
    learned = Difficulty().fit(sources, traffic)
    mix, weight = mix_of(options.data)
    training = {"made_by": "pointsman.learn.difficulty", "rows": {source.name: len(source.hardness) for source in [*sources, traffic]},
                "models": {source.name: source.models for source in sources}, "mix_rows": len(weight),
                "public_test_rows": 0}
    artifact = write(draft(learned, presumption(learned, sources), mix, weight, training), options.out)
    sys.stderr.write(f"{artifact!r}: {sum(len(source.hardness) for source in sources)} rows of {len(sources)} sources\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
