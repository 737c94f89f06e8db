"""The common view of an answer: every API, every odd shape."""

from __future__ import annotations

import msgspec
import pytest

from pointsman.core.answer import Answer, Choice, Listener, Token, ToolCall, answer_of
from pointsman.core.reply import Reply


def said(body: object, dialect: str = "chat") -> Answer:
    return answer_of(Reply(msgspec.json.encode(body), dialect=dialect))


def heard(events: list[bytes], dialect: str = "chat", *, is_whole: bool = True) -> Answer:
    listener = Listener(dialect)
    listener.hear(events)
    return listener.answer(is_whole=is_whole)


def test_a_chat_with_several_choices_is_read_in_order_of_their_index():
    answer = said({"choices": [
        {"index": 1, "message": {"content": "two"}, "finish_reason": "length"},
        {"index": 0, "message": {"content": "one", "reasoning_content": "hm"}, "finish_reason": "stop"}]})

    assert answer.choices == (Choice("one", "hm", finish_reason="stop"), Choice("two", finish_reason="length"))
    assert answer.text == "one"


def test_content_may_come_in_parts_and_may_be_null():
    answer = said({"choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"type": "image_url"}, None, {"type": "text", "text": "b"}]}},
                               {"message": {"content": None, "refusal": "no"}}, {"message": None}]})

    assert [(choice.text, choice.refusal) for choice in answer.choices] == [("ab", ""), ("", "no"), ("", "")]


def test_tool_calls_of_every_kind_are_read():
    answer = said({"choices": [{"message": {"tool_calls": [
        {"type": "function", "function": {"name": "get", "arguments": '{"a":1}'}},
        {"type": "function", "function": {"name": "put", "arguments": {"b": 2}}},
        {"type": "custom", "custom": {"name": "sql", "input": "select 1"}}, "not a call"]}}]})

    assert answer.choices[0].tool_calls == (
        ToolCall("get", '{"a":1}'), ToolCall("put", '{"b":2}'), ToolCall("sql", "select 1", is_custom=True))


def test_the_one_call_of_old_clients_is_a_tool_call():
    assert said({"choices": [{"message": {"function_call": {"name": "f", "arguments": "{}"}}}]}).choices[0].tool_calls == (ToolCall("f", "{}"),)


def test_log_probabilities_that_are_none_are_unknown():
    tokens = said({"choices": [{"message": {"content": "ab"}, "logprobs": {"content": [
        {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "x", "logprob": -2.0}, {"token": "a", "logprob": -0.5}]},
        {"token": "b", "logprob": -9999.0}, {"token": "c", "logprob": None}, {"token": "d", "logprob": "nan"},
        {"token": "e", "logprob": 0.5}]}}]}).choices[0].tokens

    assert tokens is not None
    assert tokens[0] == Token("a", -0.5, (("a", -0.5), ("x", -2.0)))
    assert [token.logprob for token in tokens[1:]] == [None] * 4


def test_the_parallel_lists_of_a_completion_are_read():
    choice = said({"choices": [{"text": "hi", "logprobs": {
        "tokens": ["h", "i"], "token_logprobs": [None, -1.0], "top_logprobs": [None, {"i": -1.0, "o": -3.0}]}}]}).choices[0]

    assert choice.text == "hi"
    assert choice.tokens == (Token("h", None), Token("i", -1.0, (("i", -1.0), ("o", -3.0))))


def test_an_answer_without_log_probabilities_has_none_rather_than_no_tokens():
    assert said({"choices": [{"message": {"content": "x"}, "logprobs": None}]}).choices[0].tokens is None


def test_messages_are_read():
    answer = said({"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yes"},
                               {"type": "tool_use", "name": "get", "input": {"a": 1}}], "stop_reason": "tool_use"}, "messages")

    assert answer.choices == (Choice("yes", "hm", tool_calls=(ToolCall("get", '{"a":1}'),), finish_reason="tool_calls"),)


def test_responses_are_read():
    answer = said({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": [
        {"type": "reasoning", "content": [{"text": "hm"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "yes", "logprobs": [{"token": "yes", "logprob": -0.1}]}]}]},
        "responses")

    assert answer.choices == (Choice("yes", "hm", finish_reason="length", tokens=(Token("yes", -0.1),)),)


def test_half_a_character_is_read_as_its_replacement():
    assert answer_of(Reply(rb'{"choices":[{"message":{"content":"a\ud83d"}}]}')).text == "a�"


def test_a_stream_becomes_the_answer_that_it_was():
    events = [
        b'{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}',
        b'{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"ye"},"logprobs":{"content":[{"token":"ye","logprob":-0.1}]}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"s","tool_calls":[{"index":0,"function":{"name":"get","arguments":"{\\"a\\""}}]}}]}',
        b"not JSON",
        b'{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]},"finish_reason":"tool_calls"}]}',
        b'{"choices":[],"usage":{}}',
    ]

    assert heard(events).choices == (
        Choice("yes", "hm", "", (ToolCall("get", '{"a":1}'),), "tool_calls", (Token("ye", -0.1),)),)
    beginning = heard(events[:3], is_whole=False)
    assert (beginning.text, beginning.is_whole, beginning.choices[0].finish_reason) == ("ye", False, "")


def test_a_stream_of_messages_becomes_the_answer_that_it_was():
    events = [
        b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"yes"}}',
        b'{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","name":"get","input":{}}}',
        b'{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\\"a\\":1}"}}',
        b'{"type":"message_delta","delta":{"stop_reason":"max_tokens"}}',
    ]

    assert heard(events, "messages").choices == (
        Choice("yes", tool_calls=(ToolCall("get", '{"a":1}'),), finish_reason="length"),)


def test_a_stream_of_responses_is_what_its_last_event_says():
    events = [b'{"type":"response.output_text.delta","delta":"ye"}',
              b'{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"text":"yes"}]}]}}']

    assert heard(events[:1], "responses").text == "ye"
    assert heard(events, "responses").choices == (Choice("yes", finish_reason="stop"),)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'{"choices":{}}', b'{"choices":[1,null]}', b"[" * 5000, b"\xff\xfe"])
def test_what_is_no_answer_is_an_answer_without_choices(body: bytes):
    assert answer_of(Reply(body)).choices == ()
