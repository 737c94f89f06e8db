"""How much of a stream is held."""

import json

from pointsman.cascade.deferral import WHOLE
from pointsman.core.answer import Answer, Choice, Token
from pointsman.gateway.holding import Holding, held_as, logprobs_of


def event(text, tokens=None):
    logprobs = {"content": [{"token": t, "logprob": -0.5} for t in tokens]} if tokens else None
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text}, "logprobs": logprobs}]}).encode()


def test_tokens_are_counted_where_they_come_with_log_probabilities():
    holding = Holding("chat", 3)
    holding.hear([event("Hello", ["Hel", "lo"])])
    assert not holding.is_enough(5)
    holding.hear([event("!", ["!"])])
    assert holding.is_enough(6)


def test_without_them_a_token_is_four_characters():
    holding = Holding("chat", 2)
    holding.hear([event("Hello wo")])
    assert not holding.is_enough(7)
    assert holding.is_enough(8)


def test_an_answer_that_is_held_whole_is_never_enough():
    holding = Holding("chat", WHOLE)
    holding.hear([event("x" * 1000)])
    assert not holding.is_enough(1000)
    assert holding.answer(is_whole=True).text == "x" * 1000


def test_what_was_held_is_said_in_words():
    assert [held_as(None), held_as(24), held_as(WHOLE)] == ["", "24 tokens", "answer"]


def test_log_probabilities_are_those_of_the_first_choice():
    answer = Answer((Choice(tokens=(Token("a", -0.1), Token("b", None))), Choice(tokens=(Token("c", -9.0),))))
    assert logprobs_of(answer) == (-0.1,)
    assert logprobs_of(Answer((Choice(),))) is None
    assert logprobs_of(Answer()) is None
