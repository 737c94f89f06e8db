"""Whatever is formatted reads back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.config.units import NotAQuantity, format_duration, format_size, parse_duration, parse_size


@given(st.integers(0, 86_400_000))
def test_durations_round_trip_to_the_millisecond(milliseconds):
    seconds = milliseconds / 1000

    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-9)


@given(st.integers(0, 2**49))
def test_sizes_round_trip_exactly(size):
    assert parse_size(format_size(size)) == size


@given(st.one_of(st.text(max_size=30), st.integers(), st.floats(), st.none(), st.booleans(), st.lists(st.text(), max_size=2)))
def test_anything_else_is_refused_in_one_way(value):
    for parse in (parse_duration, parse_size):
        try:
            assert parse(value) >= 0
        except NotAQuantity:
            continue
