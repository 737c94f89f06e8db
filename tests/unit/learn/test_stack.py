"""Components of models' quality, and the blend of each."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from pointsman.learn import stack
from pointsman.learn.learners.block import Block
from pointsman.learn.stack import Rowset, components, filled, fit_columns


def blocks(features: np.ndarray) -> list[Block]:
    return [Block.of("surface", features), Block.of("kinds", np.random.default_rng(9).normal(size=(len(features), 3)))]


def test_components_add_up_to_the_models_again():
    away = np.random.default_rng(0).normal(size=(40, 5))

    total = sum(targets @ loads.T for targets, loads in components(away))

    assert total == pytest.approx(away)


def test_the_first_component_is_the_mean_over_models():
    targets, loads = components(np.array([[1.0, 3.0], [0.0, 2.0]]))[0]

    assert (targets @ loads.T)[0] == pytest.approx([2.0, 2.0])


def test_one_model_has_one_component():
    assert len(components(np.ones((4, 1)))) == 1


def test_a_linear_truth_is_found_and_noise_is_not_believed():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(300, 2))
    truth = np.column_stack([0.5 + 0.2 * features[:, 0], 0.5 - 0.1 * features[:, 1]])
    columns = truth + 0.3 * rng.normal(size=truth.shape)

    fitted = fit_columns(blocks(features), columns, np.ones(300), [], rng)

    said = fitted.bias + features @ fitted.weights["surface"]
    assert np.mean((said - truth) ** 2) < 0.2 * truth.var()
    assert fitted.held_out is not None
    assert np.mean((fitted.held_out - truth) ** 2) < np.mean((columns - truth) ** 2)


def test_an_unknown_outcome_is_expected_from_what_the_row_did_elsewhere():
    rng = np.random.default_rng(3)
    luck = rng.normal(size=200)
    columns = np.column_stack([luck, luck + 0.1 * rng.normal(size=200)])
    hidden = columns.copy()
    hidden[:50, 1] = np.nan

    full = filled(hidden, np.zeros_like(columns))

    assert np.corrcoef(full[:50, 1], columns[:50, 1])[0, 1] > 0.9
    assert full[50:] == pytest.approx(columns[50:])


def test_models_that_were_seldom_run_together_are_fitted_one_by_one():
    rng = np.random.default_rng(4)
    features = rng.normal(size=(200, 2))
    columns = np.column_stack([0.3 * features[:, 0]] * 3) + 0.1 * rng.normal(size=(200, 3))
    columns[rng.random(columns.shape) < 0.6] = np.nan

    fitted = fit_columns(blocks(features), columns, np.ones(200), [], rng)

    assert fitted.weights["surface"][0] == pytest.approx([0.3] * 3, abs=0.1)


def test_a_column_that_nobody_ran_is_one_half():
    columns = np.column_stack([np.full(20, np.nan), np.full(20, np.nan), np.random.default_rng(0).random(20)])

    fitted = fit_columns([Block.of("surface", np.random.default_rng(0).normal(size=(20, 2)))], columns, np.ones(20), [], np.random.default_rng(0))

    assert fitted.bias[0] == 0.5


@pytest.mark.parametrize("most_rows", [1000, 50])
def test_what_changes_nothing_is_not_listened_to(monkeypatch, most_rows):
    monkeypatch.setattr(stack, "MOST_ROWS", most_rows)
    rng = np.random.default_rng(6)
    features = rng.normal(size=(200, 2))
    columns = np.column_stack([0.5 + 0.2 * features.sum(axis=1)] * 2) + 0.2 * rng.normal(size=(200, 2))
    still = [block.with_changes(np.tile([0.0, 1.0], (50, 1)) if block.name == "surface" else np.zeros((50, 3))) for block in blocks(features)]

    heard, unheard = (fit_columns(some, columns, np.ones(200), [], np.random.default_rng(0)).weights["surface"][:, 0] for some in (blocks(features), still))

    assert heard == pytest.approx([0.2, 0.2], abs=0.05)
    assert unheard == pytest.approx([0.2, 0.0], abs=0.06)


def test_changes_are_no_rows_of_what_was_held_out():
    rng = np.random.default_rng(7)
    columns = rng.random((60, 2))
    still = [block.with_changes(np.zeros((9, block.matrix.shape[1]))) for block in blocks(rng.normal(size=(60, 2)))]

    fitted = fit_columns(still, columns, np.ones(60), [np.array([0, 1])], rng)

    assert fitted.held_out.shape == fitted.variance.shape == (60, 2)


def test_changes_count_for_models_that_are_fitted_one_by_one():
    rng = np.random.default_rng(8)
    features = rng.normal(size=(300, 2))
    columns = np.column_stack([0.3 * features.sum(axis=1)] * 3)
    columns[rng.random(columns.shape) < 0.6] = np.nan
    still = [block.with_changes(np.tile([0.0, 1.0], (50, 1)) if block.name == "surface" else np.zeros((50, 3))) for block in blocks(features)]

    weights = fit_columns(still, columns, np.ones(300), [], rng).weights["surface"]

    assert weights[0] == pytest.approx([0.3] * 3, abs=0.1)
    assert weights[1] == pytest.approx([0.0] * 3, abs=0.1)


def unsteadiness(monkeypatch, samples: int) -> float:
    """How much weights for the same labels differ from one sample of rows to another."""
    monkeypatch.setattr(stack, "SAMPLE", 40)
    monkeypatch.setattr(stack, "SAMPLES", samples)
    rng = np.random.default_rng(11)
    features = rng.normal(size=(200, 12))
    columns = np.column_stack([0.2 * features[:, 0], -0.1 * features[:, 1]]) + rng.normal(size=(200, 2))
    found = [fit_columns(blocks(features), columns, np.ones(200), [], np.random.default_rng(seed)).weights["surface"] for seed in range(8)]
    return float(np.std(found, axis=0).mean())


def test_a_blend_hangs_less_on_which_rows_it_was_chosen_by_when_it_is_the_mean_of_several(monkeypatch):
    assert unsteadiness(monkeypatch, 4) < 0.75 * unsteadiness(monkeypatch, 1)


def test_rows_that_one_sample_holds_are_sampled_once(monkeypatch):
    monkeypatch.setattr(stack, "SAMPLE", 50)

    few, many = (Rowset.of(blocks(np.ones((rows, 2))), np.ones(rows), [], np.random.default_rng(0)).samples for rows in (50, 51))

    assert [len(rows) for rows, _ in few] == [50]
    assert [len(rows) for rows, _ in many] == [50] * stack.SAMPLES


@pytest.mark.parametrize("most_rows", [1000, 50])
def test_the_same_labels_and_seed_give_the_same_weights_whatever_was_sampled(monkeypatch, most_rows):
    monkeypatch.setattr(stack, "SAMPLE", 40)
    monkeypatch.setattr(stack, "MOST_ROWS", most_rows)
    features = np.random.default_rng(12).normal(size=(120, 3))

    first, second = (fit_columns(blocks(features), features[:, :2], np.ones(120), [], np.random.default_rng(3)) for _ in range(2))

    assert first.weights["surface"].tobytes() == second.weights["surface"].tobytes()
    assert first.blends == second.blends
