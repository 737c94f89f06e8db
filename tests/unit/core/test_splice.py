"""What goes upstream is what the client sent, but for three spans."""

import json

import pytest

from pointsman.core.request import Edit, Kind
from pointsman.core.splice import apply, spliced
from pointsman.server.body import parse


def sent(body: bytes, kind: Kind = Kind.CHAT, system: str | None = None) -> bytes:
    return spliced(parse(body, kind), "their-name", system)


def test_the_model_is_what_the_endpoint_calls_it():
    assert sent(b'{"model":"auto","messages":[]}') == b'{"model":"their-name","messages":[]}'


def test_big_integers_and_duplicates_in_values_that_we_do_not_read_stay():
    body = b'{"model":"a","messages":[],"seed":123456789012345678901234567890,"x":{"k":1,"k":2,"f":1e999}}'

    assert sent(body) == body.replace(b'"a"', b'"their-name"')


def test_a_stream_asks_for_usage_without_the_client_having_to():
    assert sent(b'{"model":"a","messages":[],"stream":true}').endswith(
        b',"stream":true,"stream_options":{"include_usage":true}}')


@pytest.mark.parametrize("options", [b"null", b"{}", b'{"include_usage":false}'])
def test_stream_options_of_the_client_are_completed(options):
    body = b'{"model":"a","stream_options":%s,"messages":[],"stream":true}' % options

    assert json.loads(sent(body))["stream_options"] == {"include_usage": True}


def test_other_stream_options_are_kept():
    body = b'{"model":"a","stream":true,"stream_options":{"continuous_usage_stats":true},"messages":[]}'

    assert json.loads(sent(body))["stream_options"] == {"continuous_usage_stats": True, "include_usage": True}


def test_a_client_that_asks_for_usage_itself_keeps_its_bytes():
    body = b'{"model":"a","stream":true,"stream_options":{"include_usage" : true},"messages":[]}'

    assert sent(body) == body.replace(b'"a"', b'"their-name"')


def test_a_system_prompt_joins_the_one_that_is_there():
    body = b'{"model":"a","messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"hi"}]}'

    turns = json.loads(sent(body, system="Answer in French."))["messages"]
    assert turns == [{"role": "system", "content": "Answer in French.\n\nBe kind."}, {"role": "user", "content": "hi"}]


def test_a_system_prompt_becomes_the_first_message():
    turns = json.loads(sent(b'{"model":"a","messages":[{"role":"user","content":"hi"}]}', system="S"))["messages"]

    assert turns == [{"role": "system", "content": "S"}, {"role": "user", "content": "hi"}]


def test_a_system_message_of_parts_is_left_and_ours_comes_before():
    body = b'{"model":"a","messages":[{"role":"system","content":[{"type":"text","text":"x"}]}]}'

    assert [m["content"] for m in json.loads(sent(body, system="S"))["messages"]] == ["S", [{"type": "text", "text": "x"}]]


def test_a_system_prompt_stands_before_a_completion_prompt():
    assert json.loads(sent(b'{"model":"a","prompt":"Once"}', Kind.COMPLETION, "S"))["prompt"] == "S\n\nOnce"


def test_a_system_prompt_stands_before_each_of_several_completion_prompts():
    assert json.loads(sent(b'{"model":"a","prompt":["Once","Twice"]}', Kind.COMPLETION, "S"))["prompt"] == ["S\n\nOnce", "S\n\nTwice"]
    assert json.loads(sent(b'{"model":"a","prompt":[[1,2],[3]]}', Kind.COMPLETION, "S"))["prompt"] == [[1, 2], [3]]


def test_edits_apply_in_any_order():
    assert apply(b"abcdef", [Edit(4, 5, b"E"), Edit(0, 1, b"A"), Edit(2, 2, b"-")]) == b"Ab-cdEf"
