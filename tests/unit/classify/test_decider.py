"""Gate, pipeline and policy together: a request in, a complete Decision out."""

import msgspec
import pytest

from pointsman.classify.decider import Decider, build_decider
from pointsman.core.decision import Decision, Refine, Scores, TierScore
from pointsman.core.fleet import Capabilities
from pointsman.core.request import Message, Needs
from pointsman.core.settings import Condition, RouteSettings, Rule, TierSettings
from pointsman.errors import ConfigError, NothingFits, UnknownModel
from pointsman.testing.factories import a_pool, a_request, a_settings, an_endpoint

LADDER = ("small", "medium", "large")
BLIND = Capabilities(vision=False)
SEEING = Capabilities(vision=True)
PICTURE = {"images": 1, "needs": Needs(context=10, vision=True)}


def a_decider(*rules, pools=None, stages=None, tiers=None, **route):
    pools = pools or tuple(a_pool(name) for name in LADDER)
    values = {"ladder": LADDER, "default_tier": "large", "rules": tuple(rules)}
    settings = a_settings(*pools, route=RouteSettings("auto", **(values | route)))
    if tiers:
        settings = msgspec.structs.replace(settings, tiers=settings.tiers | tiers)
    return Decider(settings.routes["auto"], settings, lambda: 0.0, stages)


def capable(small, medium, large):
    return tuple(a_pool(n, capabilities=c) for n, c in zip(LADDER, (small, medium, large), strict=True))


class Broken:
    name = "broken"

    def classify(self, request, so_far):
        raise RuntimeError("no")


class Scoring:
    name = "scoring"

    def __init__(self, **p):
        self.said = Refine(Scores({t: TierScore(v, v) for t, v in p.items()}, calibrated=True), "said so")

    def classify(self, request, so_far):
        return self.said


def test_an_easy_question_goes_to_the_first_rung_with_everything_explained():
    decision = a_decider().decide(a_request("What are your business hours?"))

    assert (decision.tier, decision.rung, decision.decided_by) == ("small", 1, "policy")
    assert [view.outcome for view in decision.stages] == ["abstained", "refined"]
    assert [view.tier for view in decision.gate] == list(LADDER)
    assert decision.confidence >= 0.8
    assert decision.calibrated is False


def test_a_proof_goes_to_the_last_rung():
    assert a_decider().decide(a_request("Prove that sqrt(2) is irrational step by step")).rung == 3


def test_a_rule_goes_before_the_scores():
    rule = Rule("legal", Condition(regex="contract"), tier="medium", reason="legal matter", system="You are counsel.")
    decision = a_decider(rule).decide(a_request("a contract"))

    assert (decision.tier, decision.decided_by, decision.reason) == ("medium", "rules", "legal matter")
    assert (decision.system, decision.confidence) == ("You are counsel.", 0.0)


def test_the_quality_of_one_request_overrides_the_routes():
    decider = a_decider(stages=[Scoring(small=0.7, medium=0.85, large=0.95)])

    assert decider.decide(a_request()).tier == "medium"
    assert decider.decide(a_request(), quality=0.7).tier == "small"
    assert decider.decide(a_request(), quality=0.9).tier == "large"


def test_calibrated_scores_say_so():
    assert a_decider(stages=[Scoring(small=0.9, medium=0.9, large=0.9)]).decide(a_request()).calibrated


def test_when_all_abstain_the_default_tier_serves():
    decision = a_decider(default_tier="medium").decide(a_request(messages=(Message("system", "x"),)))

    assert (decision.tier, decision.decided_by, decision.reason, decision.confidence) == ("medium", "default", "abstained", 0.0)


def test_a_failed_stage_counts_as_abstained_and_shows():
    decision = a_decider(stages=[Broken()]).decide(a_request())

    assert (decision.tier, decision.decided_by) == ("large", "default")
    assert decision.stages[0].outcome == "failed"


def test_the_default_tier_passes_the_gate_too():
    decision = a_decider(pools=capable(SEEING, BLIND, BLIND), stages=[]).decide(a_request(**PICTURE))

    assert (decision.tier, decision.decided_by) == ("small", "default")
    assert "large does not fit" in decision.reason


def test_a_tier_that_does_not_fit_is_never_chosen():
    decision = a_decider(pools=capable(BLIND, SEEING, SEEING)).decide(a_request("Who is this?", **PICTURE))

    assert (decision.tier, decision.decided_by) == ("medium", "policy")
    assert not decision.gate[0].fits


def test_when_only_one_fits_the_gate_decides():
    decision = a_decider(pools=capable(BLIND, BLIND, SEEING)).decide(a_request("Who is this?", **PICTURE))

    assert (decision.tier, decision.decided_by) == ("large", "gate")


def test_a_rules_tier_that_does_not_fit_climbs_and_says_so():
    rule = Rule("r", Condition(), tier="small", reason="always small")
    decision = a_decider(rule, pools=capable(BLIND, SEEING, SEEING)).decide(a_request(**PICTURE))

    assert (decision.tier, decision.rung, decision.decided_by) == ("medium", 2, "rules")
    assert decision.reason == "always small; medium instead (small: no vision)"


def test_nothing_fits_is_an_error_that_names_each_lack():
    with pytest.raises(NothingFits, match=r"small: no vision; medium: no vision; large: no vision"):
        a_decider(pools=capable(BLIND, BLIND, BLIND)).decide(a_request(**PICTURE))


def test_a_rule_may_lead_off_the_ladder():
    pools = (*capable(BLIND, BLIND, BLIND), a_pool("eyes", capabilities=SEEING))
    decision = a_decider(Rule("r", Condition(), tier="eyes"), pools=pools).decide(a_request(**PICTURE))

    assert (decision.tier, decision.rung) == ("eyes", 0)


def test_a_pool_is_resolved_to_the_tier_that_holds_it():
    decision = a_decider(Rule("r", Condition(), pool="medium")).decide(a_request())

    assert (decision.tier, decision.rung, decision.pool) == ("medium", 2, "medium")


def test_a_pool_in_no_tier_has_no_tier():
    lone = {"lone": TierSettings("lone", ())}
    decision = a_decider(Rule("r", Condition(), pool="lone"), pools=(*(a_pool(n) for n in LADDER), a_pool("lone")),
                         tiers=lone).decide(a_request())

    assert (decision.tier, decision.rung, decision.pool) == ("", 0, "lone")


def test_a_model_is_resolved_by_name_and_by_provider():
    medium = a_pool("medium", endpoints=(an_endpoint("medium/0"), an_endpoint("medium/1", provider="acme")))
    pools = (a_pool("small"), medium, a_pool("large"))

    for name in ("medium-model", "acme/medium-model"):
        assert a_decider(Rule("r", Condition(), model=name), pools=pools).decide(a_request()).pool == "medium"


def test_a_pool_that_does_not_fit_gives_way_to_its_tier_or_a_higher_one():
    rule = Rule("r", Condition(), pool="small")
    decision = a_decider(rule, pools=capable(BLIND, SEEING, SEEING)).decide(a_request(**PICTURE))

    assert (decision.tier, decision.pool) == ("medium", None)


def test_a_target_that_does_not_exist_is_no_crash():
    decision = a_decider(Rule("r", Condition(), model="ghost")).decide(a_request())

    assert (decision.tier, decision.decided_by) == ("large", "default")
    assert "'ghost' does not exist" in decision.reason


def test_a_random_split_knows_its_propensity():
    decision = a_decider(pipeline=("random:0.25",)).decide(a_request())

    assert (decision.tier, decision.propensity) in {("large", 0.25), ("small", 0.75)}
    assert a_decider().decide(a_request()).propensity == 1.0


@pytest.mark.parametrize(("stage", "tier"), [("largest", "large"), ("pinned:medium", "medium"), ("published", "small")])
def test_named_baselines_can_be_a_pipeline(stage, tier):
    assert a_decider(pipeline=(stage,)).decide(a_request("What is it?")).tier == tier


@pytest.mark.parametrize("name", ["magic", "random:lots", "random:2", "pinned:", "heuristic:x"])
def test_an_unknown_stage_is_a_configuration_error(name):
    with pytest.raises(ConfigError, match="route 'auto'"):
        a_decider(pipeline=(name,))


def test_only_allowed_pools_are_chosen():
    decision = a_decider().decide(a_request("What is it?"), allowed=("large",))

    assert (decision.tier, decision.decided_by) == ("large", "gate")


def test_the_decision_travels_as_json():
    decision = a_decider().decide(a_request())

    assert msgspec.json.decode(msgspec.json.encode(decision), type=Decision) == decision


def test_build_takes_a_route_by_name():
    settings = a_settings(a_pool("small"), a_pool("large"))

    assert build_decider(settings, "auto", lambda: 0.0).decide(a_request()).route == "auto"
    with pytest.raises(UnknownModel, match="auto"):
        build_decider(settings, "nope", lambda: 0.0)


def test_the_duration_is_measured_with_the_clock_it_was_given():
    ticks = iter(range(100))
    settings = a_settings(a_pool("small"), a_pool("large"))

    decision = build_decider(settings, "auto", lambda: float(next(ticks))).decide(a_request())

    assert decision.duration_s == 5.0  # start, two stages with two readings each, end
