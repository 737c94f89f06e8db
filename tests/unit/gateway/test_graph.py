"""Where a request may go."""

import msgspec
import pytest

from pointsman.core.fleet import Capabilities
from pointsman.core.price import TokenPrice
from pointsman.core.request import Alternative, Caller, Limits, Message, Needs
from pointsman.core.settings import Condition, RouteSettings, Rule, TierSettings
from pointsman.errors import NothingFits, UnknownModel
from pointsman.testing.factories import a_pool, a_request, a_settings, an_endpoint
from pointsman.wiring import build_graph

SMALL = a_pool("small", capabilities=Capabilities(context=1000, vision=False))
LARGE = a_pool("large", "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1")


def way_of(settings, request, *, model="auto"):
    graph = build_graph(settings)
    meaning = graph.names.look_up(model, request.caller)
    decision = graph.decide(request, meaning)
    return decision, graph.way(request, decision, meaning)


def route(**fields):
    return RouteSettings("auto", ladder=("small", "large"), default_tier="small", pipeline=("rules", "pinned:small"), **fields)


def test_the_way_climbs_from_the_decided_tier():
    decision, way = way_of(a_settings(SMALL, LARGE, route=route()), a_request())

    assert decision.tier == "small"
    assert [(r.tier, r.reason) for r in way.rungs] == [("small", "chosen"), ("large", "failed")]
    assert way.rungs[1].endpoints == ("large/0", "large/1")


@pytest.mark.parametrize("needs", [Needs(context=2000), Needs(vision=True)])
def test_a_tier_that_cannot_is_neither_chosen_nor_a_last_resort(needs):
    decision, way = way_of(a_settings(SMALL, LARGE, route=route()), a_request(needs=needs))

    assert decision.tier == "large"
    assert [r.tier for r in way.rungs] == ["large"]


def test_nothing_that_fits_is_a_sentence_for_the_client():
    with pytest.raises(NothingFits):
        way_of(a_settings(SMALL, route=RouteSettings("auto", ("small",), "small")), a_request(needs=Needs(context=2000)))


def test_a_named_model_that_cannot_serve_says_what_it_lacks():
    settings = a_settings(SMALL, LARGE, route=route())
    graph = build_graph(settings)
    request = a_request(model="small", needs=Needs(context=2000, vision=True))
    meaning = graph.names.look_up("small", request.caller)

    with pytest.raises(NothingFits) as caught:
        graph.way(request, graph.decide(request, meaning, 0.0), meaning)
    assert str(caught.value) == (
        "'small' cannot serve this request (small: context of 1,000 tokens, about 2,000 needed and no vision); name another model, or ask for less")


def test_a_named_model_stays_with_its_pool():
    decision, way = way_of(a_settings(SMALL, LARGE, route=route()), a_request(model="large-model"), model="large-model")

    assert (decision.decided_by, decision.tier, [r.tier for r in way.rungs]) == ("client", "large", ["large"])


def test_a_named_provider_bars_the_endpoints_of_others():
    mixed = a_pool("mixed", endpoints=(an_endpoint("mixed/0", provider="acme"), an_endpoint("mixed/1")))
    settings = a_settings(SMALL, mixed, route=RouteSettings("auto", ("small", "mixed"), "small"))
    _, way = way_of(settings, a_request(model="acme/mixed-model"), model="acme/mixed-model")

    assert (way.rungs[0].endpoints, way.barred) == (("mixed/0",), {"mixed": {"mixed/1"}})


def test_a_key_that_may_not_reach_a_pool_goes_round_it():
    caller = Caller("app", pools=frozenset(("large",)))
    decision, way = way_of(a_settings(SMALL, LARGE, route=route()), a_request(caller=caller))

    assert (decision.tier, [r.tier for r in way.rungs]) == ("large", ["large"])


def test_a_rule_may_choose_a_pool_on_no_ladder_and_the_ladder_remains_behind_it():
    law = a_pool("law")
    rules = (Rule("law", Condition(regex="contract"), pool="law", system="You are a lawyer."),)
    settings = a_settings(SMALL, LARGE, route=route(rules=rules))
    settings = msgspec.structs.replace(settings, pools=settings.pools | {"law": law})
    decision, way = way_of(settings, a_request("read this contract"))

    assert (decision.pool, decision.system, decision.decided_by) == ("law", "You are a lawyer.", "rules")
    assert way.rungs[0].endpoints == ("law/0",)
    assert len(way.rungs) == 3


def test_a_rule_that_chooses_one_pool_of_a_tier_keeps_the_others_behind_it():
    settings = a_settings(SMALL, LARGE, route=route(rules=(Rule("r", Condition(regex="x"), pool="large"),)))
    settings = msgspec.structs.replace(settings, tiers=settings.tiers | {"large": TierSettings("large", ("small", "large"))})
    _, way = way_of(settings, a_request("x"))

    assert way.pools["large"] == ("large", "small")


def asking(*names, **limits):
    return a_request(limits=Limits(alternatives=tuple(Alternative(f"fallbacks[{i}]", name) for i, name in enumerate(names)), **limits))


def test_an_alternative_comes_after_the_climbs_and_before_weaker_tiers():
    spare = a_pool("spare")
    settings = a_settings(SMALL, LARGE, spare, route=RouteSettings("auto", ("small", "large"), "large", pipeline=("pinned:large",)))
    _, way = way_of(settings, asking("spare-model", "spare"))

    assert [(r.tier, r.reason) for r in way.rungs] == [("large", "chosen"), ("spare", "fallback"), ("small", "last_resort")]


def test_a_last_resort_that_the_client_names_is_one_no_more():
    settings = a_settings(SMALL, LARGE, a_pool("spare"),
                          route=RouteSettings("auto", ("small", "large"), "large", pipeline=("pinned:large",)))
    _, way = way_of(settings, asking("small", "spare"))

    assert [(r.tier, r.reason) for r in way.rungs] == [("large", "chosen"), ("small", "fallback"), ("spare", "fallback")]


def test_an_alternative_that_cannot_serve_is_left_out_and_an_unknown_one_refused_by_its_path():
    settings = a_settings(SMALL, LARGE, route=RouteSettings("auto", ("large",), "large"))
    needy = msgspec.structs.replace(asking("small"), needs=Needs(vision=True))
    assert [r.tier for r in way_of(settings, needy)[1].rungs] == ["large"]

    with pytest.raises(UnknownModel) as caught:
        way_of(settings, asking("small", "smal"))
    assert (caught.value.param, caught.value.near[0]) == ("fallbacks[1]", "small")


def test_a_request_that_stays_has_one_rung_and_a_plan_only_lowers():
    settings = a_settings(SMALL, LARGE, route=route(deadline_s=9.0))
    request = asking("large", stays=True, max_sent=7, deadline_s=99.0)
    _, way = way_of(settings, request)
    graph = build_graph(settings)

    assert [r.tier for r in way.rungs] == ["small"]
    plan = graph.plan(request, settings.routes["auto"], way, 100.0, graph.deadline(request, settings.routes["auto"], 100.0))
    assert (plan.max_sent, plan.deadline) == (3, 109.0)
    request = asking(max_sent=1, deadline_s=2.0)
    plan = graph.plan(request, settings.routes["auto"], way, 100.0, graph.deadline(request, settings.routes["auto"], 100.0))
    assert (plan.max_sent, plan.deadline) == (1, 102.0)


# -- conversations


def talk(*said):
    return a_request(messages=tuple(Message("user" if at % 2 == 0 else "assistant", text) for at, text in enumerate(said)))


def graph_of(pipeline, small=None, large=None, **fields):
    route = RouteSettings("auto", ladder=("small", "large"), default_tier="large", pipeline=pipeline, **fields)
    return build_graph(a_settings(small or a_pool("small"), large or a_pool("large"), route=route))


def after(graph, request, tier, rung):
    """The decision on `request` once the turn before was answered by this tier."""
    meaning = graph.names.look_up("auto", request.caller)
    earlier = msgspec.structs.replace(request, messages=request.messages[:1])
    graph.answered(earlier, graph.decide(earlier, meaning, 0.0), tier, tier, 0.0)
    return graph.decide(request, meaning, 1.0)


def test_a_pinned_conversation_stays_where_it_has_climbed():
    decision = after(graph_of(("heuristic",), session="pin"), talk("Prove it.", "QED", "thanks"), "large", 2)

    assert (decision.tier, decision.decided_by) == ("large", "session")
    assert decision.reason == "the conversation stays where it has climbed to, on large; policy said small"


def test_a_pinned_conversation_goes_up_by_its_scores():
    hard = "Prove that sqrt(2) is irrational step by step"

    assert after(graph_of(("heuristic",), session="pin"), talk("hi", "hello", hard), "small", 1).decided_by == "policy"
    assert after(graph_of(("heuristic",), session="pin"), talk("hi", "hello", hard), "small", 1).tier == "large"


def test_what_a_rule_or_the_client_says_is_no_matter_of_pins():
    rules = (Rule("r", Condition(), tier="small"),)

    assert after(graph_of(("rules",), session="pin", rules=rules), talk("a", "b", "c"), "large", 2).decided_by == "rules"


def test_a_free_conversation_is_remembered_only_where_its_cache_has_a_price():
    free, priced = graph_of(("heuristic",)), graph_of(("heuristic",), large=a_pool("large", endpoints=(
        an_endpoint("large/0", price=TokenPrice(3, 15, cached_input=0.3)),)))

    assert after(free, talk("Prove it.", "QED", "thanks"), "large", 2).tier == "small"
    assert after(priced, talk("Prove it.", "QED", "thanks"), "large", 2).tier == "small"
    assert (len(free.conversations), len(priced.conversations)) == (0, 1)


def test_a_wish_in_the_name_changes_the_decision():
    graph, hard = graph_of(("heuristic",)), a_request("Prove that sqrt(2) is irrational step by step")

    def tier(name):
        return graph.decide(hard, graph.names.look_up(name, hard.caller), 0.0).tier

    assert [tier(name) for name in ("auto", "auto@0.1", "auto:best")] == ["large", "small", "large"]


def test_who_asked_for_the_decision_alone_gets_the_table():
    graph, request = graph_of(("heuristic",)), a_request()
    meaning, named = (graph.names.look_up(name, request.caller) for name in ("auto", "small"))

    detailed = graph.in_detail(request, meaning, graph.decide(request, meaning, 0.0), 0.0)

    assert [row.tier for row in detailed.candidates] == ["small", "large"]
    assert graph.in_detail(request, named, graph.decide(request, named, 0.0), 0.0).candidates == ()


def test_times_to_first_token_are_read_once_a_second(monkeypatch):
    graph, read = graph_of(("heuristic",), usd_per_second=1.0), []
    monkeypatch.setattr(type(graph.fleet), "ttft_p95", lambda fleet, tier, now: read.append(tier) or {"small": 5.0, "large": 0.1}[tier])
    request = a_request()
    meaning = graph.names.look_up("auto", request.caller)

    tiers = [graph.decide(request, meaning, now).tier for now in (0.0, 0.5, 1.0)]

    assert tiers == ["large"] * 3
    assert len(read) == 4
