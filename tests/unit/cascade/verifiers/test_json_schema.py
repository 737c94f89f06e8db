"""Whether the answer is the JSON that was asked for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pointsman.cascade.verifiers.json_schema import JsonSchemaVerifier
from pointsman.core.answer import Answer, Choice, ToolCall
from pointsman.core.request import ChatRequest
from pointsman.core.verdict import Verdict
from pointsman.testing.factories import a_request

SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"], "additionalProperties": False}


def asking(**fields: Any) -> ChatRequest:
    return a_request(body=msgspec.json.encode({"messages": [], **fields}))


STRICT = asking(response_format={"type": "json_schema", "json_schema": {"name": "p", "schema": SCHEMA}})


def said(text: str, request: ChatRequest = STRICT, **choice: Any) -> Verdict:
    return JsonSchemaVerifier().verify(request, Answer((Choice(text, **choice),)))


def test_json_that_keeps_to_the_schema_passes():
    assert said('{"age": 3}').score == 1.0


@pytest.mark.parametrize(("text", "reason"), [
    ('{"age": "3"}', "age is a string, not integer"), ("{}", "the answer lacks 'age'"), ("not JSON", "not JSON"), ("", "not JSON"),
    ('```json\n{"age": 3}\n```', "not JSON"), ('Here you are: {"age": 3}', "not JSON"), ('{"age": 3', "not JSON"), ("[" * 9000, "not JSON"),
])
def test_what_a_client_could_not_use_is_rejected(text: str, reason: str):
    verdict = said(text)

    assert (verdict.score, verdict.is_hard, verdict.reason) == (0.0, True, reason)


def test_json_that_was_cut_off_is_rejected_for_that():
    assert said('{"age": 3', finish_reason="length").reason == "JSON that was cut off"


@pytest.mark.parametrize("request_", [asking(), asking(response_format={"type": "text"}), asking(response_format="json"), asking(response_format=None)])
def test_where_no_json_was_asked_for_it_abstains(request_: ChatRequest):
    assert said("prose", request_).score is None


def test_a_json_object_needs_no_schema():
    plain = asking(response_format={"type": "json_object"})

    assert said('{"anything": 1}', plain).score == 1.0
    assert said("[1]", plain).reason == "JSON, but no object"


@pytest.mark.parametrize("field", [{"guided_json": SCHEMA}, {"guided_json": msgspec.json.encode(SCHEMA).decode()}, {"structured_outputs": {"json": SCHEMA}}])
def test_what_engines_call_it_counts_as_well(field: dict[str, Any]):
    assert said('{"age": 3}', asking(**field)).score == 1.0
    assert said("{}", asking(**field)).score == 0.0


def test_all_choices_must_keep_to_it():
    answer = Answer((Choice('{"age": 1}'), Choice("{}")))

    assert JsonSchemaVerifier().verify(STRICT, answer).score == 0.0


def test_a_tool_call_instead_of_an_answer_is_for_others_to_judge():
    assert said("", tool_calls=(ToolCall("get", "{}"),)).score is None


def test_a_schema_that_cannot_be_checked_is_an_abstention_with_its_reason():
    remote = asking(response_format={"type": "json_schema", "json_schema": {"schema": {"$ref": "https://example.com"}}})

    assert said("{}", remote).score is None
    assert said("{}", remote).reason == "not checked: a reference leaves the schema"


def test_a_beginning_is_not_judged():
    assert JsonSchemaVerifier().verify(STRICT, Answer((Choice('{"a'),), is_whole=False)).score is None
