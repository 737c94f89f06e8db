"""How often something may be done that costs."""

from __future__ import annotations

import pytest

from pointsman.gateway.allowance import Purse, Share


def taken(share, requests):
    """For each request: it was asked about."""
    done = []
    for _ in range(requests):
        share.saw()
        done.append(share.take())
    return done


def test_the_first_request_may_be_asked_about():
    assert taken(Share(0.2), 11) == [True, False, False, False, False, True, False, False, False, False, True]


@pytest.mark.parametrize("share", [0.05, 0.2, 0.33, 1.0])
def test_no_hundred_requests_in_a_row_have_more_than_their_share(share):
    done = taken(Share(share), 1_000)

    assert max(sum(done[at : at + 100]) for at in range(900)) <= share * 100 + 1e-9


def test_requests_that_want_nothing_leave_it_to_those_that_do():
    share = Share(0.2)
    for _ in range(95):
        share.saw()

    assert sum(taken(share, 30)) == 20


@pytest.mark.parametrize("share", [0.03, 0.2, 1.0])
def test_before_a_request_is_seen_it_is_known_whether_it_may_be_asked_about(share):
    asked = Share(share)
    for number in range(500):
        may = asked.has_some_for_next
        asked.saw()
        assert asked.has_some is may
        if number % 7:
            asked.take()


def test_nobody_asked_before_a_request_was_seen():
    assert not Share(1.0).take()


def test_those_that_come_while_one_is_asked_about_are_counted_once():
    share = Share(1.0)
    for _ in range(3):
        share.saw()

    assert [share.take() for _ in range(4)] == [True, True, True, False]


def test_a_purse_is_empty_for_an_hour():
    purse = Purse(0.000001)

    assert purse.has_some(0.0)
    purse.pay(600, 0.0)
    assert purse.has_some(10.0)
    purse.pay(400, 10.0)
    assert not purse.has_some(3_540.0)
    assert purse.has_some(3_660.0)


def test_without_a_limit_a_purse_is_never_empty():
    purse = Purse(None)
    purse.pay(10**15, 0.0)

    assert purse.has_some(0.0)


def test_a_purse_of_nothing_is_empty_from_the_start():
    assert not Purse(0.0).has_some(0.0)
