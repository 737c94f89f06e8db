"""What a scorer says of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


class Row(msgspec.Struct, frozen=True, gc=False):
    """What is said of one query; columns are models in the artifact's order."""

    p: Sequence[float]
    lower: Sequence[float]
    evidence: float
    is_foreign: bool
    tokens: Sequence[float] | None


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
    def of(cls, rows: Sequence[Row]) -> Predicted:
        """Rows below each other; at least one."""
        tokens = [row.tokens for row in rows if row.tokens is not None]
        return cls(np.array([row.p for row in rows]), np.array([row.lower for row in rows]), np.array([row.evidence for row in rows]),
                   np.array([row.is_foreign for row in rows]), np.array(tokens) if len(tokens) == len(rows) else None)

    def row(self, number: int) -> Row:
        """One query's."""
        return Row(self.p[number].tolist(), self.lower[number].tolist(), float(self.evidence[number]), bool(self.is_foreign[number]),
                   None if self.tokens is None else self.tokens[number].tolist())

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
