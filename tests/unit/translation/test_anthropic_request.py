"""An Anthropic request, field by field, in OpenAI's words."""

import json

import pytest

from pointsman.core.request import Kind
from pointsman.errors import MalformedBody, RequestError, UnsupportedField
from pointsman.server.body import parse
from pointsman.translation.anthropic_request import DROPPED, REFUSED, TRANSLATED, Remembered, estimate, translated

HI = [{"role": "user", "content": "hi"}]
WEATHER = {"name": "weather", "description": "Weather of a city", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


def asked(**fields):
    body, remembered = translated(json.dumps({"model": "auto", "max_tokens": 64, "messages": HI} | fields).encode())
    return json.loads(body), remembered


def test_a_golden_request():
    body, remembered = asked(
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "Be kind."}],
        messages=[
            {"role": "user", "content": "Weather in Paris?"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 C"},
                {"type": "text", "text": "And tomorrow?"}]},
        ],
        tools=[WEATHER], tool_choice={"type": "any", "disable_parallel_tool_use": True},
        stop_sequences=["END"], temperature=0.5, top_p=0.9, top_k=40, stream=True,
        metadata={"user_id": "u-1"}, thinking={"type": "enabled", "budget_tokens": 2048}, service_tier="auto",
    )

    assert body == {
        "model": "auto", "max_tokens": 64, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "stream": True,
        "messages": [
            {"role": "system", "content": "Be brief.\n\nBe kind."},
            {"role": "user", "content": "Weather in Paris?"},
            {"role": "assistant", "content": "I look.", "tool_calls": [
                {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "18 C"},
            {"role": "user", "content": "And tomorrow?"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "weather", "description": "Weather of a city", "parameters": WEATHER["input_schema"]}}],
        "tool_choice": "required", "parallel_tool_calls": False, "stop": ["END"], "user": "u-1",
        "stream_options": {"include_usage": True},
    }
    assert remembered.shows_thinking
    assert (remembered.stop_sequences, remembered.metadata) == (("END",), {"user_id": "u-1"})


@pytest.mark.parametrize(("given", "becomes"), [
    ({"type": "auto"}, "auto"), ({"type": "any"}, "required"), ({"type": "none"}, "none"),
    ({"type": "tool", "name": "weather"}, {"type": "function", "function": {"name": "weather"}}),
])
def test_a_tool_choice_is_said_in_openais_words(given, becomes):
    body, _ = asked(tools=[WEATHER], tool_choice=given)

    assert body["tool_choice"] == becomes
    assert "parallel_tool_calls" not in body


def test_a_tool_choice_without_tools_is_left_out_since_openai_refuses_it():
    assert "tool_choice" not in asked(tool_choice={"type": "auto", "disable_parallel_tool_use": True})[0]


@pytest.mark.parametrize("field", ["output_format", "output_config"])
def test_a_json_schema_becomes_a_response_format(field):
    schema = {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"], "additionalProperties": False}
    wanted = {"type": "json_schema", "schema": schema}

    body, _ = asked(**{field: wanted if field == "output_format" else {"format": wanted, "effort": "low"}})

    assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    assert field not in body


@pytest.mark.parametrize(("thinking", "shown"), [
    (None, False), ({"type": "disabled"}, False), ({"type": "enabled", "budget_tokens": 1024}, True), ({"type": "adaptive"}, True),
    ({"type": "adaptive", "display": "omitted"}, False),
])
def test_thinking_is_remembered_and_not_sent(thinking, shown):
    body, remembered = asked(**({"thinking": thinking} if thinking else {}))

    assert remembered.shows_thinking is shown
    assert not {"thinking", "reasoning_effort"} & set(body)


def test_numbers_schemas_and_inputs_are_carried_over_byte_for_byte():
    body = (b'{"model":"auto","max_tokens":10,"temperature":0.30,"seed":123456789012345678901234567890,"messages":[{"role":"assistant",'
            b'"content":[{"type":"tool_use","id":"t","name":"f","input":{"n":1.50, "big":123456789012345678901234567890}}]}],'
            b'"tools":[{"name":"f","input_schema":{"minimum":1.0}}]}')

    out, _ = translated(body)

    assert b'"temperature":0.30' in out
    assert b'"seed":123456789012345678901234567890' in out
    assert rb'{\"n\":1.50, \"big\":123456789012345678901234567890}' in out
    assert b'{"minimum":1.0}' in out


def test_fields_of_the_engine_go_through_and_advice_to_anthropic_does_not():
    body, _ = asked(min_p=0.1, chat_template_kwargs={"enable_thinking": False}, **dict.fromkeys(DROPPED, "x"))

    assert body["min_p"] == 0.1
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert not DROPPED & set(body)


@pytest.mark.parametrize("field", REFUSED)
def test_what_only_anthropic_can_do_is_refused_with_a_way_out(field):
    with pytest.raises(UnsupportedField, match=REFUSED[field][:20]) as caught:
        asked(**{field: "us"})

    assert caught.value.param == field
    assert field not in asked(**{field: None})[0]


def test_no_field_has_two_fates():
    assert not DROPPED & set(REFUSED)
    assert not TRANSLATED & (DROPPED | set(REFUSED))


def test_usage_is_asked_for_on_streams_whatever_the_client_says():
    assert asked(stream=True, stream_options={"include_usage": False})[0]["stream_options"] == {"include_usage": True}
    assert "stream_options" not in asked(stream=False)[0]


@pytest.mark.parametrize(("body", "path", "says"), [
    (b"", None, "not valid JSON"),
    (b"[]", None, "must be a JSON object"),
    (b'{"model":"a","messages":[],"x":NaN}', None, "not valid JSON"),
    (b'{"model":"a","messages":[],"x":"\xff"}', None, "not UTF-8"),
    (b'{"messages":[]}', "model", "field required"),
    (b'{"model":"a"}', "messages", "field required"),
    (b'{"model":"a","messages":[{"role":"user"}]}', "messages.0.content", "field required"),
    (b'{"model":"a","messages":[{"role":"user","content":[{"text":"x"}]}]}', "messages.0.content.0.type", "field required"),
    (b'{"model":"a","messages":[{"role":"tool","content":"x"}]}', "messages.0.role", "neither"),
    (b'{"model":"a","messages":[],"tools":[{"name":"f"}]}', "tools.0.input_schema", "field required"),
    (b'{"model":"a","messages":[],"tools":[{"type":"web_search_20250305","name":"web_search"}]}', "tools.0.type", "Anthropic's"),
    (b'{"model":"a","messages":[],"tool_choice":{"type":"tool"}}', "tool_choice.type", "name"),
    (b'{"model":"a","model":"b","messages":[]}', "model", "more than once"),
    (b'{"model":"a","messages":[],"output_format":{"type":"text"}}', "output_config.format", "json_schema"),
    (b'{"model":"a","messages":[],"x":' + b"[" * 80 + b"]" * 80 + b"}", None, "deeper than 64"),
    (b'{"model":"a","messages":[],"x":' + b"[" * 100_000 + b"}", None, "valid JSON"),
])
def test_what_cannot_be_read_is_a_400_with_its_path(body, path, says):
    with pytest.raises(RequestError, match=says) as caught:
        translated(body)

    assert caught.value.client_status == 400
    assert caught.value.param == path


def test_half_an_emoji_is_mended():
    body, _ = translated(b'{"model":"a","messages":[{"role":"user","content":"x\\ud83d"}]}')

    assert json.loads(body)["messages"][0]["content"] == "x\ufffd"


def test_the_estimate_counts_text_by_the_quarter_and_images_by_the_piece():
    assert (estimate(0), estimate(1), estimate(4), estimate(5, 2)) == (0, 1, 1, 3202)
    plain = asked()[1].input_tokens
    pictured = asked(messages=[{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 100_000}},
        {"type": "text", "text": "hi"}]}])[1].input_tokens

    assert plain < 15
    assert 1600 < pictured < 1650
    assert asked(tools=[WEATHER])[1].input_tokens > plain + 20


def test_nothing_asked_for_is_nothing_remembered():
    assert Remembered() == Remembered(shows_thinking=False, stop_sequences=(), input_tokens=0, metadata={})


def test_a_wrong_type_inside_a_block_is_named():
    with pytest.raises(MalformedBody) as caught:
        asked(messages=[{"role": "user", "content": [{"type": "text", "text": 5}]}])

    assert caught.value.param == "messages.0.content.0.text"


PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}


@pytest.mark.parametrize(("fields", "where"), [
    ({"messages": [{"role": "user", "content": [PDF, {"type": "text", "text": "What?"}]}]}, "messages.0.content.0"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0.type"),
    ({"tools": [{"type": "computer_20250124", "name": "computer"}]}, "tools.0.type"),
    ({"mcp_servers": [{"url": "https://x"}]}, "mcp_servers"),
    ({"messages": [{"role": "assistant", "content": [{"type": "server_tool_use", "id": "s", "name": "n", "input": {}}]},
                   {"role": "user", "content": "And?"}]}, "messages.0.content.0.type"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]},
     "messages.0.content.0.source"),
])
def test_what_only_anthropic_can_do_is_remembered_where_it_could_be_asked(fields, where):
    whole = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]} | fields
    with pytest.raises(UnsupportedField) as caught:
        translated(json.dumps(whole).encode())
    body, remembered = translated(json.dumps(whole).encode(), lenient=True)

    assert caught.value.param == where
    assert remembered.only_at_origin == str(caught.value)
    assert not remembered.is_plain
    assert parse(body, Kind.CHAT).model == "auto"


def test_a_hosted_tool_is_left_out_while_there_are_others():
    own = {"name": "Read", "input_schema": {"type": "object"}}
    whole = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
             "tools": [own, {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}]}
    body, remembered = translated(json.dumps(whole).encode())

    assert [tool["function"]["name"] for tool in json.loads(body)["tools"]] == ["Read"]
    assert (remembered.dropped, remembered.is_plain) == (("web_search_20250305",), False)
    with pytest.raises(UnsupportedField):
        translated(json.dumps(whole | {"tool_choice": {"type": "tool", "name": "web_search"}}).encode())


@pytest.mark.parametrize(("fields", "is_plain"), [
    ({}, True), ({"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}, True),
    ({"output_config": {"effort": "low"}}, True),
    ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, False),
    ({"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}, False),
    ({"messages": [{"role": "user", "content": [{"type": "search_result", "source": "s", "title": "t", "content": [
        {"type": "text", "text": "x"}]}]}]}, False),
])
def test_engines_get_only_what_they_are_known_to_understand(fields, is_plain):
    whole = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]} | fields

    assert translated(json.dumps(whole).encode())[1].is_plain is is_plain


@pytest.mark.parametrize(("block", "is_plain", "has_unsigned"), [
    ({"type": "thinking", "thinking": "x", "signature": ""}, True, True), ({"type": "thinking", "thinking": "x"}, True, True),
    ({"type": "thinking", "thinking": "x", "signature": "s"}, False, False), ({"type": "redacted_thinking", "data": "d"}, False, False),
])
def test_a_thought_belongs_to_who_had_it(block, is_plain, has_unsigned):
    _, remembered = asked(messages=[*HI, {"role": "assistant", "content": [block, {"type": "text", "text": "y"}]}, *HI])

    assert (remembered.is_plain, remembered.has_unsigned) == (is_plain, has_unsigned)
