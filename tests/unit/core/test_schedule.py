from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.schedule import NotHours, parse_hours

MONDAY = 23  # November 2026


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(("hours", "inside", "outside"), [
    ("mon-fri 08:00-20:00", at(MONDAY, 8), at(MONDAY, 20)),
    ("mon-fri 08:00-20:00", at(MONDAY + 4, 19, 59), at(MONDAY + 5, 12)),
    ("sat,sun 10:00-16:00", at(MONDAY + 6, 10), at(MONDAY, 10)),
    ("00:00-24:00", at(MONDAY, 23, 59), None),
    ("fri 22:00-06:00", at(MONDAY + 5, 5, 59), at(MONDAY + 4, 5)),
    ("fri-mon 9:00-10:00", at(MONDAY, 9, 30), at(MONDAY + 1, 9, 30)),
])
def test_hours_hold_from_their_start_to_before_their_end(hours, inside, outside):
    parsed = parse_hours(hours)

    assert parsed.holds(inside)
    assert outside is None or not parsed.holds(outside)


@pytest.mark.parametrize("text", ["", "mon", "mo 08:00-09:00", "08:00", "25:00-26:00", "08:60-09:00", "mon- 08:00-09:00", "8-9", "08:00-24:30"])
def test_what_names_no_hours_says_how_to_write_them(text):
    with pytest.raises(NotHours):
        parse_hours(text)


@given(st.text(max_size=40))
def test_no_text_breaks_it(text):
    with contextlib.suppress(NotHours):
        parse_hours(text)
