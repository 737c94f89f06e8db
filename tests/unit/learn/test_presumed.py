"""What is presumed of a query before its owner has labelled any."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from pointsman import artifact
from pointsman.classify.heads import surface
from pointsman.classify.heads.prior import shipped_folder
from pointsman.errors import ArtifactOfAnotherVersion
from pointsman.learn import presumed
from pointsman.learn.presumed import STRENGTH, Presumed, shipped, weights_of
from pointsman.learn.stack import Fitted

COUNTS = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
"""Standardised: the first is what makes a query hard."""
HARDER = np.array([2.0, 0.0])
SPREAD = np.ones(2)
MIXED = np.array([1.0, 0.0, 0.0, 1.0])


def of(*outcomes):
    return Presumed.of(HARDER, COUNTS, SPREAD, np.column_stack(outcomes))


def test_a_query_one_spread_harder_is_answered_worse_by_so_much_of_a_spread():
    found = of(MIXED).outcomes(COUNTS)

    assert found[:, 0] == pytest.approx(STRENGTH * 0.5 * np.array([-1, 1, -1, 1]))


def test_a_model_that_is_always_right_loses_nothing():
    assert of(MIXED, np.ones(4)).outcomes(COUNTS)[:, 1] == pytest.approx(0.0)


def test_a_model_that_was_never_run_loses_nothing():
    assert of(MIXED, np.full(4, np.nan)).outcomes(COUNTS)[:, 1] == pytest.approx(0.0)


def test_where_all_queries_are_alike_nothing_is_presumed():
    alike = Presumed.of(HARDER, np.zeros((4, 2)), SPREAD, MIXED[:, None])

    assert not alike.slopes.any()
    assert not alike.bias.any()


def test_what_was_presumed_is_added_to_what_was_fitted():
    found = of(MIXED)
    fitted = Fitted({"surface": np.ones((2, 1)), "kinds": np.ones((3, 1))}, np.zeros(1), np.zeros((4, 1)), None, [])
    whole = found.added(fitted, COUNTS)

    assert whole.weights["surface"] == pytest.approx(1.0 + found.slopes)
    assert whole.weights["kinds"] is fitted.weights["kinds"]
    assert whole.held_out == pytest.approx(found.outcomes(COUNTS))
    assert found.added(Fitted(fitted.weights, fitted.bias, None, None, []), COUNTS).held_out is None


def test_a_difficulty_is_told_by_the_counts_that_it_is_made_of():
    counts = np.random.default_rng(0).normal(size=(200, 3))
    found = weights_of(counts, counts @ np.array([1.0, -2.0, 0.0]), np.ones(200))

    assert found == pytest.approx([1.0, -2.0, 0.0], abs=0.1)


def test_the_shipped_presumption_has_a_weight_for_every_count():
    assert shipped().shape == (len(surface.NAMES),)
    assert np.isfinite(shipped()).all()


def test_one_made_for_other_counts_is_refused(monkeypatch):
    monkeypatch.setattr(presumed, "surface_version", lambda: "another")

    with pytest.raises(ArtifactOfAnotherVersion, match="another") as refused:
        presumed.shipped.__wrapped__()
    assert artifact.read(shipped_folder()).features["surface"] in str(refused.value)
