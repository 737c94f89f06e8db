"""When a verifier is not asked any more, and when again."""

from __future__ import annotations

from pointsman.core.breaker import FAILURES, REST_MAX_S, REST_S, Breaker


def broken(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(now)
    return breaker


def test_it_rests_after_failures_in_a_row_only():
    breaker = Breaker()
    for _ in range(3 * FAILURES):
        breaker.failed(0.0)
        breaker.succeeded()

    assert breaker.lets(0.0)
    assert not broken().lets(0.0)


def test_after_the_rest_one_question_shows_whether_it_is_well():
    breaker = broken()

    assert not breaker.lets(REST_S - 0.1)
    assert breaker.lets(REST_S)
    assert not breaker.lets(REST_S)
    breaker.succeeded()
    assert breaker.lets(REST_S)
    assert repr(breaker) == "<Breaker [closed | 0 failed in a row]>"


def test_rests_double_up_to_a_bound():
    breaker, now, rests = broken(), 0.0, []
    for _ in range(6):
        rest = next(s for s in range(1, 1000) if breaker.lets(now + s))
        rests.append(rest)
        now += rest
        breaker.failed(now)

    assert rests == [REST_S, 2 * REST_S, 4 * REST_S, 8 * REST_S, REST_MAX_S, REST_MAX_S]


def test_a_probe_that_nobody_reported_on_does_not_close_the_door_for_ever():
    breaker = broken()
    assert breaker.lets(REST_S)

    assert breaker.lets(2 * REST_S)
