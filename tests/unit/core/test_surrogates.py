"""Halves of characters in JSON."""

import time

import msgspec
import pytest

from pointsman.core.surrogates import HALVES_MAX, decoded, mended


@pytest.mark.parametrize(("said", "read"), [
    (rb'"\ud83d"', "\ufffd"), (rb'"\ude80"', "\ufffd"), (rb'"\ud83d\ud83d\ude80"', "\ufffd🚀"), (rb'"\uD83D\uDE80"', "🚀"),
    (rb'"\\ud83d"', "\\ud83d"), (rb'"\\\ud83d"', "\\\ufffd"), (rb'"\ud83d\u0041"', "\ufffdA"), (rb'"\u00e9\n"', "é\n"),
    (rb'"\ude80\ud83d"', "\ufffd\ufffd"),
])
def test_only_halves_are_replaced_and_positions_stay(said, read):
    assert decoded(msgspec.json.decode, said) == read
    assert len(mended(said)) == len(said)


@pytest.mark.parametrize("said", [b'"\\ud8"', b"{", b'"\\q"', b'"a\x01"', rb'"\ud83d', rb"\ud83d"])
def test_what_is_no_json_stays_none(said):
    with pytest.raises(msgspec.DecodeError):
        decoded(msgspec.json.decode, said)


def test_what_has_the_wrong_type_is_not_read_twice():
    with pytest.raises(msgspec.ValidationError):
        decoded(msgspec.json.Decoder(int).decode, rb'"\ud83d\ude80"')


@pytest.mark.parametrize("piece", [rb"\ud83d", rb"\n", rb"\\", rb"\ud83d\ude80", b"x"])
def test_megabytes_of_escapes_take_no_seconds(piece):
    said = rb'"\ud83d' + piece * (4_000_000 // len(piece)) + b'"'
    begun = time.thread_time()
    mended(said)
    assert time.thread_time() - begun < 10.0  # of the processor; an hour if each looked at all the others


def test_too_many_halves_are_no_accident():
    said = b'"' + rb"\ud83d " * (HALVES_MAX + 1) + b'"'

    assert mended(said) is said
