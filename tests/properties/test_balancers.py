"""Whatever the pool and the traffic: bounded load, little disruption, and no reward for lying."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.core.fleet import EndpointState, EndpointView, LoadReport
from pointsman.core.request import Message, Needs
from pointsman.pools.balancers.beginnings import FIRST, LAST, read
from pointsman.pools.balancers.choice import BALANCERS
from pointsman.pools.balancers.load import cost
from pointsman.pools.balancers.memory import MOST, Memory
from pointsman.pools.balancers.prefix import OTHERS, RUNNING, Prefix
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


@settings(deadline=None)  # shared machines pause
@given(st.integers(2, 10), st.integers(0, 99))
def test_whatever_the_crowd_load_stays_within_the_bound(count, seed):
    """Everybody asks in one session: the worst that affinity can do."""
    fleet = Fleet(a_settings(a_pool("small", *(f"http://h{i}-{seed}/v1" for i in range(count)), balancer="session")))
    request = a_request(session="everybody")
    for held in range(1, 120):
        fleet.lease("small", request, (), 1000.0, Random(seed))
        most = max(view.in_flight for view in fleet.pools["small"].views(1000.0))
        assert most <= max(FREE, BOUND * held / count + 1)


@settings(deadline=None)  # shared machines pause
@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool"]), st.text(max_size=3_000)), max_size=6),
       st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=300)), max_size=4))  # fmt: skip
def test_a_conversation_that_grows_keeps_its_beginnings(turns, more):
    def begun(said):
        return read(a_request(messages=tuple(Message(role, text) for role, text in said)))

    turns = [("system", "Be brief."), *turns, ("user", "Well?")]
    before, after = begun(turns), begun([*turns, *more])
    assert after.parts[: len(before.parts)] == before.parts
    assert after.conversation == before.conversation


@settings(deadline=None)  # shared machines pause
@given(st.text(max_size=8_000), st.text(max_size=50), st.text(max_size=50))
def test_what_begins_alike_has_numbers_in_common_for_all_of_it_but_an_eighth(shared, one, other):
    def begun(text):
        return read(a_request(messages=(Message("user", text),))).parts

    common = set(begun(shared + "1" + one)) & set(begun(shared + "2" + other))
    size = len(shared.encode())
    assert max((tokens for _, tokens in common), default=0) >= (size - max(512, size / 4)) // 3 - 1


@settings(deadline=None)  # shared machines pause
@given(st.lists(st.lists(st.tuples(keys, st.integers(1, 10**5)), max_size=FIRST + LAST), max_size=40), st.integers(1, 100))
def test_a_memory_never_holds_more_than_its_bound_and_knows_nothing_it_was_not_told(sent, most):
    memory, told = Memory(most), set()
    for parts in sent:
        memory.add(parts)
        told.update(number for number, _ in parts)
        assert len(memory) <= most
    assert memory.known([(2**32 + 1, 7)]) == 0
    assert all(number in told for number in range(1000) if number in memory)


prompts = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=40)
"""(conversation, turns so far)."""


def a_turn(conversation: int, turns: int):
    said = [Message("system", "Be brief. " * 30), Message("user", f"conversation {conversation} " * 40)]
    for turn in range(turns):
        said += [Message("assistant", f"answer {turn}"), Message("user", f"question {turn}")]
    return a_request(messages=tuple(said), needs=Needs(context=sum(len(m.text) for m in said) // 3 + 50))


@settings(deadline=None)  # shared machines pause
@given(views, prompts, st.integers(0, 9), st.integers(0, 9))
def test_the_same_requests_in_the_same_order_go_the_same_ways(views, prompts, seed, another):
    def ways(seed: int) -> list[str]:
        balancer, rng = Prefix(), Random(seed)
        return [balancer.pick(a_turn(*prompt), views, rng) for prompt in prompts]

    assert ways(seed) == ways(another)


@settings(deadline=None)  # shared machines pause
@given(st.sets(keys, min_size=2, max_size=8), prompts, st.integers(0, 7))
def test_when_an_endpoint_leaves_only_its_own_conversations_move(endpoints, prompts, which):
    """And when it is back, what it was sent before comes home."""
    pool = [a_view(key) for key in sorted(endpoints)]
    gone = pool[which % len(pool)]
    rest = [view for view in pool if view is not gone]
    balancer, at = Prefix(), {}
    for conversation, turns in prompts:
        at[conversation] = balancer.pick(a_turn(conversation, turns), pool, Random(0))
    for conversation, home in at.items():
        now = balancer.pick(a_turn(conversation, 3), rest, Random(0))
        assert now == home or home == gone.id


@settings(deadline=None)  # shared machines pause
@given(st.integers(2, 8), st.integers(1, 60), st.integers(0, 99), st.integers(10, 60_000))
def test_whatever_the_crowd_one_text_gathers_a_bounded_load_and_leases_return_to_zero(count, held, seed, tokens):
    fleet = Fleet(a_settings(a_pool("small", *(f"http://h{i}-{seed}/v1" for i in range(count)), balancer="prefix")))
    request = a_request("the same " * (tokens // 3), needs=Needs(context=tokens))
    leases = []
    for _ in range(held):
        leases.append(fleet.lease("small", request, (), 1000.0, Random(seed)))
        loads = [view.in_flight_tokens for view in fleet.pools["small"].views(1000.0)]
        assert max(loads) - min(loads) <= (1 + OTHERS) / RUNNING * tokens + 2 * tokens
    for lease in leases:
        lease.close("answered", 1001.0)
    assert [(v.in_flight, v.in_flight_tokens) for v in fleet.pools["small"].views(1001.0)] == [(0, 0)] * count


@settings(deadline=None)  # shared machines pause
@given(st.lists(st.tuples(st.text(max_size=2_000), st.integers(0, 3)), max_size=30))
def test_a_balancer_remembers_a_bounded_number_of_beginnings_of_each_endpoint(asked):
    balancer = Prefix()
    pool = [a_view(key) for key in (1, 2)]
    for text, turns in asked:
        balancer.pick(a_request(messages=tuple(Message("user", text + str(n)) for n in range(turns * 40))), pool, Random(0))
    assert all(len(memory) <= MOST for memory in balancer._memories.values())


@settings(deadline=None)  # shared machines pause
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


def share_of_the_first(load: float, lie, *, count: int, seed: int, balancer: str = "power_of_two") -> tuple[int, int]:
    """Requests that the first endpoint got of all, when it says `lie(honest report)`; in virtual time."""
    rng, now = Random(seed), 1000.0
    fleet = Fleet(a_settings(a_pool("small", *(f"http://h{i}/v1" for i in range(count)), balancer=balancer)))
    engines = {id_: Engine() for id_ in fleet.endpoints_of_pool("small")}
    per_s, arrives, got = load * count * 400.0 / 155.0, now, 0
    asked = dict.fromkeys(engines, 0.0)
    total = 0
    while now < 1045.0:
        now += 0.05
        while arrives <= now:
            output = rng.expovariate(1 / 150) + 5
            request = a_request(f"conversation {rng.randrange(200)} " * 30, needs=Needs(context=int(output) + 300))
            lease = fleet.lease("small", request, (), now, rng)
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
@pytest.mark.parametrize("balancer", ["power_of_two", "prefix"])
def test_a_liar_attracts_at_most_a_twentieth_more_than_when_it_is_honest(balancer, lie, count, load):
    def got(says) -> float:
        runs = [share_of_the_first(load, says, count=count, seed=seed, balancer=balancer) for seed in range(6)]
        return sum(first for first, _ in runs) / sum(total for _, total in runs)

    assert got(LIES[lie]) <= 1.05 * max(1 / count, got(lambda report: report)), "what chance gave it, it may have"
