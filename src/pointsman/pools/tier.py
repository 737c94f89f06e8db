"""A tier while serving: its endpoints' signals put together, and whether it is fit.

How are several endpoints one tier? Load: the tier is full when no endpoint in service is below all of its limits, since
one that is below can still take the next request; an endpoint of which nothing is known counts as below. It is calm
when at least half of its endpoints in service are, so that one slow sibling cannot keep a tier closed for ever; slots
are counted over the whole tier and smoothed, as single endpoints are full by chance. Time to first token is the
tier's, as its promise is: all streamed answers of its pools.

Looking is cheap while the tier is fit: the endpoint that was below its limits last time is asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import exp
from random import Random
from typing import Any

from pointsman.core.fleet import EndpointState, Fitness
from pointsman.core.settings import TierSettings
from pointsman.pools.endpoint import Endpoint
from pointsman.pools.pool import Pool
from pointsman.pools.saturation import BACKLOG, IN_FLIGHT, MOMENTARY, Breach, Saturation
from pointsman.pools.windows import Latencies, Tally, quantile_of

LATELY_S = 15.0
"""Times to first token of so long ago say whether a tier that diverts is calm."""
NOW_S = 5.0
"""And of so long ago whether its share may grow."""
LOOK_EVERY_S = 0.1
"""While diverting: nothing changes faster that would matter."""
SMOOTH_S = 3.0
"""Time constant of the smoothed share of slots taken: longer than chance, shorter than a wave of traffic."""
RATE_S, RATE_LONG_S = 15.0, 60.0
"""Answers per second are those of the last 15 s, or of the last minute when so few came."""
RATE_MIN = 5
SAY_AFTER = 5
"""Answers before a window's p95 is told: below, it is one answer's time."""
TTFT = "ttft"
_N, _OVER, _NEAR = 0, 1, 2


class Tier:
    """Windows, saturation and counts of one tier (or of a pool that is called by its own name)."""

    def __init__(self, settings: TierSettings, pools: Sequence[Pool]) -> None:
        self.settings = settings
        self.pools = tuple(pools)
        self.endpoints: tuple[Endpoint, ...] = tuple(e for pool in pools for e in pool.endpoints)
        self._has_anterooms = all(pool.anteroom is not None for pool in self.pools)
        self.saturation = Saturation(settings.saturation)
        span_s = settings.saturation.window_s
        self._limit_s = settings.sla.ttft_p95_max_s
        self._near_s = None if self._limit_s is None else self._limit_s * settings.saturation.leave_share
        if self._limit_s is not None and settings.sla.on_breach == "escalate":
            for endpoint in self.endpoints:
                endpoint.limit_s = min(self._limit_s, endpoint.limit_s or self._limit_s)
        # Columns: streamed answers, of them above the limit, of them above the leave limit. Emptied when it leaves.
        self._promise = Tally(3, span_s, max(1, int(span_s)))
        self._answers = Tally(1, RATE_LONG_S, int(RATE_LONG_S))
        self._ttft = Latencies(span_s, 12)
        # Place of an endpoint that was in service and below its limits.
        self._witness = 0
        self._looked_at = -1.0
        # Smoothed share of the known slots that is taken.
        self._taken = 0.0

    # -- what leases tell ----------------------------------------------------------------------------------

    def heard(self, ttft_s: float, now: float) -> None:
        """A streamed answer began."""
        self._ttft.add(now, ttft_s)
        self._count(ttft_s, now)

    def waited(self, seconds: float, now: float) -> None:
        """A streamed attempt ended without a first token: it counts once it is above the limit, whatever it became."""
        if self._limit_s is not None and seconds > self._limit_s:
            self._count(seconds, now)

    def answered(self, now: float) -> None:
        self._answers.add(now, 0)

    def _count(self, ttft_s: float, now: float) -> None:
        if self._limit_s is None or self._near_s is None:
            return
        if ttft_s > self._limit_s:
            self._promise.add(now, _N, _OVER, _NEAR)
        elif ttft_s > self._near_s:
            self._promise.add(now, _N, _NEAR)
        else:
            self._promise.add(now, _N)

    # -- what is asked -------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Takes the signals in. Called whenever somebody asks, and when a load report comes."""
        saturation = self.saturation
        if not saturation.is_diverting:
            breach = self._breach(now)
            if breach is not None and saturation.breached(breach, now):
                self._looked_at, self._taken = now, 1.0
            return
        passed = now - self._looked_at
        if 0 <= passed < LOOK_EVERY_S:
            return
        self._looked_at = now
        is_calm = self._is_calm(now, passed)
        is_settled = not self._is_slow(_NEAR, LATELY_S, now)
        if saturation.step(now, self._full(now) or self._late(now), calm=is_calm, settled=is_settled):
            self._promise.clear()

    def fitness(self, now: float) -> Fitness:
        """Whether it should take ordinary traffic now."""
        self.look(now)
        saturation = self.saturation
        if not self._is_in_service(now):
            return Fitness(False, "unavailable", saturation.since, "no endpoint in service")
        if (breach := saturation.breach) is not None:
            return Fitness(False, breach.reason, saturation.since, breach.detail)
        return Fitness(True, since=saturation.since)

    def diverts(self, now: float, rng: Random) -> str | None:
        """None = serve this request here: the tier is fit, or this is one that it keeps. Else why to climb.

        A tier with nothing in service diverts nothing: leasing says so, with the numbers.
        """
        self.look(now)
        breach, full = self.saturation.breach, self._full(now)
        has_slot = full is None or full.reason not in MOMENTARY
        if (breach is None and has_slot) or not self._is_in_service(now):
            return None
        if self.saturation.stays(now, rng, has_slot=has_slot):
            return None
        return "sla" if has_slot and breach is not None and breach.reason == TTFT else "saturated"

    def has_room(self, now: float, entering: int) -> bool:
        """One more than `entering` can start at once.

        An endpoint of which nothing is known has room for one: so those who wait for it go on one by one, and not all at
        once.
        """
        free = -entering
        for endpoint in self.endpoints:
            if endpoint.vitals.open_at <= now and not self._is_closed(endpoint, now):
                free += max(0, self._room_at(endpoint, now))
                if free > 0:
                    return True
        return False

    def _room_at(self, endpoint: Endpoint, now: float) -> int:
        """How many more this endpoint, which is below its limits, can take until it says otherwise.

        Free slots; but an engine whose queue or cache was short before its slots has room only up to the limit of its
        queue, counting what was sent there since its report.
        """
        busy, slots, report = endpoint.vitals.busy, endpoint.slots_now(now), endpoint.fresh_report(now)
        free = None if slots is None else slots - busy
        if report is None or report.waiting is None or (free is None and endpoint.lateness(now)):
            return 1 if free is None else free
        breach = self.saturation.breach
        if free is not None and not report.waiting and (breach is None or breach.reason in (*MOMENTARY, TTFT)):
            return free
        queue = self.settings.saturation.waiting - report.waiting + endpoint.vitals.report_in_flight - busy
        return queue if free is None else min(free, queue)

    @property
    def is_shared(self) -> bool:
        """Other processes of this router lease its endpoints, too."""
        return bool(self.endpoints) and self.endpoints[0].vitals.shared is not None

    def is_leasable(self, now: float) -> bool:
        """Some endpoint in service may be given one more, or none is in service: leasing says so, with the numbers."""
        serving = [endpoint for endpoint in self.endpoints if endpoint.vitals.open_at <= now]
        return not serving or any(endpoint.vitals.busy < endpoint.most for endpoint in serving)

    def hold(self, now: float) -> Callable[[], None] | None:
        """Shows other processes of this router that one of ours is on its way to a lease, as if it had it; what is returned takes
        that back. None = another was quicker, there is no room any more.

        Shown first and looked at then: of two that take the last place at once at least one sees the other.
        """
        for endpoint in self.endpoints:
            vitals = endpoint.vitals
            if vitals.open_at > now or self._is_closed(endpoint, now) or self._room_at(endpoint, now) <= vitals.held:
                continue
            if vitals.shared is None:
                return nothing
            vitals.hold(1)
            slots = endpoint.slots_now(now)
            if slots is None or vitals.busy + vitals.held <= slots:
                return partial(vitals.hold, -1)
            vitals.hold(-1)
        return None

    def is_served(self, now: float) -> bool:
        """Some endpoint is in service."""
        return self._is_in_service(now)

    def is_starting(self, now: float) -> bool:
        """Nothing of it is in service, its machines come when somebody waits (`scale.min: 0`), and none of them has failed."""
        return (self.settings.scale.min == 0 and bool(self.endpoints) and not self._is_in_service(now)
                and all(_may_come(endpoint) for endpoint in self.endpoints))

    def slots(self, now: float) -> int | None:
        """Of the endpoints in service; None when one's are unknown."""
        total = 0
        for endpoint in self.endpoints:
            if endpoint.vitals.open_at <= now:
                slots = endpoint.slots_now(now)
                if slots is None:
                    return None
                total += slots
        return total

    def free_slots(self, now: float) -> int | None:
        """Slots of the endpoints in service that nobody of ours holds; None when one's are unknown."""
        total = 0
        for endpoint in self.endpoints:
            if endpoint.vitals.open_at <= now:
                slots = endpoint.slots_now(now)
                if slots is None:
                    return None
                total += max(0, slots - endpoint.vitals.busy)
        return total

    def drain_rate(self, now: float) -> float | None:
        """Places per second that answers give back, as it is loaded now; None = nobody knows.

        What runs, by how long an answer takes (Little's law). Why not the answers of late alone? They tell how many were
        asked for: the first line after a quiet minute would be taken for an endless one.
        """
        known = [(e.vitals.in_flight, e.vitals.length_s) for e in self.endpoints]
        running = sum(in_flight / length_s for in_flight, length_s in known if length_s)
        return max(running, self.answers_per_s(now) or 0.0) or None

    def answers_per_s(self, now: float) -> float | None:
        """Answers per second lately; None = none in the last minute."""
        if self._answers.lately(now, RATE_S)[0] >= RATE_MIN:
            return self._answers.rate(0, now, RATE_S)
        return self._answers.rate(0, now, RATE_LONG_S)

    def ttft_p95(self, now: float) -> float | None:
        """Of the window, within 2 %; None = too few answers to say."""
        p95 = self._ttft.quantile(0.95, now)
        return p95 if self._ttft.n >= SAY_AFTER else None

    @property
    def in_flight(self) -> int:
        """Of this process."""
        return sum(endpoint.vitals.in_flight for endpoint in self.endpoints)

    def status(self, now: float) -> dict[str, Any]:
        """For people and metrics; times in seconds."""
        fitness, saturation = self.fitness(now), self.saturation
        target_s, p95 = self.settings.sla.ttft_target_s, self._ttft.quantile(0.95, now)
        windows = [endpoint.vitals.windows for endpoint in self.endpoints]
        counts = [window.answers.advance(now) for window in windows]
        gaps = [window.gap for window in windows]
        return {
            "pools": list(self.settings.pools), "is_fit": fitness.is_fit, "reason": fitness.reason,
            "detail": fitness.detail, "for_s": round(now - fitness.since, 3) if fitness.since else None,
            "is_diverting": saturation.is_diverting, "share": round(saturation.share, 3),
            "is_breaching": self._is_slow(_OVER, self.settings.saturation.window_s, now, self.settings.saturation.min_answers),
            "in_flight": self.in_flight, "slots": self.slots(now), "free_slots": self.free_slots(now),
            "answers_per_s": self.answers_per_s(now), "ttft_p50_s": self._ttft.quantile(0.5, now), "ttft_p95_s": p95,
            "ttft_answers": self._ttft.n, "ttft_target_s": target_s, "ttft_p95_max_s": self._limit_s,
            "inter_token_p50_s": quantile_of(gaps, 0.5, now), "inter_token_p95_s": quantile_of(gaps, 0.95, now),
            "answers": sum(answered for answered, _ in counts), "failures": sum(failed for _, failed in counts),
        }  # fmt: skip

    def adopt(self, old: Tier) -> None:
        """Goes on with what the same tier knew before a reload, unless what it promises has changed."""
        self._answers = old._answers
        if old.settings.saturation.window_s == self.settings.saturation.window_s:
            self._ttft = old._ttft
        if (old.settings.sla, old.settings.saturation) == (self.settings.sla, self.settings.saturation):
            self.saturation, self._promise = old.saturation, old._promise
            self._looked_at, self._taken = old._looked_at, old._taken

    # -- the signals ---------------------------------------------------------------------------------------

    def _breach(self, now: float) -> Breach | None:
        """While fit: the limit that is reached, if one is."""
        settings = self.settings.saturation
        if self._limit_s is not None and self.settings.sla.on_breach == "escalate":
            counted = self._promise.advance(now)
            if counted[_N] >= settings.min_answers and counted[_OVER] > counted[_N] // 20:
                return self._ttft_breach(counted)
        return self._full(now)

    def _full(self, now: float) -> Breach | None:
        """No endpoint in service is below its limits; one breach stands for all, one that is not momentary if there is.
        None = an endpoint is below, or none is in service."""
        endpoints = self.endpoints
        if not endpoints:
            return None
        witness = endpoints[self._witness]
        if witness.vitals.open_at <= now and self._breach_of(witness, now) is None:
            return None
        first: Breach | None = None
        for at, endpoint in enumerate(endpoints):
            if endpoint.vitals.open_at > now:
                continue
            breach = self._breach_of(endpoint, now)
            if breach is None:
                self._witness = at
                return None
            if first is None or first.reason in MOMENTARY:
                first = breach
        return first

    def _is_closed(self, endpoint: Endpoint, now: float) -> bool:
        """It takes nobody more. Who would come late there is an anteroom's business where there is one: that knows each of them."""
        breach = self._breach_of(endpoint, now)
        return breach is not None and not (breach.reason == BACKLOG and self._has_anterooms)

    def _breach_of(self, endpoint: Endpoint, now: float) -> Breach | None:
        """The first limit that this endpoint has reached. What it does not report says nothing."""
        slots, busy = endpoint.slots_now(now), endpoint.vitals.busy
        if slots is not None and busy >= slots:
            return Breach(IN_FLIGHT, f"in flight {busy} >= {slots} slots on {endpoint.id}")
        if endpoint.limit_s is not None and endpoint.lateness(now) >= 1.0:
            return _backlog(endpoint, now)
        report, settings = endpoint.fresh_report(now), self.settings.saturation
        if report is None:
            return None
        if report.waiting is not None and report.waiting >= settings.waiting:
            return Breach("waiting", f"waiting {report.waiting} >= {settings.waiting} on {endpoint.id}")
        if report.kv_usage is not None and report.kv_usage >= settings.kv_usage:
            return Breach("kv", f"KV cache {report.kv_usage:.2f} >= {settings.kv_usage:.2f} on {endpoint.id}")
        return None

    def _late(self, now: float) -> Breach | None:
        """While diverting: the p95 of the last few seconds is above the limit."""
        if self.settings.sla.on_breach != "escalate" or not self._is_slow(_OVER, NOW_S, now):
            return None
        return self._ttft_breach(self._promise.lately(now, NOW_S))

    def _ttft_breach(self, counted: list[int]) -> Breach:
        return Breach(
            TTFT, f"p95 TTFT above {self._limit_s:g} s: {counted[_OVER]} of {counted[_N]} answers took longer"
        )

    def _is_slow(self, column: int, seconds: float, now: float, least: int = 1) -> bool:
        """Whether the p95 of the last `seconds` is above the limit (or the leave limit): more than one in twenty is."""
        if self._limit_s is None:
            return False
        counted = self._promise.lately(now, seconds)
        return counted[_N] >= least and counted[column] > counted[_N] // 20

    def _is_calm(self, now: float, passed: float) -> bool:
        """Half of the endpoints in service, the slots of all, and the times of the last seconds are at 80 % or less."""
        settings = self.settings.saturation
        waiting, kv_usage = settings.waiting * settings.leave_share, settings.kv_usage * settings.leave_share
        in_service = calm = busy = slots = 0
        for endpoint in self.endpoints:
            if endpoint.vitals.open_at > now:
                continue
            in_service += 1
            known = endpoint.slots_now(now)
            if known is not None:
                busy += min(known, endpoint.vitals.busy)
                slots += known
            report = endpoint.fresh_report(now)
            calm += endpoint.lateness(now) <= settings.leave_share and (report is None or (
                (report.waiting is None or report.waiting <= waiting)
                and (report.kv_usage is None or report.kv_usage <= kv_usage)
            ))
        taken = busy / slots if slots else 0.0
        self._taken += (taken - self._taken) * (1.0 - exp(-max(0.0, passed) / SMOOTH_S))
        return (
            in_service > 0 and 2 * calm >= in_service and self._taken <= settings.leave_share
            and not (self.settings.sla.on_breach == "escalate" and self._is_slow(_NEAR, NOW_S, now))
        )  # fmt: skip

    def _is_in_service(self, now: float) -> bool:
        if self.endpoints and self.endpoints[self._witness].vitals.open_at <= now:
            return True
        return any(endpoint.vitals.open_at <= now for endpoint in self.endpoints)

    def __repr__(self) -> str:
        return f"<Tier {self.settings.name} [{self.saturation!r} | {self.in_flight} in flight]>"


def nothing() -> None:
    """There is nothing to take back."""


def _may_come(endpoint: Endpoint) -> bool:
    """It is not there, is only starting, goes away, or is being tried at this moment. One that answers badly is none of these."""
    vitals = endpoint.vitals
    return vitals.is_draining or bool(vitals.not_ready) or vitals.health.state is EndpointState.PROBING


def _backlog(endpoint: Endpoint, now: float) -> Breach:
    vitals = endpoint.vitals
    expected, silence_s = vitals.expected_s(), vitals.silence_s(now)
    said = f"first token expected after {expected:.2g} s" if expected is not None and expected > silence_s else f"silent for {silence_s:.2g} s"
    return Breach(BACKLOG, f"{said} behind {vitals.awaited_tokens} tokens on {endpoint.id}, promised {endpoint.limit_s:g} s")
