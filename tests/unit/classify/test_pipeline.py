"""Stages in order, measured, and no stage may take a request down."""

import pytest

from pointsman.classify.pipeline import Pipeline
from pointsman.core.decision import Decide, Refine, Scores, Target, TierScore
from pointsman.testing.factories import a_request


class Says:
    def __init__(self, name, said):
        self.name, self.said, self.heard = name, said, []

    def classify(self, request, so_far):
        self.heard.append(so_far)
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


def a_clock():
    ticks = iter(range(1000))
    return lambda: float(next(ticks))


REFINE = Refine(Scores({"small": TierScore(0.9, 0.9)}, calibrated=False), "looks easy")
DECIDE = Decide(Target("tier", "large"), "a rule")


def test_a_decision_ends_it_and_the_rest_is_skipped():
    late = Says("late", REFINE)
    said = Pipeline([Says("rules", DECIDE), late], a_clock()).run(a_request())

    assert (said.result, said.by) == (DECIDE, "rules")
    assert [view.outcome for view in said.views] == ["decided", "skipped"]
    assert said.views[0].target == Target("tier", "large")
    assert late.heard == []


def test_the_last_refinement_wins_and_later_stages_see_it():
    second = Says("second", None)
    said = Pipeline([Says("first", REFINE), second], a_clock()).run(a_request())

    assert (said.result, said.by) == (REFINE, "first")
    assert second.heard == [REFINE]
    assert [view.outcome for view in said.views] == ["refined", "abstained"]


def test_a_stage_that_raises_is_reported_and_the_next_one_asked():
    said = Pipeline([Says("broken", ValueError("no such weight")), Says("heuristic", REFINE)], a_clock()).run(a_request())

    assert said.by == "heuristic"
    assert (said.views[0].outcome, said.views[0].reason) == ("failed", "ValueError: no such weight")


def test_when_every_stage_abstains_there_is_no_result():
    said = Pipeline([Says("a", None), Says("b", RuntimeError())], a_clock()).run(a_request())

    assert (said.result, said.by) == (None, "")


def test_scores_before_a_decision_are_kept():
    said = Pipeline([Says("heuristic", REFINE), Says("pinned", DECIDE)], a_clock()).run(a_request())

    assert (said.result, said.refined) == (DECIDE, REFINE)


def test_every_stage_is_measured_with_the_clock_it_was_given():
    said = Pipeline([Says("a", None), Says("b", REFINE)], a_clock()).run(a_request())

    assert [view.duration_s for view in said.views] == [1.0, 1.0]


def test_who_only_stands_in_is_not_asked_where_the_one_behind_speaks():
    guess = Says("guess", Refine(Scores({"small": TierScore(0.1, 0.1)}, calibrated=False), "looks hard"))
    said = Pipeline([Says("rules", None), guess, Says("trained", REFINE)], a_clock(), {"guess": "trained"}).run(a_request())

    assert (said.result, said.by, said.refined) == (REFINE, "trained", REFINE)
    assert [(view.stage, view.outcome) for view in said.views] == [("rules", "abstained"), ("guess", "skipped"), ("trained", "refined")]
    assert guess.heard == []


@pytest.mark.parametrize(("trained", "outcome"), [(None, "abstained"), (ValueError("no such weight"), "failed")])
def test_who_stands_in_speaks_where_the_one_behind_does_not(trained, outcome):
    said = Pipeline([Says("guess", REFINE), Says("trained", trained), Says("late", None)], a_clock(), {"guess": "trained"}).run(a_request())

    assert (said.result, said.by, said.refined) == (REFINE, "guess", REFINE)
    assert [(view.stage, view.outcome) for view in said.views] == [("guess", "refined"), ("trained", outcome), ("late", "abstained")]
    assert all(view.duration_s == 1 for view in said.views)


def test_who_stands_in_for_somebody_that_is_not_right_behind_is_asked():
    said = Pipeline([Says("guess", REFINE), Says("rules", None), Says("trained", None)], a_clock(), {"guess": "trained"}).run(a_request())

    assert [(view.stage, view.outcome) for view in said.views] == [("guess", "refined"), ("rules", "abstained"), ("trained", "abstained")]
