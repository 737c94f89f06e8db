"""Gaussian process regression over a blend of blocks: how much to believe each kind of feature, from the labels themselves.

The blend is fitted by the marginal likelihood (Rasmussen and Williams 2006, section 5.4): the probability of the labels
under the blend, all possible weights averaged. With few labels it stays near the prior blend, and a kind of feature that
explains nothing is switched off; nothing is held out for it. The error that a row would have had without its own label, and
without its group's, is a closed form of the same solution (section 5.4.2).

Why regression on 0 and 1? The mean of the labels is what is wanted, and every sum and difference of models stays linear;
a rising curve per model makes probabilities of the scores afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

from pointsman.learn.learners.block import Block

Floats: TypeAlias = NDArray[np.float64]
Gram: TypeAlias = NDArray[np.float32]

STEPS = 14
"""Evaluations of the likelihood after which its last digits no longer matter."""
CG_STEPS = 60
CG_TOLERANCE = 2e-3
"""Relative residual at which conjugate gradients stop: far below the noise of labels."""
_BOUNDS = (-9.0, 3.0)
_NOISE_BOUNDS = (-2.0, 1.0)


@dataclass(frozen=True)
class Blend:
    """Logarithms of the weight of each block, and of the noise, for targets of variance one."""

    blocks: Floats
    noise: float


@dataclass(frozen=True)
class Solution:
    """`duals` (n, c): a row's influence. `held_out` (n, c): predictions without the row's own group; `variance` (n,): how
    unsure they are, noise not counted. Both are None where the closed form is too large."""

    duals: Floats
    held_out: Floats | None
    variance: Floats | None


def blend(grams: Sequence[Gram], targets: Floats, noise: Floats, prior: Blend, strength: float) -> Blend:
    """The blend that explains the targets (n, c) best. `noise` (n,): relative noise of rows, mean about 1; `strength`:
    pull towards the prior blend, per squared e-fold."""
    centre = np.append(prior.blocks, prior.noise)
    doubles = [np.asarray(gram, dtype=np.float64) for gram in grams]

    def objective(theta: Floats) -> tuple[float, Floats]:
        value, slope = _likelihood(theta, doubles, targets, noise)
        away = theta - centre
        return value + 0.5 * strength * float(away @ away), slope + strength * away

    found = optimize.minimize(objective, centre, jac=True, method="L-BFGS-B",
                              bounds=[_BOUNDS] * len(grams) + [_NOISE_BOUNDS],
                              options={"maxiter": STEPS, "maxfun": STEPS + 4})
    return Blend(found.x[:-1], float(found.x[-1]))


def _likelihood(theta: Floats, grams: Sequence[Floats], targets: Floats, noise: Floats) -> tuple[float, Floats]:
    """Minus the logarithm of the marginal likelihood, and its slope."""
    weights, columns = np.exp(theta), targets.shape[1]
    inverse, log_det = _inverted(_covariance(weights, grams, noise))
    duals = inverse @ targets
    value = 0.5 * float(np.sum(targets * duals)) + 0.5 * columns * log_det
    slope = np.empty_like(theta)
    for at, gram in enumerate(grams):
        slope[at] = 0.5 * weights[at] * (columns * float(np.vdot(inverse, gram)) - float(np.sum(duals * (gram @ duals))))
    trace = float(np.diag(inverse) @ noise)
    slope[-1] = 0.5 * weights[-1] * (columns * trace - float(np.sum(duals * duals * noise[:, None])))
    return value, slope


def _covariance(weights: Floats, grams: Sequence[NDArray[np.floating]], noise: Floats) -> Floats:
    total = np.zeros(grams[0].shape)
    for weight, gram in zip(weights[:-1], grams, strict=True):
        total += weight * gram
    total[np.diag_indices_from(total)] += weights[-1] * noise + 1e-6
    return total


def _inverted(covariance: Floats) -> tuple[Floats, float]:
    """Inverse and logarithm of the determinant."""
    lower = linalg.cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
    log_det = 2.0 * float(np.sum(np.log(np.diag(lower))))
    potri, _ = linalg.lapack.dpotri(lower, lower=1, overwrite_c=1)
    inverse: Floats = np.tril(potri)
    inverse += np.tril(inverse, -1).T
    return inverse, log_det


def solve(grams: Sequence[Gram], targets: Floats, noise: Floats, how: Blend, groups: Sequence[NDArray[np.intp]]) -> Solution:
    """All rows at once. `groups`: the rows of each group of more than one; each is held out together."""
    weights = np.exp(np.append(how.blocks, how.noise))
    inverse, _ = _inverted(_covariance(weights, grams, noise))
    duals = inverse @ targets
    diagonal = np.diag(inverse)
    held_out = targets - duals / diagonal[:, None]
    for rows in groups:
        held_out[rows] = targets[rows] - np.linalg.solve(inverse[np.ix_(rows, rows)], duals[rows])
    return Solution(duals, held_out, np.maximum(0.0, 1.0 / diagonal - weights[-1] * noise))


def solve_large(blocks: Sequence[Block], targets: Floats, noise: Floats, how: Blend) -> Solution:
    """The same by conjugate gradients, for more rows than a square matrix of them fits."""
    weights, own = np.exp(how.blocks), np.exp(how.noise) * noise[:, None] + 1e-6

    def applied(values: Floats) -> Floats:
        total: Floats = own * values
        for weight, block in zip(weights, blocks, strict=True):
            if weight > 2e-4:  # a block that was switched off costs no pass
                # In half the digits: numpy would copy the whole matrix into twice its size at each step. The tolerance is far above.
                total = total + weight * block.apply(block.spread(values.astype(np.float32)).astype(np.float32))
        return total

    duals = targets / (own + weights.sum())
    residual = targets - applied(duals)
    direction, size = residual.copy(), np.sum(residual * residual, axis=0)
    enough = CG_TOLERANCE ** 2 * np.sum(targets * targets, axis=0)
    for _ in range(CG_STEPS):
        if bool(np.all(size <= enough)):
            break
        image = applied(direction)
        step = size / np.maximum(np.sum(direction * image, axis=0), 1e-30)
        duals += step * direction
        residual -= step * image
        smaller = np.sum(residual * residual, axis=0)
        direction = residual + (smaller / np.maximum(size, 1e-30)) * direction
        size = smaller
    return Solution(duals, None, None)
