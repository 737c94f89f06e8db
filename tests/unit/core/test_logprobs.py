"""Asking for log-probabilities and taking them out again, byte for byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.logprobs import asking, stripped
from pointsman.core.request import Kind
from pointsman.testing.factories import a_request

REQUEST = a_request("hi")
COMPLETION = a_request("hi", kind=Kind.COMPLETION)


def test_a_chat_is_asked_with_two_fields_behind_its_own():
    assert asking(REQUEST, b'{"model":"m","messages":[]}', 3) == b'{"model":"m","messages":[],"logprobs":true,"top_logprobs":3}'
    assert asking(REQUEST, b'{"model":"m"}', 0) == b'{"model":"m","logprobs":true}'


def test_a_completion_says_how_many():
    assert asking(COMPLETION, b'{"model":"m"}', 2) == b'{"model":"m","logprobs":2}'


def test_what_the_client_left_open_is_filled_in_where_it_stands():
    assert asking(REQUEST, b'{"logprobs": false ,"model":"m", "top_logprobs":null}', 2) == (
        b'{"logprobs": true ,"model":"m", "top_logprobs":2}')


@pytest.mark.parametrize("body", [b'{"logprobs":true}', b'{"logprobs":0}'])
def test_a_client_that_asks_itself_is_not_asked_for(body):
    assert asking(COMPLETION, body, 2) is None


EVENT = b'{"id":"x","choices":[{"index":0,"delta":{"content":"\\"logprobs\\""},"logprobs": {"content":[{"token":"}"}]},"finish_reason":null}]}'


def test_most_engines_write_null_unasked():
    assert stripped(EVENT, "vllm") == EVENT.replace(b'{"content":[{"token":"}"}]}', b"null")


def test_llamacpp_writes_nothing_unasked():
    assert stripped(EVENT, "llamacpp") == EVENT.replace(b',"logprobs": {"content":[{"token":"}"}]}', b"")
    assert stripped(b'{"choices":[{"logprobs":{"a":1}, "index":0}]}', "llamacpp") == b'{"choices":[{"index":0}]}'
    assert stripped(b'{"choices":[{"logprobs":{}}]}', "llamacpp") == b'{"choices":[{}]}'


def test_only_the_choices_own_are_taken_out():
    data = b'{"meta":{"choices":[{"logprobs":{}}]},"choices":[],"logprobs":{"a":1}}'
    assert stripped(data, "vllm") == data


def test_an_answer_without_any_is_the_same_object():
    data = b'{"choices":[{"index":0}]}'
    assert stripped(data, "vllm") is data


values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=8)
choices = st.lists(st.tuples(st.dictionaries(st.sampled_from(["index", "delta", "logprobs", "x"]), values)).map(lambda t: t[0]), max_size=3)


@given(choices, values, st.sampled_from([None, 1]), st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]), st.booleans())
def test_whatever_the_answer_everything_else_stays(choices, more, indent, separators, ascii_only):
    data = json.dumps({"a": more, "choices": choices, "z": more}, indent=indent, separators=separators, ensure_ascii=ascii_only).encode(
        "utf-8", "surrogatepass")
    wanted = [{k: v for k, v in c.items() if k != "logprobs"} for c in choices]
    assert json.loads(stripped(data, "llamacpp").decode("utf-8", "surrogatepass")) == {"a": more, "choices": [
        w | ({"logprobs": None} if "logprobs" in c and c["logprobs"] is None else {}) for w, c in zip(wanted, choices, strict=True)], "z": more}
    as_null = [c | ({"logprobs": None} if "logprobs" in c else {}) for c in choices]
    assert json.loads(stripped(data, "vllm").decode("utf-8", "surrogatepass"))["choices"] == as_null
