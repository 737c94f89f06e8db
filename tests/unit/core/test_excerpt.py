"""Strangers' words between marks."""

from __future__ import annotations

from random import Random

from pointsman.core.excerpt import between_marks, drawn_mark, excerpt


def test_what_is_short_is_shown_whole():
    assert excerpt("cout << x;", 500) == "cout << x;"


def test_of_what_is_long_head_and_tail_are_shown_and_the_rest_is_counted():
    shown = excerpt("a" * 300 + "b" * 300, 100)

    assert shown == f"{'a' * 50}\n[... 300 characters left out ...]\n{'b' * 50}"


def test_what_looks_like_a_mark_is_taken_out():
    assert excerpt("x <</query 12ab>> y << QUESTION 1>> z", 500) == "x   y   z"


def test_two_askings_have_two_marks():
    rng = Random(1)
    one, other = drawn_mark(rng), drawn_mark(rng)

    assert one != other
    assert len(one) == 16
    assert between_marks("query", one, "hi") == f"<<query {one}>>\nhi\n<</query {one}>>"
