"""Scores made true on one's own labels."""

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("scipy")

from pointsman import artifact  # noqa: E402
from pointsman.artifact import ArtifactDraft  # noqa: E402
from pointsman.classify.heads.calibration import GRID, Curves  # noqa: E402
from pointsman.classify.heads.rehearsal import NOT_RUN  # noqa: E402
from pointsman.learn.calibrate import (  # noqa: E402
    AS_IT_IS,
    cross_fitted,
    curve_of,
    isotonic_of,
    platt_of,
    recalibrated,
    report,
)
from pointsman.learn.reliability import reliability  # noqa: E402
from pointsman.learn.table import OutcomeTable  # noqa: E402


def biased(rows, seed=0):
    """Scores that say too much: what they call p comes p squared of the time."""
    draw = np.random.default_rng(seed)
    p = draw.uniform(0.05, 0.95, rows)
    return p, (draw.random(rows) < p ** 2).astype(float)


def table(p, outcome):
    rows = len(p)
    return OutcomeTable([str(n) for n in range(rows)], [f"question {n}" for n in range(rows)], ("a",), outcome[:, None])


@pytest.mark.parametrize("rows", [200, 1000, 3000])
def test_false_scores_become_true_on_rows_not_seen(rows):
    p, outcome = biased(rows)
    after = cross_fitted(table(p, outcome), p[:, None])[:, 0]

    before, now = reliability(p, outcome), reliability(after, outcome)
    assert before.ece - before.floor > 0.05
    assert now.ece - now.floor <= 0.03


def test_few_labels_leave_scores_as_they_are():
    p, outcome = biased(19)

    assert curve_of(p, outcome, np.ones(19)) is AS_IT_IS
    assert AS_IT_IS(np.array([0.0, 0.3, 1.0])).tolist() == [0.0, 0.3, 1.0]


def stepped(rows, seed=1):
    """Scores that mean little: few in ten below a half, many above, whatever they say."""
    draw = np.random.default_rng(seed)
    p = draw.random(rows)
    return p, (draw.random(rows) < np.where(p < 0.5, 0.2, 0.7)).astype(float)


def test_platt_up_to_a_thousand_and_both_beyond():
    assert curve_of(*stepped(999), np.ones(999)).way == "platt"
    assert curve_of(*stepped(1000), np.ones(1000)).way == "both"


def test_the_more_labels_the_more_the_freer_curve_counts():
    p, outcome = stepped(20_000)
    few, many = (curve_of(p[:rows], outcome[:rows], np.ones(rows)) for rows in (1000, 20_000))

    assert abs(many(np.array([0.3]))[0] - 0.2) < 0.03
    assert abs(many(np.array([0.3]))[0] - 0.2) < abs(few(np.array([0.3]))[0] - 0.2)


@pytest.mark.parametrize("rows", [20, 300, 1000, 5000])
@pytest.mark.parametrize("kind", [biased, stepped, lambda rows: (np.random.default_rng(2).random(rows), np.zeros(rows)), lambda rows: (np.full(rows, 0.5), np.ones(rows))])
def test_no_two_scores_become_one(kind, rows):
    p, outcome = kind(rows)
    made = curve_of(p, outcome, np.ones(rows))(np.linspace(0, 1, 2001))

    assert (np.diff(made) > 0).all()


@pytest.mark.parametrize("way", [platt_of, isotonic_of])
@pytest.mark.parametrize("rows", [25, 300, 2000])
def test_curves_rise_and_stay_probabilities(way, rows):
    p, outcome = biased(rows, seed=rows)
    made = way(p, outcome, np.ones(rows))(np.linspace(0, 1, 201))

    assert (np.diff(made) >= 0).all()
    assert made.min() >= 0
    assert made.max() <= 1


@pytest.mark.parametrize("way", [platt_of, isotonic_of])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_outcomes_that_are_all_alike_do_no_harm(way, value):
    made = way(np.linspace(0.1, 0.9, 100), np.full(100, value), np.ones(100))(np.array([0.0, 0.5, 1.0]))

    assert np.isfinite(made).all()
    assert abs(made[1] - value) < 0.25


def test_an_artifact_gets_the_curves_of_the_models_that_were_labelled(tmp_path):
    knots = np.column_stack([np.clip(GRID, 0.01, 0.99)] * 2)
    made = artifact.write(ArtifactDraft({"models": ["a", "b"]}, {"static.curves": knots, "full.curves": knots, "weights": np.ones(3)}), tmp_path / "a")
    p, outcome = biased(500)

    draft = recalibrated(made, table(p, outcome), {"static": p[:, None]}, [0])

    again = artifact.write(draft, tmp_path / "b")
    assert np.array_equal(again.array("full.curves"), knots)
    assert np.array_equal(again.array("static.curves")[:, 1], knots[:, 1])
    moved = Curves(again.array("static.curves"))(np.array([[0.5, 0.5]]))[0]
    assert moved[0] == pytest.approx(0.25, abs=0.06)
    assert moved[1] == pytest.approx(0.5)
    assert again.manifest["recalibration"]["before"] == made.version
    assert again.version != made.version


def test_each_model_keeps_the_order_of_its_queries(tmp_path):
    knots = np.column_stack([np.clip(GRID, 0.001, 0.999)])
    made = artifact.write(ArtifactDraft({"models": ["a"]}, {"static.curves": knots}), tmp_path / "a")
    raw = np.sort(np.random.default_rng(3).uniform(0.01, 0.99, (500, 1)), axis=0)
    for rows in (300, 2000):
        p, outcome = stepped(rows)
        moved = Curves(recalibrated(made, table(p, outcome), {"static": p[:, None]}, [0]).arrays["static.curves"])(raw)

        assert (np.diff(moved[:, 0]) > 0).all()


def test_an_artifact_is_rehearsed_anew_on_the_rows_it_is_given(tmp_path):
    knots = np.column_stack([np.clip(GRID, 0.01, 0.99)] * 2)
    old = np.full((60, 4), 0.5, dtype=np.float32)
    made = artifact.write(ArtifactDraft({"models": ["a", "b"]}, {"static.curves": knots, "static.rehearsal": old, "full.curves": knots,
                                                                 "full.rehearsal": old}), tmp_path / "a")
    p, outcome = biased(500)

    arrays = recalibrated(made, table(p, outcome), {"static": p[:, None]}, [0]).arrays

    assert np.array_equal(arrays["full.rehearsal"], old)
    assert np.allclose(arrays["static.rehearsal"][:, 0], cross_fitted(table(p, outcome), p[:, None])[:, 0])
    assert np.array_equal(arrays["static.rehearsal"][:, 2], outcome.astype(np.float32))
    assert (arrays["static.rehearsal"][:, 3] == NOT_RUN).all()


def test_the_report_tells_before_after_and_noise():
    p, outcome = biased(500)
    rows = table(p, outcome)
    found = report(rows, p[:, None], cross_fitted(rows, p[:, None]))[0]

    assert (found.model, found.rows, found.way) == ("a", 500, "platt")
    assert found.ece_before > found.ece_after
    assert 0 < found.ece_floor < 0.06


def test_models_without_outcomes_are_left_alone():
    p, outcome = biased(100)
    rows = table(p, np.where(np.arange(100) < 5, outcome, np.nan))

    assert np.array_equal(cross_fitted(rows, p[:, None])[:, 0], p)
    assert report(rows, p[:, None], p[:, None])[0].way == "left"
