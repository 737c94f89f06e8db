"""Answers of a scorer, alone and together."""

import numpy as np

from pointsman.classify.heads.predicted import Predicted, Row


def one(p: float, tokens: float | None = None) -> Predicted:
    return Predicted(np.array([[p]]), np.array([[p / 2]]), np.array([1.0]), np.array([False]), None if tokens is None else np.array([[tokens]]))


def test_parts_stand_below_each_other():
    joined = Predicted.joined([one(0.1, 5.0), one(0.2, 7.0)])

    assert joined.p.tolist() == [[0.1], [0.2]]
    assert joined.tokens is not None
    assert joined.tokens.tolist() == [[5.0], [7.0]]


def test_unknown_tokens_stay_unknown():
    assert Predicted.joined([one(0.1), one(0.2)]).tokens is None


def test_rows_become_arrays_and_arrays_rows():
    rows = [Row([0.1, 0.2], [0.0, 0.1], 3.5, True, [5.0, 6.0]), Row([0.3, 0.4], [0.2, 0.3], 0.0, False, [7.0, 8.0])]
    made = Predicted.of(rows)

    assert made.p.tolist() == [[0.1, 0.2], [0.3, 0.4]]
    assert made.is_foreign.tolist() == [True, False]
    assert [made.row(0), made.row(1)] == rows
    assert Predicted.of([Row([0.1], [0.1], 0.0, False, None)]).row(0).tokens is None


def test_of_no_queries_there_is_a_row_of_none():
    assert Predicted.nothing(3).p.shape == (0, 3)
