"""What is written out for speed on the path is what the plain words say: the price of `prefix`, and an endpoint's view.

`Plain` is the balancer as ADR 19 tells it, with a list where the balancer has a table, and a sorted ranking where it looks for
equals only. Both must choose alike, to the last bit of a price.
"""

from __future__ import annotations

from math import exp, inf
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pointsman.core.fleet import EndpointSpec, EndpointState, EndpointView, LoadReport
from pointsman.core.request import Message, Needs
from pointsman.core.settings import HealthSettings
from pointsman.pools.balancers.beginnings import read
from pointsman.pools.balancers.load import LATE_S, LATE_TIMES, is_full, overbooking, prompt_tokens_of, room_s
from pointsman.pools.balancers.prefix import (
    CROWDED,
    HOME,
    IN_TIME,
    LATE,
    LEAST_MEAN,
    MEAN_WEIGHT,
    MORE_OTHERS,
    MOST_CREDITED,
    OTHERS,
    PATIENT,
    RECENT,
    RUNNING,
    STRANGER,
    WORTH,
    Prefix,
)  # fmt: skip
from pointsman.pools.balancers.rendezvous import ranked
from pointsman.pools.endpoint import Endpoint, Vitals
from pointsman.pools.health import Signal
from pointsman.pools.lease import Lease, Watchers
from pointsman.pools.shared_count import SharedCount
from pointsman.testing.factories import a_request

NOW = 1000.0


class Plain:
    """The same balancer, in plain words."""

    def __init__(self) -> None:
        self.mean = self.strange = 0.0
        self.unread = 0
        self.sent: dict[str, list[int]] = {}

    def known(self, view, begun) -> int:
        return max((tokens for number, tokens in begun.parts if number in self.sent.get(view.id, ())), default=0)

    def price(self, view, is_first: bool, begun, prompt: int, mean_s: float, least: float, bar: float) -> tuple[bool, float]:
        mean, taken, is_over = max(self.mean, LEAST_MEAN), self.known(view, begun), False
        if is_first:
            taken += int(HOME * self.strange * (begun.tokens - taken))
        is_stranger = view.wait_s > bar and taken < prompt * STRANGER
        if is_full(view):
            left = int(min(taken, MOST_CREDITED) - overbooking(view) * MOST_CREDITED)
            is_over, taken = left <= 0, max(left, 0)
        token = 1.0 / (mean * view.weight)
        wait, own = view.wait_s / mean_s, max(prompt - taken, 0) * token
        others, crowd = OTHERS + MORE_OTHERS * least, min(1.0, least / CROWDED)
        idle = wait + own * (1.0 + others)
        running = max(view.in_flight_tokens - view.awaited_tokens, 0) * token
        late = LATE * (1.0 - exp(-(wait + own) / LATE)) + others * own * exp(-wait / LATE)
        return is_over or is_stranger, (1.0 - crowd) * idle + RUNNING * running + crowd * late

    def home_in_time(self, views, chosen, begun, prompt: int, token_s: float):
        """Where it may wait although that has a higher price; None = nowhere."""
        homes = [view for view in views if not is_full(view) and self.known(view, begun) > self.known(chosen, begun)]
        if not homes:
            return None
        home = max(homes, key=lambda view: (self.known(view, begun), -view.wait_s))
        own_s, other_s = (max(prompt - self.known(view, begun), 0) * view.token_s for view in (home, chosen))
        running_s, other_running_s = (max(view.in_flight_tokens - view.awaited_tokens, 0) * view.token_s for view in (home, chosen))
        is_home = (
            self.known(home, begun) - self.known(chosen, begun) >= WORTH * prompt
            and home.wait_s + own_s <= IN_TIME * (LATE_S + LATE_TIMES * prompt * token_s)
            and home.wait_s - chosen.wait_s <= PATIENT * (other_s - own_s)
            and RUNNING * (running_s - other_running_s) <= (1.0 + OTHERS) * (other_s - own_s)
        )  # fmt: skip
        return home if is_home else None

    def pick(self, request, views) -> str:
        begun, prompt = read(request), prompt_tokens_of(request)
        if any(message.role == "assistant" for message in request.messages):
            is_strange = not any(begun.conversation in sent for sent in self.sent.values())
            self.strange += RECENT * (is_strange - self.strange)
        ranking = ranked(views, begun.conversation)
        mean_s = max(self.mean, LEAST_MEAN) * ranking[0].token_s * ranking[0].weight
        least = min(view.wait_s / mean_s for view in views)
        soonest = min(views, key=lambda view: view.wait_s)
        room = room_s(ranking[0].token_s * ranking[0].weight)
        bar = soonest.wait_s + room if soonest.awaited_tokens * (ranking[0].token_s * ranking[0].weight) < room else inf
        chosen = min(ranking, key=lambda view: self.price(view, view is ranking[0], begun, prompt, mean_s, least, bar))
        chosen = self.home_in_time(views, chosen, begun, prompt, ranking[0].token_s * ranking[0].weight) or chosen
        self.unread = max(prompt - self.known(chosen, begun), 0)
        self.mean += MEAN_WEIGHT * (self.unread - self.mean)
        self.sent.setdefault(chosen.id, []).extend(number for number, _ in begun.parts)
        return chosen.id


few = st.sampled_from([0, 0, 1, 150, 4_000, 70_000])
"""Numbers that meet again: equal prices are where two ways of looking for the lowest differ."""
a_view = st.builds(
    lambda key, in_flight, tokens, awaited, slots, weight, lateness, wait_s, token_s: EndpointView(
        f"small/{key}", EndpointState.HEALTHY, in_flight, tokens + awaited, slots, weight=weight, key=key, lateness=lateness,
        wait_s=wait_s, token_s=token_s / weight, awaited_tokens=awaited),
    st.integers(0, 7), st.integers(0, 12), few, few, st.sampled_from([None, None, 8, 10]), st.sampled_from([1.0, 1.0, 1.0, 0.4, 1 / 3]),
    st.sampled_from([0.0, 0.0, 0.5, 1.2, 2.5]), st.sampled_from([0.0, 0.0, 0.03, 0.1, 0.4, 1.0, 9.0]), st.sampled_from([0.0002] * 5 + [0.0003]))
some_views = st.lists(a_view, min_size=1, max_size=8, unique_by=lambda view: view.key)
a_turn = st.builds(
    lambda system, user, turns, size, out: a_request(
        messages=(*([Message("system", "Be brief. " * 120)] if system else []), Message("user", f"conversation {user} " * size),
                  *(Message(role, f"{role} {turn} " * 20) for turn in range(turns) for role in ("assistant", "user"))),
        needs=Needs(context=(1_200 * system + 15 * size + 500 * turns) // 3 + out), max_tokens=out),
    st.booleans(), st.integers(0, 4), st.integers(0, 3), st.sampled_from([1, 30, 400]), st.sampled_from([0, 256]))


@settings(deadline=None)  # shared machines pause
@given(st.lists(st.tuples(a_turn, some_views), min_size=1, max_size=30))
def test_the_endpoint_picked_is_the_one_with_the_lowest_price_in_plain_words(story):
    balancer, plain = Prefix(), Plain()
    for request, views in story:
        assert balancer.pick(request, views, Random(0)) == plain.pick(request, views)
        assert balancer.unread == plain.unread


@settings(deadline=None)  # shared machines pause
@given(some_views, st.lists(a_turn, min_size=5, max_size=60))
def test_and_stays_so_while_a_pool_remembers(views, requests):
    balancer, plain = Prefix(), Plain()
    for request in requests:
        assert balancer.pick(request, views, Random(0)) == plain.pick(request, views)


@settings(deadline=None)  # shared machines pause
@given(a_turn, st.floats(0.0, 2.0), st.integers(0, 60_000), st.sampled_from([0.00001, 0.00005, 0.0002]))
def test_who_waits_at_home_and_who_does_not_is_the_same(request, wait_s, running, token_s):
    balancer, plain = Prefix(), Plain()
    idle = [EndpointView(f"small/{key}", EndpointState.HEALTHY, 0, 0, None, key=key, token_s=token_s) for key in range(4)]
    home = balancer.pick(request, idle, Random(0))
    plain.pick(request, idle)
    awaited = round(wait_s / token_s)
    views = [replace(v, in_flight=2, in_flight_tokens=awaited + running, awaited_tokens=awaited, wait_s=wait_s) if v.id == home else v for v in idle]
    assert balancer.pick(request, views, Random(0)) == plain.pick(request, views)


def asked(endpoint: Endpoint, now: float) -> EndpointView:
    """The view with what waits there, made by asking who knows each thing; but for how late it is, which is not for everyone."""
    vitals, report, weight = endpoint.vitals, endpoint.fresh_report(now), endpoint.weight(now)
    token_s, line = vitals.token_s / weight, vitals.line
    wait_s = token_s * vitals.awaited
    if line is not None:
        wait_s = expected = line.expects(vitals.awaited) or 0.0
        if vitals.awaited:
            wait_s = max(expected, token_s * vitals.awaited, vitals.silence_s(now))
    if report is not None:
        wait_s += token_s * vitals.strangers_tokens
    return EndpointView(
        endpoint.id, vitals.state(), vitals.busy, vitals.in_flight_tokens + vitals.elsewhere_tokens, endpoint.slots_now(now), report,
        0 if report is None else vitals.excess_tokens, weight, endpoint.key, 0.0, wait_s, token_s, vitals.awaited,
    )  # fmt: skip


@settings(deadline=None)  # shared machines pause
@given(
    st.lists(st.tuples(st.sampled_from(["lease", "begin", "answer", "fail", "drain", "report", "others"]), st.integers(0, 400),
                       st.booleans()), max_size=60),
    st.booleans(), st.sampled_from([None, 4]), st.sampled_from([None, 6]), st.sampled_from([None, 1.5]), st.booleans(),
)  # fmt: skip
def test_an_endpoints_view_says_what_asking_for_each_thing_says(story, is_shared, slots, most, promise_s, is_new):
    endpoint = Endpoint(EndpointSpec("small/0", "small", "http://a/v1", "m", slots=slots, max_in_flight=most), slow_start_s=30.0)
    vitals, board, now = endpoint.vitals, memoryview(bytearray(16)).cast("q"), NOW
    endpoint.limit_s, vitals.is_new, vitals.sibling = promise_s, is_new, Vitals().forecast
    if is_shared:
        vitals.share(SharedCount(board, 0, (1,)))
    leases: list[Lease] = []
    for what, number, flag in story:
        now += number / 1000
        match what:
            case "lease":
                leases.append(Lease(endpoint, number + 9, now, HealthSettings(), Watchers(), is_stream=flag, prompt_tokens=number))
            case "begin" if leases:
                leases[number % len(leases)].began(now, 0.1 if flag else None)
            case "answer" if leases:
                leases.pop(number % len(leases)).close("answered", now, output_tokens=number)
            case "fail":
                vitals.learn(Signal.SICK, now, HealthSettings(), "ordinary")
            case "drain":
                vitals.drain(flag)
            case "report":
                vitals.observe(LoadReport(number, number, None, at=now, slots=number if flag else None) if number else None)
                vitals.strangers_tokens, vitals.excess_tokens, vitals.slowness = number if flag else 0, number, 1.0 + number / 200
            case "others":
                board[1], vitals.elsewhere, vitals.elsewhere_tokens = number << 24 | number % 7, number % 5, number
        assert replace(endpoint.view(now, waits=True), lateness=0.0) == asked(endpoint, now)
        view = endpoint.view(now)
        assert (view.lateness, view.wait_s, view.awaited_tokens) == (endpoint.lateness(now), 0.0, 0)
        assert replace(view, lateness=0.0) == replace(asked(endpoint, now), wait_s=0.0, awaited_tokens=0)
