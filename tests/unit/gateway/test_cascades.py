"""From settings, scores, prices and the fleet to the rule that one request climbs by."""

from __future__ import annotations

import pytest

from pointsman.cascade.benefit import Judgement
from pointsman.cascade.deferral import WHOLE
from pointsman.cascade.ladder import Rung
from pointsman.cascade.verifiers.json_schema import JsonSchemaVerifier
from pointsman.cascade.verifiers.tool_calls import ToolCallsVerifier
from pointsman.cascade.verifiers.well_formed import WellFormedVerifier
from pointsman.core.decision import Decision, GateView, Scores, StageView, TierScore
from pointsman.core.price import TokenPrice
from pointsman.core.request import UNLIMITED, Limits
from pointsman.core.settings import CascadeSettings, HoldSettings, RouteSettings, TaskSettings, TierSettings
from pointsman.core.verdict import Rates, Traits
from pointsman.gateway.cascades import LOOKING_S, Cascades, scores_of
from pointsman.testing.factories import a_pool, a_request, a_settings, an_endpoint
from pointsman.testing.verifications import OnRungs, says
from pointsman.verification.panel import Panel

TIERS = ("small", "medium", "large")
RUNGS = tuple(Rung(name, (f"{name}/0",), "failed" if at else "chosen") for at, name in enumerate(TIERS))
PRICES = {"small": TokenPrice(0.1, 0.1), "medium": TokenPrice(0.5, 0.5), "large": TokenPrice(1.0, 1.0)}


def a_rule(*, prices=PRICES, scores=None, verifications=None, rungs=RUNGS, delays=None, tiers=None, request=None, **cascade):
    pools = [a_pool(name, endpoints=(an_endpoint(f"{name}/0", price=prices.get(name)),)) for name in TIERS]
    route = RouteSettings("auto", ladder=TIERS, default_tier="small", cascade=CascadeSettings(**cascade))
    made = a_settings(*pools, route=route)
    if tiers:
        made = a_settings(*pools, route=route, tiers=made.tiers | tiers)
    decision = None
    if scores is not None:
        stage = StageView("heuristic", "refined", "", 0.0, Scores({name: TierScore(p, p) for name, p in scores.items()}, False))
        decision = Decision("auto", "small", 1, "policy", "", scores.get("small", 0.0), stages=(stage,))
    looks = OnRungs({"small": says(0.5), "medium": says(0.5)}) if verifications is None else OnRungs(verifications)
    return Cascades(made, looks).deferral(route, rungs, request or a_request(), decision, delays or {})


def test_the_decisions_scores_are_the_prior_and_prices_are_shares_of_the_dearest():
    rule = a_rule(scores={"small": 0.6, "medium": 0.7, "large": 0.9}, delays={"large": 2.5})
    assert [(p.p, round(p.price, 6), p.delay_s) for p in rule.prospects.values()] == [(0.6, 0.1, None), (0.7, 0.5, None), (0.9, 1.0, 2.5)]
    assert rule.prospects["large"].nano_usd > 0
    assert rule.benefit.enough == 0.6


def test_where_nobody_scored_the_decided_tier_is_as_good_as_was_asked_for():
    rule = a_rule()
    assert [round(p.p, 4) for p in rule.prospects.values()] == [0.8, 0.8667, 0.9111]


def test_with_a_price_unknown_the_ladder_is_the_order_of_cost():
    rule = a_rule(prices={"small": PRICES["small"]})
    assert [p.price for p in rule.prospects.values()] == [pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0]
    assert rule.prospects["large"].nano_usd is None


def test_only_rungs_with_verifiers_are_judged():
    rule = a_rule(verifications={"small": says(0.5)})
    assert set(rule.holds) == {"small"}


def test_nobody_looks_where_nobody_can_or_nothing_is_above():
    assert a_rule(verifications={}) is None
    assert a_rule(verifications={"large": says(0.5)}) is None, "a top rung alone has nowhere to climb to"
    assert a_rule(rungs=RUNGS[:1]) is None
    assert a_rule(rungs=(RUNGS[0], Rung("large", ("large/0",), "last_resort"))) is None


def test_a_verifier_whose_worst_word_changes_nothing_is_not_asked():
    coin = says(0.5)
    coin.lowest_evidence = 0.0
    assert a_rule(verifications={"small": coin}) is None
    assert a_rule(verifications={"small": coin}, mode="threshold") is not None, "a plain threshold knows no better"


def test_verifiers_of_whole_answers_hold_them_whole():
    rule = a_rule(verifications={"small": says(0.5, whole=True), "medium": says(0.5)})
    assert (rule.holds["small"].tokens, rule.holds["medium"].tokens) == (WHOLE, 24)


def json_alone():
    verification = says(0.5, whole=True)
    verification.traits = Traits(goes_by=("response_format",))
    return {"small": verification}


JSON_ASKED = a_request(body=b'{"model":"auto","messages":[],"response_format":{"type":"json_object"}}')


def test_nothing_is_held_for_who_has_nothing_to_go_by():
    assert a_rule(verifications=json_alone()) is None
    assert a_rule(verifications=json_alone(), request=JSON_ASKED).holds["small"].tokens == WHOLE
    assert a_rule(verifications=json_alone(), on_abstain="climb").holds["small"].tokens == 24, "an abstention means to climb"


def test_of_several_only_those_hold_a_stream_whole_that_may_have_something_to_say():
    panel = {"small": Panel([JsonSchemaVerifier(), ToolCallsVerifier(), WellFormedVerifier()], [])}

    assert a_rule(verifications=panel).holds["small"].tokens == 24
    assert a_rule(verifications=panel, request=JSON_ASKED).holds["small"].tokens == WHOLE


def test_no_lower_tier_is_tried_first_for_the_sake_of_who_has_nothing_to_go_by():
    assert entered(verifications=json_alone()).tier == "large"


def test_a_tier_has_its_own_hold_and_threshold():
    tier = TierSettings("small", ("small",), hold=HoldSettings(5, 0.1), accept_at=0.9)
    rule = a_rule(mode="threshold", threshold=0.4, tiers={"small": tier})
    assert (rule.holds["small"].tokens, rule.holds["small"].for_s) == (5, pytest.approx(0.1 - LOOKING_S)), "looking and sending are part of it"
    assert rule.accept_at == {"small": 0.9, "medium": 0.4}
    assert (rule.mode, rule.benefit) == ("threshold", None)


def test_bounds_are_the_routes():
    rule = a_rule(max_usd=0.001, max_climbs=1, on_abstain="climb", hedged_after_s=0.7)
    assert (rule.budget_nano_usd, rule.max_climbs, rule.climbs_on_abstain, rule.beside_after_s) == (1_000_000, 1, True, 0.7)


def test_without_a_bound_of_its_own_the_routes_money_counts():
    pools = [a_pool(name, endpoints=(an_endpoint(f"{name}/0", price=PRICES[name]),)) for name in TIERS]
    route = RouteSettings("auto", ladder=TIERS, default_tier="small", max_usd_per_request=0.002, cascade=CascadeSettings())
    rule = Cascades(a_settings(*pools, route=route), OnRungs({"small": says(0.5)})).deferral(route, RUNGS, a_request(), None, {})
    assert rule.budget_nano_usd == 2_000_000


def test_scores_are_those_of_the_last_stage_that_had_some():
    first, last = Scores({"a": TierScore(0.1, 0.1)}, False), Scores({"a": TierScore(0.9, 0.9)}, False)
    views = (StageView("one", "refined", "", 0.0, first), StageView("two", "refined", "", 0.0, last), StageView("three", "abstained", "", 0.0))
    assert scores_of(Decision("r", "a", 1, "policy", "", 0.9, stages=views)) is last
    assert scores_of(Decision("r", "a", 1, "client", "", 0.0)) is None
    assert scores_of(None) is None


def entered(*, decided="large", scores=None, decided_by="policy", verifications=None, heard=(), limits=UNLIMITED, **cascade):
    pools = [a_pool(name, endpoints=(an_endpoint(f"{name}/0", price=PRICES[name]),)) for name in TIERS]
    route = RouteSettings("auto", ladder=TIERS, default_tier="small", quality=0.9, cascade=CascadeSettings(**cascade))
    known = scores or {"small": 0.6, "medium": 0.7, "large": 0.95}
    stage = StageView("heuristic", "refined", "", 0.0, Scores({name: TierScore(p, p) for name, p in known.items()}, False))
    gate = tuple(GateView(name, True, "") for name in TIERS)
    decision = Decision("auto", decided, TIERS.index(decided) + 1, decided_by, "why", known[decided], stages=(stage,), gate=gate)
    cascades = Cascades(a_settings(*pools, route=route), OnRungs({"small": says(0.5)} if verifications is None else verifications))
    for spoke in heard:
        cascades.heard("auto", "small", spoke=spoke)
    return cascades.entered(route, a_request(limits=limits), decision, {})


def test_a_lower_tier_is_tried_first_where_its_verifiers_are_good():
    decision = entered()
    assert (decision.tier, decision.rung, decision.confidence, decision.promise) == ("small", 1, 0.6, 0.95)
    assert decision.reason == "why; small is tried first, since its answers are verified"


def test_only_what_scores_decided_is_changed():
    for by in ("rules", "client", "session", "default"):
        assert entered(decided_by=by).tier == "large"
    assert entered(mode="threshold").tier == "large"
    assert entered(verifications={}).tier == "large"


def test_a_verifier_like_a_coin_changes_nothing():
    coin = says(0.5)
    coin.rates = Rates(0.45, 0.45)
    assert entered(verifications={"small": coin}).tier == "large"


def test_a_request_that_may_not_climb_goes_straight_to_its_tier():
    assert entered(limits=Limits(stays=True)).tier == "large"
    assert entered(limits=Limits(max_sent=1)).tier == "large"
    assert entered(limits=Limits(max_sent=2)).tier == "small"


def test_verifiers_that_keep_abstaining_are_no_reason_to_try_lower():
    assert entered(heard=[False] * 300).tier == "large"
    assert entered(heard=[True] * 300).tier == "small"


def test_what_was_promised_is_what_is_enough():
    rungs = RUNGS
    decision = entered()
    pools = [a_pool(name, endpoints=(an_endpoint(f"{name}/0", price=PRICES[name]),)) for name in TIERS]
    route = RouteSettings("auto", ladder=TIERS, default_tier="small", quality=0.9, cascade=CascadeSettings())
    rule = Cascades(a_settings(*pools, route=route), OnRungs({"small": says(0.5)})).deferral(route, rungs, a_request(), decision, {})
    assert rule.benefit.enough == 0.9


def test_without_measurements_no_kind_of_work_is_looked_for():
    assert (a_rule().task, a_rule().benefit.overlaps) == ("", {})


def test_overlaps_and_thresholds_are_those_of_the_kind_of_work():
    tier = TierSettings("small", ("small",), accept_at=0.6, overlap={"medium": 0.9, "large": 0.7},
                        by_task={"text": TaskSettings(accept_at=0.3, overlap={"large": 0.1}), "code": TaskSettings(accept_at=0.99)})
    rule = a_rule(tiers={"small": tier})

    assert rule.task == "text"
    assert rule.accept_at["small"] == 0.3
    assert rule.benefit.overlaps == {"small": {"medium": 0.9, "large": 0.1}}


def test_a_kind_of_work_that_was_not_measured_is_as_the_tier_says():
    tier = TierSettings("small", ("small",), accept_at=0.6, overlap={"large": 0.7}, by_task={"code": TaskSettings(accept_at=0.99, overlap={"large": 0.1})})
    rule = a_rule(tiers={"small": tier})

    assert (rule.accept_at["small"], rule.benefit.overlaps) == (0.6, {"small": {"large": 0.7}})


def test_where_tiers_succeed_together_a_bad_answer_says_more_about_the_higher_one():
    def believed(overlap):
        tier = TierSettings("small", ("small",), overlap={"large": overlap})
        rule = a_rule(tiers={"small": tier}, scores={"small": 0.6, "medium": 0.7, "large": 0.9})
        return rule.benefit.beliefs([Judgement("small", 0.05)])["large"]

    assert believed(1.0) < believed(0.5) < believed(0.0)
