"""When a tier is full, and how much of its traffic it keeps meanwhile: a state machine with times passed in.

    fit --a limit is reached--> diverting --calm for `leave_after`--> fit

While a tier diverts, it keeps a share of its own traffic, which starts at the probe share (5 %). It is halved while
limits are still reached, grows while every signal is calm (at or below 80 % of its limit), and rests in between: so a
tier that is asked for half as much again as it can carry ends up carrying what it can, and the tier above gets the
rest. Growth takes it from the probe share to everything in `leave_after`, so that leaving is no second flood.

Slots and backlog are known at every moment and need no such groping: a tier that is full by these alone keeps whoever finds
room, and of the others the probe share.

Why can it not flap? A change of state waits until 60 s have passed since the change before the last one: whatever the
signals, at most two changes fall into any minute. Entering is delayed by this only when a tier enters, leaves and is
breached again within one minute.
"""

from __future__ import annotations

from random import Random

import msgspec

from pointsman.core.settings import SaturationSettings

IN_FLIGHT, BACKLOG = "in_flight", "backlog"
MOMENTARY = (IN_FLIGHT, BACKLOG)
"""Known at every moment, not only when an engine reports or an answer has begun."""
MINUTE_S = 60.0
CUT_EVERY_S = 2.0
"""Between two halvings: a cut shows in the next load report, not before."""
PROBE_EVERY_S = 2.0
"""One request in this time stays whatever the share: without one nobody would learn that a slow tier is quick again."""
LONGEST_STEP_S = 2.5
"""A longer pause between two looks counts as this much calm: what was not looked at was not seen to be calm."""


class Breach(msgspec.Struct, frozen=True, gc=False):
    """A limit that is reached."""

    reason: str
    """`waiting`, `kv`, `in_flight`, `backlog` or `ttft`."""
    detail: str
    """For people: `waiting 7 >= 5 on small/0`."""


class Saturation:
    """One tier's."""

    __slots__ = (
        "_calm_s", "_changes", "_cut_at", "_probed_at", "_settings", "_stepped_at", "breach", "is_diverting", "share",
        "since",
    )  # fmt: skip

    def __init__(self, settings: SaturationSettings) -> None:
        self._settings = settings
        self.is_diverting = False
        self.since = 0.0
        """When it last changed."""
        self.breach: Breach | None = None
        """Why it diverts: the latest limit reached."""
        self.share = 1.0
        """The part of its traffic that it keeps."""
        # The last two changes, older first.
        self._changes = (-MINUTE_S, -MINUTE_S)
        self._calm_s = 0.0
        self._cut_at = self._stepped_at = self._probed_at = 0.0

    def breached(self, breach: Breach, now: float) -> bool:
        """While fit: a limit is reached. Says whether it diverts from now on."""
        if not self._may_change(now):
            return False
        self._change(now)
        self.is_diverting, self.breach = True, breach
        self.share = 1.0 if breach.reason in MOMENTARY else self._settings.probe_share
        self._calm_s = 0.0
        self._cut_at = self._stepped_at = self._probed_at = now
        return True

    def step(self, now: float, breach: Breach | None, *, calm: bool, settled: bool = True) -> bool:
        """While diverting: a look at the signals. Says whether it has left.

        `calm`: every fresh signal is at or below its leave limit. `settled`: so were the times of the last 15 s.
        """
        passed = min(LONGEST_STEP_S, max(0.0, now - self._stepped_at))
        self._stepped_at = max(now, self._stepped_at)
        settings = self._settings
        if breach is not None:
            if breach.reason not in MOMENTARY:
                self._cut(now, was_momentary=self.breach is not None and self.breach.reason in MOMENTARY)
            self.breach, self._calm_s = breach, 0.0
            return False
        if not calm:
            self._calm_s = 0.0
            return False
        self._calm_s += passed
        self.share = min(1.0, self.share + passed * (1.0 - settings.probe_share) / settings.leave_after_s)
        if not settled or self._calm_s < settings.leave_after_s - 1e-9 or not self._may_change(now):
            return False
        self._change(now)
        self.is_diverting, self.breach, self.share = False, None, 1.0
        return True

    def stays(self, now: float, rng: Random, *, has_slot: bool) -> bool:
        """Whether this request is one of those that the tier keeps while it diverts, or has no slot free."""
        if has_slot and self.share >= 1.0:
            return True
        share = self.share if has_slot else self._settings.probe_share
        if now - self._probed_at < PROBE_EVERY_S and rng.random() >= share:
            return False
        self._probed_at = now
        return True

    def _cut(self, now: float, *, was_momentary: bool) -> None:
        """A limit that is not momentary is reached: the share is halved, or begins low when only such ones were before."""
        least = self._settings.probe_share
        if was_momentary and self.share >= 1.0:
            self.share, self._cut_at = least, now
        elif now - self._cut_at >= CUT_EVERY_S:
            self.share, self._cut_at = max(least, self.share / 2), now

    def _may_change(self, now: float) -> bool:
        return now - self._changes[0] >= MINUTE_S

    def _change(self, now: float) -> None:
        self._changes = (self._changes[1], now)
        self.since = now

    def __repr__(self) -> str:
        if self.breach is None:
            return "<Saturation [fit]>"
        return f"<Saturation [diverting: {self.breach.detail} | keeps {self.share:.0%}]>"
