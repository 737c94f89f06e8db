"""How near to its bar a score is worth a sentence vector, told from rows that both stacks scored."""

from pathlib import Path

import numpy as np
import pytest

from pointsman.artifact import Artifact
from pointsman.classify.asking import FEWEST, Opinions
from pointsman.classify.policy import GRID, bar_of, choose
from pointsman.classify.targets import QualityTarget
from pointsman.core.decision import GateView, Scores, TierScore

COLUMNS = {"small": ((0, 1.0),), "large": ((1, 1.0),)}
ORDER = ("small", "large")
ALLOWED = {"large": (0.1,) * len(GRID)}
HALF = QualityTarget(0.5)


def rows(gaps, moved=0.0):
    """The large model reaches .9; the small one so much less, and a vector makes it better by `moved`."""
    gaps = np.asarray(gaps, dtype=float)
    before = np.stack([0.9 - gaps, np.full(len(gaps), 0.9)], axis=1)
    return Opinions(before, before + np.stack([np.broadcast_to(moved, gaps.shape), np.zeros(len(gaps))], axis=1))


def band(opinions, share=1.0, target=HALF, allowances=ALLOWED, order=ORDER, reference="large", columns=COLUMNS):
    return opinions.band(columns, order, reference, target, allowances, share)


def test_no_farther_than_a_vector_moves_a_score_in_nine_cases_of_ten():
    moved = np.concatenate([np.linspace(0.0, 0.02, 91), np.full(10, 0.5)])

    assert band(rows(np.linspace(0.0, 0.4, 101), moved)) == pytest.approx(0.02)
    assert band(rows(np.linspace(0.0, 0.4, 101), 0.0)) == 0.0


def test_what_moves_all_models_alike_moves_no_difference_between_them():
    before = np.full((60, 2), 0.5)
    opinions = Opinions(before, before + 0.1)

    assert band(opinions) == pytest.approx(0.0)
    assert band(opinions, target=QualityTarget(0.5, "absolute")) == pytest.approx(0.1)


def test_no_more_rows_lie_within_it_than_their_share():
    gaps = np.random.default_rng(1).uniform(-0.1, 0.6, 1000)
    found = band(rows(gaps, 0.4), share=0.03)

    assert 0.028 <= np.mean(np.abs(gaps - 0.1) < found) <= 0.03


def test_rows_that_are_all_alike_are_all_left_alone():
    assert band(rows(np.full(80, 0.15), np.linspace(0, 0.2, 80)), share=0.03) == pytest.approx(0.05)  # and nearer than that none lies


@pytest.mark.parametrize("target", [HALF, QualityTarget(0.9), QualityTarget(0.4, "absolute")])
@pytest.mark.parametrize("allowances", [ALLOWED, {}])
def test_margins_are_those_of_the_policy(target, allowances):
    rng = np.random.default_rng(3)
    p = rng.uniform(0.2, 0.95, (200, 3))
    order, columns = ("small", "medium", "large"), {tier: ((at, 1.0),) for at, tier in enumerate(("small", "medium", "large"))}
    gate = tuple(GateView(tier, True, "") for tier in order)
    margins = []
    for row in p.tolist():
        scores = Scores({tier: TierScore(one, one) for tier, one in zip(order, row, strict=True)}, True)
        assert bar_of(scores, order, target, "large", allowances).reference in ("large", "")
        choice = choose(scores, gate, target, {tier: float(at) for at, tier in enumerate(order)}, "auto", "large", allowances=allowances)
        if "no fitting tier" not in choice.reason:  # where none clears, another best score changes the choice, too
            margins.append((choice.margin, row))
    kept = np.array([row for _, row in margins])
    found = Opinions(kept, kept + rng.uniform(0.5, 1.0, kept.shape) * [[1.0, 1.0, -1.0]]).band(columns, order, "large", target, allowances, 0.1)

    assert np.mean([margin < found for margin, _ in margins]) == pytest.approx(0.1, abs=0.01)


def test_a_reference_without_a_column_is_the_best_that_has_one():
    gaps = np.linspace(0.0, 0.4, 60)

    assert band(rows(gaps, 0.03), reference="unknown") == band(rows(gaps, 0.03))


def test_where_nothing_is_cheaper_than_the_reference_nothing_is_asked():
    assert band(rows(np.linspace(0, 1, 60), 0.2), order=("small", "large"), reference="small", allowances={}) == 0.0


def test_a_mixture_of_columns_is_read_as_scores_are():
    gaps = np.linspace(0.0, 0.4, 60)
    half = {"small": ((0, 0.5), (1, 0.5)), "large": ((1, 1.0),)}

    assert band(rows(gaps, 0.2), columns=half, allowances={}) == pytest.approx(0.1)


def an_artifact(**arrays):
    return Artifact({"models": ["small", "large"]}, arrays, "", Path())


def test_an_artifact_tells_where_both_stacks_saw_the_same_rows():
    came = np.ones((FEWEST, 2), dtype=np.float32)
    one, other = (np.concatenate([came * p, came], axis=1) for p in (0.4, 0.5))
    both = {"static.rehearsal": one, "full.rehearsal": other}

    found = Opinions.of_artifact(an_artifact(**both))
    assert repr(found) == f"<Opinions {FEWEST} rows>"
    assert band(found, target=QualityTarget(0.5, "absolute")) == pytest.approx(0.1)
    others = np.concatenate([came * 0.5, came * 0], axis=1)
    # Of a model that was not run on these rows nothing is known, whatever stands there.
    without = {name: np.concatenate([rows[:, :3], -came[:, :1]], axis=1) for name, rows in both.items()}
    assert band(Opinions.of_artifact(an_artifact(**without))) is None
    assert Opinions.of_artifact(an_artifact(**{"static.rehearsal": one})) is None
    assert Opinions.of_artifact(an_artifact(**(both | {"full.rehearsal": others}))) is None
    assert Opinions.of_artifact(an_artifact(**(both | {"full.rehearsal": other[1:]}))) is None
    assert Opinions.of_artifact(an_artifact(**{name: rows[1:] for name, rows in both.items()})) is None
