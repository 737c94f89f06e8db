"""Kinds of task."""

import numpy as np

from pointsman.learn.learners.kinds import DIVISIONS, ROWS_PER_KIND, centres


def test_heaps_are_found():
    rng = np.random.default_rng(0)
    heaps = np.repeat(np.eye(4, dtype=np.float32) * 5, 30, axis=0) + rng.normal(scale=0.1, size=(120, 4)).astype(np.float32)

    found, sizes = centres(heaps, rng)

    assert sizes == [min(count, 120 // ROWS_PER_KIND) for count in DIVISIONS]
    finest = found[-sizes[-1]:]
    assert all(np.linalg.norm(finest - heap, axis=1).min() < 1.0 for heap in np.eye(4) * 5)


def test_a_single_row_is_a_kind():
    found, sizes = centres(np.ones((1, 3), dtype=np.float32), np.random.default_rng(0))

    assert sizes == [1] * len(DIVISIONS)
    assert found.tolist() == [[1.0, 1.0, 1.0]] * len(DIVISIONS)
