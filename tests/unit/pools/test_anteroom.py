"""Where requests wait while every endpoint has enough to read."""

from __future__ import annotations

from random import Random

import pytest

from pointsman.core.request import Message, Needs
from pointsman.core.settings import PoolSettings
from pointsman.pools import anteroom
from pointsman.pools.balancers.prefix import Prefix
from pointsman.pools.pool import Pool
from pointsman.testing.factories import a_request, an_endpoint

TOKEN_S = 0.0002


def a_pool(count: int = 2) -> Pool:
    """Its endpoints are known to read 5,000 tokens a second."""
    settings = PoolSettings("small", "m", tuple(an_endpoint(f"small/{i}", f"http://10.0.0.{i}/v1", slots=None) for i in range(count)))
    pool = Pool(settings, Prefix())
    for endpoint in pool.endpoints:
        for ahead in range(100, 3_000, 100):
            endpoint.vitals.forecast.learn(ahead, 0.05 + ahead * TOKEN_S)
    return pool


def a_prompt(tokens: int, text: str = "word "):
    return a_request(messages=(Message("user", (text * tokens)[: 4 * tokens]),), needs=Needs(context=tokens), stream=True)


def fill(pool: Pool, now: float = 0.0, tokens: int = 2_000):
    """A prompt of 0.4 s at each endpoint."""
    return [pool.offer_at(e.id, a_prompt(tokens, f"{e.id} "), now, Random(1)) for e in pool.endpoints]


class Visit:
    """A guest, and whether it was called."""

    def __init__(self, pool: Pool, tokens: int, now: float, *, text: str = "other ", limit_s: float = float("inf")) -> None:
        self.calls = 0
        self.guest = pool.anteroom.enter(a_prompt(tokens, text), now, self.call, limit_s=limit_s)

    def call(self) -> None:
        self.calls += 1


def test_nobody_waits_while_an_endpoint_has_little_to_read():
    pool = a_pool()
    assert not pool.anteroom.must_wait(0.0)
    one, _ = fill(pool)
    assert pool.anteroom.must_wait(0.0)
    one.began(0.4, 0.4)
    assert not pool.anteroom.must_wait(0.4)


def test_an_endpoint_of_which_nothing_was_measured_is_sent_whatever_comes():
    pool = Pool(a_pool().settings, Prefix())
    fill(pool, tokens=50_000)
    assert not pool.anteroom.must_wait(0.0)


def test_plain_answers_keep_nobody_out():
    pool = a_pool()
    for endpoint in pool.endpoints:
        pool.offer_at(endpoint.id, a_request(needs=Needs(context=20_000)), 0.0, Random(1))
    assert not pool.anteroom.must_wait(0.0)


def test_the_endpoint_that_has_read_gets_the_shortest():
    pool = a_pool()
    one, _ = fill(pool)
    long, short = Visit(pool, 4_000, 0.1), Visit(pool, 300, 0.2)
    one.began(0.4, 0.4)
    assert (long.calls, short.calls, short.guest.endpoint) == (0, 1, "small/0")


def test_one_at_a_time_is_on_its_way_to_an_endpoint():
    pool = a_pool()
    one, _ = fill(pool)
    first, second = Visit(pool, 300, 0.1), Visit(pool, 300, 0.2)
    one.began(0.4, 0.4)
    assert (first.calls, second.calls) == (1, 0)
    pool.offer_at("small/0", a_prompt(300), 0.4, Random(1))
    first.guest.leave(0.4)
    assert (second.calls, second.guest.endpoint) == (1, "small/0")


def test_who_leaves_gives_the_place_to_the_next():
    pool = a_pool()
    one, _ = fill(pool)
    first, second = Visit(pool, 300, 0.1), Visit(pool, 300, 0.2)
    one.began(0.4, 0.4)
    first.guest.leave(0.5)
    first.guest.leave(0.5)
    assert (second.calls, len(pool.anteroom)) == (1, 0)


def test_who_has_a_home_waits_for_it_rather_than_being_read_twice():
    pool = a_pool()
    pool.offer_at("small/1", a_prompt(3_000, "home "), 0.0, Random(1)).began(0.1, 0.1)
    one, other = fill(pool)
    at_home, stranger = Visit(pool, 3_000, 0.1, text="home "), Visit(pool, 3_200, 0.2, text="new ")
    one.began(0.4, 0.4)
    assert (at_home.calls, stranger.calls) == (0, 1)
    other.began(0.4, 0.4)
    assert at_home.guest.endpoint == "small/1"


def test_nobody_is_kept_back_for_ever():
    pool = a_pool()
    fill(pool)
    visit = Visit(pool, 10_000, 0.1)
    pool.anteroom.look(0.1 + anteroom.MOST_S - 0.01)
    assert visit.calls == 0
    pool.anteroom.look(0.1 + anteroom.MOST_S + 0.02)
    assert (visit.calls, visit.guest.endpoint) == (1, "")


def test_who_cannot_have_what_was_promised_is_told_as_soon_as_that_is_known():
    pool = a_pool()
    fill(pool)
    long, short = Visit(pool, 1_000, 0.0, limit_s=2.0), Visit(pool, 100, 0.0, limit_s=2.0)
    until = 2.0 - anteroom.READS_S - 0.05 - 1_000 * TOKEN_S
    pool.anteroom.look(until - 0.05)
    assert long.calls == 0
    pool.anteroom.look(until + 0.05)
    assert (long.calls, long.guest.endpoint, short.calls) == (1, None, 0)


def test_a_prompt_that_takes_longer_than_the_promise_is_not_turned_away_for_that():
    pool = a_pool()
    fill(pool)
    endless = Visit(pool, 20_000, 0.0, limit_s=2.0)
    pool.anteroom.look(2.0)
    assert endless.calls == 0
    pool.anteroom.look(5.0)
    assert (endless.calls, endless.guest.endpoint) == (1, None)


def test_what_a_cache_holds_counts_as_read_when_a_promise_is_compared():
    pool = a_pool()
    pool.offer_at("small/1", a_prompt(5_000, "home "), 0.0, Random(1)).began(0.1, 0.1)
    fill(pool)
    at_home, stranger = Visit(pool, 5_000, 0.0, text="home ", limit_s=5.0), Visit(pool, 5_000, 0.0, text="new ", limit_s=5.0)
    pool.anteroom.look(4.0)
    assert (at_home.calls, stranger.calls) == (0, 1)


def test_no_prompt_is_so_long_that_it_weighs_more_than_the_longest_wait():
    pool = a_pool()
    fill(pool)
    visit = Visit(pool, 1_000_000, 5.0)
    assert visit.guest.rank("small/0", TOKEN_S, 6.0) == 5.0 + anteroom.MOST_S


def test_with_nothing_in_service_there_is_nothing_to_wait_for():
    pool = a_pool()
    fill(pool)
    visit = Visit(pool, 500, 0.0)
    for endpoint in pool.endpoints:
        pool.drain(endpoint.id)
    pool.anteroom.look(0.1)
    assert (visit.calls, visit.guest.endpoint, pool.anteroom.must_wait(0.1)) == (1, "", False)


def test_a_silent_endpoint_is_not_sent_more():
    pool = a_pool(1)
    pool.offer(a_prompt(100), (), 0.0, Random(1))
    assert not pool.anteroom.must_wait(0.2)
    assert pool.anteroom.must_wait(0.5)


@pytest.mark.parametrize("tokens", [0, 700])
def test_streams_awaited_return_to_nothing(tokens):
    pool = a_pool(1)
    lease = pool.offer(a_prompt(tokens), (), 0.0, Random(1))
    lease.close("cancelled", 0.1)
    assert (pool.endpoints[0].vitals.awaited_streams, pool.endpoints[0].vitals.unread_s(9.0)) == (0, 0.0)
