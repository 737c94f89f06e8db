"""A day of requests: the burstiness and lengths of a recorded hour, under the tide of a working day."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

DAY_S = 86_400.0
TROUGH = 0.2
"""Load at four in the morning as a share of the peak at four in the afternoon: the usual shape of office traffic."""
PREFILL_S, TOKEN_S = 0.3, 0.035
"""What a request holds a slot for: reading its prompt, then so long per token (a 32B on an A100 under load)."""


class Day(NamedTuple):
    """Arrivals and how long each holds a slot, in seconds."""

    arrives: np.ndarray
    takes: np.ndarray
    source: str


def tide(at_s: float) -> float:
    """Share of the peak rate at this time of the day."""
    return TROUGH + (1 - TROUGH) * (0.5 - 0.5 * math.cos(2 * math.pi * (at_s / DAY_S - 4 / 24))) ** 1.5


def a_day(data: Path | None, peak_per_s: float, seed: int) -> Day:
    """The recorded gaps and lengths, looped from a random place and stretched to the tide; without data their stand-in."""
    rng = np.random.default_rng(seed)
    gaps, tokens, source = _recorded(data) if data is not None else _stand_in(rng)
    gaps = gaps / gaps.mean()
    at, i, arrives, takes = 0.0, int(rng.integers(len(gaps))), [], []
    while True:
        at += gaps[i] / (peak_per_s * tide(at))
        if at >= DAY_S:
            return Day(np.array(arrives), np.array(takes), source)
        arrives.append(at)
        takes.append(PREFILL_S + TOKEN_S * tokens[i])
        i = (i + 1) % len(gaps)


def _recorded(data: Path) -> tuple[np.ndarray, np.ndarray, str]:
    import pyarrow.parquet as pq

    table = pq.read_table(data / "azure2023_conv.parquet").to_pydict()
    return np.diff(np.array(table["t_s"])), np.array(table["GeneratedTokens"][1:], dtype=float), "Azure 2023 conversations"


def _stand_in(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, str]:
    """Gamma gaps with a coefficient of variation of 1.5 and log-normal lengths with the recording's mean (211) and spread."""
    shape = 1 / 1.5**2
    return rng.gamma(shape, 1 / shape, 20_000), np.clip(rng.lognormal(5.0, 0.8, 20_000), 1, 1500), "stand-in of the same shape"
