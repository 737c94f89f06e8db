"""Whose column is which."""

from __future__ import annotations

from pointsman.state.columns import Columns
from pointsman.testing.factories import a_pool, a_settings


def test_a_server_keeps_its_column_wherever_it_stands_in_the_file():
    columns = Columns()
    first = columns.of(a_settings(a_pool("small", "http://a/v1", "http://b/v1")))
    second = columns.of(a_settings(a_pool("small", "http://b/v1", "http://c/v1")))

    assert first == {"small/0": 0, "small/1": 1}
    assert second == {"small/0": 1, "small/1": 2}


def test_a_column_is_never_given_to_another():
    columns = Columns()
    columns.of(a_settings(a_pool("small", "http://gone/v1")))

    assert columns.of(a_settings(a_pool("small", "http://new/v1"))) == {"small/0": 1}


def test_the_same_url_in_two_places_is_counted_apart():
    columns = Columns()
    found = columns.of(a_settings(a_pool("small", "http://a/v1", "http://a/v1"), a_pool("large", "http://a/v1")))

    assert len(set(found.values())) == 3
    assert columns.of(a_settings(a_pool("small", "http://a/v1", "http://a/v1"))) == {"small/0": 0, "small/1": 1}


def test_beyond_the_board_endpoints_have_none_and_are_told():
    assert Columns(1).of(a_settings(a_pool("small", "http://a/v1", "http://b/v1"))) == {"small/0": 0}
