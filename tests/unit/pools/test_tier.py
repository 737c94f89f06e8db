"""A tier while serving: several endpoints' signals as one."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from pointsman.core.fleet import LoadReport
from pointsman.core.request import Needs
from pointsman.core.settings import SaturationSettings, ScaleSettings, SlaSettings, TierSettings
from pointsman.errors import NoEndpoint, UpstreamFailed
from pointsman.pools.balancers.round_robin import RoundRobin
from pointsman.pools.fleet import Fleet
from pointsman.pools.forecast import Forecast
from pointsman.pools.pool import Pool
from pointsman.pools.shared_count import SharedCount
from pointsman.pools.tier import Tier
from pointsman.testing.factories import a_pool, a_request, a_settings, an_endpoint

STREAM = a_request(stream=True)
RNG = Random(1)


class Small:
    """Tier `small` over one pool, with a clock that the test moves."""

    def __init__(self, count: int = 1, *, slots: int | None = 4, ttft_s: float | None = None, on_breach="escalate",
                 window_s: float = 60.0, most: int | None = None):
        specs = tuple(an_endpoint(f"small/{i}", f"http://h{i}/v1", slots=slots, max_in_flight=most) for i in range(count))
        self.pool = Pool(a_pool("small", endpoints=specs), RoundRobin())
        sla = SlaSettings(None, ttft_s, on_breach)
        self.tier = Tier(TierSettings("small", ("small",), sla=sla, saturation=SaturationSettings(window_s=window_s)),
                         (self.pool,))
        self.pool.watchers.tiers = (self.tier,)
        self.now = 1000.0

    def report(self, waiting: int | None = 0, kv: float | None = 0.1, *, at: int = 0, slots: int | None = None) -> None:
        self.pool.observe(f"small/{at}", LoadReport(waiting, 1, kv, at=self.now, slots=slots))

    def take(self, times: int = 1):
        return [self.pool.lease(STREAM, (), self.now, RNG) for _ in range(times)]

    def answer(self, ttft_s: float, times: int = 1) -> None:
        for lease in self.take(times):
            lease.began(self.now, ttft_s)
            lease.close("answered", self.now)

    def reason(self) -> str:
        fitness = self.tier.fitness(self.now)
        assert fitness.is_fit == (fitness.reason == "")
        return fitness.reason

    def kept(self, times: int = 1000) -> float:
        rng = Random(3)
        self.tier.diverts(self.now, Random(0))
        return sum(self.tier.diverts(self.now, rng) is None for _ in range(times)) / times

    def why(self) -> str | None:
        """Why most requests climb."""
        return next((why for _ in range(100) if (why := self.tier.diverts(self.now, RNG)) is not None), None)

    def calm_down(self, seconds: float, each=lambda: None) -> None:
        """Time passes with a look every half second and a calm report every two."""
        for tick in range(int(seconds * 2)):
            self.now += 0.5
            if tick % 4 == 0:
                for at in range(len(self.pool.endpoints)):
                    self.report(at=at)
            each()
            self.tier.look(self.now)


def test_nobody_says_anything_and_the_tier_is_fit():
    small = Small(slots=None)
    small.take(500)
    assert small.reason() == ""
    assert small.why() is None


@pytest.mark.parametrize(
    ("waiting", "kv", "reason", "detail"),
    [
        (5, 0.1, "waiting", "waiting 5 >= 5 on small/0"),
        (0, 0.9, "kv", "KV cache 0.90 >= 0.90 on small/0"),
        (None, None, "", ""),
        (4, 0.89, "", ""),
    ],
)
def test_a_limit_reached_is_told_with_its_signal(waiting, kv, reason, detail):
    small = Small()
    small.report(waiting, kv)
    assert small.reason() == reason
    assert small.tier.fitness(small.now).detail == detail
    assert small.why() == ("saturated" if reason else None)


def test_a_report_of_six_seconds_ago_says_nothing():
    small = Small()
    small.now = 993.0
    small.pool.endpoints[0].vitals.report = LoadReport(50, 1, 0.99, at=993.0)
    small.now = 1000.0
    assert small.reason() == ""


def test_all_slots_taken_divert_and_a_free_one_serves():
    small = Small(slots=4)
    leases = small.take(4)
    assert small.reason() == "in_flight"
    assert small.why() == "saturated"
    assert small.kept() == pytest.approx(0.05, abs=0.03)
    leases[0].close("answered", small.now)
    assert small.kept() == 1.0
    assert small.reason() == "in_flight", "the state stays for a while, and the free slot is used"


def test_slots_that_the_engine_reports_count_when_none_are_declared():
    small = Small(slots=None)
    small.report(slots=2)
    small.take(2)
    assert small.reason() == "in_flight"


def test_what_other_processes_have_in_flight_takes_slots():
    small = Small(slots=4)
    small.pool.observe_elsewhere("small/0", 3, 900)
    small.take(1)
    assert small.reason() == "in_flight"
    assert small.tier.free_slots(small.now) == 0


def test_one_endpoint_below_its_limits_keeps_the_tier_fit():
    small = Small(3)
    small.report(9, at=0)
    small.report(0, 0.95, at=1)
    assert small.reason() == ""
    small.report(7, at=2)
    assert small.reason() == "waiting"


def test_a_limit_that_is_not_of_slots_speaks_for_the_tier_when_there_is_one():
    small = Small(2, slots=1)
    small.pool.observe_elsewhere("small/0", 1, 100)
    small.report(9, at=1)
    assert small.reason() == "waiting"


def test_an_endpoint_that_reports_nothing_counts_as_below_its_limits():
    small = Small(2, slots=None)
    small.report(99, at=0)
    assert small.reason() == ""


def test_endpoints_out_of_service_are_not_asked():
    small = Small(2)
    small.report(9, at=0)
    small.pool.drain("small/1")
    assert small.reason() == "waiting"
    small.pool.drain("small/0")
    assert small.reason() == "unavailable"
    assert small.why() is None, "leasing says that nobody is there"


def test_the_p95_of_twenty_answers_above_the_promise_diverts_for_the_promise():
    small = Small(ttft_s=0.5)
    small.answer(0.4, 18)
    small.answer(0.6, 1)
    assert small.reason() == ""
    small.answer(0.6, 1)
    assert small.reason() == "ttft"
    assert small.tier.fitness(small.now).detail == "p95 TTFT above 0.5 s: 2 of 20 answers took longer"
    assert small.why() == "sla"


def test_five_in_a_hundred_may_be_late():
    small = Small(ttft_s=0.5)
    small.answer(0.4, 95)
    small.answer(9.0, 5)
    assert small.reason() == ""
    small.answer(9.0, 1)
    assert small.reason() == "ttft"


def test_a_promise_that_is_only_reported_diverts_nothing():
    small = Small(ttft_s=0.5, on_breach="report")
    small.answer(2.0, 30)
    assert small.reason() == ""
    assert small.tier.status(small.now)["is_breaching"]


def test_streams_given_up_after_the_limit_break_the_promise_too():
    small = Small(slots=None, ttft_s=0.5)
    leases = small.take(20)
    small.now += 5.0
    for lease in leases:
        lease.close("cancelled", small.now)
    assert small.reason() == "ttft"


def test_a_client_that_leaves_early_says_nothing():
    small = Small(slots=None, ttft_s=0.5)
    leases = small.take(40)
    small.now += 0.4
    for lease in leases:
        lease.close("cancelled", small.now)
    assert small.tier.status(small.now)["is_breaching"] is False
    assert small.reason() == ""


def test_a_full_queue_ends_fifteen_calm_seconds_after_the_last_report_of_it():
    small = Small()
    small.report(9)
    assert small.reason() == "waiting"
    small.calm_down(14.0)
    assert small.reason() == "waiting"
    small.calm_down(2.0)
    assert small.reason() == ""


def test_a_signal_between_leave_limit_and_limit_holds_it():
    small = Small()
    small.report(9)
    small.reason()
    small.calm_down(40.0, lambda: small.report(4, 0.75))
    assert small.reason() == "waiting"


def test_it_keeps_one_in_twenty_and_then_more_and_more():
    small = Small()
    small.report(9)
    assert small.kept() == pytest.approx(0.05, abs=0.03)
    small.calm_down(8.0)
    assert small.kept() == pytest.approx(0.55, abs=0.08)


def test_a_broken_promise_ends_within_thirty_seconds_of_quick_answers():
    small = Small(ttft_s=0.5, window_s=300.0)
    small.answer(3.0, 40)
    assert small.reason() == "ttft"
    started = small.now
    while small.reason() and small.now < started + 60:
        small.calm_down(0.5, lambda: small.answer(0.1))
    assert small.now - started <= 25.0
    for _ in range(60):
        small.calm_down(1.0, lambda: small.answer(0.1))
        assert small.reason() == "", "what was slow before is forgotten"


def test_half_of_the_endpoints_calm_is_a_calm_tier():
    small = Small(2)
    small.report(9, at=0)
    small.report(9, at=1)
    assert small.reason() == "waiting"
    small.calm_down(16.0, lambda: small.report(9, at=1))
    assert small.reason() == ""


def test_slots_have_to_be_free_for_a_while_and_not_by_chance():
    small = Small(slots=4)
    leases = small.take(4)
    assert small.reason() == "in_flight"

    def busy():
        leases.pop().close("answered", small.now)
        leases.extend(small.take())

    small.calm_down(30.0, busy)
    assert small.reason() == "in_flight"
    for lease in leases:
        lease.close("answered", small.now)
    small.calm_down(20.0)
    assert small.reason() == ""


def test_room_is_a_free_slot_beyond_those_who_are_entering():
    small = Small(2, slots=2)
    small.take(2)
    assert small.tier.has_room(small.now, 1)
    assert not small.tier.has_room(small.now, 2)
    small.report(9, at=0)
    assert small.tier.has_room(small.now, 0)
    assert not small.tier.has_room(small.now, 1), "an endpoint at a limit has none"


def two_processes(count: int = 1, *, slots: int | None = 4, most: int | None = None) -> tuple[Small, Small]:
    """The same tier in each, with what is in flight in memory that both see."""
    board, both = memoryview(bytearray(8 * 2 * count)).cast("q"), (Small(count, slots=slots, most=most), Small(count, slots=slots, most=most))
    for seat, small in enumerate(both):
        for column, endpoint in enumerate(small.pool.endpoints):
            endpoint.vitals.share(SharedCount.at(board, column, seat, 2))
    return both


def test_a_place_that_is_held_is_taken_for_others_until_it_is_let_go_or_leased():
    one, other = two_processes(slots=4)
    leases = one.take(3)
    let_go = one.tier.hold(one.now)
    assert let_go is not None
    assert not other.tier.has_room(other.now, 0)
    assert other.reason() == "in_flight"
    assert one.tier.has_room(one.now, 0), "who holds it counts it as entering"

    leases += one.take()
    let_go()
    assert other.pool.endpoints[0].vitals.busy == 4
    for lease in leases:
        lease.close("answered", one.now)
    assert other.pool.endpoints[0].vitals.busy == 0


def test_of_two_that_hold_the_last_place_the_later_is_too_late():
    one, other = two_processes(slots=4)
    one.take(2), other.take(1)
    assert one.tier.hold(one.now) is not None
    assert other.tier.hold(other.now) is None
    assert other.pool.endpoints[0].vitals.held == 0


def test_whoever_holds_a_place_gets_its_lease_while_another_process_looks_for_one():
    one, other = two_processes(slots=1, most=1)
    let_go = one.tier.hold(one.now)
    other.pool.endpoints[0].vitals.hold(1)  # it has not looked yet whether that is one too many
    (lease,) = one.take()
    assert let_go is not None
    let_go()
    with pytest.raises(NoEndpoint):
        one.take()
    lease.close("answered", one.now)


def test_places_are_held_where_there_is_room():
    one, other = two_processes(2, slots=2)
    one.take(1)
    holds = [one.tier.hold(one.now) for _ in range(4)]
    assert [hold is not None for hold in holds] == [True, True, True, False]
    assert [endpoint.vitals.busy for endpoint in other.pool.endpoints] == [2, 2]


def test_whoever_has_not_waited_holds_a_place_where_there_is_room_and_waits_only_where_nothing_can_be_leased():
    def stepping_in(most: int | None) -> bool:
        spec = an_endpoint("small/0", slots=1, max_in_flight=most)
        fleet = Fleet(a_settings(a_pool("small", endpoints=(spec,))))
        (endpoint,) = fleet.pools["small"].endpoints
        assert fleet.step_in("small", 1000.0) is not None, "nobody else is there"
        endpoint.vitals.share(SharedCount.at(memoryview(bytearray(16)).cast("q"), 0, 0, 2))
        let_go = fleet.step_in("small", 1000.0)
        assert let_go is not None
        assert endpoint.vitals.held == 1
        let_go()
        fleet.lease("small", STREAM, (), 1000.0, RNG)
        return fleet.step_in("small", 1000.0) is not None

    assert stepping_in(None)
    assert not stepping_in(1)


def test_a_process_alone_shows_nobody_what_it_holds():
    small = Small(slots=1)
    let_go = small.tier.hold(small.now)
    assert let_go is not None
    let_go()
    assert small.pool.endpoints[0].vitals.held == 0
    small.take()
    assert small.tier.hold(small.now) is None


def test_an_endpoint_of_which_nothing_is_known_lets_those_who_wait_in_one_by_one():
    unknown = Small(slots=None).tier

    assert unknown.has_room(1000.0, 0)
    assert not unknown.has_room(1000.0, 1)


def test_an_engine_whose_queue_has_just_cleared_has_room_for_as_many_as_may_wait_and_not_for_all_its_slots():
    small = Small(slots=200)
    leases = small.take(50)
    small.report(6)
    assert small.reason() == "waiting"
    small.report(3)

    assert small.tier.has_room(small.now, 1)
    assert not small.tier.has_room(small.now, 2), "five may wait there, and three do"
    leases += small.take(2)
    assert not small.tier.has_room(small.now, 0), "sent since the report"
    leases.pop().close("cancelled", small.now)
    assert small.tier.has_room(small.now, 0)


def test_slots_that_a_burst_has_taken_are_free_as_soon_as_they_are_given_back_whatever_the_last_report():
    small = Small(slots=20)
    small.report(0)
    leases = small.take(20)
    assert not small.tier.has_room(small.now, 0)

    leases.pop().close("answered", small.now)

    assert small.tier.has_room(small.now, 0)


def test_the_first_line_after_a_quiet_time_moves_as_fast_as_answers_take():
    small = Small(slots=4)
    (lease,) = small.take()
    small.now += 0.5
    lease.close("answered", small.now)
    small.now += 50.0
    assert small.tier.drain_rate(small.now) == pytest.approx(1 / 50, rel=0.1)

    small.take(4)

    assert small.tier.drain_rate(small.now) == pytest.approx(8.0)
    assert small.tier.answers_per_s(small.now) == pytest.approx(1 / 50, rel=0.1)


def test_slots_are_those_in_service_and_unknown_when_one_is():
    small = Small(2, slots=4)
    small.take(3)
    assert (small.tier.slots(small.now), small.tier.free_slots(small.now)) == (8, 5)
    small.pool.drain("small/0")
    assert small.tier.slots(small.now) == 4
    unknown = Small(slots=None)
    assert (unknown.tier.slots(1000.0), unknown.tier.free_slots(1000.0)) == (None, None)


def test_the_drain_rate_is_answers_per_second_and_unknown_without_any():
    small = Small()
    assert small.tier.drain_rate(small.now) is None
    for _ in range(30):
        small.now += 0.5
        small.answer(0.1)
    assert small.tier.drain_rate(small.now) == pytest.approx(2.0, rel=0.1)
    small.now += 30.0
    assert small.tier.drain_rate(small.now) == pytest.approx(30 / 45, rel=0.05)
    small.now += 70.0
    assert small.tier.drain_rate(small.now) is None


def test_the_p95_of_a_handful_of_answers_is_not_told():
    small = Small()
    small.answer(0.3, 4)
    assert small.tier.ttft_p95(small.now) is None
    small.answer(0.3)
    assert small.tier.ttft_p95(small.now) == pytest.approx(0.3, rel=0.02)


def test_status_tells_why_since_when_and_what_is_kept():
    small = Small(ttft_s=0.5)
    small.answer(0.1)
    small.report(9)
    small.now += 2.0
    told = small.tier.status(small.now)
    expected = {
        "pools": ["small"], "is_fit": False, "reason": "waiting", "detail": "waiting 9 >= 5 on small/0", "for_s": 2.0,
        "is_diverting": True, "share": 0.05, "is_breaching": False, "in_flight": 0, "slots": 4, "free_slots": 4,
        "ttft_p95_max_s": 0.5, "ttft_answers": 1,
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected
    assert repr(small.tier) == "<Tier small [<Saturation [diverting: waiting 9 >= 5 on small/0 | keeps 5%]> | 0 in flight]>"


def test_status_has_the_failures_and_the_pace_of_all_endpoints():
    small = Small(2)
    for tokens in (11, 101):
        lease = small.pool.lease(STREAM, (), small.now, RNG)
        lease.began(small.now, 0.1)
        small.now += 1.0
        lease.close("answered", small.now, output_tokens=tokens)
    small.pool.lease(STREAM, (), small.now, RNG).close("failed", small.now, UpstreamFailed("broken"))

    told = small.tier.status(small.now)
    assert (told["answers"], told["failures"]) == (2, 1)
    assert told["inter_token_p50_s"] == pytest.approx(0.01, rel=0.02)
    assert told["inter_token_p95_s"] == pytest.approx(0.1, rel=0.02)


def test_a_reload_goes_on_unless_the_promise_changed():
    old, same, other = Small(ttft_s=0.5), Small(ttft_s=0.5), Small(ttft_s=0.7)
    old.answer(3.0, 40)
    assert old.reason() == "ttft"
    same.tier.adopt(old.tier)
    other.tier.adopt(old.tier)
    assert same.reason() == "ttft"
    assert other.reason() == ""
    assert other.tier.ttft_p95(1000.0) == pytest.approx(3.0, rel=0.02)


def test_another_window_begins_anew():
    old, other = Small(), Small(window_s=120.0)
    old.answer(3.0, 40)
    other.tier.adopt(old.tier)
    assert other.tier.ttft_p95(1000.0) is None


def scaled_to_nothing(*, least: int = 0) -> Small:
    small = Small(2)
    small.tier.settings = msgspec.structs.replace(small.tier.settings, scale=ScaleSettings(min=least))
    for at in range(2):
        small.pool.mark(f"small/{at}", False, "gone", small.now)
    return small


def test_a_tier_that_may_go_to_nothing_is_starting_while_nobody_is_there():
    small = scaled_to_nothing()
    assert small.tier.is_starting(1000.0)
    assert not small.tier.is_served(1000.0)

    small.pool.mark("small/1", True, "", 1000.0)
    assert not small.tier.is_starting(1000.0)
    assert small.tier.is_served(1000.0)


def test_whoever_tries_the_machine_that_has_come_is_waited_for():
    small = scaled_to_nothing()
    small.pool.mark("small/1", True, "", 1000.0)
    (probe,) = small.take()
    assert small.tier.is_starting(1000.0)
    probe.began(1000.0, 0.1)
    assert not small.tier.is_starting(1000.0)
    assert small.tier.is_served(1000.0)


def test_nobody_waits_for_machines_that_always_run_nor_for_those_that_answer_badly():
    assert not scaled_to_nothing(least=1).tier.is_starting(1000.0)

    small = scaled_to_nothing()
    small.pool.mark("small/1", True, "", 1000.0)
    (probe,) = small.take()
    probe.close("failed", 1000.0)
    assert not small.tier.is_served(1000.0)
    assert not small.tier.is_starting(1000.0)


def test_a_tier_without_endpoints_is_unavailable_and_diverts_nothing():
    tier = Tier(TierSettings("empty", ()), ())
    assert tier.fitness(1000.0).reason == "unavailable"
    assert tier.diverts(1000.0, RNG) is None
    assert not tier.has_room(1000.0, 0)
    assert tier.slots(1000.0) == 0


# -- the first token that is to be expected


def learned(small: Small, *, s_per_token: float = 0.001, idle_s: float = 0.0) -> None:
    """Twenty streams have begun, each after as long as the tokens before it took."""
    for at in range(20):
        tokens = 100 + at * 50
        lease = waiting(small, tokens)
        small.now += idle_s + tokens * s_per_token
        lease.began(small.now, 0.001)
        lease.close("answered", small.now)


def waiting(small: Small, tokens: int):
    return small.pool.lease(a_request(stream=True, needs=Needs(context=tokens)), (), small.now, RNG)


def test_a_tier_is_full_before_its_promise_is_broken_and_has_room_as_soon_as_it_has_caught_up():
    small = Small(slots=None, ttft_s=2.0)  # its queue may add 0.8 s
    learned(small)
    leases = [waiting(small, 700)]
    assert small.tier.diverts(small.now, RNG) is None
    leases.append(waiting(small, 200))
    assert small.reason() == "backlog"
    assert small.tier.fitness(small.now).detail == "first token expected after 0.9 s behind 900 tokens on small/0, promised 2 s"
    assert small.why() == "saturated"
    assert not small.tier.has_room(small.now, 0)
    leases[0].began(small.now, 0.001)
    assert small.tier.has_room(small.now, 0)
    assert small.kept() == 1.0
    for lease in leases:
        lease.close("answered", small.now)
    assert small.pool.endpoints[0].vitals.awaited_tokens == 0
    assert not small.pool.endpoints[0].vitals.awaiting


def test_what_an_idle_engine_takes_is_no_queue():
    small = Small(slots=None, ttft_s=2.0)
    learned(small, idle_s=1.5)  # its queue may add 0.2 s
    waiting(small, 150)
    assert small.reason() == ""
    waiting(small, 100)
    assert small.reason() == "backlog"


def test_a_promise_that_no_idle_engine_could_keep_turns_nobody_away_for_a_queue():
    small = Small(slots=None, ttft_s=0.5)
    learned(small, idle_s=0.6)
    small.now += 70  # what was measured is forgotten
    waiting(small, 100_000)
    assert small.reason() == ""


def test_without_a_promise_or_when_it_is_only_reported_nobody_is_too_late():
    for small in (Small(slots=None), Small(slots=None, ttft_s=2.0, on_breach="report")):
        learned(small)
        waiting(small, 1_000_000)
        assert small.reason() == ""
        assert small.pool.views(small.now)[0].lateness == 0.0


def test_one_endpoint_that_is_in_time_keeps_the_tier_fit():
    small = Small(2, slots=None, ttft_s=2.0)
    learned(small)
    learned(small)
    waiting(small, 5_000)
    assert small.reason() == ""
    assert sorted(view.lateness > 1 for view in small.pool.views(small.now)) == [False, True]


def test_who_says_nothing_is_late_when_the_promised_time_is_over_and_sooner_once_it_is_known():
    small = Small(slots=None, ttft_s=2.0)
    lease = waiting(small, 10)
    small.now += 1.9
    assert small.reason() == ""
    small.now += 0.2
    assert small.reason() == "backlog"
    assert small.tier.fitness(small.now).detail == "silent for 2.1 s behind 10 tokens on small/0, promised 2 s"
    lease.close("cancelled", small.now)

    small = Small(slots=None, ttft_s=2.0)
    learned(small)
    waiting(small, 10)
    small.now += 0.9
    assert small.reason() == "backlog"


def test_one_that_waits_for_long_while_others_are_answered_is_no_silence():
    small = Small(slots=None, ttft_s=2.0)
    learned(small)
    waiting(small, 10)
    for _ in range(20):
        small.now += 0.5
        lease = waiting(small, 10)
        lease.began(small.now, 0.001)
        lease.close("answered", small.now)
    assert small.tier.diverts(small.now, RNG) is None


def test_an_endpoint_that_nobody_knows_is_expected_to_be_as_the_middle_of_its_siblings():
    small = Small(3, slots=None, ttft_s=2.0)
    for _ in range(2):
        learned(small)
    lone = small.pool.endpoints[2].vitals
    lone.forecast = Forecast()
    small.now += 1.0
    small.take()[0].close("cancelled", small.now)  # they are compared
    lone.awaited_tokens = 1_000
    assert lone.expected_s() == pytest.approx(1.0, rel=0.05)
    assert small.pool.views(small.now)[2].lateness > 1


def test_plain_answers_teach_nothing_and_are_awaited_until_they_end():
    small = Small(slots=None, ttft_s=2.0)
    for _ in range(20):
        lease = small.pool.lease(a_request(needs=Needs(context=900), max_tokens=300), (), small.now, RNG)
        assert small.pool.endpoints[0].vitals.awaited_tokens == 600
        small.now += 30.0
        lease.close("answered", small.now)
    assert small.reason() == ""
    assert small.pool.endpoints[0].vitals.awaited_tokens == 0
