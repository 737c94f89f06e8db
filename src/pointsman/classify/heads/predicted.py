"""What a scorer says of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Predicted:
    """Rows are queries, columns are models in the artifact's order."""

    p: Floats
    """(n, m) expected quality in [0, 1], calibrated."""
    lower: Floats
    """(n, m) what the expected quality exceeds nine times in ten, as far as the labels tell; never above `p`."""
    evidence: Floats
    """(n,) how many labelled queries stand close enough to speak for this one, each by its nearness."""
    is_foreign: NDArray[np.bool_]
    """(n,) like nothing that was labelled: the scores are not worth acting on."""
    tokens: Floats | None = None
    """(n, m) expected output tokens; None = the artifact was trained without any."""

    @classmethod
    def joined(cls, parts: Sequence[Predicted]) -> Predicted:
        """Parts below each other; at least one."""
        tokens = [part.tokens for part in parts if part.tokens is not None]
        return cls(np.concatenate([part.p for part in parts]), np.concatenate([part.lower for part in parts]),
                   np.concatenate([part.evidence for part in parts]), np.concatenate([part.is_foreign for part in parts]),
                   np.concatenate(tokens) if len(tokens) == len(parts) else None)

    @classmethod
    def nothing(cls, models: int) -> Predicted:
        """Of no queries."""
        return cls(np.zeros((0, models)), np.zeros((0, models)), np.zeros(0), np.zeros(0, dtype=np.bool_))
