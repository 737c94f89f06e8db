"""Labelled queries to compare with."""

import numpy as np

from pointsman.learn.learners.neighbours import MOST, MOST_NEAR, landmarks, limits


def unit(rows: int, dims: int = 8) -> np.ndarray:
    found = np.random.default_rng(rows).normal(size=(rows, dims))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_few_rows_are_all_kept():
    kept, masses = landmarks(unit(50), np.random.default_rng(0))

    assert kept.shape == (50, 8)
    assert masses.tolist() == [1.0] * 50


def test_of_many_rows_some_stand_for_all():
    kept, masses = landmarks(unit(3000), np.random.default_rng(0))

    assert len(kept) == MOST
    assert masses.sum() == 3000


def test_nearly_all_labelled_rows_are_within_the_limits():
    vectors = unit(400)
    found = limits(vectors, np.linspace(0.3, 1.0, 400), np.random.default_rng(0))

    assert 0.3 <= found["known"] < 0.31
    assert 0 < found["nearest"] <= MOST_NEAR


def test_rows_that_are_all_alike_do_not_make_their_neighbours_foreign():
    vectors = np.tile(unit(1), (100, 1)) + 0.01 * unit(100)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    assert limits(vectors.astype(np.float32), np.ones(100), np.random.default_rng(0))["nearest"] == MOST_NEAR
