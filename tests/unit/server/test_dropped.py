"""What was left out is said in a header and counted, under names that are few."""

from pointsman.server.dropped import dropped_headers, uncounted


def test_each_is_counted_and_named_once():
    counted = []

    assert dropped_headers(["web_search_20250305", "web_search", "web_fetch_20250910"], counted.append) == [
        (b"x-route-dropped", b"web_search, web_fetch")]
    assert counted == ["web_search", "web_search", "web_fetch"]


def test_a_strangers_name_stands_in_no_label():
    assert dropped_headers(["web_search_\n_by_me"], uncounted) == [(b"x-route-dropped", b"other")]


def test_nothing_dropped_nothing_said():
    assert dropped_headers((), uncounted) == []
