"""Outcome tables as arrays: the features of each prompt, and how much a large model adds to small ones on it.

Only `train` splits are read here, and never a row that a public test also contains.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pointsman.classify.features import read
from pointsman.core.request import ChatRequest, Kind, Message

Floats: TypeAlias = NDArray[np.float64]

FAMILIES: dict[str, tuple[str, str, str]] = {
    "mmlu_pro": ("llama-3.1-8b-instruct", "llama-3.1-70b-instruct", "gemini-1.5-pro-002"),
    "reasoning_gym": ("mistral-small-3.1-24b-instruct", "llama-4-maverick", "o3-mini"),
    "llmrouter": ("qwen2.5-7b-instruct", "gemma-2-9b-it", "llama-3.1-nemotron-51b-instruct"),
    "routerbench": ("mistral-7b-instruct-v0.1", "mixtral-8x7b-instruct", "gpt-4-1106-preview"),
    "zeroeval": ("llama-3.1-8b-instruct", "llama-3.1-70b-instruct", "llama-3.1-405b-instruct"),
    "routellm": ("mixtral-8x7b-instruct", "mixtral-8x7b-instruct", "gpt-4-1106-preview"),
}
"""Source -> models shaped like small, medium and large tiers."""

SMALL: dict[str, tuple[str, ...]] = {
    "mmlu_pro": ("llama-3.1-8b-instruct", "mistral-7b-instruct-v0.2", "qwen1.5-7b-chat", "phi-3-mini-4k-instruct"),
    "reasoning_gym": ("mistral-small-3.1-24b-instruct", "gemma-3-27b-it", "llama-4-scout"),
    "llmrouter": ("qwen2.5-7b-instruct", "llama-3.1-8b-instruct", "mistral-7b-instruct-v0.3"),
    "routerbench": ("mistral-7b-instruct-v0.1", "wizardlm-13b-v1.2"),
}
"""Small models of a source; their mean quality is steadier than one model's."""

# How much a large model adds, by what the label says; our reading, not a measurement.
_LEVELS = {"simple lifestyle knowledge": 0.15, "advanced lifestyle knowledge": 0.3, "formal education knowledge": 0.4,
           "major level knowledge": 0.6, "expert level knowledge": 0.8}
_PUBLIC = ("mmlu", "gsm8k", "gpt-4 paper", "mt-bench", "truthfulqa")


@dataclass(frozen=True)
class Sample:
    """Rows of one source: features (n × k), need of a large model in [0, 1] (n), and the weight of each row (n)."""

    name: str
    features: Floats
    need: Floats
    weight: Floats

    def quantile(self, scores: Floats, share: float) -> float:
        """The score up to which `share` of the weight lies."""
        order = np.argsort(scores, kind="stable")
        cumulative = np.cumsum(self.weight[order]) / self.weight.sum()
        return float(np.interp(share, cumulative, scores[order]))


def as_request(prompt: str) -> ChatRequest:
    """A prompt as a client would send it."""
    return ChatRequest(Kind.CHAT, msgspec.json.encode(prompt), "auto", (Message("user", prompt),))


def rows(path: Path) -> list[dict[str, Any]]:
    """A parquet table as dicts."""
    return list(pq.read_table(path).to_pylist())


def outcome_sample(outcomes: Path, name: str) -> Sample:
    """`train` rows of a source that no public test contains."""
    kept = [row for row in rows(outcomes / f"{name}.parquet")
            if row["split"] == "train" and not row["overlaps_public_test"]]
    labelled = [(row["prompt"], need) for row in kept if (need := _need(row, name)) is not None]
    return _sample(name, labelled)


def _need(row: dict[str, Any], name: str) -> float | None:
    """What the large model adds to the small ones' mean quality, at least 0; None = one side was not run."""
    small, large = _mean(row, SMALL[name]), _mean(row, (FAMILIES[name][2],))
    return None if small is None or large is None else max(0.0, large - small)


def contrast(prompts: Path) -> Sample:
    """Traffic without outcomes: support requests are easy, arena-hard is hard, FLASK says how hard itself.

    Thirds of the mass. Rows that FLASK took from public tests are left out, and so are other splits.
    """
    easy, graded, hard = _traffic(prompts)
    sample = _sample("traffic", [(p, 0.05) for p in easy] + graded + [(p, 0.8) for p in hard])
    # Resampled to equal thirds by striding, so that the fit needs no weights.
    size = min(len(easy), len(graded), len(hard))
    starts = ((0, len(easy)), (len(easy), len(graded)), (len(easy) + len(graded), len(hard)))
    index = np.concatenate([start + np.linspace(0, count - 1, size).astype(int) for start, count in starts])
    return Sample("traffic", sample.features[index], sample.need[index], np.ones(len(index)))


def reference_mix(prompts: Path, outcomes: Path) -> Sample:
    """The features of `mixed_prompts`."""
    parts = mixed_prompts(prompts, outcomes)
    sample = _sample("mix", [row for _, part in parts for row in part])
    weight = np.concatenate([np.full(len(part), share / len(part)) for share, part in parts])
    return Sample("mix", sample.features, sample.need, weight)


def mixed_prompts(prompts: Path, outcomes: Path) -> list[tuple[float, list[tuple[str, float]]]]:
    """60 % support and assistant requests, 25 % ordinary instructions and test questions (halves), 15 % hard tasks: shares,
    each with its prompts and what we think they need.

    The usual shape of traffic. Test questions stand in the middle: most are a sentence of trivia, arithmetic or science.
    """
    easy, graded, hard = _traffic(prompts)
    tests = [(row["prompt"], 0.5) for name in SMALL for row in rows(outcomes / f"{name}.parquet")[::10]
             if row["split"] == "train" and not row["overlaps_public_test"]]
    return [(0.60, [(p, 0.0) for p in easy]), (0.125, graded), (0.125, tests), (0.15, [(p, 1.0) for p in hard])]


def contrasting_prompts(prompts: Path) -> list[list[tuple[str, float]]]:
    """Traffic without outcomes, in three kinds that weigh the same, each prompt with what we think it needs: support
    requests are easy, arena-hard is hard, FLASK says how hard itself."""
    easy, graded, hard = _traffic(prompts)
    return [[(p, 0.05) for p in easy], graded, [(p, 0.8) for p in hard]]


def _traffic(prompts: Path) -> tuple[list[str], list[tuple[str, float]], list[str]]:
    everything = rows(prompts)
    easy = [row["prompt"] for row in everything
            if row["source"] in ("banking77", "clinc150") and row["extra"] == "train"]
    graded = [(row["prompt"], _LEVELS[row["label"]]) for row in everything
              if row["source"] == "flask" and row["label"] in _LEVELS
              and not str(row["extra"]).lower().startswith(_PUBLIC)]
    hard = [row["prompt"] for row in everything if row["source"] == "arena-hard-v2.0"]
    return easy, graded, hard


def _mean(row: dict[str, Any], models: Iterable[str]) -> float | None:
    """Mean quality of the models that were run, None when none was."""
    known = [row[model] for model in models if row[model] is not None and row[model] == row[model]]
    return float(np.mean(known)) if known else None


def _sample(name: str, labelled: list[tuple[str, float]]) -> Sample:
    features = np.array([read(as_request(prompt)).vector() for prompt, _ in labelled])
    return Sample(name, features, np.array([need for _, need in labelled]), np.ones(len(labelled)))
