"""What happened lately: counts and times of a sliding window, for an endpoint or a tier.

A window is a ring of slots, each a part of the time (one second for a tier, five for an endpoint). Adding touches one
slot; a slot that has become too old is taken out of the totals as a whole. So a window covers its span and up to one
slot more, its memory is bounded by its slots, and adding is O(1): under two microseconds.

Why logarithmic buckets for times? A quantile then has the same relative error at 50 ms and at 50 s: each bucket is 4 %
wide, so what is told is within 2 % of the true value. Whether a promise is kept is never read from buckets: times
above the limit are counted as they come, exactly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import ceil, exp, floor, log

STEP = 1.04
"""Ratio of neighbouring bucket edges: at most 2 % between a time and the middle of its bucket."""
SHORTEST_S = 1e-4
_PER_LOG = 1.0 / log(STEP)
_FIRST = floor(log(SHORTEST_S) * _PER_LOG)


class Tally:
    """Counts of several kinds of events ("columns") in the last `span_s` seconds."""

    __slots__ = ("_begun", "_columns", "_count", "_head", "_slots", "_width", "totals")

    def __init__(self, columns: int, span_s: float, slots: int) -> None:
        self._width, self._columns = span_s / slots, columns
        self._count = slots + 1  # the newest slot is only partly over
        self._slots = [[0] * columns for _ in range(self._count)]
        self._head = 0
        # Number of the slot with the oldest event that may still be counted: since when there is something to count.
        self._begun: int | None = None
        self.totals = [0] * columns
        """Sums as of the last `add` or `advance`."""

    def add(self, now: float, *columns: int) -> None:
        """One event that counts in each of `columns`."""
        number = int(now / self._width)
        if number > self._head:
            self._forget(number)
        slot, totals = self._slots[self._head % self._count], self.totals
        for column in columns:
            slot[column] += 1
            totals[column] += 1
        if self._begun is None:
            self._begun = self._head

    def advance(self, now: float) -> list[int]:
        """The totals as of now."""
        number = int(now / self._width)
        if number > self._head:
            self._forget(number)
        return self.totals

    def lately(self, now: float, seconds: float) -> list[int]:
        """Sums of the last `seconds` and up to one slot more."""
        self.advance(now)
        sums = [0] * self._columns
        if self._begun is None:
            return sums
        count = min(self._count, ceil(seconds / self._width) + 1)
        for number in range(self._head - count + 1, self._head + 1):
            for column, value in enumerate(self._slots[number % self._count]):
                sums[column] += value
        return sums

    def rate(self, column: int, now: float, seconds: float) -> float | None:
        """Events per second in the last `seconds`, or since events began if that is shorter. None = none at all."""
        total = self.lately(now, seconds)[column]
        if not total or self._begun is None:
            return None
        return total / max(self._width, min(seconds, now - self._begun * self._width))

    def clear(self) -> None:
        """Forgets everything."""
        for slot in self._slots:
            slot[:] = [0] * self._columns
        self.totals[:] = [0] * self._columns
        self._begun = None

    def _forget(self, number: int) -> None:
        """Makes `number` the newest slot; what it and skipped ones held is too old. Costs nothing while there is nothing."""
        if self._begun is None:
            pass
        elif number - self._head >= self._count:
            self.clear()
        else:
            for old in range(self._head + 1, number + 1):
                slot = self._slots[old % self._count]
                for column, value in enumerate(slot):
                    if value:
                        self.totals[column] -= value
                        slot[column] = 0
            if not any(self.totals):
                self._begun = None
        self._head = number


class Latencies:
    """Times of the last `span_s` seconds, for quantiles within 2 %."""

    __slots__ = ("_count", "_head", "_slots", "_totals", "_width", "n")

    def __init__(self, span_s: float, slots: int) -> None:
        self._width, self._count = span_s / slots, slots + 1
        # Bucket -> count, made when a slot's first time comes.
        self._slots: list[dict[int, int] | None] = [None] * self._count
        self._totals: dict[int, int] = {}
        self._head = 0
        self.n = 0
        """How many, as of the last `add` or `quantile`."""

    def add(self, now: float, seconds: float) -> None:
        number = int(now / self._width)
        if number > self._head:
            self._forget(number)
        bucket = _FIRST if seconds <= SHORTEST_S else floor(log(seconds) * _PER_LOG)
        at = self._head % self._count
        slot = self._slots[at]
        if slot is None:
            slot = self._slots[at] = {}
        slot[bucket] = slot.get(bucket, 0) + 1
        self._totals[bucket] = self._totals.get(bucket, 0) + 1
        self.n += 1

    def quantile(self, q: float, now: float) -> float | None:
        """The nearest-rank `q` quantile in seconds, within 2 %; None = nothing in the window. Not for the path."""
        return quantile_of((self,), q, now)

    def advance(self, now: float) -> dict[int, int]:
        """Bucket -> count, as of now."""
        number = int(now / self._width)
        if number > self._head:
            self._forget(number)
        return self._totals

    def _forget(self, number: int) -> None:
        if number - self._head >= self._count:
            self._slots = [None] * self._count
            self._totals = {}
            self.n = 0
        else:
            for old in range(self._head + 1, number + 1):
                slot, self._slots[old % self._count] = self._slots[old % self._count], None
                for bucket, count in (slot or {}).items():
                    self.n -= count
                    left = self._totals[bucket] - count
                    if left:
                        self._totals[bucket] = left
                    else:
                        del self._totals[bucket]
        self._head = number


def quantile_of(many: Iterable[Latencies], q: float, now: float) -> float | None:
    """The nearest-rank `q` quantile over all of them together; None = nothing in any window. Not for the path."""
    totals: dict[int, int] = {}
    for one in many:
        for bucket, count in one.advance(now).items():
            totals[bucket] = totals.get(bucket, 0) + count
    rank, seen = ceil(q * sum(totals.values())), 0
    for bucket in sorted(totals):
        seen += totals[bucket]
        if seen >= rank:
            return exp((bucket + 0.5) / _PER_LOG)
    return None


class Untold:
    """What one endpoint's window has seen that another process has not been told: failures, and times between tokens."""

    __slots__ = ("_failed", "_gaps")

    MOST = 200
    """Times that wait to be told: more than an endpoint ends in the tenth of a second between two tellings."""

    def __init__(self) -> None:
        self._failed = 0
        self._gaps: deque[float] = deque(maxlen=self.MOST)

    def fail(self) -> None:
        self._failed += 1

    def pace(self, gap_s: float) -> None:
        self._gaps.append(gap_s)

    def take(self) -> tuple[int, tuple[float, ...]]:
        """Failures and times since the last `take`."""
        taken = self._failed, tuple(self._gaps)
        self._failed = 0
        self._gaps.clear()
        return taken


class EndpointWindows:
    """The last minute of one endpoint, in slots of five seconds."""

    __slots__ = ("answers", "gap", "ttft", "untold")

    SPAN_S, SLOTS = 60.0, 12

    def __init__(self) -> None:
        self.ttft = Latencies(self.SPAN_S, self.SLOTS)
        """Streamed answers: lease to first content-bearing event."""
        self.gap = Latencies(self.SPAN_S, self.SLOTS)
        """Streamed answers: mean seconds between output tokens."""
        self.answers = Tally(2, self.SPAN_S, self.SLOTS)
        """Columns: answered, failed."""
        self.untold: Untold | None = None
        """Set where another process is told."""

    def answered(self, now: float) -> None:
        self.answers.add(now, 0)

    def failed(self, now: float) -> None:
        self.answers.add(now, 1)
        if self.untold is not None:
            self.untold.fail()

    def paced(self, now: float, gap_s: float) -> None:
        """A streamed answer had so long between two of its tokens, on the mean."""
        self.gap.add(now, gap_s)
        if self.untold is not None:
            self.untold.pace(gap_s)

    def status(self, now: float) -> dict[str, float | int | None]:
        """For people; times in seconds."""
        answered, failed = self.answers.advance(now)
        return {
            "answers": answered,
            "failures": failed,
            "ttft_p50_s": _rounded(self.ttft.quantile(0.5, now)),
            "ttft_p95_s": _rounded(self.ttft.quantile(0.95, now)),
            "inter_token_p50_s": _rounded(self.gap.quantile(0.5, now)),
            "inter_token_p95_s": _rounded(self.gap.quantile(0.95, now)),
            "answers_per_s": _rounded(self.answers.rate(0, now, self.SPAN_S)),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
