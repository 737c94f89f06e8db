"""Features of one kind for all training rows, and the similarity of rows that they give.

Blocks are centred and scaled to a mean similarity of one with oneself, so that a blend's weights say how much each kind of
feature is believed, whatever its units and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Block:
    """`matrix` is dense (n, d) or sparse; `centre` (d,) is its mean row, `scale` the mean squared distance from it."""

    name: str
    matrix: Any
    centre: Floats
    scale: float
    lift: Floats | None = None
    """(features as served, d): when `matrix` is a rotation of what is served, the way back for weights."""
    changes: int = 0
    """So many rows at the end are no rows but differences between two, which are not centred."""

    @classmethod
    def of(cls, name: str, matrix: Any, lift: Floats | None = None) -> Block:
        """From the features of the training rows."""
        centre = np.asarray(matrix.mean(axis=0), dtype=np.float64).ravel()
        squares = matrix.multiply(matrix).sum() if sparse.issparse(matrix) else np.einsum("ij,ij->", matrix, matrix, dtype=np.float64)
        scale = float(squares) / matrix.shape[0] - float(centre @ centre)
        # Rows that are all alike differ by rounding only: blown up to size one, that would be noise.
        return cls(name, matrix, centre, scale if scale > 1e-5 else 1.0, lift)

    def take(self, rows: NDArray[np.intp]) -> Block:
        """The same features of some rows, centred and scaled as before; differences among them stand at the end."""
        first = self.matrix.shape[0] - self.changes
        return Block(self.name, self.matrix[rows], self.centre, self.scale, self.lift, int(np.count_nonzero(rows >= first)))

    def with_changes(self, served: Any) -> Block:
        """With differences between two rows, in features as they are served, below the rows."""
        own = served if self.lift is None else (served @ self.lift).astype(np.float32)
        stacked = sparse.vstack([self.matrix, own], format="csr") if sparse.issparse(self.matrix) else np.concatenate([self.matrix, own])
        return Block(self.name, stacked, self.centre, self.scale, self.lift, int(own.shape[0]))

    def _is_row(self) -> NDArray[np.float32]:
        """1 for a row, 0 for a difference."""
        found = np.ones(self.matrix.shape[0], dtype=np.float32)
        found[len(found) - self.changes:] = 0.0
        return found

    def gram(self) -> NDArray[np.float32]:
        """(n, n) similarity of every row with every other."""
        matrix = self.matrix
        if sparse.issparse(matrix):
            raw: NDArray[np.float32] = np.asarray((matrix @ matrix.T).todense(), dtype=np.float32)
            # As of rows that are centred where they are rows, without making the sparse ones dense.
            with_centre, own = np.asarray(matrix @ self.centre, dtype=np.float32).ravel(), self._is_row()
            raw = raw - with_centre[:, None] * own - own[:, None] * with_centre + own[:, None] * own * np.float32(self.centre @ self.centre)
        else:
            centred = (matrix - np.outer(self._is_row(), self.centre)).astype(np.float32)
            raw = centred @ centred.T
        return raw / np.float32(self.scale)

    def spread(self, duals: Floats) -> Floats:
        """(d, c) weights on the centred, scaled features: the transpose applied to (n, c)."""
        values: Floats = (np.asarray(self.matrix.T @ duals) - np.outer(self.centre, self._is_row() @ duals)) / np.sqrt(self.scale)
        return values

    def apply(self, weights: Floats) -> Floats:
        """(n, c) values of weights on the centred, scaled features."""
        values: Floats = (np.asarray(self.matrix @ weights) - np.outer(self._is_row(), self.centre @ weights)) / np.sqrt(self.scale)
        return values

    def served(self, weights: Floats, rows: NDArray[np.intp]) -> Floats:
        """(n, c) values of weights as they are served (neither centred nor scaled nor rotated) on some rows."""
        if self.lift is not None:
            weights = np.asarray(np.linalg.solve(self.lift, weights), dtype=np.float64)
        return np.asarray(self.matrix[rows] @ weights)
