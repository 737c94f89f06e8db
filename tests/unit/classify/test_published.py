"""The published heuristic, flaws included."""

import pytest

from pointsman.classify.published import Published, published_tier
from pointsman.core.request import Message
from pointsman.testing.factories import a_request

LONG = "word " * 500


@pytest.mark.parametrize(("prompt", "tier"), [
    ("What is the capital of France?", 1), ("  WHO IS Ada Lovelace", 1), ("Tell me a story", 2),
    ("What is a class of service?", 3), ("first class fare", 3), ("import duty", 3), ("is it waterproof", 3),
    ("Class of 1999", 2), ("the integral", 3), (r"\[x\]", 3), ("step by step", 2),
    (LONG + "Step By Step", 3), (LONG.strip(), 2), ("What is " + "word " * 97, 1), ("What is " + "word " * 98, 2),
])
def test_it_does_what_was_published(prompt, tier):
    assert published_tier(a_request(prompt))[0] == tier


def test_500_words_are_not_more_than_500():
    assert published_tier(a_request("word " * 498 + "analyze this"))[0] == 2
    assert published_tier(a_request("word " * 499 + "analyze this"))[0] == 3


def test_every_message_counts_but_the_question_form_is_the_last_users():
    old = Message("system", "You know the derivative.")
    assert published_tier(a_request(messages=(old, Message("user", "What is it?"))))[0] == 3
    assert published_tier(a_request(messages=(Message("user", "What is it?"), Message("user", "Go on"))))[0] == 2


def test_tiers_are_first_middle_and_last_rung():
    stage = Published(("a", "b", "c"))

    assert [stage.classify(a_request(p), None).target.name for p in ("who is it", "hm", "def ")] == ["a", "b", "c"]
