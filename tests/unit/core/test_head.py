"""Heads that need no parser: what is read from them, and what is left alone."""

import pytest

from pointsman.core.head import fields

LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"


def test_names_are_lower_case_and_values_trimmed():
    assert fields(LINE + b"Host: localhost\r\nX-A:\t b c \r\nX-Empty:") == (
        {b"host": b"localhost", b"x-a": b"b c", b"x-empty": b""}, [])


def test_the_first_of_a_repeated_header_stands_and_its_name_is_told():
    assert fields(LINE + b"A: 1\r\nB: 2\r\na: 3\r\nA: 4") == ({b"a": b"1", b"b": b"2"}, [b"a", b"a"])


@pytest.mark.parametrize("line", [
    b"no colon", b": no name", b"a space: x", b"trailing : x", b" folded: x", b"x:\x00", b"x: a\x0bb", b"x: a\rb", b"x: a\nb: c",
    b"x\x7f: a", b"\xc3\xa9: a", b'"x": a', b"x(y): a",
])
def test_what_is_not_plain_is_left_to_the_parser(line):
    assert fields(LINE + b"Host: localhost\r\n" + line) is None


def test_values_may_hold_any_printable_byte():
    assert fields(LINE + b"X: caf\xc3\xa9 \xff~") == ({b"x": b"caf\xc3\xa9 \xff~"}, [])
