"""What is wrong, or odd, with the labels, before an hour is spent on them.

`problem`: training is refused. `warning`: it goes on, and the owner should look. `note`: worth knowing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointsman.learn.table import Floats, OutcomeTable

Level = Literal["problem", "warning", "note"]

FEWEST = 10
"""Rows to fit below which nothing is learned at all."""
FEW = 300
"""Rows to fit below which hardly any way of learning beats prompt length (measured on public outcome data)."""
TELLING_PAIRS = 20
"""Pairs of near-duplicates from which a share of disagreements means something."""
MOST_PAIRS = 10
"""Pairs that one group of near-duplicates contributes at most, so that one template does not speak for all."""
WORDS = 2000
"""Most frequent words that are tried as giveaways."""
MOST_READ = 4000
"""Prompts that are searched for giveaways; a sample tells."""
GIVEAWAY = 0.95
"""A word in this share of one label's prompts and of no more than its complement's of the others gives the label away."""


@dataclass(frozen=True)
class Finding:
    """One sentence about the data."""

    level: Level
    code: str
    """For machines: `too_few`, `one_class`, `never_run`, `duplicates`, `leakage`, `label_noise`, `empty_prompts`, `torn_prompts`."""
    text: str


def check(table: OutcomeTable, groups: Sequence[str], *, are_tiers: bool = False) -> list[Finding]:
    """Everything found, the gravest first. `groups`: near-duplicates of each row, as `near_duplicate.groups` names them."""
    found = [*_too_few(table), *_classes(table, are_tiers=are_tiers), *_never_run(table), *_across(table, groups), *_giveaways(table),
             *_noise(table, groups), *_prompts(table)]
    order = ("problem", "warning", "note")
    return sorted(found, key=lambda finding: order.index(finding.level))


def fitted_rows(table: OutcomeTable) -> NDArray[np.bool_]:
    """Rows that training may fit: those of the split `train` (all without a split) with at least one outcome."""
    is_train = np.ones(len(table), bool) if table.split is None else np.array([split == "train" for split in table.split], bool)
    return is_train & np.isfinite(table.quality).any(axis=1)


def _too_few(table: OutcomeTable) -> list[Finding]:
    rows = int(fitted_rows(table).sum())
    if rows < FEWEST:
        return [Finding("problem", "too_few", f"{_rows(rows)} to learn from{_why_few(table)}: {FEWEST} are the least, {FEW} a start, 1,000 comfortable")]
    if rows < FEW:
        return [Finding("warning", "too_few", f"{rows} rows to learn from: below {FEW}, what is learned is seldom better than prompt length")]
    return []


def _why_few(table: OutcomeTable) -> str:
    """Where there are rows enough, and they may not be fitted."""
    run = np.isfinite(table.quality).any(axis=1)
    if len(table) >= FEWEST > run.sum():
        return f" ({len(table) - int(run.sum()):,} of {len(table):,} rows have no outcome of any model)"
    if table.split is None or run.sum() < FEWEST:
        return ""
    others = ", ".join(repr(name) for name, _ in Counter(name for name in table.split if name != "train").most_common(3))
    return f" (only rows whose `split` is 'train' are fitted; here it says {others})"


def _classes(table: OutcomeTable, *, are_tiers: bool) -> list[Finding]:
    quality = table.quality[fitted_rows(table)]
    constant = [model for model, column in zip(table.models, quality.T, strict=True)
                if (known := column[np.isfinite(column)]).size and known.min() == known.max()]
    if are_tiers:
        labels = len(np.unique(quality, axis=0)) if len(quality) else 0
        if labels < 2:
            return [Finding("problem", "one_class", "every prompt has the same label, so there is nothing to tell apart")]
        return []  # the largest tier is good enough by definition
    if constant and len(constant) == len(table.models):
        return [Finding("warning", "one_class", "no model's outcomes vary: every query will get the same scores")]
    return [Finding("warning", "one_class", f"the outcomes of {model!r} are all {_constant(table, model):g}: its score will not depend on the query")
            for model in constant]


def _never_run(table: OutcomeTable) -> list[Finding]:
    rows = fitted_rows(table)
    counts = np.isfinite(table.quality[rows]).sum(axis=0)
    empty = [model for model, count in zip(table.models, counts, strict=True) if not count]
    few = [(model, int(count)) for model, count in zip(table.models, counts, strict=True) if 0 < count < min(50, FEWEST + rows.sum() // 4)]
    found = [Finding("warning", "never_run", f"{_names(empty)} {'was' if len(empty) == 1 else 'were'} never run on a row to learn from: "
                                             "what is predicted for it is what the others share")] if empty else []
    if few:
        named = ", ".join(f"{model} {count}" for model, count in few[:3])
        found.append(Finding("warning", "never_run", f"hardly any outcomes of some models ({named}): their scores rest on little"))
    return found


def _across(table: OutcomeTable, groups: Sequence[str]) -> list[Finding]:
    """Near-duplicates on both sides of the split that the data came with."""
    if table.split is None:
        copies = sum(count - 1 for count in Counter(groups).values())
        return [Finding("note", "duplicates", f"{copies:,} rows are near-duplicates of others; folds keep them together")] if copies else []
    trained = {group for group, split in zip(groups, table.split, strict=True) if split == "train"}
    dev = [group in trained for group, split in zip(groups, table.split, strict=True) if split == "dev"]
    if not any(dev):
        return []
    share = sum(dev) / len(dev)
    level: Level = "warning" if share > 0.01 else "note"
    return [Finding(level, "duplicates", f"{sum(dev):,} of {len(dev):,} rows of split 'dev' ({share:.0%}) are near-duplicates of rows of 'train': "
                                         "figures measured on them flatter")]


def _giveaways(table: OutcomeTable) -> list[Finding]:
    """A word that stands in the prompts of one label and in no others: was the label written into the prompt?"""
    rows = np.flatnonzero(fitted_rows(table))
    rows = rows[:: max(1, len(rows) // MOST_READ)]
    if len(rows) < 50:
        return []
    words, has = _common_words([table.prompts[row] for row in rows])
    found = []
    for model, column in zip(table.models, table.quality[rows].T, strict=True):
        known = np.isfinite(column)
        good = (column > 0.5)[known]
        if not len(words) or min(good.sum(), (~good).sum()) < 0.1 * len(rows):
            continue
        agree = (has[:, known] == good).mean(axis=1)
        best = int(np.argmax(np.maximum(agree, 1 - agree)))
        if (share := max(agree[best], 1 - agree[best])) >= GIVEAWAY:
            found.append(Finding("warning", "leakage", f"the word {words[best][:40]!r} alone tells the outcome of {model!r} in {share:.0%} "
                                                       "of rows: is the label, or the answer, written into the prompt?"))
    return found[:3]


def _common_words(prompts: Sequence[str]) -> tuple[list[str], NDArray[np.bool_]]:
    """Words that neither nearly all nor hardly any prompts hold, and (words, prompts) which hold them."""
    held = [frozenset(prompt[:4000].lower().split()) for prompt in prompts]
    counts = Counter(word for one in held for word in one)
    common = [word for word, count in sorted(counts.most_common(WORDS)) if 0.1 * len(held) <= count <= 0.9 * len(held)]
    place = {word: index for index, word in enumerate(common)}
    has = np.zeros((len(common), len(held)), dtype=np.bool_)
    for row, one in enumerate(held):
        has[[place[word] for word in one if word in place], row] = True
    return common, has


def _noise(table: OutcomeTable, groups: Sequence[str]) -> list[Finding]:
    """From near-duplicates that disagree. Two labels that are each wrong with probability e differ with 2e(1 - e)."""
    pairs, differing = disagreements(table, groups)
    if pairs < TELLING_PAIRS:
        return []
    share = differing / pairs
    noise = (1 - sqrt(max(0.0, 1 - 2 * share))) / 2
    level: Level = "warning" if noise > 0.2 else "note"
    return [Finding(level, "label_noise", f"near-duplicates disagree in {share:.0%} of {pairs:,} comparisons: about {noise:.0%} of the labels may be wrong "
                                          "(or the answers were drawn by chance); no score can be surer than that")]


def disagreements(table: OutcomeTable, groups: Sequence[str]) -> tuple[int, int]:
    """Comparisons of one model's outcomes on two near-duplicates, and how many of them differ by more than a half."""
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    pairs = differing = 0
    for rows in members.values():
        for one, other in list(combinations(rows[:5], 2))[:MOST_PAIRS]:
            gap = np.abs(table.quality[one] - table.quality[other])
            gap = gap[np.isfinite(gap)]
            pairs += len(gap)
            differing += int((gap > 0.5).sum())
    return pairs, differing


def _prompts(table: OutcomeTable) -> list[Finding]:
    empty = sum(not prompt.strip() for prompt in table.prompts)
    is_odd = empty > 0.1 * len(table)
    found = [Finding("warning" if is_odd else "note", "empty_prompts", f"{_rows(empty)} with an empty prompt"
                     + (": they all get the same scores" if is_odd else ""))] if empty else []
    lengths: Floats = np.array([len(prompt) for prompt in table.prompts], dtype=np.float64)
    torn = sum("\ufffd" in prompt for prompt in table.prompts)
    if torn:
        found.append(Finding("warning" if torn > 0.01 * len(table) else "note", "torn_prompts",
                             f"{_rows(torn)} with characters that could not be read (\ufffd): is the file written in UTF-8?"))
    long = int((lengths > 16 * 1024).sum())
    if long:
        found.append(Finding("note", "long_prompts", f"{_rows(long)} longer than 16,384 characters: of these head and tail are read"))
    return found


def _constant(table: OutcomeTable, model: str) -> float:
    column = table.quality[fitted_rows(table), table.models.index(model)]
    return float(column[np.isfinite(column)][0])


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _names(models: Sequence[str]) -> str:
    return ", ".join(repr(model) for model in models[:3]) + (f" and {len(models) - 3} more" if len(models) > 3 else "")
