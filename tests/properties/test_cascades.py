"""Whatever answers are worth and in whatever order things happen: one answer, from one attempt, nothing retracted, nothing left."""

from __future__ import annotations

import asyncio
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman import errors
from pointsman.cascade.benefit import Benefit, Judgement, Prospect
from pointsman.cascade.deferral import WHOLE, Deferral, Hold
from pointsman.cascade.events import (
    Accept,
    Began,
    Call,
    Cancel,
    ClientGone,
    Commit,
    Failed,
    GiveUp,
    Held,
    Replied,
    Tick,
    Verified,
    Verify,
    Wake,
)
from pointsman.cascade.machine import Machine
from pointsman.core.reply import Batch, Reply, Usage
from pointsman.core.settings import CascadeSettings, HoldSettings, RouteSettings
from pointsman.gateway.gateway import Gateway
from pointsman.testing import virtual_time
from pointsman.testing.factories import a_pool, a_request, a_settings
from pointsman.testing.ports import HeardPort, ListSink
from pointsman.testing.script import ANSWER, OpenBudget, a_plan, a_rung
from pointsman.testing.verifications import BREAKS, HANGS, OnRungs, says
from pointsman.testing.virtual_time import LoopClock
from pointsman.wiring import build_graph

TIERS = ("t0", "t1", "t2", "t3")
probabilities = st.floats(0.0, 1.0)
prospects = st.builds(Prospect, probabilities, st.floats(0, 1), st.none() | st.floats(0, 200), st.none() | st.integers(0, 100))
rising = st.builds(lambda p, delay, nano: [Prospect(p * (4 + i) / 8, i / 4, delay, nano) for i in range(4)],
                   probabilities, st.sampled_from([None, None, 1.0, 200.0]), st.sampled_from([None, 10, 40]))
benefits = st.builds(
    lambda known, price, delay: Benefit(dict(zip(TIERS, known, strict=True)), price, delay),
    rising | st.lists(prospects, min_size=4, max_size=4), st.sampled_from([0.0, 0.1, 1.0]), st.sampled_from([0.0, 0.01]),
)
a_hold = st.sampled_from([Hold(4, 0.4), Hold(WHOLE, float("inf"))])
holds = st.builds(lambda first, more: {"t0": first} | more, a_hold, st.dictionaries(st.sampled_from(TIERS), a_hold))
deferrals = st.builds(
    lambda holds, benefit, climbs, budget, on_abstain, beside: Deferral(
        holds, benefit.prospects if benefit else {}, benefit, dict.fromkeys(holds, 0.6), climbs, budget, on_abstain, beside),
    holds, st.none() | benefits, st.integers(1, 3), st.sampled_from([None, None, 60]), st.booleans(), st.sampled_from([None, 0.5, 0.5]),
)
plans = st.builds(
    lambda rungs, endpoints, stream, deferral, sent: a_plan(
        *(a_rung(f"t{i}", "failed" if i else "chosen", endpoints=endpoints) for i in range(rungs)),
        stream=stream, deferral=deferral, deadline=100.0, max_sent=sent),
    st.sampled_from([3, 2, 4, 1]), st.integers(1, 2), st.sampled_from([True, True, False]), deferrals, st.sampled_from([3, 3, 2, 1]),
)
scores = st.one_of(st.sampled_from([0.01, 0.01, 0.3]), probabilities, st.sampled_from([None, float("nan"), 7.0]))


class World:
    """Performs what the machine asks for, in an order that is drawn, and sees to it that the machine asks for nothing odd."""

    def __init__(self, plan, machine, data):
        self.plan, self.machine, self.data = plan, machine, data
        self.now = 0.0
        # Attempt -> `running` (may hold, begin, reply, fail), `held` or `begun` (waits to be told), `committed` (may reply, fail).
        self.running: dict[int, str] = {}
        self.calls: dict[int, Call] = {}
        self.whole: set[int] = set()
        self.verifying: int | None = None
        self.committed: list[int] = []
        self.ends: list = []
        self.sent = 0
        self.wake_at: float | None = None

    def perform(self, commands):
        for command in commands:
            assert not self.ends, "a command behind the end"
            match command:
                case Call(attempt=attempt):
                    assert not self.committed
                    assert attempt == len(self.calls) + 1
                    self.calls[attempt], self.running[attempt] = command, "running"
                    # What was held and is neither cancelled nor committed goes on.
                    for other, state in self.running.items():
                        if state == "held":
                            self.running[other] = "running"
                case Cancel(attempt=attempt):
                    if self.running.pop(attempt, None) is not None:
                        self.sent += 1
                case Verify(attempt=attempt):
                    assert not self.committed
                    self.verifying = attempt
                case Commit(attempt=attempt):
                    self.committed.append(attempt)
                    assert attempt in self.whole or self.running.get(attempt) is not None, "nothing there to be shown"
                    if attempt in self.running:
                        self.running[attempt] = "committed"
                case Accept(attempt=attempt):
                    assert self.committed == [attempt], "the answer is the one that was committed, and no other"
                    self.ends.append(command)
                case GiveUp():
                    self.ends.append(command)
                case Wake(at=at):
                    self.wake_at = at

    def step(self):
        self.now += self.data.draw(st.sampled_from([0.0, 0.1, 1.0]))
        others = [attempt for attempt, state in self.running.items() if state == "running" and attempt != self.verifying]
        if self.verifying is not None and not (others and self.data.draw(st.booleans())):
            attempt, self.verifying = self.verifying, None
            self.perform(self.machine.on(Verified(attempt, self.data.draw(scores), self.now)))
            return True
        ways = [attempt for attempt, state in self.running.items() if state in ("running", "committed")]
        if self.wake_at is not None and self.verifying is None:
            ways.append(0)
        if not ways:
            return False
        attempt = self.data.draw(st.sampled_from(ways))
        if not attempt:
            self.now, self.wake_at = max(self.now, self.wake_at), None
            self.perform(self.machine.on(Tick(self.now)))
            return True
        self.perform(self.machine.on(self.happening(attempt)))
        return True

    def happening(self, attempt):
        call, state = self.calls[attempt], self.running[attempt]
        kinds = ["replied", "failed"]
        if self.plan.stream and state == "running":
            kinds = ["began" if call.hold is None else "held"] * 3 + kinds
        match self.data.draw(st.sampled_from(kinds)):
            case "began":
                self.running[attempt] = "begun"
                return Began(attempt, self.now)
            case "held":
                self.running[attempt] = "held"
                return Held(attempt, "", None, self.now)
            case "replied":
                del self.running[attempt]
                self.whole.add(attempt)
                self.sent += 1
                return Replied(attempt, ANSWER, self.now)
        del self.running[attempt]
        error = self.data.draw(st.sampled_from(FAILURES))()
        error.endpoint = f"{call.tier}/0" if f"{call.tier}/0" not in call.exclude else f"{call.tier}/1"
        self.sent += error.sent and not isinstance(error, errors.NoEndpoint)
        return Failed(attempt, error, error.sent, self.now)


FAILURES = (
    lambda: errors.ConnectFailed("refused", sent=False),
    lambda: errors.UpstreamFailed("500"),
    lambda: errors.StreamStalled("stalled"),
    lambda: errors.RateLimited("slow down"),
    lambda: errors.RequestRefused("bad"),
    lambda: errors.NoEndpoint("t1", ejected=1),
)


@settings(max_examples=500, deadline=None)
@given(plans, st.data(), st.integers(0, 99), st.sampled_from([None, None, None, 0, 1, 2, 3, 5]))
def test_one_answer_from_one_attempt_and_nothing_left_running(plan, data, seed, leaves_after):
    budget = OpenBudget()
    machine = Machine(plan, budget, Random(seed))
    world = World(plan, machine, data)
    world.perform(machine.start())
    steps = 0
    while not world.ends:
        if steps == leaves_after:
            world.perform(machine.on(ClientGone()))
            break
        assert world.step(), f"{machine!r} waits for nothing"
        steps += 1
        assert steps < 60
    assert machine.is_done
    assert len(world.ends) == 1
    assert len(world.committed) <= 1
    left = {attempt for attempt, state in world.running.items() if state != "committed"}
    assert not left, f"attempts {left} run on behind the end"
    assert world.sent <= plan.max_sent
    assert budget.in_flight == 0
    judged = [climb for climb in machine.escalations if climb.reason in ("verifier", "hedge")]
    assert len(judged) <= plan.deferral.max_climbs


@given(benefits, st.lists(st.tuples(st.sampled_from(TIERS), st.none() | probabilities), max_size=4))
def test_beliefs_stay_probabilities_whatever_is_said(benefit, said):
    beliefs = benefit.beliefs([Judgement(tier, score) for tier, score in said])
    assert all(0.0 < p < 1.0 for p in beliefs.values())


@given(benefits, st.sampled_from(TIERS[:3]), probabilities, probabilities)
def test_a_worse_verdict_never_makes_an_answer_look_better(benefit, tier, one, other):
    low, high = sorted((one, other))
    assert benefit.beliefs([Judgement(tier, low)])[tier] <= benefit.beliefs([Judgement(tier, high)])[tier] + 1e-12


@given(benefits, probabilities)
def test_climbing_pays_exactly_below_the_break_even(benefit, score):
    turning = benefit.break_even("t0", "t1")
    after = benefit.beliefs([Judgement("t0", score)])["t0"]
    if abs(after - turning) > 1e-6 and 0 < turning < 1:
        assert (benefit.better([Judgement("t0", score)], ["t1"]) == "t1") == (after < turning)


# ---------------------------------------------------------------------------------------------------------
# The whole path


SILENT = "silent"
"""It says no more until its time is up."""


class Told:
    """An upstream each of whose answers says which call it was of; `plays`: (events, error or None) in order."""

    def __init__(self, plays):
        self.plays, self.calls, self.open_streams = list(plays), 0, 0

    def _next(self):
        self.calls += 1
        return self.calls, (self.plays.pop(0) if len(self.plays) > 1 else self.plays[0])

    async def ask(self, endpoint, request, body, *, until):
        number, (_, error) = self._next()
        await asyncio.sleep(0)
        if error == SILENT:
            await asyncio.sleep(max(0.0, until - asyncio.get_running_loop().time()))
            raise errors.AnswerTimeout("silent")
        if error is not None:
            raise error
        return Reply(b'{"choices":[{"message":{"content":"%d"},"finish_reason":"stop"}]}' % number, Usage(10, 5), "m", ("stop",), 20)

    async def stream(self, endpoint, request, body, *, until):
        number, (events, error) = self._next()
        await asyncio.sleep(0)
        self.open_streams += 1
        return ToldStream(self, number, events, error)

    async def aclose(self):
        return None


class ToldStream:
    def __init__(self, upstream, number, events, error):
        self._upstream, self._number, self._left, self._error, self._is_open = upstream, number, events, error, True
        self._heard = 0

    @property
    def reply(self):
        return Reply(b"", Usage(10, 5), "m", ("stop",), self._heard)

    async def next(self, until):
        await asyncio.sleep(0)
        if self._left:
            self._left -= 1
            self._heard += 4
            return Batch([b'{"choices":[{"delta":{"content":"%4d"}}]}' % self._number], True)
        if self._error == SILENT:
            await asyncio.sleep(max(0.0, until - asyncio.get_running_loop().time()))
            raise errors.StreamStalled("silent") if self._heard else errors.FirstTokenTimeout("silent")
        if self._error is not None:
            raise self._error
        self.close()
        return None

    def close(self):
        if self._is_open:
            self._is_open = False
            self._upstream.open_streams -= 1


def graph(mode, on_abstain, hedged, words, whole, deadline_s=5.0):
    route = RouteSettings(
        "auto", ladder=("small", "medium", "large"), default_tier="small", pipeline=("pinned:small",), deadline_s=deadline_s,
        open_after_s=60.0, cascade=CascadeSettings(mode=mode, hold=HoldSettings(2, 0.2), on_abstain=on_abstain, hedged_after_s=hedged))
    made = a_settings(*(a_pool(name, f"http://127.0.0.1:{i}/v1") for i, name in enumerate(("small", "medium", "large"), 1)), route=route)
    built = build_graph(made)
    built.cascades.verifications = OnRungs({name: says(*words, whole=whole) for name in ("small", "medium")})
    return built


a_play = st.tuples(st.integers(1, 6), st.sampled_from([None, None, None, *FAILURES[1:4]]).map(lambda make: make() if make else None))
words = st.lists(st.sampled_from([0.02, 0.02, 0.5, 0.97, None, BREAKS]), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(st.lists(a_play, min_size=1, max_size=5), st.booleans(), st.sampled_from(["benefit", "threshold"]), st.sampled_from(["accept", "climb"]),
       st.sampled_from([None, 0.0, 1.0]), words, st.booleans(), st.none() | st.integers(0, 60))
def test_the_client_hears_one_attempt_and_one_end(plays, stream, mode, on_abstain, hedged, words, whole, leave_after):
    async def story():
        upstream, sink, port = Told(plays), ListSink(), HeardPort()
        gateway = Gateway(graph(mode, on_abstain, hedged, words, whole), upstream, sink, LoopClock(), Random(1))
        task = asyncio.ensure_future(gateway.handle(a_request(stream=stream), port))
        if leave_after is not None:
            for _ in range(leave_after):
                await asyncio.sleep(0)
            task.cancel()
        result = (await asyncio.gather(task, return_exceptions=True))[0]
        assert asyncio.get_running_loop().time() < 5.1
        return gateway, upstream, sink, port, result

    gateway, upstream, sink, port, result = virtual_time.run(story())
    assert not isinstance(result, Exception), repr(result)
    left = isinstance(result, asyncio.CancelledError)
    assert (gateway.in_flight, gateway.graph.fleet.in_flight, upstream.open_streams) == (0, 0, 0)
    assert port.endings <= 1
    assert port.endings == 1 or left
    assert len(set(port.events_heard)) <= 1, "words of two attempts"
    if left and not sink.records:
        return
    (record,) = sink.records
    assert len(record.attempts) == upstream.calls
    assert sum(a.sent for a in record.attempts) <= 3
    assert sorted(a.number for a in record.attempts) == sorted({a.number for a in record.attempts})
    if record.outcome == "answered":
        answered = [a for a in record.attempts if a.tier == record.routing_tier]
        assert any(a.outcome == "answered" for a in answered)
    assert all(check.attempt in {a.number for a in record.attempts} for check in record.checks)


silent_plays = st.tuples(st.integers(0, 6), st.sampled_from([None, SILENT, SILENT, "broken"]))
DEADLINE_S = 0.2
LATEST_S = DEADLINE_S + 0.1


@settings(max_examples=200, deadline=None)
@given(st.lists(silent_plays, min_size=1, max_size=4), st.booleans(), st.sampled_from(["benefit", "threshold"]), st.sampled_from(["accept", "climb"]),
       st.sampled_from([None, 0.02]), st.lists(st.sampled_from([0.02, 0.97, None, BREAKS, HANGS]), min_size=1, max_size=3), st.booleans())
def test_whatever_is_silent_there_is_an_answer_or_a_clear_error_by_the_deadline(plays, stream, mode, on_abstain, hedged, words, whole):
    made = [(events, errors.UpstreamFailed("500") if how == "broken" else how) for events, how in plays]

    async def story():
        upstream, sink, port = Told(made), ListSink(), HeardPort()
        gateway = Gateway(graph(mode, on_abstain, hedged, words, whole, deadline_s=DEADLINE_S), upstream, sink, LoopClock(), Random(1))
        begun = asyncio.get_running_loop().time()
        await gateway.handle(a_request(stream=stream), port)
        return gateway, upstream, sink, port, asyncio.get_running_loop().time() - begun

    gateway, upstream, sink, port, took = virtual_time.run(story())
    assert took <= LATEST_S
    assert port.endings == 1
    assert (gateway.in_flight, gateway.graph.fleet.in_flight, upstream.open_streams) == (0, 0, 0)
    assert len(set(port.events_heard)) <= 1
    (record,) = sink.records
    assert (record.outcome == "answered") == (port.error is None)
