"""Each session on one endpoint."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from pointsman.core.fleet import EndpointState, EndpointView
from pointsman.core.request import Caller, Message
from pointsman.pools.balancers.session import Session, key_of
from pointsman.testing.factories import a_request

RNG = Random(1)
POOL = tuple(EndpointView(f"small/{n}", EndpointState.HEALTHY, 0, 0, None, key=n * 7919) for n in range(8))


def pick(views=POOL, **about) -> str:
    return Session().pick(a_request(**about), views, RNG)


@pytest.mark.parametrize(
    "about",
    [
        {"session": "s1"},
        {"headers": {"x-session-id": "s1"}},
        {"metadata": {"session_id": "s1"}},
        {"headers": {"x-user-id": "s1"}},
        {"metadata": {"user_id": "s1"}},
        {"caller": Caller(name="s1")},
    ],
)
def test_a_session_has_one_endpoint_whatever_it_asks_and_however_it_is_named(about):
    assert {pick(prompt=f"question {n}", **about) for n in range(20)} == {pick(session="s1")}


def test_a_session_goes_before_a_user_and_a_user_before_a_key():
    many = {"session": "a", "headers": {"x-session-id": "b", "x-user-id": "d"}, "metadata": {"session_id": "c"}}
    assert key_of(a_request(**many)) == key_of(a_request(session="a"))
    del many["session"]
    assert key_of(a_request(**many)) == key_of(a_request(session="b"))
    del many["headers"]["x-session-id"]
    assert key_of(a_request(**many, caller=Caller(name="key"))) == key_of(a_request(session="c"))


def test_sessions_spread_over_the_pool():
    counts = Counter(pick(session=f"s{n}") for n in range(800))
    assert len(counts) == 8
    assert min(counts.values()) > 60


def test_the_same_name_at_two_tenants_is_two_sessions():
    mine = a_request(session="s1", caller=Caller(tenant="a"))
    assert key_of(mine) != key_of(a_request(session="s1", caller=Caller(tenant="b")))


def test_without_any_name_the_beginning_of_the_conversation_is_one():
    first = (Message("user", "What does the red light mean?"),)
    later = (*first, Message("assistant", "It blinks."), Message("user", "And the green one?"))
    assert key_of(a_request(messages=first)) == key_of(a_request(messages=later))
    assert key_of(a_request(messages=())) == 0


def test_lone_surrogates_name_a_session_too():
    assert pick(session="\ud800") == pick(session="\ud800")
