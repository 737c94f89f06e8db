"""What is different on one kind of work, and how little is said of it from few answers."""

from dataclasses import replace

import pytest

np = pytest.importorskip("numpy")

from pointsman.learn.judged_answers import JudgedAnswers  # noqa: E402
from pointsman.learn.task_reliance import BORROWED, borrowing, kinds_of, on_task  # noqa: E402


def judged(rows=400, *, codes=200, error=0.05, error_on_code=0.4, seed=0):
    """A verifier that errs on code far more than elsewhere."""
    draw = np.random.default_rng(seed)
    quality = (draw.random((rows, 2)) < (0.5, 0.95)).astype(float)
    is_code = np.arange(rows) < codes
    wrong = draw.random(rows) < np.where(is_code, error_on_code, error)
    said = np.where((quality[:, 0] > 0) != wrong, 0.9, 0.1)
    return JudgedAnswers(("small", "large"), ("",) * rows, tuple("code" if one else "text" for one in is_code), quality,
                         np.column_stack([said, np.full(rows, np.nan)]), np.ones((rows, 2)), np.zeros((rows, 2)), None,
                         tuple(({"mean": score - 1.0}, {}) for score in said), ())


def measured(answers, task, **values):
    return on_task(answers, answers.score, None, task, answers.task, 0, 0.2, None, **values)


def test_a_kind_with_many_answers_is_told_as_it_is():
    answers = judged()

    assert measured(answers, "code").rates.misses > 0.3
    assert measured(answers, "text").rates.misses < 0.2
    assert measured(answers, "code").rows == 200


def test_a_kind_with_few_is_like_the_tier():
    few, many = measured(judged(codes=40), "code"), measured(judged(codes=200), "code")

    assert few.rates.misses < many.rates.misses


def test_a_kind_with_too_few_is_not_told_at_all():
    assert measured(judged(codes=15), "code") is None


def test_where_the_verifier_errs_a_threshold_gives_more_or_climbs_more_than_the_tiers():
    answers = judged(error=0.0, error_on_code=0.5)

    assert measured(answers, "text").accept_at == pytest.approx(0.5, abs=0.01)
    assert measured(answers, "code").accept_at != measured(answers, "text").accept_at


def test_log_probabilities_get_weights_of_their_own():
    answers = judged()
    found = on_task(answers, answers.score, None, "text", answers.task, 0, 0.2, ["mean"])

    assert found.weights["mean"] > 0
    assert found.weights["mean"] > on_task(answers, answers.score, None, "code", answers.task, 0, 0.2, ["mean"]).weights["mean"]


def test_others_count_together_as_so_many():
    own = np.array([1.0] * 30 + [0.0] * 300)

    assert borrowing(own)[own == 0].sum() == pytest.approx(BORROWED)
    assert borrowing(own)[own > 0].sum() == 30
    assert borrowing(np.array([1.0, 0.0]))[1] == 1.0


def test_kinds_are_the_routers_own_words_or_read_from_the_prompt():
    answers = replace(judged(rows=3, codes=0), task=("code", "sql", "sql"), prompts=("", "Write a Python function that sorts a list.", ""))

    assert kinds_of(answers) == ("code", "code", "")
