"""How busy an endpoint is."""

from __future__ import annotations

from pointsman.core.fleet import EndpointState, EndpointView
from pointsman.core.request import Needs
from pointsman.pools.balancers.load import cost, is_full, overbooking, tokens_of
from pointsman.testing.factories import a_request


def a_view(in_flight: int, tokens: int, slots: int | None = None, excess: int = 0, weight: float = 1.0,
           lateness: float = 0.0) -> EndpointView:
    return EndpointView("small/0", EndpointState.HEALTHY, in_flight, tokens, slots, None, excess, weight, lateness=lateness)


def test_tokens_in_flight_what_is_reported_beyond_and_the_request_itself():
    assert cost(a_view(2, 300, excess=1000), 50) == 1350.0


def test_a_tenth_of_the_weight_is_ten_times_the_cost():
    assert cost(a_view(2, 300, weight=0.1), 50) == 3500.0


def test_a_request_has_at_least_one_token():
    assert tokens_of(a_request(needs=Needs(context=0))) == 1
    assert tokens_of(a_request(needs=Needs(context=70))) == 70


def test_full_is_all_slots_taken_and_never_when_they_are_unknown():
    assert is_full(a_view(4, 1, slots=4))
    assert not is_full(a_view(3, 1, slots=4))
    assert not is_full(a_view(400, 1))


def test_full_is_late_too():
    assert is_full(a_view(1, 1, lateness=1.0))
    assert not is_full(a_view(1, 1, lateness=0.9))


def test_a_home_may_have_half_of_its_slots_again_and_be_twice_as_late():
    assert [overbooking(a_view(in_flight, 0, slots=8)) for in_flight in (0, 7, 8, 11, 12)] == [0, 0, 1 / 5, 4 / 5, 1]
    assert overbooking(a_view(1, 0, slots=1)) == 1 / 1.5
    assert [overbooking(a_view(1, 0, lateness=lateness)) for lateness in (0.99, 1.0, 1.5, 2.0)] == [0, 0.05, 0.5, 1]
    assert overbooking(a_view(8, 0, slots=8, lateness=1.5)) == 0.5
