"""Whatever a judge says, and whoever makes it say so."""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pointsman.classify.judge import Habit, Word, moved, question, word_of
from pointsman.core.answer import Answer, Choice, Token
from pointsman.core.decision import Scores, TierScore

LADDER = ("a", "b", "c", "d")
PROBABILITY = st.floats(0, 1)


@st.composite
def words(draw, rungs=4):
    parts = draw(st.lists(st.floats(0, 1), min_size=rungs, max_size=rungs).filter(lambda parts: sum(parts) > 0.01))
    return Word(tuple(part / sum(parts) for part in parts))


@st.composite
def scored(draw):
    by_tier = {}
    for tier in LADDER:
        p = draw(PROBABILITY)
        by_tier[tier] = TierScore(p, p * draw(PROBABILITY), 3)
    return Scores(by_tier, draw(st.booleans()))


HABITS = st.tuples(st.integers(0, 30), st.lists(words(), max_size=40))


def habit_of(made):
    habit = Habit(4, made[0])
    for word in made[1]:
        habit.hear(word)
    return habit


@given(scored(), words(), HABITS, st.floats(0, 0.95), st.floats(0.01, 0.5))
def test_no_score_and_no_bound_moves_by_more_than_the_band(before, word, made, reliability, band):
    after = moved(before, LADDER, word, habit_of(made), reliability, band).scores

    for tier in LADDER:
        old, new = before.by_tier[tier], after.by_tier[tier]
        assert abs(new.p - old.p) <= band + 1e-9
        assert abs(new.lower - old.lower) <= band + 1e-9
        assert 0.0 <= new.lower <= new.p + 1e-9
        assert new.p <= 1.0
        assert (new.p > old.p + 1e-12) <= (habit_of(made).shift(word, LADDER.index(tier) + 1, reliability) > 0)


@given(scored(), words(), HABITS)
def test_a_useless_judge_moves_nothing(before, word, made):
    assert moved(before, LADDER, word, habit_of(made), 0.0, 0.5).scores == before


@given(words(), st.integers(20, 100), st.floats(0, 0.95), st.integers(0, 300))
def test_one_that_always_says_the_same_moves_next_to_nothing_from_its_first_word_on(word, learns_from, reliability, heard):
    habit = Habit(4, learns_from)
    for _ in range(heard):
        habit.hear(word)

    before = Scores({tier: TierScore(0.5, 0.5) for tier in LADDER}, True)  # where log-odds move a probability most
    after = moved(before, LADDER, word, habit, reliability, 0.5).scores
    assert all(abs(after.by_tier[tier].p - 0.5) < 0.03 for tier in LADDER)


@given(words(), words(), HABITS, st.floats(0, 0.95))
def test_the_likelier_it_says_that_a_rung_will_do_the_higher_its_score(one, other, made, reliability):
    habit = habit_of(made)
    for rung in range(1, 5):
        low, high = sorted((one, other), key=lambda word: word.will_do(rung))
        assert habit.shift(low, rung, reliability) <= habit.shift(high, rung, reliability) + 1e-9


@given(st.text(max_size=60), st.lists(st.tuples(st.text(max_size=4), st.floats(-50, 0)), max_size=8), st.sampled_from(["logprobs", "enum", "word"]),
       st.integers(2, 9))
def test_whatever_it_replies_is_a_word_or_nothing(text, top, form, rungs):
    word = word_of(Answer((Choice(text, tokens=(Token(text, None, tuple(top)),)),)), rungs, form)

    assert word is None or (len(word.shares) == rungs and abs(sum(word.shares) - 1) < 1e-9 and 1 <= word.rung <= rungs)


@given(st.text(max_size=3000), st.integers(0, 2**64 - 1), st.integers(100, 1000), st.sampled_from(["logprobs", "enum", "word"]))
def test_whatever_the_prompt_its_end_mark_is_where_we_put_it(text, seed, most, form):
    text = text.encode("utf-8", "replace").decode()
    body = msgspec.json.decode(question(text, 3, form, most, Random(seed)))
    said = body["messages"][1]["content"]
    mark = said.partition("<<query ")[2][:16]

    assert said.startswith(f"<<query {mark}>>\n")
    assert said.count(f"<</query {mark}>>") == 1
    assert len(said) <= most + 300
