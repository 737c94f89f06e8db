"""Outcome tables of real models, their tiers, and draws of labels from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pointsman.classify.embedders.static import shipped_static
from pointsman.classify.heads.core import core
from pointsman.classify.heads.query import Query

FAMILIES: dict[str, tuple[tuple[str, str], ...]] = {
    "mmlu_pro": (
        ("llama-3.1-8b-instruct", "llama-3.1-70b-instruct"), ("qwen1.5-7b-chat", "qwen1.5-72b-chat"),
        ("mistral-7b-instruct-v0.2", "mixtral-8x7b-instruct"), ("gemini-1.5-flash-002", "gemini-1.5-pro-002"),
        ("llama-2-7b-base", "llama-2-70b-base"), ("yi-6b-base", "yi-34b-base")),
    "reasoning_gym": (
        ("mistral-small-3.1-24b-instruct", "llama-4-maverick"), ("mistral-small-3.1-24b-instruct", "o3-mini"),
        ("llama-4-scout", "llama-4-maverick"), ("llama-3.3-70b-instruct", "claude-sonnet-4-20250514"),
        ("claude-3-5-sonnet-20241022", "claude-sonnet-4-20250514"), ("llama-4-maverick", "deepseek-r1")),
    "llmrouter": (
        ("qwen2.5-7b-instruct", "llama-3.1-nemotron-51b-instruct"), ("mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
        ("gemma-2-9b-it", "llama-3.1-nemotron-51b-instruct"), ("llama3-chatqa-1.5-8b", "llama3-chatqa-1.5-70b")),
    "routerbench": (
        ("mistral-7b-instruct-v0.1", "gpt-4-1106-preview"), ("mixtral-8x7b-instruct", "gpt-4-1106-preview"),
        ("gpt-3.5-turbo-1106", "gpt-4-1106-preview"), ("claude-v2", "claude-v1"), ("mistral-7b-instruct-v0.1", "mixtral-8x7b-instruct"),
        ("wizardlm-13b-v1.2", "llama-2-70b-chat")),
    "zeroeval": (
        ("llama-3.1-8b-instruct", "llama-3.1-70b-instruct"), ("llama-3.1-8b-instruct", "llama-3.1-405b-instruct"),
        ("claude-3-haiku-20240307", "claude-3-opus-20240229"), ("gemma-2-9b-it", "gemma-2-27b-it"),
        ("qwen2-7b-instruct", "qwen2-72b-instruct")),
    "RouteLLM MMLU": (("mixtral-8x7b-instruct", "gpt-4-1106-preview"),),
    "RouteLLM GSM8K": (("mixtral-8x7b-instruct", "gpt-4-1106-preview"),),
}
"""Source -> pairs shaped like a small and a large tier; the better on average stands second, so that there is a gap to recover."""
DEV = ("mmlu_pro", "reasoning_gym", "llmrouter", "routerbench", "zeroeval")
LARGE = ("mmlu_pro", "reasoning_gym")
"""Of these the ones with 5,000 rows to learn from."""
PUBLIC = ("RouteLLM MMLU", "RouteLLM GSM8K")


@dataclass
class Source:
    """All usable rows of one source."""

    name: str
    models: tuple[str, ...]
    prompts: list[str]
    queries: list[Query]
    quality: Any
    split: Any
    group: Any
    task: Any
    gold: Any
    static: Any
    sentence: Any = None
    embedder: Any = None
    """Makes vectors like `sentence`."""
    presumed: Any = None
    """What trainings presume of difficulty (`unseen.presumed`); None = as shipped."""

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return [(self.models.index(small), self.models.index(large)) for small, large in FAMILIES[self.name]]

    def draw(self, labels: int, seed: int) -> tuple[Any, Any]:
        """Rows to learn from and rows to be judged on; no group on both sides.

        Public tests: labels from all rows, the rest is scored, as RouteLLM's protocol has it. Else labels from `dev`, the
        rest of `dev` is scored; where `dev` is less than twice as many, labels from `train` fill up.
        """
        rng = np.random.default_rng(seed)
        if self.name in PUBLIC:
            learn = rng.choice(len(self.prompts), labels, replace=False)
        else:
            dev, train = np.flatnonzero(self.split == "dev"), np.flatnonzero(self.split == "train")
            own = min(labels, len(dev) // 2)
            learn = rng.choice(dev, own, replace=False)
            if own < labels and len(train):
                learn = np.concatenate([learn, rng.choice(train, min(labels - own, len(train)), replace=False)])
        return learn, self._judged(learn)

    def gold_draw(self) -> tuple[Any, Any]:
        """The rows that the public protocol marks."""
        learn = np.flatnonzero(self.gold)
        return learn, self._judged(learn)

    def _judged(self, learn: Any) -> Any:
        rest = np.ones(len(self.prompts), dtype=bool)
        rest[learn] = False
        if self.name not in PUBLIC:
            rest &= self.split == "dev"
        rest &= ~np.isin(self.group, np.unique(self.group[learn]))
        return np.flatnonzero(rest)


def load(outcomes: Path, name: str, most: int | None = None) -> Source:
    """One source with the models of its families. `most`: rows at most, those that the public protocol marks first."""
    file, benchmark = ("routellm", name.split()[1]) if name in PUBLIC else (name, None)
    rows = [row for row in pq.read_table(outcomes / f"{file}.parquet").to_pylist()
            if not row.get("contaminated") and (benchmark is None or row["benchmark"] == benchmark)]
    if most is not None and len(rows) > most:
        chance = np.random.default_rng(0).random(len(rows)) - np.array([bool(row.get("gold_sample")) for row in rows])
        rows = [rows[at] for at in np.sort(np.argsort(chance)[:most])]
    models = tuple(sorted({model for pair in FAMILIES[name] for model in pair}))
    prompts = [row["prompt"] for row in rows]
    queries = [Query.of_prompt(prompt) for prompt in prompts]
    return Source(
        name, models, prompts, queries,
        np.array([[np.nan if row[model] is None else row[model] for model in models] for row in rows], dtype=float),
        np.array([row["split"] for row in rows]), np.array([str(row["group"]) for row in rows]),
        np.array([_task(row, file) for row in rows]), np.array([bool(row.get("gold_sample")) for row in rows]),
        shipped_static().embed([core(query).text for query in queries]))


def _task(row: dict[str, Any], file: str) -> str:
    """The true name of the task, as the source's makers give it."""
    if file == "reasoning_gym":
        return str(row["src"])
    return str(row["benchmark"] if file == "llmrouter" else row["domain"])
