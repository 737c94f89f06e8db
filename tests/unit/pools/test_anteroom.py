"""Where requests wait while every endpoint has enough to read."""

from __future__ import annotations

from math import inf
from random import Random

import pytest

from pointsman.core.request import Caller, Message, Needs
from pointsman.core.settings import PoolSettings
from pointsman.pools import anteroom
from pointsman.pools.balancers.load import READS_MOST_S
from pointsman.pools.balancers.prefix import Prefix
from pointsman.pools.forecast import Forecast
from pointsman.pools.guest import MOST_S, STAYS
from pointsman.pools.lease import Lease
from pointsman.pools.pool import Pool
from pointsman.pools.shared_count import SharedCount
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


def a_prompt(tokens: int, text: str = "word ", *, tenant: str = "a", priority: int = 1):
    return a_request(messages=(Message("user", (text * tokens)[: 4 * tokens]),), needs=Needs(context=tokens), stream=True,
                     caller=Caller(tenant, tenant=tenant, priority=priority))


def fill(pool: Pool, now: float = 0.0, tokens: int = 2_000, text: str = ""):
    """A prompt of 0.4 s at each endpoint."""
    return [pool.offer_at(e.id, a_prompt(tokens, f"{e.id} {text}"), now, Random(1)) for e in pool.endpoints]


class Visit:
    """A guest, and whether it was called."""

    def __init__(self, pool: Pool, tokens: int, now: float, *, text: str = "other ", limit_s: float = float("inf"), tenant: str = "a",
                 priority: int = 1) -> None:
        self.calls = 0
        self.guest = pool.anteroom.enter(a_prompt(tokens, text, tenant=tenant, priority=priority), now, self.call, limit_s=limit_s)

    def call(self) -> None:
        self.calls += 1


def test_nobody_waits_while_an_endpoint_has_little_to_read():
    pool = a_pool()
    assert not pool.anteroom.must_wait(0.0)
    one, _ = fill(pool)
    assert pool.anteroom.must_wait(0.0)
    one.began(0.4, 0.4)
    assert not pool.anteroom.must_wait(0.4)


def test_an_endpoint_of_which_nothing_was_measured_is_sent_what_a_common_card_reads_in_a_moment():
    pool = Pool(a_pool().settings, Prefix())
    leases = fill(pool, tokens=1_000)
    assert not pool.anteroom.must_wait(0.0)
    leases += fill(pool, tokens=1_000, text="again ")
    assert pool.anteroom.must_wait(0.0)
    leases[0].began(0.9, 0.9)  # far slower than that, as it turns out: one answer is no line yet
    assert not pool.anteroom.must_wait(0.9)


def test_the_first_answers_of_all_endpoints_together_say_what_each_has_to_read():
    pool = Pool(a_pool(5).settings, Prefix())
    for at in range(2):  # ten answers, two of each: 0.01 s a token, fifty times what was assumed
        for size, endpoint in zip((20, 40, 60, 80, 100), pool.endpoints, strict=True):
            lease = pool.offer_at(endpoint.id, a_prompt(size, f"{at} of {endpoint.id} "), float(at), Random(1))
            lease.began(at + 0.05 + size * 0.01, 0.05 + size * 0.01)
            lease.close("answered", at + 2.0)
    for endpoint in pool.endpoints:
        assert not endpoint.vitals.forecast.is_known
    pool.lease(a_prompt(10), (), 10.0, Random(1)).close("cancelled", 10.0)  # the endpoints are compared
    fill(pool, 10.0, 1_000)
    assert pool.endpoints[0].vitals.unread_s(10.0) > 1.0
    assert pool.anteroom.must_wait(10.0)


def test_an_endpoint_that_was_slow_from_the_beginning_is_not_taken_for_one_of_the_middle():
    pool = a_pool(3)
    slow = pool.endpoints[1].vitals
    slow.forecast = Forecast()
    pool.lease(a_prompt(10), (), 0.0, Random(1)).close("cancelled", 0.0)
    lease = pool.offer_at("small/1", a_prompt(1_000), 0.0, Random(1))
    before = slow.unread_s(0.0)
    lease.close("cancelled", 0.0)
    for _ in range(4):
        slow.forecast.learn(1_000, 3 * (0.05 + 1_000 * TOKEN_S))
    pool.offer_at("small/1", a_prompt(1_000, "another "), 0.0, Random(1))
    assert slow.unread_s(0.0) == pytest.approx((3 * 4 + 2) / (4 + 2) * before)


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


def at_home(tokens: int = 1_000) -> tuple[Pool, Lease, Visit]:
    """One endpoint has just read what it had; at the other, which has more to read, somebody waits for its home."""
    pool = a_pool()
    pool.offer_at("small/1", a_prompt(tokens, "home "), 0.0, Random(1)).began(0.1, 0.1)
    one, other = fill(pool)
    visit = Visit(pool, tokens, 0.1, text="home ")
    one.began(0.4, 0.4)
    return pool, other, visit


def test_an_endpoint_with_nothing_to_do_is_not_given_who_would_rather_wait_for_its_home():
    pool, home, visit = at_home()
    pool.anteroom.look(2.0)
    assert visit.calls == 0
    home.began(2.0, 2.0)
    assert (visit.calls, visit.guest.endpoint) == (1, "small/1")


def test_who_waits_for_its_home_does_so_for_so_many_times_what_that_saves():
    pool, _, visit = at_home()
    # A home that says nothing is expected to say nothing for as long again.
    until = 0.1 + STAYS * 1_000 * TOKEN_S / 2
    pool.anteroom.look(until - 0.5)
    assert visit.calls == 0
    pool.anteroom.look(until + 0.5)
    assert (visit.calls, visit.guest.endpoint) == (1, "small/0")


def test_who_waits_for_its_home_keeps_nobody_else_out():
    pool, _, visit = at_home()
    stranger = Visit(pool, 200, 0.5, text="new ")
    assert (stranger.calls, stranger.guest.endpoint, visit.calls) == (1, "small/0", 0)


def test_a_home_out_of_service_is_not_waited_for():
    pool, _, visit = at_home()
    pool.drain("small/1")
    pool.anteroom.look(0.5)
    assert (visit.calls, visit.guest.endpoint) == (1, "small/0")
    late = Visit(pool, 1_000, 0.5, text="home ")
    visit.guest.leave(0.5)
    assert (late.guest.known, late.guest.endpoint) == ({}, "small/0")


def test_a_home_that_reads_slowly_is_waited_for_as_far_as_that_saves_time():
    pool, _, visit = at_home(3_000)
    fill(pool, 0.4)
    longer = Visit(pool, 6_000, 0.5, text="home ")
    ranks = [one.guest.rank("small/0", TOKEN_S, 0.6, {"small/1": (10 * TOKEN_S, 0.0)}) for one in (visit, longer)]
    # All of the one is there; of the other so much is not that it takes longer there than all of it here.
    assert (ranks[0] == inf, ranks[1] < inf, longer.guest.home) == (True, True, "small/1")


def test_where_one_is_sent_those_behind_it_that_begin_alike_have_a_home():
    pool = a_pool()
    one, _ = fill(pool)
    first, next_, other = Visit(pool, 1_000, 0.1, text="talk "), Visit(pool, 1_500, 0.2, text="talk "), Visit(pool, 1_400, 0.3, text="new ")
    assert next_.guest.home == ""
    one.began(0.4, 0.4)
    assert (first.calls, first.guest.endpoint, next_.guest.home, other.guest.home) == (1, "small/0", "small/0", "")
    assert next_.guest.least == 1_500 - next_.guest.known["small/0"] < 700


def test_nobody_is_kept_back_for_ever():
    pool = a_pool()
    fill(pool)
    visit = Visit(pool, 10_000, 0.1)
    pool.anteroom.look(0.1 + MOST_S - 0.01)
    assert visit.calls == 0
    pool.anteroom.look(0.1 + MOST_S + 0.02)
    assert (visit.calls, visit.guest.endpoint) == (1, "")


def test_who_cannot_have_what_was_promised_is_told_as_soon_as_that_is_known():
    pool = a_pool()
    fill(pool)
    long, short = Visit(pool, 1_000, 0.0, limit_s=2.0), Visit(pool, 100, 0.0, limit_s=2.0)
    until = 2.0 - READS_MOST_S - 0.05 - 1_000 * TOKEN_S
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


def test_a_long_prompt_that_is_known_at_home_waits_as_long_as_one_that_nobody_knows_and_longer():
    pool = a_pool()
    pool.offer_at("small/1", a_prompt(8_000, "home "), 0.0, Random(1)).began(0.1, 0.1)
    fill(pool)
    at_home, stranger = Visit(pool, 8_000, 0.0, text="home ", limit_s=2.0), Visit(pool, 8_000, 0.0, text="new ", limit_s=2.0)
    whole_s = 8_000 * TOKEN_S
    assert at_home.guest.until - stranger.guest.until == pytest.approx(whole_s)
    assert stranger.guest.until == pytest.approx(1.0 + 2 * (0.05 + whole_s) - READS_MOST_S - 0.05 - whole_s)


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
    assert visit.guest.rank("small/0", TOKEN_S, 6.0, {}) == 5.0 + MOST_S


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


# -- several tenants, several priorities


def served(pool: Pool, now: float) -> None:
    """The endpoints have read what they had, and what they are given next at once; whoever was called is served."""
    for endpoint in pool.endpoints:
        endpoint.vitals.awaiting.clear()
    pool.anteroom.look(now)


def take_turns(pool: Pool, visits: list[Visit], now: float) -> list[Visit]:
    """In which order they are called, one at a time, where whatever is given is read at once."""
    order: list[Visit] = []
    served(pool, now)
    while called := [visit for visit in visits if visit.calls and visit not in order]:
        order += called
        for visit in called:
            visit.guest.leave(now)
    return order


def test_another_tenants_single_request_is_next_but_a_few_behind_a_flood():
    pool = a_pool(1)
    fill(pool)
    flood = [Visit(pool, 500, 0.1 + 0.01 * n, text=f"{n} ", tenant="hog") for n in range(100)]
    single = Visit(pool, 500, 10.0, text="one ", tenant="other")

    assert take_turns(pool, [*flood, single], 10.1).index(single) <= 5


def test_alone_a_tenant_has_the_order_of_always():
    orders = []
    for tenants in (["a"], ["a", "b"]):
        pool = a_pool(1)
        fill(pool)
        visits = [Visit(pool, 300 + 700 * (n % 3), 0.1 + n, text=f"{n} ", tenant="a") for n in range(9)]
        for tenant in tenants[1:]:
            Visit(pool, 100, 9.5, tenant=tenant).guest.leave(9.6)
        orders.append([visits.index(visit) for visit in take_turns(pool, visits, 10.0)])

    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list(range(9))


def test_two_who_ask_for_as_much_get_as_much_whoever_came_first():
    pool = a_pool(1)
    fill(pool)
    early = [Visit(pool, 500, 0.1, text=f"{n} ", tenant="early") for n in range(40)]
    late = [Visit(pool, 500, 20.0, text=f"l{n} ", tenant="late") for n in range(40)]
    order = take_turns(pool, [*early, *late], 20.1)

    first = sum(visit in early for visit in order[:50])
    assert 22 <= first <= 32


def test_once_the_others_have_gone_nobody_is_set_back_any_more():
    pool = a_pool(1)
    fill(pool)
    hogs = [Visit(pool, 500, 0.1 + 0.1 * n, text=f"{n} ", tenant="hog") for n in range(4)]
    called, waiting = (Visit(pool, 600, 0.5, text=f"o{n} ", tenant="other") for n in range(2))
    served(pool, 1.0)
    hogs[0].guest.leave(1.0)
    assert called.calls == 1
    waiting.guest.leave(1.1)
    called.guest.leave(1.1)
    newest = Visit(pool, 500, 1.2, text="new ", tenant="hog")
    assert take_turns(pool, [*hogs[1:], newest], 1.3) == [*hogs[1:], newest]


def test_a_high_priority_goes_first_and_a_low_one_last():
    pool = a_pool(1)
    fill(pool)
    low, normal = Visit(pool, 100, 0.1, text="l ", priority=2), Visit(pool, 100, 0.2, text="n ", priority=1)
    high = Visit(pool, 4_000, 0.3, text="h ", priority=0)

    assert take_turns(pool, [low, normal, high], 0.5) == [high, normal, low]


def test_a_low_priority_that_has_waited_is_as_good_as_a_high_one():
    pool = a_pool(1)
    fill(pool)
    low, high = Visit(pool, 100, 0.1, text="l ", priority=2), Visit(pool, 100, 20.2, text="h ", priority=0)

    assert take_turns(pool, [low, high], 20.3) == [low, high]


def test_where_several_tenants_may_come_nobody_is_put_into_an_engines_queue_for_having_waited():
    pool = a_pool(1)
    pool.anteroom.is_shared = True
    fill(pool)
    old, new = Visit(pool, 4_000, 0.1, text="o "), Visit(pool, 100, 20.0, text="n ")
    pool.anteroom.look(40.0)
    assert (old.calls, len(pool.anteroom), pool.anteroom.must_wait(40.0)) == (0, 2, True)

    assert take_turns(pool, [old, new], 50.5) == [old, new]
    assert (len(pool.anteroom), repr(pool.anteroom)) == (0, "<Anteroom [0 waiting, 0 on their way]>")


def test_a_flood_that_has_waited_for_long_does_not_stand_before_another_tenant_either():
    pool = a_pool(1)
    pool.anteroom.is_shared = True
    fill(pool)
    flood = [Visit(pool, 500, 0.1 + 0.01 * n, text=f"{n} ", tenant="hog") for n in range(100)]
    pool.anteroom.look(40.0)
    single = Visit(pool, 500, 40.0, text="one ", tenant="other")

    assert take_turns(pool, [*flood, single], 40.1).index(single) <= 5


def test_who_has_waited_for_long_still_leaves_and_still_hears_that_it_is_late():
    pool = a_pool(1)
    pool.anteroom.is_shared = True
    fill(pool)
    gone, late = Visit(pool, 100, 0.0), Visit(pool, 100, 0.0, limit_s=50.0)
    pool.anteroom.look(40.0)
    gone.guest.leave(40.0)
    assert len(pool.anteroom) == 1
    pool.anteroom.look(50.0)
    assert (late.calls, late.guest.endpoint, len(pool.anteroom), pool.anteroom.status(50.0)["tenants"]) == (1, None, 0, {})


def test_with_nothing_in_service_those_who_waited_for_long_go_first():
    pool = a_pool(1)
    pool.anteroom.is_shared = True
    fill(pool)
    old = Visit(pool, 500, 0.0)
    pool.anteroom.look(40.0)
    new = Visit(pool, 500, 40.0)
    pool.drain("small/0")
    pool.anteroom.look(40.1)
    assert (old.calls, old.guest.endpoint, new.calls, len(pool.anteroom)) == (1, "", 1, 0)


def test_it_says_who_waits_and_since_when():
    pool = a_pool(1)
    assert pool.status(0.0)["anteroom"] == {"waiting": 0, "oldest_s": None, "tenants": {}}
    fill(pool)
    pool.anteroom.is_shared = True
    Visit(pool, 100, 0.5, tenant="a"), Visit(pool, 100, 1.0, tenant="b"), Visit(pool, 100, 1.5, tenant="b")
    assert pool.status(2.0)["anteroom"] == {"waiting": 3, "oldest_s": 1.5, "tenants": {"a": 1, "b": 2}}
    pool.anteroom.look(31.0)
    Visit(pool, 100, 31.0, tenant="b")
    assert pool.anteroom.status(31.0) == {"waiting": 4, "oldest_s": 30.5, "tenants": {"a": 1, "b": 3}}


# -- several processes


def shared_pools(slots: int) -> list[Pool]:
    """The same endpoint, as two processes see it."""
    board, pools = memoryview(bytearray(16)).cast("q"), []
    for seat in range(2):
        pool = a_pool(1)
        pool.endpoints[0].slots = slots
        pool.endpoints[0].vitals.share(SharedCount.at(board, 0, seat, 2))
        pools.append(pool)
    return pools


def test_other_processes_see_a_place_as_taken_from_the_moment_it_is_given_and_not_before():
    here, there = shared_pools(2)
    (lease,) = fill(here)
    visit = Visit(here, 300, 0.1)
    assert there.endpoints[0].vitals.busy == 1
    lease.began(0.4, 0.4)
    assert (visit.calls, there.endpoints[0].vitals.busy) == (1, 2)
    second = here.offer_at("small/0", a_prompt(300), 0.4, Random(1))
    visit.guest.leave(0.4)
    assert there.endpoints[0].vitals.busy == 2
    for held in (lease, second):
        held.close("answered", 0.5)
    assert (there.endpoints[0].vitals.busy, here.endpoints[0].vitals.held) == (0, 0)


def test_who_leaves_before_its_lease_gives_the_place_back_to_all():
    here, there = shared_pools(2)
    (lease,) = fill(here)
    visit = Visit(here, 300, 0.1)
    lease.began(0.4, 0.4)
    visit.guest.leave(0.5)
    visit.guest.leave(0.5)
    assert there.endpoints[0].vitals.busy == 1


def test_a_place_that_another_process_took_is_not_given():
    here, there = shared_pools(2)
    (lease,) = fill(here)
    visit = Visit(here, 300, 0.1)
    other = there.offer_at("small/0", a_prompt(10), 0.2, Random(1))
    lease.began(0.4, 0.4)
    assert (visit.calls, here.endpoints[0].vitals.held) == (0, 0)
    other.close("answered", 0.6)
    here.anteroom.look(0.6)
    assert (visit.calls, visit.guest.endpoint) == (1, "small/0")


def test_of_two_processes_that_saw_one_place_at_once_one_gives_way(monkeypatch):
    here, there = shared_pools(1)
    visit = Visit(here, 300, 0.0)  # nobody has waited yet: it is sent at once
    assert visit.calls == 1
    monkeypatch.setattr(anteroom, "_has_room", lambda endpoint, now: True)
    late = Visit(there, 300, 0.0)
    assert (late.calls, there.endpoints[0].vitals.held, len(there.anteroom)) == (0, 0, 1)
    visit.guest.leave(0.1)
    there.anteroom.look(0.1)
    assert late.calls == 1
