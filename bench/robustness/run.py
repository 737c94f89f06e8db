"""How many decisions flip when a prompt is said differently? `make bench-robustness DATA=path [ARGS="--write"]`.

Two classifiers: the shipped generic guess on a ladder of three, and one trained on 1,000 labels of a public source as an
owner would train it (`pointsman train`), on a ladder of two at the threshold that sends half of the prompts up: where most
prompts stand closest to the line. Prompts are rows that no training saw.
"""

from __future__ import annotations

import argparse
import datetime
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from changes import CHANGES, MOST, Change, unchanged

from pointsman.artifact import read, write
from pointsman.classify.heads.ladder import Ladder
from pointsman.classify.heads.prior import shipped_folder
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.scorer import Scorer
from pointsman.classify.heuristic import Heuristic
from pointsman.core.request import ChatRequest, Kind
from pointsman.learn.fit import fit
from pointsman.learn.outcomes import rows
from pointsman.learn.table import OutcomeTable

QUALITY = 0.8
EACH = 120
"""Prompts of each source."""
LABELS = 1000
FAMILIES = {"llmrouter": ("mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
            "reasoning_gym": ("mistral-small-3.1-24b-instruct", "o3-mini")}
TRAFFIC = {"banking77": "test", "clinc150": "test", "arena-hard-v2.0": None, "flask": None}

PREAMBLE = """# Decisions that flip when a prompt is said differently

Made by `make bench-robustness`. A decision flips when the changed prompt goes to another tier than the plain one. For
trigger suffixes only prompts that were not at the top count, and only flips to a dearer tier. `generic` is the shipped guess on
three rungs at `quality: 0.8`, on public prompts of all kinds; `trained` was fitted on {labels} labels of {family} (static stack), on two rungs
with the threshold where half of its held-out prompts go up. `heuristic`: the stage of that name, on the prompts of `generic`.

A paraphrase adds words, and a trigger is a part of the prompt as well: "Prove your answer" asks for a proof, code asks for somebody
who reads code. No such merit is taken out of the figures. The mean of a kind is to stay within "at most".

What to read from it: the generic guess holds against triggers, since its signs hardly see what they are made of, and behind a sentence
that ends the tail counts only if it makes a prompt easier (`classify.heads.ladder`). Its signs were weighed on suffixes other than these;
this table was looked at some six times on the way, and showed that a question that ends a story must count, so it flatters a little.
What still works is a row of fields or signs behind a prompt that is long and in no sentences. Trained classifiers leave out what is
appended too (`classify.heads.core`), and training says of some rows that the same with something appended is worth the same
(`learn.appended`: other texts than these; the rule was chosen among some eight, with this table and eighteen other suffixes in sight, which
moved 2.8 and 1.4 %). Where a prompt ends without any mark and code is what the dear model was better at, a line of code is a trigger still. Doubled
blanks, and capitals alone, are read as anybody else writes before anything is counted (`classify.spacing`, `classify.casing`).
"""


@dataclass(frozen=True)
class Subject:
    """Something that decides: requests in, tiers out (0 = cheapest)."""

    name: str
    prompts: list[str]
    head: Scorer | Ladder | Heuristic
    cut: float = 0.0
    """Advantage of the dear model from which on a prompt goes up; for two rungs."""

    def tiers(self, requests: Sequence[ChatRequest]) -> np.ndarray:
        if isinstance(self.head, Heuristic):
            return np.array([self._rung(request) for request in requests])
        p = self.head.score([Query.of(request) for request in requests]).p
        if isinstance(self.head, Scorer):
            return (p[:, 1] - p[:, 0] > self.cut).astype(int)
        clears = p >= QUALITY
        return np.where(clears.any(axis=1), clears.argmax(axis=1), p.shape[1] - 1)

    def _rung(self, request: ChatRequest) -> int:
        said = self.head.classify(request, None)
        p = [score.p for score in said.scores.by_tier.values()]
        return next((at for at, one in enumerate(p) if one >= QUALITY), len(p) - 1)


def asked(prompt: str, change: Change, seed: int) -> ChatRequest:
    """The request that a client would send."""
    messages = change(prompt, random.Random(seed))
    return ChatRequest(Kind.CHAT, b"", "auto", messages)


def public_prompts(data: Path) -> list[str]:
    """Prompts of every kind that the generic guess was not fitted on."""
    found = []
    for source in ("mmlu_pro", "reasoning_gym", "llmrouter", "routerbench", "zeroeval"):
        found += _some([row["prompt"] for row in rows(data / "outcomes" / f"{source}.parquet") if row["split"] == "dev"])
    traffic = rows(data / "traffic" / "prompts.parquet")
    for source, extra in TRAFFIC.items():
        found += _some([row["prompt"] for row in traffic if row["source"] == source and extra in (None, row["extra"])])
    return found


def _some(prompts: list[str]) -> list[str]:
    return random.Random(1).sample(prompts, min(EACH, len(prompts)))


def trained(data: Path, source: str, folder: Path) -> Subject:
    """A classifier of 1,000 labels of one source, and that source's held-out prompts."""
    models = FAMILIES[source]
    known = [row for row in rows(data / "outcomes" / f"{source}.parquet") if all(row[m] is not None and row[m] == row[m] for m in models)]
    train = random.Random(1).sample([row for row in known if row["split"] == "train"], LABELS)
    table = OutcomeTable([row["query_id"] for row in train], [row["prompt"] for row in train], models,
                         np.array([[row[m] for m in models] for row in train], dtype=float), group=[row["group"] for row in train])
    scorer = Scorer.load(write(fit(table, seed=1, sentence=None, progress=lambda step, share: None), folder))
    prompts = random.Random(1).sample([row["prompt"] for row in known if row["split"] == "dev"], 4 * EACH)
    p = scorer.score([Query.of_prompt(prompt) for prompt in prompts]).p
    return Subject(f"trained {source}", prompts, scorer, float(np.median(p[:, 1] - p[:, 0])))


def flips(subject: Subject) -> dict[str, dict[str, float]]:
    """Kind -> change -> share of decisions that flip."""
    plain = subject.tiers([asked(prompt, unchanged, 0) for prompt in subject.prompts])
    top = plain.max()
    found: dict[str, dict[str, float]] = {}
    for kind, changes in CHANGES.items():
        for name, change in changes.items():
            after = subject.tiers([asked(prompt, change, seed) for seed, prompt in enumerate(subject.prompts)])
            share = (after > plain)[plain < top].mean() if kind == "trigger" else (after != plain).mean()
            found.setdefault(kind, {})[name] = float(share)
    return found


def report(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """Subject -> kind -> change -> share, as a table."""
    names = list(found)
    lines = ["| kind | change | " + " | ".join(names) + " | at most |", "|---|---|" + "---:|" * (len(names) + 1)]
    for kind, changes in CHANGES.items():
        most = "" if MOST[kind] is None else f"{MOST[kind]:.0%}"
        lines += [f"| {kind} | {change} | " + " | ".join(f"{found[name][kind][change]:.1%}" for name in names) + " | |" for change in changes]
        means = [float(np.mean(list(found[name][kind].values()))) for name in names]
        lines.append(f"| **{kind}** | mean | " + " | ".join(f"**{mean:.1%}**" for mean in means) + f" | {most} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="directory with outcomes/ and traffic/")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md beside this file")
    options = parser.parse_args()
    began = time.monotonic()
    prompts = public_prompts(options.data)
    with tempfile.TemporaryDirectory() as folder:
        subjects = [Subject("generic", prompts, Ladder.load(read(shipped_folder()))),
                    *(trained(options.data, source, Path(folder) / source) for source in FAMILIES),
                    Subject("heuristic", prompts, Heuristic(("small", "medium", "large")))]
    table = report({subject.name: flips(subject) for subject in subjects})
    print(table)
    print(f"{len(prompts)} prompts for generic and heuristic, {4 * EACH} for each trained one; {time.monotonic() - began:.0f} s")
    if options.write:
        made = datetime.datetime.now(datetime.UTC).date()
        head = PREAMBLE.format(labels=f"{LABELS:,}", family=" and ".join(FAMILIES))
        Path(__file__).with_name("RESULTS.md").write_text(f"{head}\nMade on {made}, {len(prompts)} and {4 * EACH} prompts.\n\n{table}\n")


if __name__ == "__main__":
    main()
