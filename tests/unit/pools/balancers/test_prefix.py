"""Requests that begin alike on the same endpoint."""

from __future__ import annotations

from collections import Counter
from random import Random

import msgspec

from pointsman.core.fleet import EndpointState, EndpointView
from pointsman.core.request import Message
from pointsman.pools.balancers.prefix import GENERATION, Popularity, Prefix, prefixes
from pointsman.testing.factories import a_request

RNG = Random(1)
POOL = tuple(EndpointView(f"small/{n}", EndpointState.HEALTHY, 0, 0, None, key=n * 7919) for n in range(8))


def talk(*turns: str, system: str = "") -> tuple[Message, ...]:
    said = [Message("system", system)] if system else []
    said += [Message("assistant" if at % 2 else "user", text) for at, text in enumerate(turns)]
    return tuple(said)


def beginnings(*turns: str, system: str = "") -> tuple[int, ...]:
    return prefixes(a_request(messages=talk(*turns, system=system)))


# ---------------------------------------------------------------------------------------------------------
# Beginnings


def test_a_short_request_begins_with_its_system_prompt_and_its_first_question():
    both = beginnings("Where is my parcel?", system="You are the shop's assistant.")
    assert len(both) == 2
    assert both[0] == beginnings("Something else", system="You are the shop's assistant.")[0]
    assert beginnings("Where is my parcel?")[0] not in both


def test_a_conversation_that_grows_keeps_all_its_beginnings():
    turns = ["Where is my parcel?", "On its way. " * 300, "When will it come? " * 200]
    first, third = beginnings(turns[0], system="Help."), beginnings(*turns, system="Help.")
    assert first == third


def test_a_long_text_has_beginnings_inside():
    text = "".join(chr(97 + n % 26) for n in range(30_000))
    found = beginnings(text)
    assert len(found) == 3
    assert found[:2] == beginnings(text[:5_000])[:2]
    assert found[0] == beginnings(text[:1_000] + "another end")[0]
    assert found[0] != beginnings("x" + text[1:1_000])[0]


def test_beginnings_cross_messages():
    head = "s" * 700
    same = beginnings("q" * 2_000, system=head), beginnings("q" * 300 + "r" * 1_700, system=head)
    assert same[0][:2] == same[1][:2]
    assert same[0][2:] != same[1][2:]


def test_the_role_is_part_of_what_begins():
    assert prefixes(a_request(messages=(Message("user", "a"),))) != prefixes(a_request(messages=(Message("system", "a"),)))


def test_what_comes_after_sixteen_thousand_characters_is_not_read():
    text = "y" * 16_000
    assert beginnings(text) == beginnings(text + "z" * 10**6)


def test_nothing_said_is_no_beginning():
    assert prefixes(a_request(messages=())) == ()


def test_lone_surrogates_begin_something():
    request = msgspec.structs.replace(a_request(), messages=(Message("\ud800", "a"), Message("user", "\ud800" * 2_000)))
    assert len(prefixes(request)) == 2


# ---------------------------------------------------------------------------------------------------------
# Choosing


def test_a_rare_system_prompt_brings_all_its_conversations_together():
    balancer = Prefix()
    for n in range(300):
        balancer.pick(a_request(f"noise {n} " * 5), POOL, RNG)
    chosen = {balancer.pick(a_request(messages=talk(f"q{n}", system="Rare." * 50)), POOL, RNG) for n in range(5)}
    assert len(chosen) == 1


def test_a_system_prompt_that_everybody_has_leaves_each_conversation_an_endpoint():
    balancer = Prefix()

    def pick(n: int, *more: str) -> str:
        return balancer.pick(a_request(messages=talk(f"question {n}", *more, system="Everybody's." * 50)), POOL, RNG)

    for n in range(2_000):
        pick(n)
    first = {n: pick(n) for n in range(3_000, 3_200)}
    again = {n: pick(n, "answer", "and then?") for n in range(3_000, 3_200)}
    assert len(set(first.values())) == 8
    assert sum(first[n] == again[n] for n in first) == 200


def test_the_very_same_request_over_and_over_spreads_by_load():
    balancer, counts = Prefix(), Counter()
    for _ in range(2_000):
        counts[balancer.pick(a_request("the same"), POOL, RNG)] += 1
    assert len(counts) == 8


def test_a_request_without_text_goes_somewhere():
    assert Prefix().pick(a_request(messages=()), POOL, RNG) in {view.id for view in POOL}


def test_popularity_is_the_share_of_the_latest_requests():
    popularity = Popularity()
    for _ in range(GENERATION):
        popularity.add(1, 0)
        popularity.turn()
    assert popularity.add(1, 0) > 0.99
    for _ in range(2 * GENERATION):
        popularity.add(2, 0)
        popularity.turn()
    assert popularity.add(1, 0) < 0.01


def test_the_first_request_ever_is_no_crowd():
    assert Popularity().add(1, 8) < 0.02
