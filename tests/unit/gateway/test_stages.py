"""Who may be asked, and what of them outlives a reload."""

import msgspec
import pytest

from pointsman.core.request import Caller
from pointsman.core.settings import JudgeSettings, RemoteSettings, RouteSettings
from pointsman.testing.factories import a_pool, a_request, a_settings
from pointsman.wiring import build_graph

ROUTE = RouteSettings("auto", ("small", "large"), "large", pipeline=("rules", "heuristic", "remote", "judge"),
                      remote=RemoteSettings("http://127.0.0.1:9/c"), judge=JudgeSettings(pool="small"))


def settings(**route):
    return a_settings(a_pool("small"), a_pool("large"), route=msgspec.structs.replace(ROUTE, **route))


def consulting(graph):
    return {stage.name: stage for stage in graph.deciders["auto"].consulting}


def test_a_classifier_elsewhere_is_asked_before_the_judge():
    assert list(consulting(build_graph(settings()))) == ["remote", "judge"]
    assert consulting(build_graph(settings(pipeline=("rules", "heuristic")))) == {}


@pytest.mark.parametrize(("change", "keeps_remote", "keeps_judge"), [
    ({}, True, True), ({"quality": 0.5}, True, True), ({"remote": RemoteSettings("http://127.0.0.1:9/c", share=0.5)}, False, True),
    ({"judge": JudgeSettings(pool="small", share=0.5)}, True, False)])
def test_standing_is_kept_with_the_settings_it_was_earned_under(change, keeps_remote, keeps_judge):
    before = build_graph(settings())
    after = build_graph(settings(**change), before, 2)

    assert (consulting(after)["remote"].standing is consulting(before)["remote"].standing) is keeps_remote
    assert (consulting(after)["judge"].standing is consulting(before)["judge"].standing) is keeps_judge


@pytest.mark.parametrize(("change", "keeps"), [({}, True), ({"quality": 0.5}, True), ({"pipeline": ("rules", "heuristic")}, False),
                                               ({"priors": "off"}, False)])
def test_what_callers_have_shown_is_kept_while_the_same_stages_score(change, keeps):
    before = build_graph(settings())
    before.deciders["auto"].priors.learn("acme", "ann", "small", 0.8, 0.0)
    after = build_graph(settings(**change), before, 2)

    assert bool(len(after.deciders["auto"].priors)) is keeps


def test_nothing_is_known_of_a_caller_at_first():
    graph = build_graph(settings())

    assert "outcomes" not in graph.deciders["auto"].decide(a_request(caller=Caller("ann", "acme"))).reason
