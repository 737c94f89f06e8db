"""A table for a terminal of any width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from pointsman.cli.sheet import Column, Sheet


def a_sheet() -> Sheet:
    sheet = Sheet(Column("name"), Column("size", 1, is_number=True), Column("place", 2))
    sheet.add("small/0", "7", "http://10.0.0.1:8001/v1")
    sheet.add("medium/11", "1234", "http://10.0.0.2:8001/v1")
    return sheet


def test_with_room_every_column_is_there_and_numbers_stand_to_the_right():
    assert [line.plain for line in a_sheet().lines(80)] == [
        "name       size  place",
        "small/0       7  http://10.0.0.1:8001/v1",
        "medium/11  1234  http://10.0.0.2:8001/v1",
    ]


def test_what_matters_least_is_left_out_first_and_nothing_is_cut():
    assert a_sheet().lines(30)[2].plain == "medium/11  1234"
    assert a_sheet().lines(12)[2].plain == "medium/11"


def test_where_even_names_have_no_room_they_end_in_dots():
    assert a_sheet().lines(8)[2].plain == "medium/…"


def test_a_cell_keeps_its_colour():
    sheet = Sheet(Column("is"))
    sheet.add(Text("ejected", "red"))

    assert any(span.style == "red" for span in sheet.lines(20)[1].spans)


def test_only_some_rows_may_be_asked_for():
    assert [line.plain.split()[0] for line in a_sheet().lines(80, only=[1])] == ["name", "medium/11"]


@given(rows=st.lists(st.tuples(*[st.text(st.characters(categories=["L", "N"]), max_size=30)] * 3), max_size=5), width=st.integers(8, 60))
def test_no_line_is_wider_than_the_terminal(rows, width):
    sheet = Sheet(Column("endpoint"), Column("b"), Column("c", 1))
    for row in rows:
        sheet.add(*row)

    assert all(cell_len(line.plain) <= width for line in sheet.lines(width))


@pytest.mark.parametrize("width", [10, 80])
def test_no_rows_are_a_heading(width):
    assert len(Sheet(Column("endpoint"), Column("state")).lines(width)) == 1
