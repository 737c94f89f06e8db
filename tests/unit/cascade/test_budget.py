"""How many retries the fleet can bear."""

from __future__ import annotations

from pointsman.cascade.budget import Fare, RetryBudget, pool_of

SMALL = ("small/0", "small/1")


def open_one(budget, now, endpoints=SMALL, *, first=False):
    """A retry when every endpoint has just failed: the budget has to bear it."""
    for endpoint in endpoints:
        budget.failed(endpoint, now)
    return budget.open_retry(endpoints, now, first=first)


def open_many(budget, count, now, endpoints=SMALL):
    return [open_one(budget, now, endpoints) for _ in range(count)]


def test_a_quiet_pool_may_have_three_retries():
    assert open_many(RetryBudget(), 4, 100.0) == ["small", "small", "small", None]


def test_a_retry_that_was_never_sent_makes_room():
    budget = RetryBudget()
    open_many(budget, 3, 100.0)
    budget.close_retry("small", 100.0, spent=False)
    assert open_many(budget, 2, 100.0) == ["small", None]


def test_a_fifth_of_the_last_ten_seconds_attempts_may_be_retries():
    budget = RetryBudget()
    for i in range(50):
        budget.started("small", 100.0 + i / 10)
    assert open_many(budget, 11, 105.0) == ["small"] * 10 + [None]


def test_retries_that_are_over_count_until_they_leave_the_window():
    budget = RetryBudget()
    for _ in range(50):
        budget.started("small", 100.0)
    for _ in range(10):
        pool = open_one(budget, 100.0)
        budget.close_retry(pool, 100.0, spent=True)
    assert open_many(budget, 1, 100.0) == [None]
    assert open_many(budget, 1, 111.0) == ["small"]


def test_a_pool_that_fails_at_once_does_not_live_on_the_floor():
    """Each retry is over before the next request comes: what is in flight says nothing then."""
    budget, allowed = RetryBudget(), 0
    for i in range(1000):
        now = 100.0 + i / 100
        budget.started("small", now)
        if (pool := open_one(budget, now)) is not None:
            allowed += 1
            budget.started(pool, now)
            budget.close_retry(pool, now, spent=True)
    assert 150 <= allowed <= 200


def test_attempts_leave_the_window_after_ten_seconds():
    budget = RetryBudget()
    for _ in range(100):
        budget.started("small", 100.0)
    assert open_many(budget, 5, 109.9) == ["small"] * 5
    assert open_many(budget, 1, 110.0) == [None]


def test_a_long_silence_empties_the_window_at_once():
    budget = RetryBudget()
    for second in range(10):
        for _ in range(100):
            budget.started("small", 100.0 + second)
    assert open_many(budget, 4, 10_000.0)[-1] is None


def test_unsent_retries_consume_nothing():
    budget = RetryBudget()
    for _ in range(50):
        budget.started("small", 100.0)
    for _ in range(1000):
        pool = open_one(budget, 100.0)
        budget.close_retry(pool, 100.0, spent=False)
    assert open_many(budget, 10, 100.0) == ["small"] * 10


def test_the_first_retry_onto_an_endpoint_that_answered_lately_is_always_allowed():
    budget = RetryBudget()
    open_many(budget, 3, 100.0)
    budget.answered("small/1", 95.0)

    assert open_one(budget, 100.0, first=True) == "small"
    assert open_one(budget, 100.0) is None
    assert open_one(budget, 100.0, ("small/0",), first=True) is None
    assert open_one(budget, 105.1, first=True) is None


def test_an_endpoint_that_only_fails_for_a_second_is_no_longer_one_that_answers_some_of_the_time():
    budget = RetryBudget()
    budget.answered("small/0", 99.0)
    open_many(budget, 3, 100.0, ("small/0",))

    assert open_one(budget, 100.9, ("small/0",), first=True) == "small"
    assert open_one(budget, 101.1, ("small/0",), first=True) is None
    budget.answered("small/0", 101.2)
    assert open_one(budget, 101.3, ("small/0",), first=True) == "small"


def test_retries_onto_an_endpoint_that_has_not_failed_are_free():
    budget = RetryBudget()
    open_many(budget, 3, 100.0)

    assert open_many(budget, 1, 100.0) == [None]
    assert [budget.open_retry((*SMALL, "small/2"), 100.0, first=False) for _ in range(50)] == ["small"] * 50


def test_an_endpoint_is_well_again_once_it_answers_or_ten_seconds_have_passed():
    budget = RetryBudget()
    open_many(budget, 3, 100.0)

    assert budget.open_retry(SMALL, 109.9, first=False) is None
    assert budget.open_retry(SMALL, 110.1, first=False) == "small"
    budget.answered("small/0", 101.0)
    assert budget.open_retry(SMALL, 102.0, first=False) == "small"


def test_pools_have_budgets_of_their_own():
    budget = RetryBudget()
    open_many(budget, 3, 100.0)
    assert budget.open_retry(("large/0",), 100.0, first=False) == "large"


def test_a_tier_of_two_pools_pays_from_the_first_that_can():
    budget = RetryBudget()
    assert open_many(budget, 7, 100.0, ("a/0", "b/0")) == ["a"] * 3 + ["b"] * 3 + [None]


def test_a_clock_that_stands_or_steps_back_breaks_nothing():
    budget = RetryBudget()
    for now in (100.0, 50.0, 100.0):
        budget.started("small", now)
    assert open_many(budget, 3, 20.0) == ["small"] * 3


def test_repr_tells_what_is_in_flight():
    budget = RetryBudget()
    open_many(budget, 2, 100.0)
    assert repr(budget) == "<RetryBudget [small 2 in flight]>"


def test_pool_names_may_contain_a_slash():
    assert pool_of("acme/small/12") == "acme/small"


def test_going_on_is_free_onto_an_endpoint_where_no_stream_has_broken():
    budget = RetryBudget()
    budget.broke("small/0", 100.0)

    assert [budget.open_continuation(("small/1",), 100.0) for _ in range(50)] == ["small"] * 50


def test_going_on_where_streams_break_too_is_paid_for_until_one_is_answered_whole():
    budget = RetryBudget()
    budget.broke("small/1", 100.0)
    budget.answered("small/1", 101.0)  # a first token proves nothing

    assert [budget.open_continuation(("small/1",), 101.0) for _ in range(4)] == ["small", "small", "small", None]
    budget.completed("small/1")
    assert budget.open_continuation(("small/1",), 101.0) == "small"


def test_a_break_is_forgotten_after_ten_seconds():
    budget = RetryBudget()
    budget.broke("small/1", 100.0)
    for _ in range(3):
        budget.open_continuation(("small/1",), 100.0)

    assert budget.open_continuation(("small/1",), 110.0) is None
    assert budget.open_continuation(("small/1",), 110.1) == "small"


def test_going_on_is_not_free_where_requests_fail():
    budget = RetryBudget()
    budget.failed("small/1", 100.0)

    assert [budget.open_continuation(("small/1",), 101.0) for _ in range(4)][-1] is None


def climbed(budget, now, *, is_answered):
    """A request whose own tier has failed goes to `large`, which nobody asks otherwise; whether it was let through."""
    fare = Fare(budget)
    if not fare.pays(("large/0",), now, first=False):
        return False
    budget.started("large", now)
    if is_answered:
        budget.answered("large/0", now)
    else:
        budget.failed("large/0", now)
    fare.pay_back(now, sent=True, answered=is_answered)
    return True


def test_one_failure_does_not_close_a_tier_that_is_asked_only_when_others_fail():
    budget = RetryBudget()

    assert all(climbed(budget, 100.0 + i, is_answered=i != 15) for i in range(30))


def test_a_tier_that_is_asked_only_when_others_fail_is_let_be_when_it_fails_too():
    budget = RetryBudget()
    for i in range(100):
        climbed(budget, 100.0 + i / 10, is_answered=True)

    assert sum([climbed(budget, 110.0 + i / 100, is_answered=False) for i in range(1000)]) <= 25


def test_a_stream_that_goes_on_counts_although_it_began():
    budget = RetryBudget()
    for now in (100.0, 100.0, 100.0, 100.0):
        budget.broke("small/1", now)
        fare = Fare(budget)
        went_on = fare.pays_to_go_on(("small/1",), now)
        fare.pay_back(now, sent=True, answered=True)

    assert not went_on
