"""Leases on interchangeable endpoints."""

from __future__ import annotations

from random import Random

import pytest

from pointsman.core.fleet import EndpointState, LoadReport
from pointsman.core.request import Message, Needs
from pointsman.errors import (
    ConnectFailed,
    CredentialRefused,
    NoEndpoint,
    RateLimited,
    RequestRefused,
    UpstreamFailed,
    UpstreamOverloaded,
)
from pointsman.pools.balancers.prefix import Prefix
from pointsman.pools.balancers.round_robin import RoundRobin
from pointsman.pools.pool import Pool
from pointsman.testing.factories import a_pool, a_request, an_endpoint

REQUEST = a_request()
RNG = Random(1)


def pool_of(count: int, **overrides) -> Pool:
    return Pool(a_pool("small", *(f"http://host{i}/v1" for i in range(count)), **overrides), RoundRobin())


def take(pool, now=1000.0, exclude=(), **how):
    return pool.lease(REQUEST, exclude, now, RNG, **how)


def fail(pool, endpoint, error, times=1, now=1000.0):
    others = set(pool.endpoint_ids) - {endpoint}
    for _ in range(times):
        take(pool, now, others, desperate=True).close("failed", now, error)


def eject(pool, endpoint, now=1000.0):
    fail(pool, endpoint, UpstreamFailed("500"), 5, now)


def states(pool):
    return [view.state for view in pool.views(1000.0)]


def test_a_lease_holds_an_endpoint_until_it_is_closed():
    pool = pool_of(1)
    lease = take(pool)

    assert lease.endpoint == pool.settings.endpoints[0]
    (view,) = pool.views(1000.0)
    assert (view.in_flight, view.in_flight_tokens) == (1, REQUEST.needs.context)
    lease.close("answered", 1001.0)
    (view,) = pool.views(1001.0)
    assert (view.in_flight, view.in_flight_tokens) == (0, 0)


def test_closing_twice_is_closing_once():
    pool = pool_of(1)
    lease, other = take(pool), take(pool)
    lease.close("cancelled", 1001.0)
    lease.close("failed", 1001.0, UpstreamFailed("500"))
    assert pool.in_flight == 1
    other.close("answered", 1001.0)
    assert pool.in_flight == 0


def test_excluded_endpoints_are_never_leased():
    pool = pool_of(3)
    assert {take(pool, exclude={"small/0", "small/2"}).endpoint.id for _ in range(5)} == {"small/1"}
    with pytest.raises(NoEndpoint, match="3 already tried"):
        take(pool, exclude=set(pool.endpoint_ids), desperate=True)


def test_an_ejected_endpoint_is_left_alone_until_its_time_is_up():
    pool = pool_of(2)
    eject(pool, "small/0")
    assert {take(pool).endpoint.id for _ in range(4)} == {"small/1"}
    assert {take(pool, 1010.0).endpoint.id for _ in range(2)} == {"small/0", "small/1"}


def test_one_probe_at_a_time():
    pool = pool_of(1)
    eject(pool, "small/0")
    lease = take(pool, 1010.0)
    assert lease.kind == "probe"
    with pytest.raises(NoEndpoint, match="1 ejected"):
        take(pool, 1010.0)
    lease.close("answered", 1011.0)
    assert take(pool, 1011.0).kind == "ordinary"


def test_a_probe_that_has_begun_its_answer_heals_at_once():
    pool = pool_of(1)
    eject(pool, "small/0")
    lease = take(pool, 1010.0)
    lease.began(1011.0, 0.5)
    assert states(pool) == [EndpointState.HEALTHY]
    lease.close("cancelled", 1012.0)
    assert states(pool) == [EndpointState.HEALTHY]


def test_a_probe_that_has_begun_is_an_ordinary_lease_from_then_on():
    pool = pool_of(1)
    eject(pool, "small/0")
    lease = take(pool, 1010.0)
    lease.began(1011.0)
    eject(pool, "small/0", now=1012.0)
    lease.close("answered", 1013.0)
    assert states(pool) == [EndpointState.EJECTED]


def test_a_probe_whose_client_left_lets_the_next_lease_probe():
    pool = pool_of(1)
    eject(pool, "small/0")
    take(pool, 1010.0).close("cancelled", 1011.0)
    assert take(pool, 1011.0).kind == "probe"


def test_an_old_probe_is_no_probe_once_another_lease_has_healed_the_endpoint():
    pool = pool_of(1)
    eject(pool, "small/0")
    old = take(pool, 1010.0)
    take(pool, 1010.0, desperate=True).close("answered", 1011.0)
    eject(pool, "small/0", now=1012.0)
    before = pool.views(1012.0)[0].state, pool.status(1012.0)["endpoints"][0]["opens_in_s"]
    old.close("failed", 1012.0, UpstreamFailed("500"))
    assert (pool.views(1012.0)[0].state, pool.status(1012.0)["endpoints"][0]["opens_in_s"]) == before


def test_when_to_come_back_is_when_the_last_way_opens_again():
    """Ejected for ten seconds, and asked by itself to be left alone for four: after four it is the last resort."""
    pool = pool_of(1)
    eject(pool, "small/0")
    fail(pool, "small/0", RateLimited("429", retry_after_s=4.0))

    with pytest.raises(NoEndpoint) as caught:
        take(pool, desperate=True)
    assert caught.value.retry_after_s == pytest.approx(4.0)
    take(pool, 1004.0, desperate=True).close("answered", 1004.0)


def test_the_shortage_is_told_in_numbers():
    pool = pool_of(4)
    eject(pool, "small/0")
    fail(pool, "small/1", RateLimited("429", retry_after_s=4.0))
    pool.drain("small/2")
    with pytest.raises(NoEndpoint) as caught:
        take(pool, exclude={"small/3"})
    assert "1 ejected, 1 cooling down, 1 already tried; next try in 4 s" in str(caught.value)
    assert caught.value.retry_after_s == 4.0


# ---------------------------------------------------------------------------------------------------------
# The last way to answer


def test_a_desperate_lease_takes_a_healthy_endpoint_when_there_is_one():
    pool = pool_of(2)
    eject(pool, "small/0")
    assert {take(pool, desperate=True).endpoint.id for _ in range(4)} == {"small/1"}


def test_the_last_way_to_answer_is_never_closed():
    pool = pool_of(1)
    eject(pool, "small/0")
    with pytest.raises(NoEndpoint):
        take(pool)
    take(pool, desperate=True).close("answered", 1000.5)
    assert states(pool) == [EndpointState.HEALTHY]


def test_desperate_leases_go_to_the_healthiest_first():
    pool = pool_of(4)
    fail(pool, "small/0", CredentialRefused("401"))
    eject(pool, "small/1")
    take(pool, 1010.0, {"small/0", "small/2", "small/3"}).close("failed", 1010.0, UpstreamFailed("500"))
    eject(pool, "small/2", 1010.0)
    fail(pool, "small/3", UpstreamOverloaded("full"), now=1010.0)

    tried = []
    for _ in range(4):
        tried.append(take(pool, 1010.5, tried, desperate=True).endpoint.id)
    assert tried == ["small/3", "small/2", "small/1", "small/0"]


def test_desperate_leases_spread_over_equals():
    pool = pool_of(2)
    eject(pool, "small/0")
    eject(pool, "small/1")
    assert {take(pool, desperate=True).endpoint.id for _ in range(2)} == {"small/0", "small/1"}


def test_an_endpoint_that_said_when_to_come_back_is_left_alone_even_then():
    pool = pool_of(1)
    fail(pool, "small/0", RateLimited("429", retry_after_s=4.0))
    with pytest.raises(NoEndpoint):
        take(pool, desperate=True)
    assert take(pool, 1004.0).endpoint.id == "small/0"


def test_an_endpoint_that_did_not_say_is_asked():
    pool = pool_of(1)
    fail(pool, "small/0", RateLimited("429"))
    assert take(pool, desperate=True).endpoint.id == "small/0"


def test_a_draining_endpoint_takes_nothing_new_and_finishes_what_it_has():
    pool = pool_of(1)
    lease = take(pool)
    pool.drain("small/0")
    with pytest.raises(NoEndpoint):
        take(pool, desperate=True)
    lease.close("answered", 1001.0)
    pool.drain("small/0", on=False)
    assert take(pool, 1001.0).endpoint.id == "small/0"


# ---------------------------------------------------------------------------------------------------------
# Outcomes


def test_requests_at_fault_never_eject():
    pool = pool_of(1)
    fail(pool, "small/0", RequestRefused("too long"), times=100)
    assert states(pool) == [EndpointState.HEALTHY]


def test_refused_connections_eject_though_nobody_saw_the_request():
    pool = pool_of(1)
    for _ in range(5):
        take(pool).close("rejected", 1000.0, ConnectFailed("refused", sent=False))
    assert states(pool) == [EndpointState.EJECTED]


def test_clients_that_leave_say_nothing():
    pool = pool_of(1)
    for outcome in ("cancelled", "rejected"):
        for _ in range(50):
            take(pool).close(outcome, 1000.0)
    assert states(pool) == [EndpointState.HEALTHY]


def test_answers_are_remembered():
    pool = pool_of(1)
    take(pool).close("answered", 1001.0, ttft_s=0.25)
    (endpoint,) = pool.status(1003.0)["endpoints"]
    assert (endpoint["answered_ago_s"], endpoint["ttft_s"]) == (2.0, 0.25)


# ---------------------------------------------------------------------------------------------------------
# Limits, and what is told from outside


def test_an_endpoint_is_never_leased_beyond_its_limit_not_even_desperately():
    spec = an_endpoint("small/0", max_in_flight=2)
    pool = Pool(a_pool("small", endpoints=(spec,)), RoundRobin())
    leases = [take(pool), take(pool)]
    with pytest.raises(NoEndpoint, match="1 saturated") as caught:
        take(pool, desperate=True)
    assert caught.value.retry_after_s is None
    leases[0].close("answered", 1001.0)
    assert take(pool).endpoint.id == "small/0"


def test_what_other_processes_hold_counts_against_the_limit():
    pool = Pool(a_pool("small", endpoints=(an_endpoint("small/0", max_in_flight=2),)), RoundRobin())
    pool.observe_elsewhere("small/0", 1, 300)
    take(pool)
    with pytest.raises(NoEndpoint):
        take(pool)
    pool.observe_elsewhere("small/0", 0, 0)
    take(pool)


def test_an_endpoint_that_refused_a_look_is_out_and_tried_only_when_nothing_else_is_left():
    pool = pool_of(2)
    pool.mark("small/0", False, "connection refused", 1000.0)
    assert {take(pool).endpoint.id for _ in range(4)} == {"small/1"}
    assert pool.status(1000.0)["endpoints"][0]["cause"] == "connection refused"
    pool.mark("small/1", False, "asleep", 1000.0)
    assert not pool.is_fit(1000.0)
    assert take(pool, desperate=True).endpoint.id in pool.endpoint_ids


def excess(pool, now=1000.0):
    take(pool, now).close("cancelled", now)
    return [view.excess_tokens for view in pool.views(now)]


def observe(pool, *waiting, running=0, now=1000.0, **told):
    for at, count in enumerate(waiting):
        if count is not None:
            pool.observe(f"small/{at}", LoadReport(count, running, None, at=now, **told))


def test_a_report_repels_by_what_it_says_beyond_the_middle_of_the_pool():
    pool = pool_of(3)
    observe(pool, 2, 4, 10)
    assert excess(pool) == [0, 0, 3000]


def test_silence_and_a_claim_to_be_idle_are_worth_the_same():
    pool = pool_of(4)
    observe(pool, 0, None, 6, 6)
    assert excess(pool) == [0, 0, 0, 0]


def test_of_two_that_differ_neither_counts():
    pool = pool_of(2)
    observe(pool, 0, 40)
    assert excess(pool) == [0, 0]


def test_requests_there_that_are_not_ours_repel_too():
    pool = pool_of(3)
    held = [take(pool, exclude={"small/1", "small/2"}) for _ in range(8)]
    observe(pool, 0, 0, 0, running=8)
    assert excess(pool) == [0, 0, 0], "eight of ours here, eight strangers on each of the others: the middle is eight"
    assert len(held) == 8


def test_a_request_or_two_that_came_or_went_meanwhile_are_no_strangers():
    pool = pool_of(4)
    for at, running in enumerate((None, 0, 1, 2)):
        if running is not None:
            pool.observe(f"small/{at}", LoadReport(0, running, None, at=1000.0))
    assert excess(pool) == [0, 0, 0, 0], "who reports truly would lose its traffic to the one that says nothing"

    pool.observe("small/3", LoadReport(0, 3, None, at=1001.0))
    assert excess(pool, 1001.0) == [0, 0, 0, 1500]


def test_tokens_that_an_engine_counts_itself_are_taken_as_they_are():
    pool = pool_of(3)
    observe(pool, 1, 1, 1, queued_tokens=100)
    pool.observe("small/2", LoadReport(1, 0, None, at=1000.0, queued_tokens=9100))
    assert excess(pool) == [0, 0, 9000]


def test_a_report_that_has_become_stale_repels_no_more():
    pool = pool_of(3)
    observe(pool, 0, 0, 10)
    assert excess(pool) == [0, 0, 5000]
    assert [view.excess_tokens for view in pool.views(1006.0)] == [0, 0, 5000]
    assert [view.excess_tokens for view in pool.views(1006.1)] == [0, 0, 0]


def test_queues_are_compared_at_most_twice_a_second():
    pool = pool_of(3)
    observe(pool, 0, 0, 10)
    assert excess(pool) == [0, 0, 5000]
    observe(pool, 0, 10, 0)
    assert excess(pool, 1000.4) == [0, 0, 5000]
    assert excess(pool, 1000.5) == [0, 5000, 0]


def answer(pool, at, seconds, times=6, now=1000.0):
    others = set(pool.endpoint_ids) - {f"small/{at}"}
    for _ in range(times):
        take(pool, now, others).close("answered", now + seconds, output_tokens=100)


def weights(pool, now=1010.0):
    take(pool, now).close("cancelled", now)
    return [view.weight for view in pool.views(now)]


def test_an_endpoint_that_makes_its_tokens_slowly_gets_less():
    pool = pool_of(3)
    for at, seconds in enumerate((1.0, 2.0, 1.1)):
        answer(pool, at, seconds)
    assert weights(pool) == [1.0, pytest.approx(1.1 / 2.0), 1.0]


def test_a_little_slower_is_chance_and_very_slow_still_gets_a_quarter():
    pool = pool_of(3)
    for at, seconds in enumerate((1.0, 1.2, 60.0)):
        answer(pool, at, seconds)
    assert weights(pool, 1061.0) == [1.0, 1.0, 0.25]


def test_nobody_gets_more_for_answering_fast():
    pool = pool_of(3)
    for at, seconds in enumerate((1.0, 1.0, 0.01)):
        answer(pool, at, seconds)
    assert weights(pool) == [1.0, 1.0, 1.0]


def test_who_has_not_answered_for_a_minute_is_as_the_others_again():
    pool = pool_of(3)
    for at, seconds in enumerate((1.0, 3.0, 1.0)):
        answer(pool, at, seconds)
    assert weights(pool)[1] < 0.5
    assert weights(pool, 1070.0) == [1.0, 1.0, 1.0]


def test_a_handful_of_answers_is_no_pace():
    pool = pool_of(2)
    answer(pool, 0, 1.0)
    answer(pool, 1, 9.0, times=4)
    assert weights(pool) == [1.0, 1.0]


# ---------------------------------------------------------------------------------------------------------
# Looking at it


class Remembering:
    """Picks the last view, and keeps what it saw."""

    def pick(self, request, views, rng):
        self.views = list(views[:])
        return self.views[-1].id


def test_balancers_see_only_endpoints_in_service():
    balancer = Remembering()
    pool = Pool(a_pool("small", "http://a/v1", "http://b/v1", "http://c/v1"), balancer)
    eject(pool, "small/1")
    pool.observe("small/2", LoadReport(4, 1, None, at=999.0))

    assert take(pool).endpoint.id == "small/2"
    assert [view.id for view in balancer.views] == ["small/0", "small/2"]
    assert balancer.views[1].report.waiting == 4


def test_status_counts_states_and_shows_no_secrets():
    spec = an_endpoint("small/0", "http://user:secret@host:1/v1", api_key="sk-very-secret")
    pool = Pool(a_pool("small", endpoints=(spec,)), RoundRobin())
    eject(pool, "small/0")
    status = pool.status(1000.0)

    assert {k: status[k] for k in ("pool", "is_fit", "in_flight", "healthy", "ejected", "probing", "draining")} == {
        "pool": "small", "is_fit": False, "in_flight": 0, "healthy": 0, "ejected": 1, "probing": 0, "draining": 0,
    }  # fmt: skip
    (endpoint,) = status["endpoints"]
    assert (endpoint["url"], endpoint["cause"], endpoint["opens_in_s"]) == ("http://host:1/v1", "failures", 10.0)
    assert "secret" not in str(status)


def test_a_pool_is_fit_while_somebody_is_in_service():
    pool = pool_of(2)
    eject(pool, "small/0")
    assert pool.is_fit(1000.0)
    eject(pool, "small/1")
    assert not pool.is_fit(1000.0)
    assert pool.is_fit(1010.0)


def test_repr_tells_the_state_at_a_glance():
    pool = pool_of(3)
    eject(pool, "small/1")
    lease = take(pool)
    assert repr(pool) == "<Pool small [2 healthy, 1 ejected | 1 in flight]>"
    assert repr(lease) == f"<Lease {lease.endpoint.id} [ordinary, open]>"


# -- what prompts wait for


def asked(name: str, text: str, tokens: int):
    return a_request(messages=(Message("user", f"{name} {text}"),), needs=Needs(context=tokens), stream=True)


def test_what_an_endpoint_is_thought_to_have_is_not_awaited():
    pool = Pool(a_pool("small", "http://a/v1", "http://b/v1", balancer="prefix"), Prefix())
    request = asked("he", "x" * 3_000, 1_001)
    first = pool.lease(request, (), 1000.0, RNG)
    first.began(1000.5, 0.5)
    again = pool.lease(request, (), 1001.0, RNG)

    vitals = {e.id: e.vitals for e in pool.endpoints}[again.endpoint.id]
    assert again.endpoint == first.endpoint
    assert vitals.awaited <= 1
    again.close("answered", 1002.0)
    assert vitals.awaited == 0


def test_a_balancer_without_a_memory_awaits_whole_prompts():
    pool = pool_of(2)
    pool.lease(asked("he", "x" * 3_000, 1_001), (), 1000.0, RNG)
    assert sorted(e.vitals.awaited for e in pool.endpoints) == [0, 1_001]


def test_what_a_token_takes_is_the_middle_of_what_was_measured():
    pool = pool_of(3)
    for endpoint, token_s in zip(pool.endpoints, (0.001, 0.002, 0.009), strict=True):
        for ahead in range(100, 3_000, 100):
            endpoint.vitals.forecast.learn(ahead, ahead * token_s)
    take(pool)
    assert [e.vitals.token_s for e in pool.endpoints] == pytest.approx([0.002] * 3)


def test_strangers_at_an_engine_are_waited_for_and_our_own_are_not_counted_twice():
    pool = Pool(a_pool("small", *(f"http://h{i}/v1" for i in range(4))), RoundRobin())
    for waiting, endpoint in zip((0, 0, 0, 30), pool.endpoint_ids, strict=True):
        pool.observe(endpoint, LoadReport(waiting, 0, 0.0, 1000.0))
    take(pool)
    waits = [e.view(1000.0, waits=True).wait_s for e in pool.endpoints]
    assert waits[3] > 1.0 > waits[2]
    ours = [take(pool, exclude=pool.endpoint_ids[:3]) for _ in range(30)]
    before = pool.endpoints[3].view(1001.0, waits=True).wait_s
    pool.observe(pool.endpoint_ids[3], LoadReport(30, 0, 0.0, 1001.0))
    take(pool, 1001.0)
    assert pool.endpoints[3].view(1001.0, waits=True).wait_s < before
    assert len(ours) == 30
