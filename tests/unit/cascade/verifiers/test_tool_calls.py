"""Whether tool calls can be carried out, and how earlier ones fared."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pointsman.cascade.verifiers.tool_calls import FLAILING, ToolCallsVerifier
from pointsman.core.answer import Answer, Choice, ToolCall
from pointsman.core.verdict import Verdict
from pointsman.testing.factories import a_request

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
TIME = {"type": "function", "function": {"name": "time"}}
SQL = {"type": "custom", "custom": {"name": "sql"}}


def said(choice: Choice, *, tools: Any = (WEATHER, TIME, SQL), messages: Any = (), **fields: Any) -> Verdict:
    body = msgspec.json.encode({"messages": messages, "tools": tools, **fields})
    return ToolCallsVerifier().verify(a_request(body=body), Answer((choice,)))


def calling(name: str, arguments: str = '{"city":"Bonn"}', **more: Any) -> Choice:
    return Choice(tool_calls=(ToolCall(name, arguments, **more),), finish_reason="tool_calls")


@pytest.mark.parametrize("choice", [calling("weather"), calling("time", ""), calling("time", '{"any":1}'), calling("sql", "select", is_custom=True)])
def test_calls_that_keep_to_the_tools_pass(choice: Choice):
    assert said(choice).score == 1.0


@pytest.mark.parametrize(("choice", "reason"), [
    (calling("wether"), "there is no tool 'wether'"), (calling(""), "there is no tool ''"),
    (calling("weather", "{}"), "arguments of 'weather': the answer lacks 'city'"),
    (calling("weather", '{"city":5}'), "arguments of 'weather': city is a number, not string"),
    (calling("weather", '{"city":'), "the arguments of 'weather' are no JSON object"),
    (calling("weather", '["Bonn"]'), "the arguments of 'weather' are no JSON object"),
    (Choice("", finish_reason="tool_calls"), "it says that it calls a tool, and calls none"),
    (Choice('<tool_call>{"name":"weather"}</tool_call>'), "a tool call written into the text"),
    (Choice('[TOOL_CALLS] [{"name"'), "a tool call written into the text"),
])
def test_calls_that_nobody_can_carry_out_are_rejected(choice: Choice, reason: str):
    verdict = said(choice)

    assert (verdict.score, verdict.is_hard, verdict.reason) == (0.0, True, reason)


def test_who_must_call_and_does_not_is_rejected():
    assert said(Choice("Sunny."), tool_choice="required").score == 0.0
    assert said(calling("time", "{}"), tool_choice={"type": "function", "function": {"name": "weather"}}).reason == (
        "it had to call 'weather', not 'time'")


def test_without_tools_or_calls_it_abstains():
    assert said(Choice("Sunny.")).score is None
    assert said(calling("weather"), tools=None).score is None


def turn(arguments: str, result: Any) -> list[dict[str, Any]]:
    return [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "weather", "arguments": arguments}}]},
            {"role": "tool", "tool_call_id": "1", "content": result}]


@pytest.mark.parametrize("result", [
    "Error: no such city", '{"error": "timeout"}', "Traceback (most recent call last):", "ValueError: bad", "Exception: x",
    [{"type": "text", "text": "error: x"}], '{"is_error": true}', "command failed with exit code 1", "invalid arguments"])
def test_the_same_call_again_after_it_failed_is_rejected(result: Any):
    messages = [{"role": "user", "content": "?"}, *turn('{"city":"Bonn"}', result)]

    assert said(calling("weather"), messages=messages).reason == "the same call of 'weather' that has just failed"
    assert said(calling("weather", '{"city":"Köln"}'), messages=messages).score == 1.0


@pytest.mark.parametrize("result", ["Sunny, no errors.", '{"error": null, "t": 3}', '{"error": false}', "", None, "The error bars are small."])
def test_results_that_are_no_errors_are_told_apart(result: Any):
    assert said(calling("weather"), messages=turn('{"city":"Bonn"}', result)).score == 1.0


def test_failing_again_and_again_makes_the_next_answer_doubtful():
    messages = [*turn('{"city":"A"}', "error: x"), *turn('{"city":"B"}', "error: y")]

    verdict = said(calling("weather", '{"city":"C"}'), messages=messages)
    assert (verdict.score, verdict.is_hard, verdict.features) == (FLAILING, False, {"errors_before": 2.0})


def test_arguments_of_an_uncheckable_tool_are_an_abstention():
    odd = {"type": "function", "function": {"name": "odd", "parameters": {"$ref": "http://x"}}}

    assert said(calling("odd", "{}"), tools=[odd]).reason == "not checked: a reference leaves the schema"
