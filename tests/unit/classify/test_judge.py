"""What a judge is asked, how its reply is read, and what it may do to scores."""

from __future__ import annotations

from math import log
from random import Random

import msgspec
import pytest

from pointsman.classify.judge import Habit, Word, alone, moved, question, rubric, word_of
from pointsman.core.answer import Answer, Choice, Token
from pointsman.core.decision import Scores, TierScore

LADDER = ("small", "medium", "large")


def word(*shares):
    return Word(shares)


def scores(small=0.70, medium=0.85, large=0.95, lower=0.05):
    by_tier = zip(LADDER, (small, medium, large), strict=True)
    return Scores({tier: TierScore(p, p - lower, 7) for tier, p in by_tier}, True, tokens={"small": 9.0})


def said(text="", *top):
    tokens = (Token(text, -0.1, tuple((token, log(p)) for token, p in top)),) if top else None
    return Answer((Choice(text, tokens=tokens),))


def trusted(rungs=3):
    return Habit(rungs, 0)


@pytest.mark.parametrize(("text", "rung"), [
    ("1", 1), (" 2", 2), ("3.", 3), ('"2"', 2), ("**1", 1), ("2\nbecause", 2), ('{"level": "3"}', 3), ('{"level":2}', 2)])
def test_a_digit_of_the_ladder_is_a_word(text, rung):
    assert word_of(said(text), 3, "word").rung == rung


@pytest.mark.parametrize("text", ["", "4", "0", "12", "1.5", "1st", "Two", "Tier 1", "-1", '{"level": "4"}', '{"tier": 1}', "１", "I would say 2"])
def test_anything_else_is_none(text):
    assert word_of(said(text), 3, "word") is None
    assert word_of(Answer(()), 3, "word") is None


def test_probabilities_are_those_of_the_ladders_digits():
    found = word_of(said("1", ("1", 0.5), (" 2", 0.2), ("Sure", 0.2), ("7", 0.1)), 3, "logprobs")

    assert found.shares == pytest.approx((5 / 7, 2 / 7, 0.0))


def test_an_engine_that_was_about_to_say_something_else_is_taken_at_its_word():
    chatty = (("Sure", 0.9), ("1", 0.09))
    assert word_of(said("Sure", *chatty), 3, "logprobs") is None
    assert word_of(said("2", *chatty), 3, "logprobs").shares == (0.0, 1.0, 0.0)


def test_the_question_is_one_digit_at_temperature_zero():
    body = msgspec.json.decode(question("Why?", 3, "word", 500, Random(1)))

    assert (body["temperature"], body["max_tokens"]) == (0, 1)
    assert rubric(3) in body["messages"][0]["content"]
    assert body["messages"][1]["content"].endswith("Reply with one digit and nothing else: 1, 2 or 3.")


def test_the_instructions_are_the_same_each_time_and_the_marks_are_not():
    one, other = (msgspec.json.decode(question("Why?", 3, "word", 500, Random(seed)))["messages"] for seed in (1, 2))

    assert one[0] == other[0]
    assert one[1] != other[1]


@pytest.mark.parametrize("rungs", range(2, 10))
def test_every_rung_has_a_line(rungs):
    lines = rubric(rungs).splitlines()

    assert [line[:3] for line in lines] == [f"{rung}: " for rung in range(1, rungs + 1)]
    assert "simple" in lines[0]
    assert "complex" in lines[-1]


def test_a_long_prompt_is_shown_by_its_head_and_tail_only():
    shown = msgspec.json.decode(question("HEAD" + "x" * 9_000 + "TAIL", 3, "word", 500, Random(1)))["messages"][1]["content"]

    assert "HEAD" in shown
    assert "TAIL" in shown
    assert len(shown) < 500 + 200


def test_a_word_for_a_rung_lifts_it_and_those_above_and_lowers_those_below():
    after = moved(scores(), LADDER, word(0.0, 1.0, 0.0), trusted(), 0.5, 0.2).scores.by_tier

    assert after["small"].p < 0.70
    assert after["small"].lower < 0.65
    assert after["medium"].p > 0.85
    assert after["medium"].lower > 0.80
    assert after["large"] == scores().by_tier["large"]


def test_everything_else_about_the_scores_stays():
    after = moved(scores(), LADDER, word(1.0, 0.0, 0.0), trusted(), 0.5, 0.2)

    assert (after.scores.calibrated, after.scores.tokens, after.scores.by_tier["small"].evidence) == (True, {"small": 9.0}, 7)
    assert after.reason.startswith("the judge says 1 of 3 (P 1.00): small 0.70 -> ")


def test_a_tier_that_is_on_no_rung_is_left_alone():
    other = Scores({"elsewhere": TierScore(0.5, 0.5)}, True)

    assert moved(other, LADDER, word(1.0, 0.0, 0.0), trusted(), 0.9, 0.2).scores == other


def test_one_likelihood_ratio_by_hand():
    """g = 0.5 and a rung that it names half of the time: (1 + 0.5) / (1 - 0.5) = 3."""
    assert Habit(2, 0).shift(word(1.0, 0.0), 1, 0.5) == pytest.approx(log(3))
    assert Habit(2, 0).shift(word(0.0, 1.0), 1, 0.5) == pytest.approx(-log(3))


def test_a_habit_weighs_what_it_breaks_more_than_what_it_keeps():
    habit = Habit(3, 10)
    for _ in range(200):
        habit.hear(word(1.0, 0.0, 0.0))

    usual, unusual = habit.shift(word(1.0, 0.0, 0.0), 1, 0.5), habit.shift(word(0.0, 0.0, 1.0), 1, 0.5)
    assert 0 <= usual < 0.05
    assert unusual < -0.8


def test_nothing_moves_before_anything_was_heard():
    assert Habit(3, 10).shift(word(1.0, 0.0, 0.0), 1, 0.9) == 0.0


@pytest.mark.parametrize(("named", "tier"), [(1, "small"), (2, None), (3, "large")])
def test_alone_it_goes_one_rung_from_the_default(named, tier):
    shares = tuple(float(rung == named) for rung in (1, 2, 3))

    assert alone(LADDER, "medium", Word(shares), trusted(), 0.5) == tier
    assert alone(LADDER, "large", Word(shares), trusted(), 0.5) == ("medium" if named < 3 else None)
    assert alone(LADDER, "medium", Word(shares), trusted(), 0.0) is None
