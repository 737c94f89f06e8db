"""Spans of a JSON object's members, found without touching its bytes."""

import json

import pytest

from pointsman.core.scan import TooDeep, members


def values(data: bytes) -> dict[str, bytes]:
    return {m.key: data[m.start : m.end] for m in members(data)[0]}


def test_every_kind_of_value_has_its_span():
    data = b'{"s":"x","n":-1.5e3,"t":true,"z":null,"a":[1,{"b":2}],"o":{}}'

    assert values(data) == {"s": b'"x"', "n": b"-1.5e3", "t": b"true", "z": b"null", "a": b'[1,{"b":2}]', "o": b"{}"}


def test_white_space_belongs_to_nobody():
    data = b' \n{ "a" :\t1 ,\r\n "b" : [ ] } '

    assert values(data) == {"a": b"1", "b": b"[ ]"}
    assert members(data)[1] == data.rindex(b"}")


def test_brackets_and_quotes_inside_strings_are_text():
    data = rb'{"a":"}{][\"\\","b":["]","\\"],"c":1}'

    assert values(data) == {"a": rb'"}{][\"\\"', "b": rb'["]","\\"]', "c": b"1"}


def test_an_escaped_key_is_the_key_it_spells():
    assert values(rb'{"mod\u0065l":1}') == {"model": b"1"}


def test_duplicates_are_all_there():
    assert [m.key for m in members(b'{"a":1,"a":2}')[0]] == ["a", "a"]


def test_an_empty_object_ends_at_its_brace():
    assert members(b"{ }") == ([], 2)


@pytest.mark.parametrize(("depth", "is_fine"), [(63, True), (64, False)])
def test_nesting_counts_the_object_itself(depth, is_fine):
    data = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
    if is_fine:
        assert len(members(data, max_depth=64)[0]) == 1
    else:
        with pytest.raises(TooDeep) as caught:
            members(b'{"b":1,' + data[1:], max_depth=64)
        assert caught.value.field == "a"


def test_a_megabyte_of_text_is_one_step():
    data = json.dumps({"a": "word " * 200_000, "b": 1}).encode()

    assert values(data)["b"] == b"1"


def test_a_value_may_be_deeper_than_the_decoder_goes():
    deep = b"[" * 20_000 + b"]" * 20_000

    assert values(b'{"a":' + deep + b"}")["a"] == deep


def test_a_scan_may_begin_inside():
    data = b'[{"role":"system"}]'

    assert members(data, 1)[0][0].key == "role"


@pytest.mark.parametrize("data", [
    b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'{"a": 1}', b'{"a":1 }', b'{"a":[1, 2]}', '{"é":1,"b":2}'.encode(), b'{"a":"\\"{"}',
])
def test_compact_or_not_the_spans_are_the_same(data):
    spaced = b" " + data  # the scan reads this one

    assert [(m.key, m.key_start, m.start, m.end) for m in members(data)[0]] == [
        (m.key, m.key_start - 1, m.start - 1, m.end - 1) for m in members(spaced)[0]]
    assert members(data)[1] == members(spaced)[1] - 1
