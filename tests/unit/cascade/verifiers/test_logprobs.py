"""How sure the model was, in figures."""

from __future__ import annotations

from math import exp, log

import pytest

from pointsman.cascade.verifiers.logprobs import LogprobsVerifier, answer_tokens, features_of
from pointsman.core.answer import Answer, Choice, Token
from pointsman.core.verdict import Verdict
from pointsman.core.verifying import Logprobs
from pointsman.testing.factories import a_request


def tokens(*logprobs: float | None) -> tuple[Token, ...]:
    return tuple(Token("x", logprob) for logprob in logprobs)


def said(*logprobs: float | None, **settings: object) -> Verdict:
    choice = Choice("x" * len(logprobs), tokens=tokens(*logprobs))
    return LogprobsVerifier(Logprobs(**settings)).verify(a_request(), Answer((choice,)))


def test_figures_are_what_they_say():
    features = features_of(tokens(-1.0, -2.0, -3.0, -4.0, None), window=2)

    assert features["mean"] == pytest.approx(-2.5)
    assert (features["min"], features["first"], features["median"]) == (-4.0, -1.0, -2.0)
    assert features["worst_window"] == pytest.approx(-3.5)
    assert (features["tokens"], features["unknown_share"]) == (5.0, pytest.approx(0.2))
    assert "margin" not in features


def test_margin_and_entropy_come_from_alternatives():
    even = Token("a", log(0.5), (("a", log(0.5)), ("b", log(0.5))))
    sure = Token("a", log(0.9), (("a", log(0.9)), ("b", log(0.05))))
    features = features_of((even, sure))

    assert features["margin"] == pytest.approx((0.0 + 0.85) / 2)
    rest = 0.9 * log(0.9) + 0.05 * log(0.05) + 0.05 * log(0.05)
    assert features["entropy"] == pytest.approx((log(2) - rest) / 2)


def test_the_score_lies_on_its_curve():
    curve = ((-2.0, 0.2), (-1.0, 0.6), (0.0, 0.8))

    assert [round(said(x, curve=curve).score or 0, 3) for x in (-9.0, -2.0, -1.5, -0.5, 0.0)] == [0.2, 0.2, 0.4, 0.7, 0.8]
    assert said(-1.0, curve=curve).is_graded


def test_below_the_floor_it_is_rejected():
    assert said(-3.0, floor=-2.0).is_hard
    assert not said(-1.0, floor=-2.0).is_hard


def test_weights_make_a_logistic_score():
    assert said(-1.0, -3.0, weights={"mean": 1.0, "bias": 2.0}).score == pytest.approx(0.5)
    assert said(-1.0, weights={"entropy": 1.0}).score is None


def test_missing_figures_are_an_abstention():
    assert said(None, None, None, -1.0).reason == "too few log-probabilities"
    assert said().reason == "no log-probabilities of the answer"
    assert LogprobsVerifier().verify(a_request(), Answer((Choice("x"),))).score is None
    assert said(-1.0, signal="entropy").score is None


def spelt(text: str, logprob: float = -0.1) -> tuple[Token, ...]:
    return tuple(Token(word, logprob) for word in text.split("|"))


def test_thoughts_do_not_count():
    within = Choice("<think>hm</think>yes", tokens=spelt("<think>|hm|</think>", -9.0) + spelt("yes"))
    apart = Choice("yes, it is", "hm, well", tokens=spelt("hm, |well|</think>|\n", -9.0) + spelt("yes,| it| is"))
    unmarked = Choice("yes, it is", "hm, well", tokens=spelt("hm, |well", -9.0) + spelt("yes,| it| is"))

    for choice in (within, apart, unmarked):
        found = answer_tokens(choice)
        assert found is not None
        assert "".join(token.text for token in found).strip() in ("yes", "yes, it is")
        assert all(token.logprob == -0.1 for token in found if token.text.strip())


def test_a_marker_that_is_no_token_of_its_own_is_found_in_the_text():
    choice = Choice("<think>hm</think>yes it is", tokens=spelt("<th|ink>hm</|think>", -9.0) + spelt("yes| it| is"))

    found = answer_tokens(choice)
    assert found is not None
    assert "".join(token.text for token in found) == "yes it is"


def test_thoughts_that_cannot_be_told_from_the_answer_are_an_abstention():
    assert answer_tokens(Choice("yes", "hm", tokens=spelt("a|b|c"))) is None


def test_it_says_what_it_needs():
    traits = LogprobsVerifier(Logprobs(alternatives=5)).traits

    assert (traits.needs_logprobs, traits.top_logprobs, traits.needs_whole_answer, traits.may_reject) == (True, 5, False, False)
    assert LogprobsVerifier(Logprobs(floor=-1.0)).traits.may_reject


def test_a_sure_answer_scores_above_an_unsure_one():
    assert (said(-0.01).score or 0) > (said(log(exp(-1.0))).score or 1)
