"""Hours of the week, as people write them: `mon-fri 08:00-20:00`, `sat,sun 10:00-16:00`, `22:00-06:00`."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SHAPE = re.compile(r"^(?:([a-z,-]+)\s+)?(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})$")


class NotHours(ValueError):
    """The text names no hours; says what it should look like."""


class Hours(msgspec.Struct, frozen=True):
    """Some hours of some days. Ends after midnight belong to the day on which they began."""

    days: frozenset[int]
    """0 = Monday."""
    start_min: int
    end_min: int

    def holds(self, at: datetime) -> bool:
        """`at` (in the zone that the hours are meant in) lies within."""
        minute, day = at.hour * 60 + at.minute, at.weekday()
        if self.start_min < self.end_min:
            return day in self.days and self.start_min <= minute < self.end_min
        return (day in self.days and minute >= self.start_min) or ((day - 1) % 7 in self.days and minute < self.end_min)


def parse_hours(text: str) -> Hours:
    """Raises NotHours.

    >>> sorted(parse_hours("mon-wed 08:00-20:00").days)
    [0, 1, 2]
    """
    match = _SHAPE.match(text.strip().lower())
    if match is None:
        raise NotHours(f"{text!r} names no hours; write them as in `mon-fri 08:00-20:00`")
    days, (h1, m1, h2, m2) = match[1] or "mon-sun", map(int, match.groups()[1:])
    if max(m1, m2) > 59 or h1 > 23 or h2 > 24 or (h2 == 24 and m2):
        raise NotHours(f"{text!r}: hours go from 00:00 to 24:00")
    return Hours(frozenset(_days(days, text)), h1 * 60 + m1, h2 * 60 + m2)


def _days(days: str, text: str) -> set[int]:
    found: set[int] = set()
    for part in days.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise NotHours(f"{text!r}: days are {', '.join(DAYS)}, or ranges of them")
        at, to = DAYS.index(first), DAYS.index(last or first)
        found.update((at + i) % 7 for i in range((to - at) % 7 + 1))
    return found
