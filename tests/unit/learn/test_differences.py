import numpy as np
import pytest

from pointsman.classify.heads.calibration import Curves
from pointsman.learn.differences import LEAST, Differences, believed

ROWS = 200


def _rows(rng: np.random.Generator, *, comes_true: float, gap: float = 0.3, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Raw scores and outcomes of two models, the second better by `gap`; of each fitted difference `comes_true` comes true."""
    hard, away = 0.1 * rng.standard_normal(ROWS), 0.2 * rng.standard_normal(ROWS)
    raw = 0.5 + hard[:, None] + np.column_stack([-away - gap, away + gap]) / 2
    true = 0.5 + hard[:, None] + np.column_stack([-comes_true * away - gap, comes_true * away + gap]) / 2
    return raw, true + noise * rng.standard_normal(raw.shape)


def _believed(raw: np.ndarray, quality: np.ndarray, groups: np.ndarray | None = None) -> Differences | None:
    return believed(raw, quality, np.ones(len(raw)), np.arange(len(raw)) if groups is None else groups)


def test_differences_that_come_true_are_left_as_they_are():
    raw, quality = _rows(np.random.default_rng(1), comes_true=1.5, noise=0.1)

    assert _believed(raw, quality) is None


def test_differences_that_are_chance_are_drawn_together_and_the_better_model_answers_all():
    raw, quality = _rows(np.random.default_rng(2), comes_true=0.0)
    assert (raw[:, 1] < raw[:, 0]).any()

    found = _believed(raw, quality)

    assert found is not None
    assert found.share == LEAST
    p = Curves(found.curves())(found.drawn(raw))
    assert (p[:, 1] > p[:, 0]).all()


def test_who_ranks_before_whom_among_queries_as_hard_as_each_other_is_kept():
    raw, quality = _rows(np.random.default_rng(3), comes_true=0.0)
    found = _believed(raw, quality)
    assert found is not None
    away = np.linspace(-0.3, 0.3, 50)
    alike = 0.5 + np.column_stack([-away, away]) / 2

    p = Curves(found.curves())(found.drawn(alike))

    assert (np.diff(p[:, 1] - p[:, 0]) > 0).all()


def test_the_average_difference_is_the_one_that_was_measured():
    raw, quality = _rows(np.random.default_rng(4), comes_true=0.3)
    found = _believed(raw, quality)
    assert found is not None

    p = Curves(found.curves())(found.drawn(raw))

    assert (p[:, 1] - p[:, 0]).mean() == pytest.approx((quality[:, 1] - quality[:, 0]).mean(), abs=0.01)
    assert p.mean() == pytest.approx(quality.mean(), abs=0.02)


def test_weights_and_bias_give_the_drawn_scores():
    rng = np.random.default_rng(5)
    features, weights, bias = rng.standard_normal((7, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3)
    found = Differences(0.4, np.array([0.1, -0.3, 0.2]), np.zeros(3), np.linspace(0, 1, 193))

    served = features @ found.weights({"one": weights})["one"] + found.bias(bias)

    np.testing.assert_allclose(served, found.drawn(features @ weights + bias))


def test_repeated_rows_are_one_piece_of_evidence():
    raw, quality = _rows(np.random.default_rng(6), comes_true=0.6, noise=0.4)
    once = _believed(raw, quality)
    assert once is not None

    groups = np.tile(np.arange(ROWS), 8)
    repeated = _believed(np.tile(raw, (8, 1)), np.tile(quality, (8, 1)), groups)

    assert repeated is not None
    assert repeated.share == pytest.approx(once.share, abs=1e-9)
    alone = _believed(np.tile(raw, (8, 1)), np.tile(quality, (8, 1)))
    assert alone is None or alone.share > once.share


def test_few_rows_and_single_models_are_left_alone():
    raw, quality = _rows(np.random.default_rng(7), comes_true=0.0)

    assert _believed(raw[:29], quality[:29]) is None
    assert _believed(raw[:, :1], quality[:, :1]) is None


def test_rows_where_a_model_was_not_run_are_drawn_by_what_is_known_and_tell_nothing():
    raw, quality = _rows(np.random.default_rng(8), comes_true=0.0)
    whole = _believed(raw, quality)
    raw, quality = np.vstack([raw, [[np.nan, 0.7]]]), np.vstack([quality, [[np.nan, 1.0]]])

    found = _believed(raw, quality)

    assert found is not None
    assert whole is not None
    assert found.share == whole.share
    last = found.drawn(raw)[-1]
    assert np.isnan(last[0])
    assert np.isfinite(last[1])


def test_of_very_many_models_some_pairs_are_looked_at():
    rng = np.random.default_rng(9)
    raw = 0.5 + 0.1 * rng.standard_normal((60, 40))

    found = _believed(raw, 0.5 + 0.3 * rng.standard_normal((60, 40)))

    assert found is not None
    assert found.share == LEAST


def test_labels_that_name_a_tier_are_left_alone():
    rng = np.random.default_rng(10)
    small = (rng.random(ROWS) < 0.5).astype(float)
    raw = np.column_stack([0.5 + 0.1 * rng.standard_normal(ROWS), np.ones(ROWS)])

    assert _believed(raw, np.column_stack([small, np.ones(ROWS)])) is None
