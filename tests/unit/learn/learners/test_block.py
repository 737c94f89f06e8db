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


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_a_difference_between_two_rows_is_alike_what_the_rows_differ_by(kind):
    block = Block.of("ngrams", kind(MATRIX))
    own = block.gram()

    changed = block.with_changes(kind(MATRIX[[3]] - MATRIX[[5]]))
    gram = changed.gram()

    assert gram[:20, :20] == pytest.approx(own, abs=1e-4)
    assert gram[20, :20] == pytest.approx(own[3] - own[5], abs=1e-4)
    assert gram[20, 20] == pytest.approx(own[3, 3] + own[5, 5] - 2 * own[3, 5], abs=1e-4)
    assert changed.apply(changed.spread(np.eye(21))) == pytest.approx(gram, abs=1e-3)


def test_differences_are_turned_as_rows_were():
    lift = np.random.default_rng(2).normal(size=(6, 4)).astype(np.float32)
    block = Block.of("static.near", MATRIX @ lift, lift)

    changed = block.with_changes(MATRIX[[3]] - MATRIX[[5]])

    assert changed.matrix[20] == pytest.approx(block.matrix[3] - block.matrix[5], abs=1e-5)


def test_some_rows_keep_the_differences_that_are_taken_with_them():
    block = Block.of("surface", MATRIX).with_changes(MATRIX[[3, 4]] - MATRIX[[5, 6]])

    assert block.take(np.array([0, 1, 20])).changes == 1
    assert block.take(np.array([0, 1])).changes == 0
