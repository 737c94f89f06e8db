"""Features of one kind."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from scipy import sparse

from pointsman.learn.learners.block import Block

MATRIX = np.random.default_rng(0).random((20, 6)).astype(np.float32)


def test_dense_and_sparse_features_give_the_same_similarity():
    assert Block.of("ngrams", sparse.csr_matrix(MATRIX)).gram() == pytest.approx(Block.of("ngrams", MATRIX).gram(), abs=1e-4)


def test_a_row_is_on_average_one_like_itself():
    assert np.trace(Block.of("surface", MATRIX).gram()) / 20 == pytest.approx(1.0, rel=1e-3)


def test_applying_what_was_spread_is_the_similarity():
    block = Block.of("surface", MATRIX)
    duals = np.random.default_rng(1).normal(size=(20, 2))

    assert block.apply(block.spread(duals)) == pytest.approx(block.gram() @ duals, abs=1e-3)


def test_features_that_never_differ_do_no_harm():
    assert np.isfinite(Block.of("surface", np.ones((5, 3), dtype=np.float32)).gram()).all()
