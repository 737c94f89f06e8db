"""How well does the heuristic rank requests by difficulty? On held-out outcome tables, beside plain baselines.

`python bench/quality/run.py DATA [--public] [--write]`; DATA holds `outcomes/*.parquet`. Needs numpy and pyarrow
(`make learn` installs them). `--public` adds RouteLLM's public test: for the final table, never for tuning.
"""

from __future__ import annotations

import argparse
import datetime
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pointsman.classify.features import read
from pointsman.classify.heuristic import Heuristic, shipped_table
from pointsman.classify.published import published_tier
from pointsman.learn.metrics import Interval, curve, intervals
from pointsman.learn.outcomes import FAMILIES, as_request, rows

PREAMBLE = """# How well the heuristic ranks requests

Held-out outcome tables of real models: each row has one prompt and the measured quality of a small, a medium and a
large model on it (`FAMILIES` in `pointsman.learn.outcomes`). A router gives each prompt a number; the prompts with the
highest go to the large model. APGR is the area under "share of the quality gap recovered" over "share of large calls":
0.5 is random mixing, more is better. CPT50 and CPT80 are the shares of large calls that recover 50 and 80 % of the gap:
less is better. Definitions: `pointsman.learn.metrics`, after RouteLLM (arXiv 2406.18665). In brackets: 95 % bootstrap
intervals over prompts, 200 draws. Always smallest and always largest are the two ends of every curve.

What to read from it: regular expressions and lengths say little about which prompt needs the larger model. The heuristic
is a start without labels, somewhat better than chance; the classifiers that learn from your own records are the way to more.
On multiple choice knowledge tests (mmlu_pro) it is near chance. On task types that were not in its training data
(reasoning_gym) it is below: there the longest prompts are those on which the large model fails too, and we would rather not
learn that long prompts are easy. Prompt length alone is as good on GSM8K and better on RouteLLM's MMLU. The second table
says what the shipped thresholds do there: benchmarks are harder than traffic, so they climb more than 65/23/12.

How it was made: weights were fitted on train splits without any row that a public test also holds. The strength of the prior
and the form of some features (length, numbers) were chosen on the dev splits below, so those rows flatter it a little. Nothing was
chosen on the public test: it was scored afterwards, once for the first table and twice for this one (a change of thresholds, not of ranking, lay between). An oracle can exceed 1 where the small model is sometimes right and the large one wrong.
"""

DEV = ("mmlu_pro", "reasoning_gym", "llmrouter", "routerbench", "zeroeval")
LADDER = ("small", "medium", "large")
QUALITY = 0.8


@dataclass(frozen=True)
class Items:
    """Held-out rows of one source: quality of small, medium, large per item, and what each router says."""

    name: str
    quality: np.ndarray
    scores: dict[str, np.ndarray]
    rung: np.ndarray


def load(path: Path, source: str, split: str, benchmark: str | None = None) -> Items:
    """Rows of a split on which all three models ran; contaminated ones left out."""
    models = FAMILIES[source]
    kept = [row for row in rows(path / f"{source}.parquet") if row["split"] == split and not row.get("contaminated")
            and (benchmark is None or row["benchmark"] == benchmark)
            and all(row[m] is not None and row[m] == row[m] for m in models)]
    asked = [as_request(row["prompt"]) for row in kept]
    quality = np.array([[row[m] for m in models] for row in kept], dtype=float)
    heuristic = Heuristic(LADDER)
    difficulty = np.array([heuristic.difficulty(read(request)) for request in asked])
    offsets = np.array(shipped_table().offsets) - np.log(QUALITY / (1 - QUALITY))
    scores = {
        "random mix": np.zeros(len(kept)),
        "prompt length": np.array([float(len(row["prompt"])) for row in kept]),
        "published heuristic": np.array([float(published_tier(request)[0]) for request in asked]),
        "**Pointsman heuristic**": difficulty,
        "oracle": quality[:, 2] - quality[:, 0],
    }
    rung = np.minimum(2, np.searchsorted(offsets, difficulty))
    return Items(f"{source} {benchmark}" if benchmark else source, quality, scores, rung)


def shown(interval: Interval, percent: bool = False) -> str:
    scale, digits = (100, 1) if percent else (1, 3)
    return f"{interval.value * scale:.{digits}f} [{interval.low * scale:.{digits}f}, {interval.high * scale:.{digits}f}]"


def ranking(items: Items) -> list[str]:
    """A row per router: APGR, CPT50, CPT80 between the small and the large model."""
    weak, strong = items.quality[:, 0], items.quality[:, 2]
    made = []
    for router, scores in items.scores.items():
        figures = intervals(scores, weak, strong, (lambda c: c.apgr, lambda c: c.cpt(0.5), lambda c: c.cpt(0.8)))
        made.append(f"| {items.name} | {router} | {shown(figures[0])} | {shown(figures[1], True)} | {shown(figures[2], True)} |")
    return made


def policy(items: Items) -> str:
    """The three-tier choice at the default target, beside always smallest, always largest and a random mix of equal shares."""
    shares = np.bincount(items.rung, minlength=3) / len(items.rung)
    means = items.quality.mean(axis=0)
    chosen = items.quality[np.arange(len(items.rung)), items.rung].mean()
    return (f"| {items.name} | {len(items.rung):,} | {shares[0]:.0%}/{shares[1]:.0%}/{shares[2]:.0%} | {chosen:.3f} | "
            f"{float(shares @ means):.3f} | {means[0]:.3f} | {means[2]:.3f} |")


def report(sets: list[Items]) -> str:
    """Both tables in markdown."""
    head = ["| source | router | APGR | CPT50 % | CPT80 % |", "|---|---|---|---|---|"]
    lines = [line for items in sets for line in ranking(items)]
    tiers = ["| source | items | small/medium/large | quality | random mix, same shares | always smallest | always largest |",
             "|---|---:|---|---:|---:|---:|---:|", *(policy(items) for items in sets)]
    return "\n".join([*head, *lines, "", f"Three tiers at `quality: {QUALITY}`:", "", *tiers])


def mean_apgr(sets: list[Items]) -> float:
    """Over sources, each weighing the same."""
    curves = [curve(s.scores["**Pointsman heuristic**"], s.quality[:, 0], s.quality[:, 2]) for s in sets]
    return float(np.mean([c.apgr for c in curves]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--public", action="store_true", help="also RouteLLM's public test")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md beside this file")
    options = parser.parse_args()
    outcomes = options.data / "outcomes"
    sets = [load(outcomes, source, "dev") for source in DEV]
    text = report(sets) + f"\n\nMean APGR of the heuristic over these sources: {mean_apgr(sets):.3f}\n"
    if options.public:
        names = sorted({row["benchmark"] for row in rows(outcomes / "routellm.parquet")})
        text += "\n## RouteLLM's public test (Mixtral-8x7B against GPT-4-1106), scored after all choices\n\n"
        text += report([load(outcomes, "routellm", "public_test", name) for name in names]) + "\n"
    print(text)
    if options.write:
        today = datetime.datetime.now(datetime.UTC).date()
        Path(__file__).with_name("RESULTS.md").write_text(f"{PREAMBLE}\nMade on {today}.\n\n## Held-out splits\n\n{text}")


if __name__ == "__main__":
    main()
