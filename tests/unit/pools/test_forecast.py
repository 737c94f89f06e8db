"""How long the next first token will take."""

from __future__ import annotations

import pytest

from pointsman.pools.forecast import LEAST, TRUST, Borrowed, Forecast


def test_nothing_is_foretold_from_a_few_answers():
    forecast = Forecast()
    for _ in range(LEAST - 1):
        forecast.learn(1_000, 0.3)
    assert forecast.expects(1_000) is None
    forecast.learn(1_000, 0.3)
    assert forecast.expects(1_000) == pytest.approx(0.3)


def test_twice_the_tokens_ahead_take_twice_the_time_after_what_an_answer_takes_anyway():
    forecast = Forecast()
    for ahead in range(100, 5_000, 100):
        forecast.learn(ahead, 0.05 + ahead * 0.0002)
    assert forecast.expects(20_000) == pytest.approx(4.05)
    assert forecast.expects(0) == pytest.approx(0.05)


def test_more_work_never_makes_it_quicker_and_nothing_takes_less_than_no_time():
    forecast = Forecast()
    for ahead in range(100, 2_000, 100):
        forecast.learn(ahead, 1.0 - ahead * 0.0004)
    assert forecast.expects(10_000) == forecast.expects(0) > 0


def test_an_endpoint_that_has_become_slower_is_believed_within_a_hundred_answers():
    forecast = Forecast()
    for at in range(300):
        forecast.learn(1_000 + at % 7 * 500, (1_000 + at % 7 * 500) * (0.0002 if at < 200 else 0.0006))
    assert forecast.expects(10_000) == pytest.approx(6.0, rel=0.1)


def test_prompts_of_one_length_show_no_slope_however_their_times_differ():
    forecast = Forecast()
    for at in range(50):
        forecast.learn(1_237, 0.1 + at % 3 * 0.01)
    assert forecast.token_s == 0.0
    assert forecast.expects(1_000_000) == pytest.approx(0.11, abs=0.01)


def test_what_a_token_takes_is_the_slope():
    forecast = Forecast()
    for ahead in range(100, 5_000, 100):
        forecast.learn(ahead, 0.05 + ahead * 0.0002)
    assert forecast.token_s == pytest.approx(0.0002)


def usual() -> Forecast:
    forecast = Forecast()
    for ahead in range(100, 5_000, 100):
        forecast.learn(ahead, 0.05 + ahead * 0.0002)
    return forecast


def test_a_few_answers_say_how_many_times_the_usual_an_endpoint_takes():
    forecast = Forecast()
    assert forecast.times(usual()) == 1.0
    for count in range(1, LEAST):
        forecast.learn(1_000, 3 * 0.25)
        assert forecast.times(usual()) == pytest.approx((3 * count + TRUST) / (count + TRUST))


def test_that_few_answers_came_quickly_says_nothing():
    forecast = Forecast()
    forecast.learn(1_000, 0.01)
    assert forecast.times(usual()) == 1.0


def test_a_line_that_foretells_nothing_is_no_measure():
    forecast = Forecast()
    forecast.learn(1_000, 5.0)
    assert forecast.times(Forecast()) == 1.0


def test_a_borrowed_line_is_that_many_times_as_steep_and_begins_as_much_later():
    borrowed = Borrowed(usual(), 2.0)
    assert borrowed.token_s == pytest.approx(0.0004)
    assert borrowed.expects(0) == pytest.approx(0.1)
    assert borrowed.expects(1_000) == pytest.approx(0.5)
    assert Borrowed(Forecast(), 2.0).expects(0) is None
