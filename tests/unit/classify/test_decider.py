"""Gate, pipeline and policy together: a request in, a complete Decision out."""

import msgspec
import numpy as np
import pytest

from pointsman.classify.classifier import Classifier
from pointsman.classify.decider import Decider, Terms, build_decider
from pointsman.classify.heads.predicted import Row
from pointsman.classify.heads.rehearsal import Rehearsal
from pointsman.classify.priors import Priors
from pointsman.classify.targets import QualityTarget
from pointsman.core.decision import Decision, Refine, Scores, StageView, TierScore
from pointsman.core.fleet import Capabilities
from pointsman.core.price import GpuPrice, TokenPrice
from pointsman.core.record import Check
from pointsman.core.request import Caller, Message, Needs
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

    assert (decision.tier, decision.decided_by, decision.reason, decision.confidence) == ("medium", "default", "abstained; no stage has an opinion: the default tier serves", 0.0)


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

    assert decision.duration_s == 4.0  # start, one reading before the two stages and one after each, end


# -- what is asked of one decision


class Open:
    """A consulting stage, as far as a decider looks at it."""

    not_asked = "no score near the bar"

    def __init__(self, name="sentence", band=0.05):
        self.name, self.band, self.deadline_s = name, band, 0.01
        self.refused = None

    def wants(self, decision):
        return decision.margin is not None and decision.margin <= self.band

    def refusal(self, decision):
        return self.refused


def refined(calibrated=True, is_foreign=False, tokens=None, **p):
    return Refine(Scores({t: TierScore(v, v) for t, v in p.items()}, calibrated, is_foreign, tokens or {}), "said so")


class Says:
    name = "says"

    def __init__(self, said):
        self.said = said

    def classify(self, request, so_far):
        return self.said


def deciding(said, *, prices=None, consulting=(), priors=None, **route):
    pools = tuple(a_pool(n, endpoints=(an_endpoint(f"{n}/0", price=(prices or {}).get(n, GpuPrice("x", 1.0 + at, 1, 1000.0))),))
                  for at, n in enumerate(LADDER))
    settings = a_settings(*pools, route=RouteSettings("auto", ladder=LADDER, default_tier="large", **route))
    return Decider(settings.routes["auto"], settings, lambda: 0.0, [Says(said)], consulting=consulting, priors=priors)


def test_what_is_unlike_all_labels_goes_to_the_reference_and_leaves_the_decision_open():
    decision = deciding(refined(is_foreign=True, small=0.99, medium=0.99, large=0.99)).decide(a_request())

    assert (decision.tier, decision.decided_by, decision.margin, decision.confidence) == ("large", "default", 0.0, 0.99)
    assert decision.reason == "out_of_distribution; unlike anything the classifier was trained on: the reference tier serves"


def test_another_verdict_changes_nothing_where_only_one_tier_fits():
    decision = deciding(refined(is_foreign=True, small=0.99, medium=0.99, large=0.99)).decide(a_request(), allowed=("large",))

    assert (decision.tier, decision.margin) == ("large", None)


def test_who_might_have_said_otherwise_of_what_is_unlike_all_labels_and_did_not_is_in_the_reason():
    foreign, request = refined(is_foreign=True, small=0.99, medium=0.99, large=0.99), a_request()
    stage = Open()
    decider = deciding(foreign, consulting=[stage])
    late = decider.reconsidered(request, decider.decide(request), None, StageView("sentence", "late", "no answer within 10 ms", 0.01), decider.terms())

    assert late.reason.endswith("the reference tier serves; sentence might have said otherwise, and did not (late: no answer within 10 ms)")
    stage.refused = StageView("sentence", "abstained", "no room", 0.0, result="busy")
    assert decider.decide(request).reason.endswith("; sentence might have said otherwise, and did not (abstained: no room)")
    near = deciding(refined(False, small=0.78, medium=0.9, large=0.9), consulting=[stage]).decide(request)
    assert "otherwise" not in near.reason


def test_a_second_opinion_that_came_is_not_missed():
    decider, request = deciding(refined(is_foreign=True, small=0.99, medium=0.99, large=0.99), consulting=[Open()]), a_request()
    again = refined(is_foreign=True, small=0.9, medium=0.9, large=0.9)
    decision = decider.reconsidered(request, decider.decide(request), again, StageView("sentence", "refined", "so", 0.0, again.scores), decider.terms())

    assert decision.reason == "out_of_distribution; unlike anything the classifier was trained on: the reference tier serves"


def test_the_margin_and_the_dominated_are_told():
    decision = deciding(refined(False, small=0.7, medium=0.9, large=0.9)).decide(a_request())

    assert (decision.tier, decision.margin, decision.dominated) == ("medium", pytest.approx(0.1), ("large",))
    assert deciding(None).decide(a_request()).margin is None


def test_calibrated_scores_are_taken_of_the_default_tier():
    decision = deciding(refined(small=0.5, medium=0.58, large=0.6), quality=0.95).decide(a_request())

    assert (decision.tier, decision.calibrated) == ("medium", True)


def test_stages_that_nobody_needs_to_ask_show_as_skipped():
    near = deciding(refined(False, small=0.78, medium=0.9, large=0.9), consulting=[Open(), Open("judge", 0.01)]).decide(a_request())
    far = deciding(refined(False, small=0.5, medium=0.9, large=0.95), consulting=[Open()]).decide(a_request())

    assert [(view.stage, view.outcome) for view in near.stages] == [("says", "refined"), ("judge", "skipped")]
    assert [(view.stage, view.outcome) for view in far.stages] == [("says", "refined"), ("sentence", "skipped")]


def test_a_stage_that_has_no_room_says_so_at_once_and_is_not_asked():
    stage = Open()
    stage.refused = StageView("sentence", "abstained", "no room", 0.0, result="busy")
    decider = deciding(refined(False, small=0.78, medium=0.9, large=0.9), consulting=[stage])

    decision = decider.decide(a_request())

    assert decision.stages[-1] is stage.refused
    assert not decider.asks(stage, decision)


def test_long_answers_of_a_chatty_model_count_in_its_price():
    prices = {"small": TokenPrice(1, 1), "medium": TokenPrice(1.5, 1.5), "large": TokenPrice(9, 9)}
    said = refined(False, tokens={"small": 4000.0, "medium": 100.0, "large": 100.0}, small=0.9, medium=0.9, large=0.9)

    assert deciding(said, prices=prices).decide(a_request()).tier == "medium"
    assert deciding(said, prices=prices).decide(a_request(max_tokens=10)).tier == "small"


def test_a_warm_prompt_cache_may_outweigh_a_cheaper_tier():
    prices = {"small": TokenPrice(2, 2), "medium": TokenPrice(3, 3, cached_input=0.3), "large": TokenPrice(9, 9)}
    decider = deciding(refined(False, small=0.9, medium=0.9, large=0.9), prices=prices)
    long = a_request(messages=(Message("user", "x" * 90_000), Message("assistant", "y"), Message("user", "and now?")))

    assert decider.decide(long).tier == "small"
    assert decider.decide(long, terms=Terms(decider.target, held="medium")).tier == "medium"
    assert decider.decide(a_request(), terms=Terms(decider.target, held="medium")).tier == "small"


def test_waiting_costs_what_the_route_says_it_is_worth():
    decider = deciding(refined(False, small=0.9, medium=0.9, large=0.9), usd_per_second=0.01)
    slow = Terms(decider.target, ttft_s={"small": 3.0, "medium": 0.1, "large": None})

    assert decider.decide(a_request()).tier == "small"
    assert decider.decide(a_request(), terms=slow).tier == "large"  # nobody has measured it: it must be tried


def test_a_budget_bounds_the_choice():
    target = msgspec.structs.replace(QualityTarget(0.95, "absolute"), max_usd=0.0001)
    decider = deciding(refined(False, small=0.6, medium=0.9, large=0.99))

    assert decider.decide(a_request(), terms=Terms(decider.target)).tier == "medium"
    assert decider.decide(a_request(max_tokens=500, needs=Needs(context=600)), terms=Terms(target)).tier == "small"


def test_who_asks_counts_once_their_outcomes_are_known():
    priors = Priors()
    decider = deciding(refined(False, small=0.85, medium=0.9, large=0.95), priors=priors)
    hers = a_request(caller=Caller("ann", tenant="acme"))
    before = decider.decide(hers).tier
    for i in range(200):
        priors.learn("acme", "ann", "small", 0.85, float(i % 2))

    assert (before, decider.decide(hers).tier, decider.decide(a_request()).tier) == ("small", "medium", "small")
    assert decider.candidates(hers, decider.decide(hers))[0].p < 0.8


def test_candidates_carry_this_requests_own_dollars():
    decider = deciding(refined(False, small=0.85, medium=0.9, large=0.95))
    asked = a_request(needs=Needs(context=1000))

    rows = decider.candidates(asked, decider.decide(asked))

    assert [row.tier for row in rows] == list(LADDER)
    assert rows[0].usd == pytest.approx(1200 / 1000 / 3600)


def test_the_trained_stage_needs_an_artifact_that_knows_the_ladder():
    with pytest.raises(ConfigError, match="needs an artifact"):
        a_decider(pipeline=("embedding",))


def test_a_later_word_replaces_the_scores_and_keeps_the_views():
    decider = deciding(refined(False, small=0.78, medium=0.9, large=0.95), consulting=[Open()])
    request = a_request()
    decision = decider.decide(request)
    said = refined(False, small=0.85, medium=0.9, large=0.95)

    again = decider.reconsidered(request, decision, said, StageView("sentence", "refined", "so", 0.25, said.scores), decider.terms())

    assert (decision.tier, again.tier, again.duration_s) == ("medium", "small", 0.25)
    assert [view.stage for view in again.stages] == ["says", "sentence"]
    silent = decider.reconsidered(request, decision, None, StageView("sentence", "late", "", 0.25), decider.terms())
    assert (silent.tier, silent.duration_s, silent.stages[-1].outcome) == ("medium", 0.25, "late")


# -- what verifiers found of a caller's answers


def a_check(tier="small", score=0.5, evidence=-2.0, is_whole=True):
    return Check(1, tier, score, evidence, is_whole, 0.01)


ANN = Caller("ann", "acme")


def heard(*checks, caller=ANN, times=40, **route):
    decider = a_decider(stages=[Scoring(small=0.9, medium=0.95, large=0.99)], **route)
    request = a_request(caller=caller)
    decision = decider.decide(request)
    for _ in range(times):
        decider.heard(request, decision, checks)
    return decider, request


def test_findings_that_speak_against_a_tier_move_it_and_the_reason_says_so():
    decider, request = heard(a_check())
    decision = decider.decide(request)

    assert "the caller's own outcomes move small by -" in decision.reason
    assert next(one for one in decider.candidates(request, decision) if one.tier == "small").p < 0.9
    assert next(view.scores for view in decision.stages if view.scores).by_tier["small"].p == 0.9
    assert "outcomes" not in decider.decide(a_request(caller=Caller("eve", "other"))).reason


def test_evidence_that_confirms_what_was_expected_moves_nothing_on_the_whole():
    # Of ten answers nine pass; a verifier that errs as often either way brings as much as this.
    decider, _request = heard(*([a_check(evidence=1.0)] * 9 + [a_check(evidence=-1.8)]))

    assert abs(decider.priors.offset("acme", "ann", "small")) < 0.35


@pytest.mark.parametrize("check", [
    a_check(score=None), a_check(is_whole=False), a_check(tier="elsewhere")])
def test_what_is_no_word_on_a_scored_tiers_answer_is_not_counted(check):
    assert len(heard(check)[0].priors) == 0


def test_nothing_is_learned_of_the_anonymous_nor_where_it_is_off():
    assert len(heard(a_check(), caller=Caller())[0].priors) == 0
    assert len(heard(a_check(), priors="off")[0].priors) == 0
    assert len(heard(a_check(), caller=Caller("ann"))[0].priors) == 2


def test_a_hard_failure_counts_as_bad_whatever_was_expected():
    decider, _ = heard(a_check(score=0.0, evidence=0.0))

    assert decider.priors.offset("acme", "ann", "small") < -1


# -- a rehearsed artifact


class Rehearsed:
    """A classifier that was right to expect little difference; of single requests it knows next to nothing."""

    models = ("small", "large")
    sentence = None
    kernel = "none"

    def text(self, query):
        return query.text

    def row(self, query, sentence_vector=None):
        return Row([0.8, 0.85], [0.2, 0.2], 10.0, False, None)


def rehearsed(came):
    """A decider whose artifact rehearsed 400 rows, of which the small model answered `came` of ten well and the large one nine."""
    rows = np.array([[0.8, 0.85, float(at % 10 < came), float(at % 10 < 9)] for at in range(400)], dtype=np.float32)
    classifier = Classifier(Rehearsed(), version="1", is_generic=False, rehearsals=(Rehearsal(rows),))
    settings = a_settings(a_pool("small"), a_pool("large"),
                          route=RouteSettings("auto", ("small", "large"), "large", pipeline=("embedding",), quality=0.9))
    return Decider(settings.routes["auto"], settings, lambda: 0.0, classifier=classifier)


def test_what_the_labels_show_to_be_kept_serves_though_little_is_known_of_one_request():
    decision = rehearsed(came=9).decide(a_request("What is this?"))

    assert decision.tier == "small"
    assert decision.reason.startswith("cheapest tier that keeps 0.9 of large in the mean: P(acceptable) 0.80 against 0.85")
    assert rehearsed(came=7).decide(a_request("What is this?")).tier == "large"


def test_the_table_of_a_rehearsed_artifact_holds_expectations_to_the_bar():
    decider = rehearsed(came=9)
    request = a_request("What is this?")
    small, _ = decider.candidates(request, decider.decide(request))

    assert small.is_mean
    assert small.clears
    assert small.lower < small.needs <= small.p
