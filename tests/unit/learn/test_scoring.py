"""Batches of scores."""

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("scipy")

from pointsman.classify.heads.predicted import Predicted  # noqa: E402
from pointsman.learn.scoring import joined  # noqa: E402


def batch(rows, start=0, tokens=True):
    p = np.arange(start, start + rows, dtype=float)[:, None] / 10
    return Predicted(p, p - 0.1, np.arange(start, start + rows, dtype=float), np.zeros(rows, bool), p * 100 if tokens else None)


def test_batches_are_joined_in_order():
    found = joined([batch(2), batch(3, start=2)])

    assert found.p[:, 0].tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert found.evidence.tolist() == [0, 1, 2, 3, 4]
    assert found.tokens.shape == (5, 1)


def test_tokens_are_known_of_all_or_of_none():
    assert joined([batch(2), batch(2, tokens=False)]).tokens is None
