"""What a judge would add whose word is as reliable as the settings take it to be. Simulated.

Nobody recorded what a small model says of these queries, so its words are drawn: of a query that the small model answers well it
says "1" with probability (1 + g) / 2, of another one with (1 - g) / 2, where g is `reliability`. Its words go through the code that serves
(`classify.judge`), and it is asked about a fifth of the queries, those nearest to the threshold, whichever threshold that is. So
the row says what asking is worth if the judge is that good, and nothing of how good one is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pointsman.classify.judge import Habit, Word, moved
from pointsman.core.decision import Scores, TierScore
from pointsman.learn.metrics import Curve, Floats

RELIABILITY = 0.3
BAND = 0.1
"""Both are the settings' defaults."""
ASKED = 0.2
SHARES = 101


def curve_with_judge(small: Floats, large: Floats, weak: Floats, strong: Floats, seed: int) -> Curve:
    """PGR over the share of large calls. `small`, `large`: expected quality; `weak`, `strong`: what came."""
    rng = np.random.default_rng(seed)
    says_enough = rng.random(len(weak)) < np.where(weak >= 0.5, 1 + RELIABILITY, 1 - RELIABILITY) / 2
    before, after = large - small, large - _heard(small, says_enough)
    order = np.argsort(-before, kind="stable")
    gain, rows = strong - weak, len(weak)
    total = np.append(0.0, np.cumsum(gain[order]))
    half, share, recovered = int(rows * ASKED / 2), np.linspace(0, 1, SHARES), []
    for up in np.round(share * rows).astype(int).tolist():
        first, last = max(0, up - half), min(rows, up + half)
        asked = order[first:last]
        chosen = asked[np.argsort(-after[asked], kind="stable")[: up - first]]
        recovered.append(float(total[first] + gain[chosen].sum()))
    return Curve(share, np.array(recovered) / float(gain.sum()))


def _heard(small: Floats, says_enough: Any) -> Floats:
    """Expected quality of the small model after the judge's word."""
    ladder, habit = ("small", "large"), Habit(2, 0)
    words = {True: Word((1.0, 0.0)), False: Word((0.0, 1.0))}

    def after(p: float, word: Word) -> float:
        scores = Scores({"small": TierScore(p, p, 1.0), "large": TierScore(p, p, 1.0)}, True)
        return moved(scores, ladder, word, habit, RELIABILITY, BAND).scores.by_tier["small"].p

    return np.array([after(float(p), words[bool(enough)]) for p, enough in zip(np.clip(small, 0, 1), says_enough, strict=True)])
