"""How many machines a tier wants: from what runs and waits, where that is heading, what it promised, and how machines are billed.

    wanted = ceil(load / (slots of one machine x target use)),   load = requests running + waiting + turned away

- Up ahead of time: a machine takes `boot_s` to serve, so the load is looked at as it will be by then: a straight line through
  the last `MEMORY_S`. The load of one moment is mostly chance (requests come in waves); what counts is the mean of the last
  `LEVEL_S`, and the share that `target use` leaves free is for the waves. Whoever waits in line counts at once, and a promise
  that is broken asks for one machine in five more, whatever the load says.
- Whoever was turned away would run here: as many at once as come in the time that an answer takes. They count at most as much as what runs,
  since clients that come back are turned away several times for one answer; and one machine more than there are is wanted at once.
- Down slowly: the highest wish of the last `down_after_s` stands, since what was needed a minute ago may be needed
  again; and no machine is given back before the time that is paid for anyway (`billing_s`, `min_billing_s`) is nearly up.
- A spot machine that was given notice is no longer counted on, though it still runs: one more is wanted in its place, at once and until
  it is gone.
- Never below the floor: `min`, what the schedule says for this hour, and one as soon as somebody waits.

Pure: times are passed in, and everything known about the moment is a `Demand`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from datetime import datetime
from math import ceil
from zoneinfo import ZoneInfo

import msgspec

from pointsman.core.fleet import EndpointId
from pointsman.core.settings import ScaleSettings

LEVEL_S, MEMORY_S = 60.0, 600.0
"""A minute is some answers' time; ten minutes show the tide under the waves. With 100 requests running on average a line through
ten minutes is off by about one request three minutes ahead, one through half a minute by more than the load itself."""
FORESIGHT_MOST = 2.0
"""A trend is trusted to at most double the load: beyond that it is a spike, and spikes end."""
CLEAR_S = 60.0
"""A line should be gone within a minute of the machines' coming."""
MOST_LOOKS = 600
"""Kept at most, however often somebody looks."""
SLA_STEP = 0.2
RELEASE_BEFORE_S = 30.0
"""A paid period that ends this soon is used up: giving back takes a drain."""


class Demand(msgspec.Struct, frozen=True, gc=False):
    """A tier at one moment."""

    running: int
    waiting: int
    """In our line and in its engines' queues, as far as known."""
    ready: Collection[EndpointId]
    """Machines in service."""
    slots: int | None
    """Requests one machine runs at once; None = nobody knows."""
    is_breaching: bool = False
    """Its 95th percentile of the time to first token is above the promise."""
    answers_per_s: float | None = None
    """Lately; None = unknown."""
    leaving: int = 0
    """Spot machines that are being taken away, and still run."""
    refused_per_s: float = 0.0
    """Requests turned away lately, for want of a place or because they would have been late."""

    @property
    def answer_s(self) -> float | None:
        """How long an answer takes, by Little's law; None = nothing runs, or nobody knows."""
        return self.running / self.answers_per_s if self.answers_per_s and self.running else None

    @property
    def present(self) -> float:
        """Requests that should run at once for the line to be gone in `CLEAR_S`. Who waits is no load for ever: with answers of
        8 s a line of 60 is cleared within a minute by 8 slots more."""
        answer_s = self.answer_s
        return self.running + self.waiting * (1.0 if answer_s is None else min(1.0, answer_s / CLEAR_S))

    @property
    def load(self) -> float:
        """These, and those that would run if they had not been turned away."""
        return self.present + min(self.refused_per_s * (self.answer_s or 0.0), float(self.running))


class Wish(msgspec.Struct, frozen=True, gc=False):
    """What a tier wants."""

    desired: int | None
    """None = its machines' slots are unknown, so nothing can be said."""
    reason: str
    load: float = 0.0
    expected: float = 0.0
    """The load when a machine that is started now would serve."""
    ready: int = 0
    on_demand: int = 0
    """How many of them should not be spot."""
    leaving: int = 0
    """How many of them are wanted in the place of machines that still run, and are being taken away."""


class Scaler:
    """One tier's wishes over time."""

    def __init__(self, settings: ScaleSettings) -> None:
        self.settings = settings
        self._loads: deque[tuple[float, float]] = deque(maxlen=MOST_LOOKS)
        """When, and how much ran and waited: the last `MEMORY_S`."""
        self._wishes: deque[tuple[float, int]] = deque()
        self._since: dict[EndpointId, float] = {}

    def look(self, demand: Demand, now: float, wall: datetime) -> Wish:
        """The wish at this moment. `now`: monotonic seconds; `wall`: aware time, for the schedule."""
        settings = self.settings
        self._remember(demand.ready, now)
        load, expected = self._level(demand.load, now), self._expected(now)
        ready = len(demand.ready)
        floor, why = self._floor(demand, wall)
        if demand.slots is None:
            return Wish(None, "nobody knows how much one machine takes: declare `slots`", load, expected, ready)
        wanted, reason = _by_load(max(load, expected), demand.slots, settings.target_use), "load"
        if demand.waiting and (by_line := _by_load(demand.present, demand.slots, 1.0)) > wanted:
            wanted, reason = by_line, "requests wait in line"
        if expected > load and wanted > _by_load(load, demand.slots, settings.target_use):
            reason = "load expected when a new machine serves"
        if demand.refused_per_s and ready >= wanted:
            wanted, reason = ready + 1, "requests are turned away"
        if demand.is_breaching and ready and (by_sla := ready + max(1, ceil(SLA_STEP * ready))) > wanted:
            wanted, reason = by_sla, "promise broken"
        if floor >= wanted:
            wanted, reason = floor, why
        wanted, reason = self._held(wanted, reason, now)
        wanted, reason = self._paid_for(wanted, reason, ready, now)
        if demand.leaving:
            wanted, reason = wanted + demand.leaving, f"{reason}; {demand.leaving} being taken away"
        if settings.max is not None and wanted > settings.max:
            wanted, reason = settings.max, f"{reason}; held at `max`"
        return Wish(wanted, reason, load, expected, ready, min(wanted, settings.on_demand), demand.leaving)

    def _floor(self, demand: Demand, wall: datetime) -> tuple[int, str]:
        settings = self.settings
        floor, why = max(settings.min, settings.on_demand), "floor"
        for hint in settings.schedule:
            if hint.min > floor and hint.holds(wall.astimezone(ZoneInfo(settings.timezone))):
                floor, why = hint.min, f"schedule {hint.when}"
        if floor == 0 and (demand.running + demand.waiting > 0 or demand.refused_per_s):
            return 1, "somebody waits"
        return floor, why

    def _level(self, load: float, now: float) -> float:
        """Mean load of the last minute, this look included."""
        loads = self._loads
        loads.append((now, load))
        while loads[0][0] < now - MEMORY_S:
            loads.popleft()
        late = [load for at, load in loads if at > now - LEVEL_S]
        return sum(late) / len(late)

    def _expected(self, now: float) -> float:
        """The load as it will be when a machine started now serves: least squares through the looks of late."""
        loads = self._loads
        count = len(loads)
        mean_at, mean = sum(at for at, _ in loads) / count, sum(load for _, load in loads) / count
        spread = sum((at - mean_at) ** 2 for at, _ in loads)
        if spread == 0.0 or now - loads[0][0] < LEVEL_S:
            return mean  # too short a memory for a tide
        slope = sum((at - mean_at) * (load - mean) for at, load in loads) / spread
        ahead = mean + slope * (now + self.settings.boot_s - mean_at)
        return min(max(ahead, 0.0), FORESIGHT_MOST * mean)

    def _held(self, wanted: int, reason: str, now: float) -> tuple[int, str]:
        """The highest wish of late stands."""
        wishes = self._wishes
        while wishes and wishes[-1][1] <= wanted:
            wishes.pop()
        wishes.append((now, wanted))
        while wishes[0][0] < now - self.settings.down_after_s:
            wishes.popleft()
        highest = wishes[0][1]
        return (highest, f"wanted within the last {self.settings.down_after_s:.0f} s") if highest > wanted else (wanted, reason)

    def _paid_for(self, wanted: int, reason: str, ready: int, now: float) -> tuple[int, str]:
        """Machines whose time is paid for anyway stay."""
        if wanted >= ready:
            return wanted, reason
        kept = ready - sum(self.is_used_up(endpoint, now) for endpoint in self._since)
        return (kept, "paid for anyway") if kept > wanted else (wanted, reason)

    def is_used_up(self, endpoint: EndpointId, now: float) -> bool:
        """The time that is paid for this machine is over, or nearly."""
        since, settings = self._since.get(endpoint, now), self.settings
        ran = now - since
        paid = max(settings.min_billing_s, ceil(max(ran, 1e-9) / settings.billing_s) * settings.billing_s)
        return paid - ran <= max(RELEASE_BEFORE_S if settings.billing_s > RELEASE_BEFORE_S else settings.billing_s, 0.0)

    def _remember(self, ready: Collection[EndpointId], now: float) -> None:
        for endpoint in ready:
            self._since.setdefault(endpoint, now)
        for gone in self._since.keys() - set(ready):
            del self._since[gone]

    def __repr__(self) -> str:
        return f"<Scaler [{len(self._since)} machines, {len(self._loads)} looks]>"


def _by_load(load: float, slots: int, target_use: float) -> int:
    return ceil(load / (slots * target_use) - 1e-3)  # a thousandth of a machine is no machine
