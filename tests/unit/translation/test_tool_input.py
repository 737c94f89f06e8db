"""Arguments of a tool call as the object that Anthropic wants."""

import msgspec
import pytest

from pointsman.translation.tool_input import is_object, tool_input


@pytest.mark.parametrize(("arguments", "object_"), [
    ('{"a": 1}', {"a": 1}), ({"a": 1}, {"a": 1}), ("", {}), ("  ", {}), (None, {}), (7, {}),
    ("[1]", {"invalid_json": "[1]"}), ('{"a": ', {"invalid_json": '{"a": '}), ('{"a": 1} {"b"', {"invalid_json": '{"a": 1} {"b"'}),
])
def test_arguments_become_an_object_and_nothing_is_lost(arguments, object_):
    assert msgspec.json.decode(msgspec.json.encode(tool_input(arguments))) == object_


def test_arguments_go_through_as_they_were_written():
    assert msgspec.json.encode(tool_input('{"n": 1.0e2}')) == b'{"n": 1.0e2}'


def test_a_text_that_nests_beyond_reading_is_no_object():
    assert not is_object('{"a":' * 5000 + "1" + "}" * 5000)
