"""Whatever the scores, prices and targets: the choice fits, keeps to the budget, and nothing cheaper would have done."""

from math import isfinite

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.classify.decider import Decider, Terms
from pointsman.classify.policy import by_price, candidates, choose
from pointsman.classify.priors import MOST, Priors
from pointsman.classify.targets import QualityTarget
from pointsman.core.decision import GateView, Refine, Scores, TierScore
from pointsman.core.request import Message
from pointsman.core.settings import RouteSettings
from pointsman.errors import NothingFits
from pointsman.testing.factories import a_pool, a_request, a_settings

TIERS = ("a", "b", "c", "d")
UNIT = st.floats(0, 1)
SCORE = st.builds(lambda p, share, n: TierScore(p, p * share, n), UNIT, UNIT, st.integers(0, 1000))
SCORES = st.builds(Scores, st.dictionaries(st.sampled_from(TIERS), SCORE), st.booleans())
GATE = st.tuples(*(st.builds(GateView, st.just(tier), st.booleans(), st.just("fits")) for tier in TIERS))
DOLLARS = st.fixed_dictionaries({tier: st.one_of(st.none(), st.floats(0, 10)) for tier in TIERS})
TARGET = st.builds(QualityTarget, UNIT, st.sampled_from(["auto", "reference", "absolute"]), st.one_of(st.none(), st.floats(0.01, 10)), st.booleans())
TEXT = st.one_of(st.text(), st.text(alphabet=st.characters()), st.sampled_from(["", "x" * 20_000, "\ud800", "\x00\x01"]))


@given(SCORES, GATE, TARGET, DOLLARS, st.sampled_from((*TIERS, "elsewhere")))
@settings(max_examples=500)
def test_the_choice_fits_is_within_the_budget_and_the_cheapest_that_clears(scores, gate, target, dollars, reference):
    fitting = [view.tier for view in gate if view.fits]
    try:
        choice = choose(scores, gate, target, dollars, "auto", reference)
    except NothingFits:
        assert not fitting
        return
    rows = {row.tier: row for row in candidates(scores, gate, target, dollars, reference, dollars)}
    assert choice.tier in fitting
    assert choice.margin >= 0
    assert choice.reason
    assert set(choice.dominated) == {row.tier for row in rows.values() if row.is_dominated} <= set(fitting)
    known = [tier for tier in by_price(fitting, dollars) if tier in scores.by_tier]
    within = [tier for tier in known if target.max_usd is None or (dollars[tier] is not None and dollars[tier] <= target.max_usd)]
    if within:
        assert choice.tier in within
    elif known:
        assert choice.tier == known[0]
    if within and not target.wants_best and (clearing := [tier for tier in within if rows[tier].clears]):
        assert choice.tier == clearing[0]
    elif within:
        assert choice.confidence == max(scores.by_tier[tier].p for tier in within)


@given(SCORES, TARGET, DOLLARS, st.floats(0.001, 0.2))
def test_moving_no_score_by_its_margin_changes_nothing(scores, target, dollars, share):
    """The margin is a promise: scores that all move the same way by less leave the choice where it is."""
    gate = tuple(GateView(tier, True, "fits") for tier in TIERS)
    choice = choose(scores, gate, target, dollars, "auto", "d")
    if not isfinite(choice.margin) or not scores.by_tier or target.is_relative(scores.calibrated):
        return
    by = choice.margin * (1 - share)
    for sign in (-1, 1):
        moved = Scores({tier: TierScore(s.p + sign * by, s.lower + sign * by, s.evidence) for tier, s in scores.by_tier.items()}, scores.calibrated)
        assert choose(moved, gate, target, dollars, "auto", "d").tier == choice.tier


class Says:
    name = "says"

    def __init__(self, scores):
        self.said = Refine(scores, "so")

    def classify(self, request, so_far):
        return self.said


@given(SCORES, TARGET, TEXT, st.sampled_from(("", *TIERS)), st.booleans())
@settings(deadline=None)
def test_deciding_on_any_scores_never_raises_and_reconsidering_agrees(scores, target, text, held, is_foreign):


    route = RouteSettings("auto", TIERS, "d", usd_per_second=0.01)
    decider = Decider(route, a_settings(*(a_pool(tier) for tier in TIERS), route=route), lambda: 0.0,
                      [Says(msgspec.structs.replace(scores, is_foreign=is_foreign))])
    request = msgspec.structs.replace(a_request("x"), messages=(Message("user", text),))
    terms = Terms(target, None, held, {"a": 0.2, "b": None})

    decision = decider.decide(request, terms=terms)

    assert decision.tier in TIERS
    assert msgspec.json.encode(decision)
    assert len(decider.candidates(request, decision, terms)) == len(TIERS)
    again = decider.reconsidered(request, decision, decider.pipeline.stages[0].said, decision.stages[0], terms)
    assert (again.tier, again.margin, again.decided_by) == (decision.tier, decision.margin, decision.decided_by)


@given(st.lists(st.tuples(st.sampled_from(["t", "u"]), st.sampled_from(["", "x"]), st.sampled_from(TIERS), st.floats(-1, 2), st.floats(-1, 2)),
                max_size=200), SCORES)
def test_priors_keep_scores_probabilities_and_bounds_below_them(outcomes, scores):
    priors = Priors(size=5)
    for outcome in outcomes * 40:
        priors.learn(*outcome)

    moved = priors.applied(scores, "t", "x")

    assert len(priors) <= 5
    assert all(0 <= s.lower <= s.p <= 1 for s in moved.by_tier.values())
    assert all(abs(priors.offset("t", "x", tier)) <= MOST for tier in TIERS)
