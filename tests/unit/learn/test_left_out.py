"""Routing scores for rows that nobody trained on."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.learn.left_out import expected, left_out  # noqa: E402


def rows(count=80):
    """Sums are easy, proofs are hard for the first model."""
    prompts = [f"What is {n} + {n * 7}?" if n % 2 else f"Prove that the sequence a_{n} converges in every Banach space." for n in range(count)]
    quality = np.array([[float(n % 2), 1.0 - 0.2 * (n % 5 == 0)] for n in range(count)])
    return prompts, quality


def test_what_is_easy_for_others_is_expected_to_be_easy():
    prompts, quality = rows()
    p = left_out(prompts, quality)

    assert p[quality[:, 0] == 1, 0].mean() > p[quality[:, 0] == 0, 0].mean() + 0.3
    assert ((p >= 0.02) & (p <= 0.98)).all()


def test_a_row_is_not_scored_by_its_own_outcome():
    prompts, quality = rows()
    changed = quality.copy()
    changed[0] = 1 - changed[0]

    assert np.array_equal(left_out(prompts, quality)[0], left_out(prompts, changed)[0])


def test_too_few_rows_are_expected_to_do_as_on_average():
    assert left_out(["a", "b"], np.array([[0.0], [1.0]])).tolist() == [[0.5], [0.5]]


def test_rows_that_are_asked_are_scored_by_those_that_are_known():
    prompts, quality = rows()

    assert expected(prompts, quality, ["What is 3 + 9?"])[0, 0] > 0.5
