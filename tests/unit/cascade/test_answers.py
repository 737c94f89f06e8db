"""Which of the judged answers is given."""

from pointsman.cascade.answers import Answers
from pointsman.cascade.benefit import Judgement
from pointsman.testing.script import by_threshold

RULE = by_threshold({"small": 0.9, "large": 0.9})


def test_the_best_one_in_hand_and_of_equal_ones_the_latest():
    answers = Answers()
    assert answers.best(RULE) is None
    answers.add(1, Judgement("small", 0.4))
    answers.add(2, Judgement("large", 0.3))
    assert answers.best(RULE) == 1
    answers.add(3, Judgement("large", 0.4))
    assert answers.best(RULE) == 3


def test_one_that_was_broken_off_cannot_be_given():
    answers = Answers()
    answers.add(1, Judgement("small", 0.4))
    answers.drop(1)
    assert answers.best(RULE) is None
    assert answers.judgements[0].score == 0.4


def test_judged_again_the_last_word_counts():
    answers = Answers()
    answers.add(1, Judgement("small", 0.1))
    answers.drop(1)
    answers.add(1, Judgement("small", 0.8))
    assert [j.score for j in answers.judgements] == [0.8]
    assert answers.best(RULE) == 1


def test_a_score_beats_an_abstention():
    answers = Answers()
    answers.add(1, Judgement("small", 0.0))
    answers.add(2, Judgement("large", None))
    assert answers.best(RULE) == 1
