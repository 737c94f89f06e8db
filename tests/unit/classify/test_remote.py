"""What an outside classifier is sent, and what its answer means."""

import msgspec
import pytest

from pointsman.classify.remote import Garbage, meaning, question, tiers_of
from pointsman.classify.subject import subject
from pointsman.core.decision import Decide
from pointsman.core.request import Caller, Message, Needs
from pointsman.core.settings import RemoteSettings
from pointsman.testing.factories import a_pool, a_request, a_settings

LADDER = ("small", "medium", "large")
SETTINGS = RemoteSettings("http://127.0.0.1:9/classify")
TIERS = tiers_of(a_settings(*(a_pool(name) for name in LADDER)), LADDER, {})


def said(answer, settings=SETTINGS, tiers=TIERS):
    return meaning(settings, LADDER, tiers, answer if isinstance(answer, bytes) else msgspec.json.encode(answer))


def scores(result):
    return {tier: score.p for tier, score in result.scores.by_tier.items()}


def asked(request, **settings):
    return msgspec.json.decode(question(msgspec.structs.replace(SETTINGS, **settings), "auto", LADDER, request, subject(request)))


def test_the_users_own_words_and_facts_are_sent_and_the_keys_name_is_not():
    request = a_request(messages=(Message("system", "Be brief."), Message("user", "Sum it up")), tools=2, images=1, max_tokens=50,
                        needs=Needs(json_schema=True), caller=Caller("ann's key", "acme"))

    assert asked(request) == {
        "version": 1, "route": "auto", "tenant": "acme", "tiers": list(LADDER), "text": "Sum it up", "cut": False,
        "facts": {"chars": 9, "tokens": 3, "script": "latin", "turns": 1, "tools": 2, "images": 1, "json_schema": True, "max_tokens": 50}}


def test_a_long_text_is_sent_by_its_ends_and_says_so():
    sent = asked(a_request("a" * 3000 + "z" * 3000), max_chars=101)

    assert (sent["text"], sent["cut"], sent["facts"]["chars"]) == ("a" * 51 + "\n" + "z" * 50, True, 6000)


def test_a_lone_surrogate_can_be_sent():
    assert asked(a_request().__class__(**{**msgspec.structs.asdict(a_request()), "messages": (Message("user", "a\ud800b"),)}))["text"] == "a?b"


def test_other_forms_are_sent_text_alone():
    assert asked(a_request("hi"), form="vllm", model="head") == {"input": "hi", "model": "head"}
    assert asked(a_request("hi"), form="vllm") == {"input": "hi"}
    assert asked(a_request("hi"), form="labels") == {"inputs": "hi", "truncate": True}


@pytest.mark.parametrize("name", ["small", " Small ", "small-model", 1])
def test_a_tier_goes_by_its_name_its_models_or_its_rung(name):
    assert said({"tier": name}).target.name == "small"


def test_a_name_of_ones_own_comes_first():
    tiers = tiers_of(a_settings(*(a_pool(name) for name in LADDER)), LADDER, {"large": "small", "small": "easy"})

    assert said({"tier": "small"}, tiers=tiers).target.name == "large"
    assert said({"tier": "easy"}, tiers=tiers).target.name == "small"


def test_below_the_confidence_that_is_asked_for_it_abstains():
    settings = msgspec.structs.replace(SETTINGS, min_confidence=0.6)

    assert said({"tier": "small", "confidence": 0.5}, settings) is None
    assert isinstance(said({"tier": "small", "confidence": 0.6}, settings), Decide)
    assert isinstance(said({"tier": "small"}, settings), Decide)


def test_scores_are_probabilities_of_a_good_answer_in_ladder_order_and_say_whose_they_are():
    result = said({"scores": {"large": 1, "small": 0.25, "weather": 0.5}})

    assert list(scores(result).items()) == [("small", 0.25), ("large", 1.0)]
    assert result.scores.calibrated is False
    assert said({"scores": {"small": 0.2}}, msgspec.structs.replace(SETTINGS, calibrated=True)).scores.calibrated is True


def test_classes_say_what_is_needed_so_a_rung_will_do_with_all_below_it():
    vllm = msgspec.structs.replace(SETTINGS, form="vllm")
    turned = msgspec.structs.replace(vllm, classes=("large", "medium", "small"))

    assert scores(said({"data": [{"probs": [0.5, 0.3, 0.2]}]}, vllm)) == pytest.approx({"small": 0.5, "medium": 0.8, "large": 1.0})
    assert scores(said({"data": [{"probs": [0.5, 0.3, 0.2]}]}, turned)) == pytest.approx({"small": 0.2, "medium": 0.5, "large": 1.0})


def test_labels_may_be_nested_and_may_know_more_than_tiers():
    labels = msgspec.structs.replace(SETTINGS, form="labels")
    rows = [{"label": "LARGE", "score": 0.6}, {"label": "small", "score": 0.2}, {"label": "spam", "score": 0.2}]

    assert scores(said(rows, labels)) == scores(said([rows], labels)) == pytest.approx({"small": 0.25, "medium": 0.25, "large": 1.0})
    assert said([], labels) is None


@pytest.mark.parametrize("answer", [b"", b"  \n", b"null", {}, {"tier": None}, {"scores": {}}, {"reason": "no idea"}])
def test_nothing_said_abstains(answer):
    assert said(answer) is None


@pytest.mark.parametrize("answer", [
    b"{", b"\xff\xfe", b"[]", b"7", {"tier": "huge"}, {"tier": 0}, {"tier": 4}, {"tier": True}, {"tier": 1.5}, {"scores": [0.1, 0.9]},
    {"scores": {"small": True}}, {"scores": {"small": -0.1}}, {"scores": {"huge": 0.5}}, {"scores": {"small": None}},
    {"tier": "small", "confidence": 2}, {"tier": "small", "confidence": "high"}])
def test_what_is_none_of_that_is_garbage(answer):
    with pytest.raises(Garbage):
        said(answer)


@pytest.mark.parametrize(("form", "answer"), [
    ("vllm", {"data": [{"probs": [0.5, 0.5]}]}), ("vllm", {"data": [{"probs": [0.9, 0.9, 0.9]}]}), ("vllm", {"data": "x"}),
    ("vllm", {"data": [{"probs": [-1, 1, 1]}]}), ("labels", [{"label": "spam", "score": 1.0}]), ("labels", {"label": "small"}),
])
def test_classes_that_are_no_probabilities_are_garbage(form, answer):
    with pytest.raises(Garbage):
        said(answer, msgspec.structs.replace(SETTINGS, form=form))


def test_a_reason_is_one_short_line():
    reason = said({"tier": "small", "reason": "so\r\nX-Evil: 1" + "!" * 500}).reason

    assert "\n" not in reason
    assert "\r" not in reason
    assert len(reason) < 250
