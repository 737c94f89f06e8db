"""How well does the shipped generic guess rank prompts of a source that it has never seen? `make bench-generic DATA=path`.

Each source is ranked by a guess made without it (`pointsman.learn.difficulty` with that source left out); sources that are no
part of any training, by the shipped one. Beside it: prompt length and the stage `heuristic` (whose table has seen the `train`
rows of four of these sources), and the oracle. Families are pairs of models like the ends of a ladder, of which the dear one is
better by at least `LEAST_GAP`. Sources weigh the same.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pointsman.artifact import read
from pointsman.classify.features import NAMES
from pointsman.classify.heads.ladder import guarded
from pointsman.classify.heads.prior import Prior, of_artifact, shipped_folder
from pointsman.classify.heads.query import Query
from pointsman.classify.heuristic import shipped_table
from pointsman.learn.difficulty import SOURCES, Difficulty, outcome_source, traffic_source
from pointsman.learn.metrics import curve, intervals
from pointsman.learn.outcomes import rows

LEAST_GAP = 0.03
DRAWS = 300
FAMILIES: dict[str, tuple[tuple[str, str], ...]] = {
    "mmlu_pro": (("llama-3.1-8b-instruct", "llama-3.1-70b-instruct"), ("llama-3.1-8b-instruct", "gemini-1.5-pro-002"),
                 ("mistral-7b-instruct-v0.2", "mixtral-8x7b-instruct"), ("qwen1.5-7b-chat", "qwen1.5-72b-chat"),
                 ("llama-2-7b-base", "llama-2-70b-base"), ("mixtral-8x7b-instruct", "gemini-1.5-pro-002")),
    "reasoning_gym": (("mistral-small-3.1-24b-instruct", "llama-4-maverick"), ("mistral-small-3.1-24b-instruct", "o3-mini"),
                      ("llama-3.3-70b-instruct", "deepseek-r1"), ("llama-4-scout", "llama-4-maverick"),
                      ("gemma-3-27b-it", "claude-3-5-sonnet-20241022")),
    "llmrouter": (("qwen2.5-7b-instruct", "llama-3.1-nemotron-51b-instruct"), ("mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
                  ("gemma-2-9b-it", "llama-3.1-nemotron-51b-instruct"), ("mistral-7b-instruct-v0.3", "llama-3.3-nemotron-super-49b-v1"),
                  ("llama3-chatqa-1.5-8b", "llama3-chatqa-1.5-70b")),
    "routerbench": (("mistral-7b-instruct-v0.1", "gpt-4-1106-preview"), ("mixtral-8x7b-instruct", "gpt-4-1106-preview"),
                    ("mistral-7b-instruct-v0.1", "mixtral-8x7b-instruct"), ("wizardlm-13b-v1.2", "gpt-4-1106-preview"),
                    ("gpt-3.5-turbo-1106", "gpt-4-1106-preview")),
    "zeroeval": (("llama-3.1-8b-instruct", "llama-3.1-70b-instruct"), ("llama-3.1-8b-instruct", "llama-3.1-405b-instruct"),
                 ("claude-3-haiku-20240307", "claude-3-opus-20240229"), ("qwen2-7b-instruct", "qwen2-72b-instruct"),
                 ("gemma-2-9b-it", "gpt-4o-2024-08-06"), ("mixtral-8x7b-instruct", "gpt-4o-2024-08-06")),
}
PUBLIC = (("mixtral-8x7b-instruct", "gpt-4-1106-preview"),)
ROUTERS = ("generic", "heuristic", "length", "oracle")


@dataclass(frozen=True)
class Ranked:
    """A family of a source: APGR of each router, with the interval of ours."""

    source: str
    family: str
    apgr: dict[str, float]
    low: float
    high: float


def ranked(name: str, kept: list[dict[str, object]], families: Sequence[tuple[str, str]], prior: Prior) -> list[Ranked]:
    """Every family with a gap."""
    queries = [Query.of_prompt(str(row["prompt"])) for row in kept]
    weights = np.array([shipped_table().weights[one] for one in NAMES])
    scores = {"generic": guarded(prior, queries), "heuristic": np.array([query.structural for query in queries]) @ weights,
              "length": np.array([float(query.chars) for query in queries])}
    found = []
    for small, large in families:
        weak, strong = (np.array([np.nan if row[m] is None else row[m] for row in kept], dtype=float) for m in (small, large))
        both = np.isfinite(weak) & np.isfinite(strong)
        weak, strong = weak[both], strong[both]
        if (strong - weak).mean() < LEAST_GAP:
            continue
        apgr = {router: curve(score[both], weak, strong).apgr for router, score in scores.items()}
        apgr["oracle"] = curve(strong - weak, weak, strong).apgr
        ours = intervals(scores["generic"][both], weak, strong, (lambda c: c.apgr,), DRAWS)[0]
        found.append(Ranked(name, f"{small} / {large}", apgr, ours.low, ours.high))
    return found


def table(found: Sequence[Ranked]) -> str:
    """Families, then sources, then the mean over sources."""
    lines = ["| source | family | generic | 95 % | heuristic | length | oracle |", "|---|---|---:|---|---:|---:|---:|"]
    means = []
    for source in dict.fromkeys(one.source for one in found):
        own = [one for one in found if one.source == source]
        lines += [f"| {source} | {one.family} | {one.apgr['generic']:.3f} | {one.low:.3f} to {one.high:.3f} | "
                  + " | ".join(f"{one.apgr[router]:.3f}" for router in ROUTERS[1:]) + " |" for one in own]
        means.append([float(np.mean([one.apgr[router] for one in own])) for router in ROUTERS])
        lines.append(f"| **{source}** | mean | **{means[-1][0]:.3f}** | | " + " | ".join(f"{value:.3f}" for value in means[-1][1:]) + " |")
    total = np.mean(np.array(means), axis=0)
    lines.append(f"| **all** | mean over sources | **{total[0]:.3f}** | | " + " | ".join(f"{value:.3f}" for value in total[1:]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="directory with outcomes/ and traffic/")
    parser.add_argument("--public", action="store_true", help="also RouteLLM's public test: for the final table, never for tuning")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md beside this file")
    options = parser.parse_args()
    outcomes = options.data / "outcomes"
    sources = {name: outcome_source(outcomes, name) for name in SOURCES}
    traffic = traffic_source(options.data / "traffic" / "prompts.parquet")
    shipped = of_artifact(read(shipped_folder()))
    found = []
    for name, families in FAMILIES.items():
        prior = shipped
        if name in sources:
            learned = Difficulty().fit([source for other, source in sources.items() if other != name], traffic)
            prior = Prior({"centre": learned.centre_, "spread": learned.spread_, "weights": learned.weights_})
        found += ranked(name, [row for row in rows(outcomes / f"{name}.parquet") if row["split"] == "dev"], families, prior)
    text = table(found)
    if options.public:
        public = []
        for benchmark in ("MMLU", "GSM8K", "MT-Bench"):
            kept = [row for row in rows(outcomes / "routellm.parquet") if row["benchmark"] == benchmark and not row["contaminated"]]
            public += ranked(f"RouteLLM {benchmark}", kept, PUBLIC, shipped)
        text += "\n\nRouteLLM's public test, scored after all choices:\n\n" + table(public)
    print(text)
    if options.write:
        made = datetime.datetime.now(datetime.UTC).date()
        about = (__doc__ or "").split("\n\n", 1)[1]
        Path(__file__).with_name("RESULTS.md").write_text(f"# The generic guess on sources it has never seen\n\n{about}\nAPGR; .5 is random mixing. Made on {made}.\n\n{text}\n")


if __name__ == "__main__":
    main()
