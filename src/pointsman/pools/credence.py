"""Whether an engine's figures may be believed: its reports against what we ourselves see of it.

A report that makes an endpoint look idler than it is draws traffic to it. Three ways to be wrong are noticed, and the
figures are then taken out, which makes the load unknown; nobody is punished for it, and nobody gains:

- *frozen*: it has answered us, and none of its counters has moved since;
- *understated*: for several reports running it counts far fewer requests than we alone have there;
- *contradicted*: it says that nobody waits while our first tokens from it take several times as long as from its siblings.

Why taken out and not corrected? What is left is what we know for certain, our own requests in flight there, and every
reader of a report has to be able to do with that anyway. Pure: the reports and what was seen of the traffic come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from pointsman.core.fleet import LoadReport

PATIENCE = 3
"""Reports in a row that have to be wrong. Two can be: a gauge lags, and requests are on their way."""
SLACK = 2
"""Requests of ours that may be on their way to the engine or from it when it counts."""
SLACK_SHARE = 0.25
"""The same for many requests: a busy engine counts between two of its steps."""
MUCH_SLOWER = 3.0
"""Times the siblings' first token. Twice is a bad mix of prompts."""
SLOW_S = 1.0
"""First tokens below this are no queue, whatever the siblings do."""
TTFT_N = 5
"""First tokens that make a comparison."""


class Seen(msgspec.Struct, frozen=True, gc=False):
    """What we saw of one endpoint ourselves, up to one report."""

    in_flight: int = 0
    """Our attempts there when the report was read."""
    answered: int = 0
    """Our attempts that it has answered to the end, ever."""
    ttft_s: float | None = None
    """Mean time to the first token since the report before."""
    ttft_n: int = 0
    """How many first tokens that is the mean of."""


class Credence:
    """One endpoint's reputation. It is won back by the first report that is right."""

    __slots__ = ("_answered", "_contradicted", "_frozen", "_progress", "_understated")

    def __init__(self) -> None:
        # The counters when they last moved, and how many answers we had had by then.
        self._progress: float | None = None
        self._answered = 0
        # Reports in a row that were wrong in each way.
        self._frozen = self._understated = self._contradicted = 0

    def judge(self, report: LoadReport, seen: Seen, siblings_ttft_s: Sequence[float] = ()) -> str:
        """Why the report's figures are not believed; "" = they are. Called once for each report, in order."""
        self._frozen = self._frozen + 1 if self._stands_still(report, seen) else 0
        self._understated = self._understated + 1 if understates(report, seen) else 0
        if seen.ttft_n:
            self._contradicted = self._contradicted + 1 if contradicts(report, seen, siblings_ttft_s) else 0
        counts = {"frozen": self._frozen, "understated": self._understated, "contradicted": self._contradicted}
        return next((name for name, count in counts.items() if count >= PATIENCE), "")

    def _stands_still(self, report: LoadReport, seen: Seen) -> bool:
        """Answers came and no counter moved. A counter that falls was reset: the engine is a new one."""
        if report.progress is None or report.progress != self._progress:
            self._progress, self._answered = report.progress, seen.answered
            return False
        return seen.answered > self._answered


def understates(report: LoadReport, seen: Seen) -> bool:
    """It counts fewer requests than ours. Either figure alone may be missing: then there is nothing to compare."""
    if report.running is None or report.waiting is None:
        return False
    return report.running + report.waiting < seen.in_flight - max(SLACK, SLACK_SHARE * seen.in_flight)


def contradicts(report: LoadReport, seen: Seen, siblings_ttft_s: Sequence[float]) -> bool:
    """It says that nobody waits, and our requests do."""
    if report.waiting != 0 or seen.ttft_s is None or seen.ttft_n < TTFT_N or not siblings_ttft_s:
        return False
    return seen.ttft_s > SLOW_S and seen.ttft_s > MUCH_SLOWER * median(siblings_ttft_s)


def disbelieved(report: LoadReport, doubt: str) -> LoadReport:
    """The report without the figures that draw traffic; what it is and what it serves stays."""
    return msgspec.structs.replace(report, waiting=None, running=None, kv_usage=None, queued_tokens=None, doubt=doubt)
