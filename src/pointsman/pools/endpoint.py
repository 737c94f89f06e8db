"""An endpoint while serving: what is fixed (its spec) and what changes (its vitals).

Why two objects? A reload builds new endpoints from the new file, while requests of the old graph are still running.
Both graphs then share the vitals of the same server: health is not forgotten, and leases taken before the reload
return to zero where the new graph counts.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from pointsman.core.fleet import TOKEN_S, EndpointSpec, EndpointState, EndpointView, LoadReport
from pointsman.core.settings import HealthSettings
from pointsman.pools import health as table
from pointsman.pools.balancers.load import room_s
from pointsman.pools.forecast import Borrowed, Forecast
from pointsman.pools.health import INFINITY, NEW, Health, LeaseKind, Signal
from pointsman.pools.shared_count import SharedCount
from pointsman.pools.windows import EndpointWindows

STALE_S = 6.0
"""A load report older than three polls says nothing any more: unknown, never zero."""
TTFT_WEIGHT = 0.2
"""Weight of the newest time to first token in its moving average: about the last ten answers."""
PACE_WEIGHT, PACE_MIN, PACE_AGE_S = 0.05, 5, 60.0
"""Weight of the newest answer in the seconds per token, and how many and how recent answers make it known."""
MARK_S = 15.0
"""How long a word against an endpoint stands when nobody repeats it: whoever watches may have stopped watching."""
EXPECTED_SHARE = 0.4
"""Of what a promised p95 leaves beside an idle engine's own time, what a queue may be expected to add before the endpoint counts
as full: an expectation is a mean, and of what is expected after 0.8 s one in twenty comes after 2."""
LEAST_WEIGHT = 0.1
"""Where a slow start begins: a tenth of the usual traffic shows within seconds whether the rest may follow."""


class Vitals:
    """What changes about one server while it serves."""

    __slots__ = (
        "awaited_streams", "awaited_tokens", "awaiting", "began_at", "elsewhere", "elsewhere_tokens", "engine", "excess_tokens", "forecast", "health", "held", "in_flight", "in_flight_tokens", "is_draining",
        "is_new", "last_answered_at", "length_s", "not_ready", "not_ready_until", "open_at", "paced", "paced_s", "paced_tokens",
        "probe", "report", "report_in_flight", "room_s", "shared", "sibling", "slowness", "strangers_tokens", "token_s", "ttft_s",
        "warm_from", "windows",
    )  # fmt: skip

    def __init__(self) -> None:
        # Attempts that it is serving, and their estimated tokens. Both return to zero when the last lease closes.
        self.in_flight = 0
        self.in_flight_tokens = 0
        # Places that are taken for requests on their way to a lease: only other processes see them. Returns to zero.
        self.held = 0
        # Prompts whose answers have not begun: their tokens, but for those that a balancer with a memory takes to be in the cache
        # there, and since when each stream waits, the oldest first.
        self.awaited_tokens = 0
        # Of these, what belongs to streams: a plain answer is awaited long after its prompt was read.
        self.awaited_streams = 0
        self.awaiting: dict[object, float] = {}
        # When a stream last got its first token, and what the next one may expect.
        self.began_at = -INFINITY
        self.forecast = Forecast()
        # A sibling's, for as long as its own says nothing. Set by the pool.
        self.sibling: Forecast | None = None
        # What a token of a prompt takes at an endpoint of the middle, and what one may have to read and still be sent more. Set by the pool.
        self.token_s, self.room_s = TOKEN_S, room_s(TOKEN_S)
        # What other processes of this router have in flight there, as they last said.
        self.elsewhere = 0
        self.elsewhere_tokens = 0
        # Where all processes of this router see each other's attempts at once; None = there is one, or it must be told.
        self.shared: SharedCount | None = None
        self.health: Health = NEW
        # From when on it may be leased as usual: kept beside `health` because every lease compares it.
        self.open_at = 0.0
        self.is_draining = False
        # Why it cannot serve although nothing failed (asleep, model not listed, refused a probe); "" = nothing known.
        self.not_ready = ""
        self.not_ready_until = 0.0
        # The one lease that is finding out whether an ejected endpoint is back.
        self.probe: object | None = None
        self.last_answered_at: float | None = None
        self.ttft_s: float | None = None
        # How long an answer takes, from lease to last byte: a moving average. None = none was complete yet.
        self.length_s: float | None = None
        self.report: LoadReport | None = None
        # What it was recognised as, once it was; a poll that fails takes nothing of that back.
        self.engine = ""
        # In flight here and elsewhere when the report came: what of its load is not ours is the difference.
        self.report_in_flight = 0
        # Its reported queue beyond the middle of the pool's. Set by the pool.
        self.excess_tokens = 0
        # Of the requests that it reports, what is not ours, beyond the middle of the pool. Set by the pool.
        self.strangers_tokens = 0
        # Answers whose tokens were counted, and their seconds and tokens with older ones fading.
        self.paced = 0
        self.paced_s = self.paced_tokens = 0.0
        # Times the usual seconds per token of its pool that it takes; 1 = as its siblings. Set by the pool.
        self.slowness = 1.0
        self.windows = EndpointWindows()
        # Came with a reload: it starts slowly from its first lease on.
        self.is_new = False
        # When the slow start under way began; None = at full weight.
        self.warm_from: float | None = None

    @property
    def busy(self) -> int:
        """Attempts in flight, here and elsewhere."""
        shared = self.shared
        return self.in_flight + (self.elsewhere if shared is None else shared.elsewhere())

    @property
    def awaited(self) -> int:
        """Prompt tokens whose answers have not begun, of all processes that share their counts."""
        shared = self.shared
        return self.awaited_tokens + (0 if shared is None else shared.awaited_elsewhere())

    def await_(self, tokens: int) -> None:
        """So many more prompt tokens are awaited; fewer, when negative."""
        self.awaited_tokens += tokens
        self._show()

    def hold(self, places: int) -> None:
        """So many more places are taken for requests on their way; fewer, when negative."""
        self.held += places
        self._show()

    def _show(self) -> None:
        if self.shared is not None:
            self.shared.set(self.in_flight + self.held, self.awaited_tokens)

    def share(self, count: SharedCount) -> None:
        """From now on others see at once what is in flight here."""
        self.shared = count
        self._show()

    def take(self, lease: object, tokens: int, now: float) -> LeaseKind:
        """Counts `lease` in and says what its outcome will mean."""
        self.in_flight += 1
        self.in_flight_tokens += tokens
        if self.shared is not None:
            self.shared.set(self.in_flight + self.held, self.awaited_tokens)
        if self.is_new:
            self.is_new, self.warm_from = False, now
        if self.health.state is EndpointState.HEALTHY:
            return "ordinary"
        if self.health.state is EndpointState.EJECTED and self.health.open_at <= now:
            self.probe = lease
            self._become(table.probe(self.health))
            return "probe"
        return "desperate"

    def give_back(self, tokens: int) -> None:
        self.in_flight -= 1
        self.in_flight_tokens -= tokens
        if self.shared is not None:
            self.shared.set(self.in_flight + self.held, self.awaited_tokens)

    def expected_s(self) -> float | None:
        """Until the next stream's first token; None = nobody can tell. Before it has answered enough itself, as a sibling of the
        middle would."""
        line = self.line
        return None if line is None else line.expects(self.awaited)

    @property
    def line(self) -> Forecast | Borrowed | None:
        """What foretells its first tokens: its own answers, or a sibling's as far as its own do not say that it is slower."""
        mine, usual = self.forecast, self.sibling
        if mine.is_known or usual is None:
            return mine if mine.is_known else None
        times = mine.times(usual)
        return usual if times == 1.0 else Borrowed(usual, times)

    def wait_s(self, now: float, token_s: float, awaited: int) -> float:
        """Until a prompt that comes now behind `awaited` tokens would be read, where a token takes `token_s` at an endpoint of the middle:
        at least as long as there, since nobody gets more for answering fast, and for as long as it has been silent."""
        mine = expected = self.forecast.expects(awaited)
        if expected is None:
            if self.sibling is None:
                return token_s * awaited
            expected = (self.sibling.expects(awaited) or 0.0) * self.forecast.times(self.sibling)
        if not awaited:
            return expected
        if (usual := token_s * awaited) > expected:
            expected = usual
        for since in self.awaiting.values():  # the first, as in `silence_s`
            if mine is not None and since < self.began_at:
                since = self.began_at
            return now - since if now - since > expected else expected
        return expected

    def unread_s(self, now: float) -> float:
        """What it has to read, in seconds: what the queue adds to a newcomer's first token, or for how much longer than an idle
        one it has been silent. Of streams only; 0 = nothing, or nobody can tell. Before anything was measured in its pool, as if it were
        one of a common card: the first answers soon say better."""
        if not self.awaiting:
            return 0.0
        tokens, line = self.awaited_streams, self.line
        if self.shared is not None and self.awaited_tokens:
            tokens += self.shared.awaited_elsewhere() * tokens // self.awaited_tokens
        if line is None:
            return self.token_s * tokens
        silence_s = self.silence_s(now) - (line.expects(0) or 0.0)
        return max(max(line.token_s, self.token_s) * tokens, silence_s)

    def silence_s(self, now: float) -> float:
        """How long nothing has come although somebody waits. Before it has answered enough, how long the one that came first
        has waited: a few quick answers say little about the queue behind them."""
        for since in self.awaiting.values():
            return now - (max(since, self.began_at) if self.forecast.is_known else since)
        return 0.0

    def lateness(self, now: float, limit_s: float) -> float:
        """What the queue adds to the next first token, as a share of what it may: 1 = it may add no more. 0 = nothing, or nobody
        can tell.

        Why what is added, and not the whole? An engine may need half of the promise when idle, and keep it for fifty at a
        time. And one that cannot keep it when idle has no queue to be blamed: that is found by measuring.
        """
        line = self.line
        if line is None:
            return self.silence_s(now) / limit_s
        idle = line.expects(0) or 0.0
        silence = self.silence_s(now) / (idle + EXPECTED_SHARE * limit_s)
        if idle >= limit_s:
            return 0.0 if silence < 1.0 else silence
        added = (line.expects(self.awaited) or 0.0) - idle
        return max(silence, added / (EXPECTED_SHARE * (limit_s - idle)))

    def learn(
        self, signal: Signal, now: float, settings: HealthSettings, kind: LeaseKind, retry_after_s: float | None = None, why: str = "",
    ) -> None:
        """One lease's outcome changes the health. `why`: what has failed, for people."""
        health = table.step(self.health, signal, now, settings, kind=kind, retry_after_s=retry_after_s)
        if why and health.state is EndpointState.EJECTED and health is not self.health:
            health = msgspec.structs.replace(health, detail=why)
        if health.state is EndpointState.HEALTHY and self.health.state is not EndpointState.HEALTHY:
            self.warm_from, self.not_ready = now, ""
        self._become(health)

    def answered(self, now: float, ttft_s: float | None) -> None:
        self.last_answered_at = now
        if ttft_s is not None:
            old = self.ttft_s
            self.ttft_s = ttft_s if old is None else old + TTFT_WEIGHT * (ttft_s - old)

    def completed(self, seconds: float) -> None:
        """An answer was complete after `seconds`."""
        old = self.length_s
        self.length_s = seconds if old is None else old + TTFT_WEIGHT * (seconds - old)

    def pace(self, seconds: float, tokens: int) -> None:
        """An answer of which `tokens` took `seconds`."""
        self.paced += 1
        self.paced_s += PACE_WEIGHT * (seconds - self.paced_s)
        self.paced_tokens += PACE_WEIGHT * (tokens - self.paced_tokens)

    def seconds_per_token(self, now: float) -> float | None:
        """Over its last twenty answers or so; None = too few, or too long ago."""
        if self.paced < PACE_MIN or self.last_answered_at is None or now - self.last_answered_at > PACE_AGE_S:
            return None
        return self.paced_s / self.paced_tokens

    def observe(self, report: LoadReport | None) -> None:
        """What its engine said; None = it did not answer, which is unknown and not idle."""
        self.report, self.report_in_flight = report, self.busy
        if report is not None and report.engine:
            self.engine = report.engine

    def mark(self, alive: bool | None, why: str, now: float, settings: HealthSettings) -> None:
        """What a look from outside says. None = it could not tell, which changes nothing.

        False takes it out of service at once; the word holds for `MARK_S` unless it is repeated. True takes such a
        word back: the endpoint is due for a probe, and the next lease finds out. Without a word before it True says
        nothing: who fails its requests and answers its polls stays ejected.
        """
        if alive is None:
            return
        if not alive:
            self.not_ready, self.not_ready_until = why or "not ready", now + MARK_S
            if self.health.state is EndpointState.HEALTHY:
                self.health = table.gone(self.health, now, settings)
        elif self.not_ready:
            self.not_ready = ""
            if self.health.state is EndpointState.EJECTED and not self.health.is_quarantined:
                self.health = table.due(self.health)
        self._become(self.health)

    def drain(self, on: bool) -> None:
        """No new leases; those that run may finish."""
        self.is_draining = on
        self._become(self.health)

    def hear(self, health: Health) -> None:
        """What another process of this router has found out. What was counted here stays, unless the state changes."""
        mine = self.health
        if mine.state is not EndpointState.HEALTHY and health.state is EndpointState.HEALTHY:
            self.warm_from = health.since
        self._become(table.told(mine, health))

    def release_quarantine(self) -> None:
        """The configuration was read again: the next lease may probe."""
        if self.health.is_quarantined and self.health.state is EndpointState.EJECTED:
            self._become(table.due(self.health))

    def state(self) -> EndpointState:
        return EndpointState.DRAINING if self.is_draining else self.health.state

    def weight(self, now: float, slow_start_s: float) -> float:
        """Share of the usual traffic: below 1 for `slow_start_s` after it came into service."""
        if self.is_new:
            return LEAST_WEIGHT
        if self.warm_from is None:
            return 1.0
        passed = now - self.warm_from
        if passed >= slow_start_s:
            self.warm_from = None
            return 1.0
        return max(LEAST_WEIGHT, passed / slow_start_s)

    def _become(self, health: Health) -> None:
        self.health = health
        if health.state is not EndpointState.PROBING:
            self.probe = None
        if self.is_draining:
            self.open_at = INFINITY
        else:
            self.open_at = max(health.open_at, self.not_ready_until) if self.not_ready else health.open_at


class Endpoint:
    """A spec with its vitals."""

    __slots__ = ("_slow_start_s", "_stale_s", "id", "key", "limit_s", "most", "slots", "spec", "vitals")

    def __init__(
        self, spec: EndpointSpec, vitals: Vitals | None = None, *, slow_start_s: float = 0.0, stale_s: float = STALE_S
    ) -> None:
        self.id = spec.id
        self.spec = spec
        self.vitals = vitals or Vitals()
        # What is never leased beyond, and what it runs at once as far as its declaration says.
        self.most = INFINITY if spec.max_in_flight is None else spec.max_in_flight
        self.slots = _least(spec.slots, spec.max_in_flight)
        self.key = int.from_bytes(blake2b(f"{spec.url} {spec.model}".encode(), digest_size=4).digest())
        # How long a first token may take here; None = nothing is promised. Set by the tier.
        self.limit_s: float | None = None
        self._slow_start_s, self._stale_s = slow_start_s, stale_s

    def fresh_report(self, now: float) -> LoadReport | None:
        """Its load report; a stale one is none."""
        report = self.vitals.report
        return None if report is None or now - report.at > self._stale_s else report

    def slots_now(self, now: float) -> int | None:
        """Requests it runs at once: declared, else as its engine says; None = nobody knows."""
        if self.spec.slots is not None:
            return self.slots
        report = self.fresh_report(now)
        return self.slots if report is None else _least(report.slots, self.spec.max_in_flight)

    def view(self, now: float, *, waits: bool = False) -> EndpointView:
        """What a balancer sees. `waits`: what a prompt would wait there, for those that go by it.

        Written out, not asked of those who know: it is made of every endpoint of a pool for every request.
        """
        vitals, shared, report = self.vitals, self.vitals.shared, self.vitals.report
        if report is not None and now - report.at > self._stale_s:
            report = None
        weight = 1.0 / vitals.slowness if vitals.warm_from is None and not vitals.is_new else self.weight(now)
        elsewhere, awaited = (vitals.elsewhere, 0) if shared is None else shared.others()
        token_s, wait_s = vitals.token_s / weight, 0.0
        if waits:
            awaited += vitals.awaited_tokens
            wait_s = vitals.wait_s(now, token_s, awaited)
            if report is not None and vitals.strangers_tokens:
                wait_s += token_s * vitals.strangers_tokens
        return EndpointView(
            self.id, EndpointState.DRAINING if vitals.is_draining else vitals.health.state, vitals.in_flight + elsewhere,
            vitals.in_flight_tokens + vitals.elsewhere_tokens,
            self.slots if report is None or self.spec.slots is not None else _least(report.slots, self.spec.max_in_flight),
            report, 0 if report is None else vitals.excess_tokens, weight, self.key,
            0.0 if self.limit_s is None or waits else vitals.lateness(now, self.limit_s), wait_s, token_s, awaited if waits else 0,
        )  # fmt: skip

    def lateness(self, now: float) -> float:
        """See `Vitals.lateness`; 0 where nothing is promised."""
        return 0.0 if self.limit_s is None else self.vitals.lateness(now, self.limit_s)

    def weight(self, now: float) -> float:
        """Share of the usual traffic it should get: less while it starts slowly, or is slower than its siblings."""
        vitals = self.vitals
        if vitals.warm_from is None and not vitals.is_new:
            return 1.0 / vitals.slowness
        return vitals.weight(now, self._slow_start_s) / vitals.slowness

    def is_same_server(self, other: Endpoint) -> bool:
        mine, theirs = self.spec, other.spec
        return (mine.url, mine.model, mine.api_key) == (theirs.url, theirs.model, theirs.api_key)

    def __repr__(self) -> str:
        vitals = self.vitals
        return f"<Endpoint {self.id} [{vitals.state().value} | {vitals.in_flight} in flight]>"


def _least(*numbers: int | None) -> int | None:
    known = [number for number in numbers if number is not None]
    return min(known, default=None)
