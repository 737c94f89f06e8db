"""The official SDKs before an endpoint that speaks only Anthropic's API: OpenAI's must not notice, Anthropic's lose nothing."""

from __future__ import annotations

import contextlib
import json

import anthropic
import openai
import pydantic
import pytest

from pointsman.config.load import load_text
from pointsman.testing.model_server import ModelServer
from pointsman.testing.native_days import Message, text, thought, use
from pointsman.testing.router import RunningRouter
from pointsman.testing.server_thread import ServerThread

CONFIG = """
tiers:
  only:
    model: claude-x
    endpoints: [{{url: "{url}", engine: anthropic, provider: anthropic, api_key: "${{KEY}}", usd_per_million: {{input: 3, output: 15, cached_input: 0.3}}}}]
routes: {{auto: {{ladder: [only], pipeline: ["pinned:only"]}}}}
"""
HI = [{"role": "user", "content": "What is the capital of France?"}]
GOOD = "Paris is the capital of France."
USAGE = {"input_tokens": 3, "output_tokens": 8, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2}
WEATHER = {"name": "weather", "description": "Weather of a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}, "strict": True}
CALLS = (text("Let me look."), use("toolu_1", "weather", city="Rome"), use("toolu_2", "weather", city="Paris"))


class Place:
    """Anthropic as far as we play it, and a router before it."""

    def __init__(self, *days):
        self.server, self.router = ModelServer(*days, model="claude-x"), None

    async def start(self):
        await self.server.start()
        self.router = RunningRouter(load_text(CONFIG.format(url=self.server.url), environ={"KEY": "sk-ant-1"}))
        await self.router.__aenter__()

    async def aclose(self):
        await self.router.__aexit__(None, None, None)
        await self.server.aclose()


@contextlib.contextmanager
def place(*days):
    with ServerThread(Place(*days)) as thread:
        there = thread.server
        with openai.OpenAI(base_url=there.router.url, api_key="x", max_retries=0) as chats, \
                anthropic.Anthropic(base_url=there.router.root, api_key="x", max_retries=0) as messages:
            yield there, chats, messages


def test_chats_plain_and_streamed():
    with place(Message(usage=USAGE)) as (there, client, _):
        plain = client.chat.completions.create(model="auto", messages=HI)
        with client.chat.completions.stream(model="auto", messages=HI, stream_options={"include_usage": True}) as stream:
            streamed = stream.get_final_completion()
        costs = {record.cost_nano_usd for record in there.router.records()}
    for answer in (plain, streamed):
        assert answer.choices[0].message.content == GOOD
        assert answer.choices[0].finish_reason == "stop"
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.prompt_tokens_details.cached_tokens) == (10, 8, 5)
    assert costs == {3 * 3_000 + 5 * 300 + 2 * 3_750 + 8 * 15_000}


def test_tools_through_a_whole_turn():
    with place(Message(CALLS), Message()) as (there, client, _):
        with client.chat.completions.stream(model="auto", messages=HI, tools=[{"type": "function", "function": WEATHER}]) as stream:
            said = stream.get_final_completion().choices[0].message
        results = [{"role": "tool", "tool_call_id": call.id, "content": "22 degrees"} for call in said.tool_calls]
        done = client.chat.completions.create(model="auto", messages=[*HI, said, *results], tools=[{"type": "function", "function": WEATHER}])
        records = there.router.records()
        sent = json.loads(there.server.requests[1].body)
    assert [json.loads(call.function.arguments) for call in said.tool_calls] == [{"city": "Rome"}, {"city": "Paris"}]
    assert done.choices[0].message.content == GOOD
    assert [block["type"] for block in sent["messages"][1]["content"]] == ["text", "tool_use", "tool_use"]
    assert [block["tool_use_id"] for block in sent["messages"][2]["content"]] == ["toolu_1", "toolu_2"]
    assert [record.decision.decided_by for record in records] == ["pinned:only", "session"]


def test_a_schema_is_parsed_by_the_sdk():
    class Capital(pydantic.BaseModel):
        city: str

    with place(Message((text('{"city": "Paris"}'),))) as (there, client, _):
        parsed = client.chat.completions.parse(model="auto", messages=HI, response_format=Capital)
        sent = json.loads(there.server.requests[0].body)
    assert parsed.choices[0].message.parsed == Capital(city="Paris")
    assert sent["output_config"]["format"]["schema"]["required"] == ["city"]


def test_responses_with_a_call():
    with place(Message(CALLS)) as (_, client, _), client.responses.stream(
            model="auto", input="Weather?", tools=[{"type": "function"} | WEATHER]) as stream:
        names = [event.type for event in stream]
        done = stream.get_final_response()
    assert names[:2] == ["response.created", "response.in_progress"]
    assert names[-1] == "response.completed"
    assert [item.type for item in done.output] == ["message", "function_call", "function_call"]


def test_anthropics_own_client_loses_nothing():
    day = Message((thought("Let me see."), *CALLS), usage=USAGE)
    asked = {"model": "auto", "max_tokens": 500, "messages": HI, "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
             "thinking": {"type": "enabled", "budget_tokens": 1024}}
    with place(day) as (there, _, client):
        plain = client.messages.create(**asked)
        with client.messages.stream(**asked) as stream:
            streamed = stream.get_final_message()
        sent = json.loads(there.server.requests[0].body)
    for answer in (plain, streamed):
        assert [block.type for block in answer.content] == ["thinking", "text", "tool_use", "tool_use"]
        assert answer.content[0].signature == "c2lnbmVk"
        assert (answer.id, answer.usage.cache_creation_input_tokens) == ("msg_native", 2)
    assert sent == asked | {"model": "claude-x"}


def test_an_overload_in_the_middle_raises_in_each_sdk():
    busy = Message(error={"type": "overloaded_error", "message": "Overloaded"})
    with place(busy) as (_, chats, messages):
        with pytest.raises(openai.APIError, match="Overloaded"):
            list(chats.chat.completions.create(model="auto", messages=HI, stream=True))
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"), messages.messages.stream(model="auto", max_tokens=9, messages=HI) as heard:
            heard.get_final_message()
