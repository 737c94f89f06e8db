"""Regression over a blend."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from pointsman.learn.learners.block import Block
from pointsman.learn.learners.process import Blend, blend, solve, solve_large

RNG = np.random.default_rng(0)
ROWS = 120
TELLING, IDLE = RNG.normal(size=(ROWS, 3)), RNG.normal(size=(ROWS, 3))
BLOCKS = [Block.of("telling", TELLING), Block.of("idle", IDLE)]
GRAMS = [block.gram() for block in BLOCKS]
TARGETS = TELLING[:, :1] * 0.8 + 0.6 * RNG.normal(size=(ROWS, 1))
EVEN = Blend(np.array([-1.5, -1.5]), -0.5)
ONES = np.ones(ROWS)


def test_labels_say_which_features_to_believe():
    found = blend(GRAMS, TARGETS, ONES, EVEN, 0.1)

    assert found.blocks[0] > found.blocks[1] + 0.5


def test_a_strong_pull_leaves_the_prior_blend():
    found = blend(GRAMS, TARGETS, ONES, EVEN, 1e5)

    assert found.blocks == pytest.approx(EVEN.blocks, abs=0.05)


def test_what_a_row_would_have_been_told_without_itself():
    solved = solve(GRAMS, TARGETS, ONES, EVEN, [])
    rest = np.arange(1, ROWS)
    weights = np.exp(EVEN.blocks)
    total = weights[0] * GRAMS[0] + weights[1] * GRAMS[1]
    covariance = total[np.ix_(rest, rest)] + (np.exp(EVEN.noise) + 1e-6) * np.eye(ROWS - 1)

    assert solved.held_out is not None
    assert solved.held_out[0] == pytest.approx(total[0, rest] @ np.linalg.solve(covariance, TARGETS[rest]), abs=1e-4)


def test_conjugate_gradients_find_the_same_solution():
    exact, quick = solve(GRAMS, TARGETS, ONES, EVEN, []), solve_large(BLOCKS, TARGETS, ONES, EVEN)

    assert quick.duals == pytest.approx(exact.duals, abs=0.02)
    assert quick.held_out is None


def test_a_row_that_counts_less_pulls_less():
    noise = ONES.copy()
    noise[0] = 50.0
    lighter, usual = solve(GRAMS, TARGETS, noise, EVEN, []), solve(GRAMS, TARGETS, ONES, EVEN, [])

    assert abs(lighter.duals[0, 0]) < 0.2 * abs(usual.duals[0, 0])
