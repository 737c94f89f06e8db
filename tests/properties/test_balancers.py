"""Whatever the pool and the traffic: bounded load, little disruption, and no reward for lying."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.fleet import EndpointState, EndpointView, LoadReport
from pointsman.core.request import Message, Needs
from pointsman.pools.balancers.choice import BALANCERS
from pointsman.pools.balancers.load import cost
from pointsman.pools.balancers.prefix import Prefix, prefixes
from pointsman.pools.balancers.rendezvous import BOUND, FREE, Bound, ranked
from pointsman.pools.balancers.session import Session
from pointsman.pools.fleet import Fleet
from pointsman.testing.factories import a_pool, a_request, a_settings

keys = st.integers(0, 2**32 - 1)


def a_view(key: int, tokens: int = 0, in_flight: int = 0, slots: int | None = None, excess: int = 0, weight: float = 1.0):
    return EndpointView(f"small/{key}", EndpointState.HEALTHY, in_flight, tokens, slots, None, excess, weight, key)


views = st.lists(
    st.builds(a_view, keys, st.integers(0, 10**6), st.integers(0, 500), st.none() | st.integers(1, 500),
              st.integers(0, 10**6), st.floats(0.1, 1.0)),
    min_size=1, max_size=12, unique_by=lambda view: view.key,
)  # fmt: skip


@given(views, st.sampled_from(sorted(BALANCERS)), st.text(max_size=50), st.integers(0, 9))
def test_every_balancer_picks_one_of_the_views_and_a_free_one_if_there_is_one(views, name, prompt, seed):
    chosen = BALANCERS[name]().pick(a_request(prompt), views, Random(seed))
    (view,) = [view for view in views if view.id == chosen]
    if name != "round_robin" and any(v.slots is None or v.in_flight < v.slots for v in views):
        assert view.slots is None or view.in_flight < view.slots


@given(st.sets(keys, min_size=2, max_size=12), st.lists(keys, max_size=50))
def test_taking_an_endpoint_away_moves_only_what_it_had(endpoints, keys):
    pool = [a_view(key) for key in sorted(endpoints)]
    gone, rest = pool[0], pool[1:]
    for key in keys:
        before, after = ranked(pool, key), ranked(rest, key)
        assert after == [view for view in before if view is not gone]


@given(views, keys, st.integers(1, 10**6))
def test_affinity_never_goes_beyond_the_bound_while_another_endpoint_is_within_it(views, key, tokens):
    bound = Bound(views, tokens)
    chosen = bound.first(ranked(views, key), views)
    if not any(bound.allows(view) for view in views):
        return
    mean = (tokens + sum(v.in_flight_tokens + v.excess_tokens for v in views)) / sum(v.weight for v in views)
    assert chosen.in_flight < FREE or cost(chosen, tokens) <= BOUND * mean * (1 + 1e-9)


@given(st.integers(2, 10), st.integers(0, 99))
def test_whatever_the_crowd_load_stays_within_the_bound(count, seed):
    """Everybody asks in one session: the worst that affinity can do."""
    fleet = Fleet(a_settings(a_pool("small", *(f"http://h{i}-{seed}/v1" for i in range(count)), balancer="session")))
    request = a_request(session="everybody")
    for held in range(1, 120):
        fleet.lease("small", request, (), 1000.0, Random(seed))
        most = max(view.in_flight for view in fleet.pools["small"].views(1000.0))
        assert most <= max(FREE, BOUND * held / count + 1)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool"]), st.text(max_size=3_000)), max_size=6),
       st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=300)), max_size=4))  # fmt: skip
def test_a_conversation_that_grows_keeps_its_beginnings(turns, more):
    def begun(said):
        return prefixes(a_request(messages=tuple(Message(role, text) for role, text in said)))

    turns = [("system", "Be brief."), *turns, ("user", "Well?")]
    before = begun(turns)
    assert begun([*turns, *more])[: len(before)] == before


@given(st.integers(2, 8), st.integers(0, 50))
def test_turns_of_rare_conversations_stay_when_another_endpoint_leaves(count, seed):
    pool = [a_view(Random(f"{seed}-{n}").getrandbits(32)) for n in range(count + 1)]
    gone = pool[-1]
    for balancer in (Prefix(), Session()):
        for n in range(20):
            request = a_request(f"conversation {n} of {seed}")
            before = balancer.pick(request, pool, Random(1))
            if before != gone.id:
                assert balancer.pick(request, pool[:-1], Random(1)) == before


# ---------------------------------------------------------------------------------------------------------
# Lies


class Engine:
    """Works off its queue, `slots` requests at a time."""

    def __init__(self, slots: int = 8) -> None:
        self.slots, self.jobs = slots, []

    def step(self, now: float, passed: float) -> None:
        running = self.jobs[: self.slots]
        for job in running:
            job[1] -= min(60.0, 400.0 / len(running)) * passed
            if job[1] <= 0:
                job[0].close("answered", now)
        self.jobs = [job for job in self.jobs if job[1] > 0]

    def report(self, now: float) -> LoadReport:
        running = min(self.slots, len(self.jobs))
        return LoadReport(len(self.jobs) - running, running, None, at=now)


def share_of_the_first(load: float, lie, *, count: int, seed: int) -> tuple[int, int]:
    """Requests that the first endpoint got of all, when it says `lie(honest report)`; in virtual time."""
    rng, now = Random(seed), 1000.0
    fleet = Fleet(a_settings(a_pool("small", *(f"http://h{i}/v1" for i in range(count)))))
    engines = {id_: Engine() for id_ in fleet.endpoints_of("small")}
    per_s, arrives, got = load * count * 400.0 / 155.0, now, 0
    asked = dict.fromkeys(engines, 0.0)
    total = 0
    while now < 1045.0:
        now += 0.05
        while arrives <= now:
            output = rng.expovariate(1 / 150) + 5
            lease = fleet.lease("small", a_request(needs=Needs(context=int(output) + 300)), (), now, rng)
            engines[lease.endpoint.id].jobs.append([lease, output])
            got += lease.endpoint.id == "small/0"
            total += 1
            arrives += rng.expovariate(per_s)
        for id_, engine in engines.items():
            engine.step(now, 0.05)
            if now - asked[id_] >= 2.0:
                asked[id_] = now
                report = engine.report(now)
                fleet.pools["small"].observe(id_, lie(report) if id_ == "small/0" else report)
    return got, total


LIES = {
    "always idle": lambda report: LoadReport(0, 0, 0.0, at=report.at),
    "half of it": lambda report: LoadReport((report.waiting or 0) // 2, (report.running or 0) // 2, None, at=report.at),
    "nothing": lambda report: None,
}


@pytest.mark.parametrize(("count", "load"), [(2, 1.4), (4, 0.9), (4, 1.1)])
@pytest.mark.parametrize("lie", LIES)
def test_a_liar_attracts_at_most_a_twentieth_more_than_when_it_is_honest(lie, count, load):
    def got(says) -> float:
        runs = [share_of_the_first(load, says, count=count, seed=seed) for seed in range(6)]
        return sum(first for first, _ in runs) / sum(total for _, total in runs)

    assert got(LIES[lie]) <= 1.05 * max(1 / count, got(lambda report: report)), "what chance gave it, it may have"
