"""Whole sessions of coding agents, as their SDKs send them: background calls, counts, thinking, tools in flight.

What Claude Code and Codex wrap around a question is written here afresh after their traffic; the words are ours.
"""

from __future__ import annotations

import contextlib
import json

import anthropic
import openai
import pytest

from pointsman.config.load import load_text
from pointsman.testing import days
from pointsman.testing.llamacpp import MODEL, LlamaCpp, NoLlamaCpp
from pointsman.testing.router import RunningRouter
from pointsman.testing.server_thread import ServerThread

QUESTION = "Rename the variable x to count in a.py."
REMINDER = "<system-reminder>\nProve every theorem rigorously and derive the asymptotic complexity step by step.\n</system-reminder>"
SESSION = "0aa3b09e-8d7c-4c55-9d2e-4b7f0c1a2b3c"
SYSTEM = [
    {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.9; cc_entrypoint=cli; cch=8f3a1;"},
    {"type": "text", "text": "You are an agent that writes software.", "cache_control": {"type": "ephemeral"}},
    {"type": "text", "text": "Prove what you claim.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
]
READ = {"name": "Read", "description": "Reads a file.", "input_schema": {
    "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"file_path": {"type": "string"}},
    "required": ["file_path"], "additionalProperties": False}}
TURN = {
    "model": "auto", "max_tokens": 4000, "system": SYSTEM, "tools": [READ], "betas": ["claude-code-20250219", "context-management-2025-06-27"],
    "metadata": {"user_id": f"user_1f_account__session_{SESSION}"}, "thinking": {"type": "enabled", "budget_tokens": 2000},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
}
ASKED = [{"role": "user", "content": [
    {"type": "text", "text": REMINDER}, {"type": "text", "text": QUESTION, "cache_control": {"type": "ephemeral"}}]}]
SICK = (days.Status(500),) * 3
CALL = days.Answer(tool_calls=(("Read", '{"file_path":"a.py"}'),))
DONE = days.Answer("Renamed.")

SHELL = {"type": "function", "name": "shell", "description": "Runs a command.", "strict": False, "parameters": {
    "type": "object", "properties": {"command": {"type": "array", "items": {"type": "string"}}}, "required": ["command"]}}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files.",
         "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/s"}}
SEARCH = {"type": "web_search", "external_web_access": False}
CODEX = {
    "model": "auto", "instructions": "You are an agent that writes software.", "tools": [SHELL, PATCH, SEARCH], "tool_choice": "auto",
    "parallel_tool_calls": False, "store": False, "include": ["reasoning.encrypted_content"], "prompt_cache_key": SESSION,
    "reasoning": {"effort": "medium", "summary": "auto"}, "extra_headers": {"session_id": SESSION, "originator": "codex_cli_rs"},
}
BEGUN = [
    {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<permissions instructions>Prove it.</permissions instructions>"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment_context>\n<cwd>/prove-it</cwd>\n</environment_context>"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
]


def claude(site, **options):
    return anthropic.Anthropic(base_url=site.url.removesuffix("/v1"), auth_token="sk-app", api_key=None, max_retries=0, **options)


def turn(client, messages, **fields):
    with client.beta.messages.stream(messages=messages, **(TURN | fields)) as stream:
        return stream.get_final_message()


def went_on(messages, answer):
    """The next request's messages: the answer, its tool's result with what the harness says beside it."""
    call = next(block for block in answer.content if block.type == "tool_use")
    return [*messages, {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "1\tx = 1\nprove nothing"}]},
                {"type": "text", "text": REMINDER}]}]


def test_a_session_of_claude_code(visit):
    with visit(*SICK, DONE, large=(CALL, CALL, DONE)) as site, claude(site) as client:
        title = client.beta.messages.create(model="large", max_tokens=32, system="Title this session.", messages=ASKED)
        counted = client.beta.messages.count_tokens(model="auto", system=SYSTEM, tools=[READ], messages=ASKED)
        first = turn(client, ASKED)
        second = turn(client, went_on(ASKED, first))
        third = turn(client, [*went_on(ASKED, first), {"role": "assistant", "content": "Renamed."}, {"role": "user", "content": "Thanks."}])
        records = site.records
    assert title.content
    assert counted.input_tokens > 0
    assert first.stop_reason == "tool_use"
    assert second.content[0].text == "Renamed."
    assert third.stop_reason == "end_turn"
    _, begun, continued, new = records
    assert begun.decision.decided_by == "pinned:small", begun.decision
    assert (begun.routing_tier, begun.original_tier) == ("large", "small")  # it climbed, since small was sick
    assert (continued.decision.decided_by, continued.decision.tier, continued.routing_tier) == ("session", "large", "large")
    assert new.decision.decided_by == "pinned:small"  # the harness's words did not make it hard, the user's began a new turn
    sent = json.loads(site.large.requests[2].body)
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool", "user"]
    assert "billing" not in sent["messages"][0]["content"]


@pytest.mark.parametrize("named", [True, False])
def test_a_session_of_codex(visit, named):
    shell = days.Answer(tool_calls=(("shell", '{"command":["cat","a.py"]}'),))
    patch = days.Answer(tool_calls=(("apply_patch", '{"input":"*** Begin Patch"}'),))
    fields = CODEX if named else {k: v for k, v in CODEX.items() if k not in ("extra_headers", "prompt_cache_key")}
    with visit(*SICK, DONE, large=(shell, patch, DONE)) as site, openai.OpenAI(base_url=site.url, api_key="sk-app", max_retries=0) as client:
        items, heard = list(BEGUN), []
        for _ in range(3):
            with client.responses.stream(input=items, **fields) as stream:
                answer = stream.get_final_response()
            heard.append(answer)
            for item in answer.output:
                items.append(item.model_dump(exclude_none=True, exclude={"parsed_arguments"}))
                if item.type in ("function_call", "custom_tool_call"):
                    items.append({"type": f"{item.type}_output", "call_id": item.call_id, "output": "prove: nothing to see"})
        records = site.records
    assert heard[0].output[0].name == "shell"
    assert heard[1].output[0].input == "*** Begin Patch"
    assert heard[2].output_text == "Renamed."
    assert [record.decision.decided_by for record in records] == ["pinned:small", "session", "session"]
    assert [record.routing_tier for record in records] == ["large"] * 3
    sent = json.loads(site.large.requests[0].body)
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["shell", "apply_patch"]  # searching runs nowhere here


def test_a_named_model_is_no_routes_business(visit):
    with visit(DONE, large=(CALL, DONE)) as site, claude(site) as client:
        first = turn(client, ASKED, model="large")
        turn(client, went_on(ASKED, first))
        records = site.records
    assert [record.decision.decided_by for record in records] == ["client", "pinned:small"]


CONFIG = """
tiers:
  small: {{model: small-chat, endpoints: [{{url: "{url}", engine: llamacpp, slots: 2, model: {model}, dialects: {dialects}}}]}}
routes:
  auto: {{ladder: [small], pipeline: ["pinned:small"]}}
"""


class Behind:
    """A router before one engine."""

    def __init__(self, engine, dialects):
        self.router = RunningRouter(load_text(CONFIG.format(url=engine.url, model=MODEL, dialects=dialects)))
        self.start, self.url = self.router.__aenter__, ""

    async def aclose(self):
        await self.router.__aexit__(None, None, None)


@pytest.fixture(scope="module")
def engine():
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(LlamaCpp(slots=2))
        except NoLlamaCpp as why:
            pytest.skip(str(why))


@pytest.mark.parametrize("dialects", ["[chat]", "[chat, messages]"])
def test_claude_code_on_a_real_engine(engine, dialects):
    """This model's template knows no tools, so the call is ours; what counts is that the engine takes every turn."""
    short = {"max_tokens": 8, "extra_body": {"temperature": 0}}
    call = {"type": "tool_use", "id": "toolu_01", "name": "Read", "input": {"file_path": "a.py"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_01", "content": [{"type": "text", "text": "1\tx = 1"}]}
    followed = [*ASKED, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result, {"type": "text", "text": REMINDER}]}]
    with ServerThread(Behind(engine, dialects)) as thread:
        router = thread.server.router
        with anthropic.Anthropic(base_url=router.root, api_key="x", max_retries=0) as client:
            answers = [turn(client, ASKED, **short), turn(client, followed, **short)]
            counted = client.beta.messages.count_tokens(model="auto", messages=ASKED)
        records = router.records()
    assert all(answer.stop_reason in ("end_turn", "max_tokens") and answer.usage.output_tokens > 0 for answer in answers)
    assert counted.input_tokens > 0
    assert [record.decision.decided_by for record in records] == ["pinned:small", "session"]
    assert all(record.usage.input_tokens > 0 for record in records)


@pytest.mark.parametrize("dialects", ["[chat]", "[chat, messages, responses]"])
def test_codex_on_a_real_engine(engine, dialects):
    call = {"type": "function_call", "call_id": "call_1", "name": "shell", "arguments": '{"command":["cat","a.py"]}'}
    followed = [*BEGUN, call, {"type": "function_call_output", "call_id": "call_1", "output": "x = 1"}]
    with ServerThread(Behind(engine, dialects)) as thread:
        router = thread.server.router
        with openai.OpenAI(base_url=router.url, api_key="x", max_retries=0) as client:
            for items in (BEGUN, followed):
                events = list(client.responses.create(input=items, max_output_tokens=8, stream=True, extra_body={"temperature": 0}, **CODEX))
                assert events[-1].type in ("response.completed", "response.incomplete")
                assert events[-1].response.usage.output_tokens > 0
        records = router.records()
    assert [record.decision.decided_by for record in records] == ["pinned:small", "session"]


def test_a_plain_response_passes_through_a_real_engine(engine):
    with ServerThread(Behind(engine, "[chat, responses]")) as thread:
        router = thread.server.router
        with openai.OpenAI(base_url=router.url, api_key="x", max_retries=0) as client:
            plain = client.responses.create(model="auto", input="Hello", max_output_tokens=4)
            names = [event.type for event in client.responses.create(model="auto", input="Hello", max_output_tokens=4, stream=True)]
        records = router.records()
    assert plain.id.startswith("resp_")
    assert plain.id.removeprefix("resp_") != records[0].id  # the engine's own
    assert (names[0], names[-1]) == ("response.created", "response.completed")
    assert [record.usage.output_tokens for record in records] == [4, 4]
