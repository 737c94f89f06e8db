"""Who may be asked, and what of them outlives a reload."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from pointsman.classify.asking import Opinions
from pointsman.classify.classifier import Classifier
from pointsman.core.request import Caller
from pointsman.core.settings import ClassifierSettings, JudgeSettings, RemoteSettings, RouteSettings
from pointsman.gateway.graph import Learned
from pointsman.gateway.sentences import BAND
from pointsman.gateway.stages import consulting_of
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


GAPS = np.random.default_rng(1).uniform(0.0, 0.5, 1000)


def a_second_opinion(moved=0.4, share=0.03, opinions=True, **route):
    """The stage `sentence` of an artifact whose small model was expected to lose so much, and with a vector less by `moved`."""
    before = np.stack([0.9 - GAPS, np.full(1000, 0.9)], axis=1)
    known = Opinions(before, before + np.array([moved, 0.0])) if opinions else None
    classifier = Classifier(SimpleNamespace(models=("small", "large"), kernel="numpy"), version="1", is_generic=False, opinions=known)
    made = msgspec.structs.replace(settings(pipeline=("embedding",), **route), classifier=ClassifierSettings(sentence_share=share))
    (stage,) = consulting_of(made, "auto", Learned(classifier, SimpleNamespace()), None, None)
    return stage


@pytest.mark.parametrize("quality", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("share", [0.03, 0.1])
def test_a_sentence_vector_is_asked_for_by_its_share_of_what_was_rehearsed_whatever_the_quality(quality, share):
    stage = a_second_opinion(share=share, quality=quality)
    margins = np.abs(0.9 - GAPS - 0.9 * quality)

    assert np.mean(margins < stage.band) == pytest.approx(share, abs=0.002)
    assert stage.share.share == share


def test_a_vector_that_moves_little_is_asked_for_less_and_one_of_which_nothing_is_known_by_a_habit():
    assert a_second_opinion(moved=0.001, quality=0.7).band == pytest.approx(0.001)
    assert a_second_opinion(opinions=False, quality=0.7).band == BAND
