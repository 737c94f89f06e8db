"""The official `openai` SDK's `responses` against the router, and against a real llama.cpp behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json

import openai
import pydantic
import pytest

from pointsman.config.load import load_text
from pointsman.testing import days
from pointsman.testing.llamacpp import MODEL, LlamaCpp, NoLlamaCpp
from pointsman.testing.router import RunningRouter
from pointsman.testing.server_thread import ServerThread

PARIS = "Paris is the capital of France."
WEATHER = {"type": "function", "name": "weather", "description": "Weather of a city", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}


class City(pydantic.BaseModel):
    name: str
    population: int


def test_a_plain_answer(visit):
    with visit(days.Answer(PARIS, usage_tokens=(500, 200), cached_tokens=400)) as site:
        raw = site.sdk().responses.with_raw_response.create(model="auto", instructions="Be brief.", input="The capital of France?")
        answer = raw.parse()
        (record,) = site.records

    assert (answer.output_text, answer.status, answer.error, answer.store) == (PARIS, "completed", None, False)
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (500, 200, 700)
    assert answer.usage.input_tokens_details.cached_tokens == 400
    assert (answer.instructions, answer.model) == ("Be brief.", "small-model")
    assert answer.id == f"resp_{record.id}"
    assert raw.headers["x-route-tier-name"] == "small"
    assert json.loads(site.small.requests[0].body)["messages"][0] == {"role": "system", "content": "Be brief."}


def test_a_stream_of_events(visit):
    with visit() as site:
        events = list(site.sdk().responses.create(model="auto", input="The capital of France?", stream=True))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == PARIS
    assert (events[0].type, events[-1].type, events[-1].response.output_text) == (
        "response.created", "response.completed", PARIS)


def test_the_stream_helper_follows_a_whole_answer(visit):
    with visit() as site, site.sdk().responses.stream(model="auto", input="The capital of France?") as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()

    assert (snapshots[-1], final.output_text) == (PARIS, PARIS)
    assert final.usage.output_tokens == len(snapshots)


def test_the_async_client_too(visit):
    async def story(url):
        async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as sdk:
            async with sdk.responses.stream(model="auto", input="hi") as stream:
                streamed = await stream.get_final_response()
            return (await sdk.responses.create(model="auto", input="hi")).output_text, streamed.output_text

    with visit() as site:
        assert asyncio.run(story(site.url)) == (PARIS, PARIS)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_answer_is_parsed_into_a_model(visit, stream):
    with visit() as site:
        if stream:
            with site.sdk().responses.stream(model="auto", input="Paris?", text_format=City) as events:
                answer = events.get_final_response()
        else:
            answer = site.sdk().responses.parse(model="auto", input="Paris?", text_format=City)

    assert isinstance(answer.output_parsed, City)
    asked = json.loads(site.small.requests[0].body)["response_format"]
    assert (asked["type"], asked["json_schema"]["name"], asked["json_schema"]["strict"]) == ("json_schema", "City", True)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_loop_of_tools(visit, stream):
    calls = (("weather", '{"city": "Zürich"}'), ("weather", '{"city": "東京"}'))
    with visit(days.Answer(tool_calls=calls), days.Answer("Warm, both.")) as site:
        sdk = site.sdk()
        conversation = [{"role": "user", "content": "Weather in Zürich and Tokyo?"}]
        for _ in calls:
            if stream:
                with sdk.responses.stream(model="auto", input=conversation, tools=[WEATHER]) as events:
                    answer = events.get_final_response()
            else:
                answer = sdk.responses.create(model="auto", input=conversation, tools=[WEATHER])
            conversation += [item.model_dump(exclude={"parsed_arguments"}, exclude_none=True) for item in answer.output]
            conversation += [{"type": "function_call_output", "call_id": item.call_id, "output": "21 °C"}
                             for item in answer.output if item.type == "function_call"]

    assert answer.output_text == "Warm, both."
    said = json.loads(site.small.requests[1].body)["messages"]
    assert [message["role"] for message in said] == ["user", "assistant", "tool", "tool"]
    assert [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in said[1]["tool_calls"]] == [
        ("call_00000000", *calls[0]), ("call_00000001", *calls[1])]
    assert said[2] == {"role": "tool", "tool_call_id": "call_00000000", "content": "21 °C"}


def test_a_pydantic_tool_is_parsed(visit):
    class GetWeather(pydantic.BaseModel):
        city: str

    with visit(days.Answer(tool_calls=(("GetWeather", '{"city":"Rome"}'),))) as site:
        answer = site.sdk().responses.parse(model="auto", input="?", tools=[openai.pydantic_function_tool(GetWeather)["function"] | {
            "type": "function"}])

    assert answer.output[0].parsed_arguments == {"city": "Rome"}


def test_logprobs_add_up_to_the_answer(visit):
    with visit() as site:
        answer = site.sdk().responses.create(
            model="auto", input="hi", include=["message.output_text.logprobs"], top_logprobs=3)
        events = list(site.sdk().responses.create(
            model="auto", input="hi", include=["message.output_text.logprobs"], top_logprobs=3, stream=True))

    tokens = answer.output[0].content[0].logprobs
    assert "".join(token.token for token in tokens) == PARIS
    assert all(token.logprob < 0 and len(token.top_logprobs) == 3 for token in tokens)
    done = next(event for event in events if event.type == "response.output_text.done")
    assert [token.token for token in done.logprobs] == [token.token for token in tokens]


def test_an_answer_that_was_cut_says_so(visit):
    with visit(days.Answer("Once upon a", finish="length")) as site:
        plain = site.sdk().responses.create(model="auto", input="A tale", max_output_tokens=3)
        last = list(site.sdk().responses.create(model="auto", input="A tale", max_output_tokens=3, stream=True))[-1]

    assert (plain.status, plain.incomplete_details.reason, plain.max_output_tokens) == ("incomplete", "max_output_tokens", 3)
    assert (last.type, last.response.incomplete_details.reason) == ("response.incomplete", "max_output_tokens")
    assert json.loads(site.small.requests[0].body)["max_tokens"] == 3


def test_a_broken_stream_is_a_failed_response(visit):
    with visit(days.CutAfter(3, "fin"), patience="300ms") as site:
        events = list(site.sdk().responses.create(model="auto", input="hi", stream=True))

    assert (events[-1].type, events[-1].response.status) == ("response.failed", "failed")
    assert events[-1].response.error.code == "upstream_connection_lost"
    assert events[-1].response.error.message


def test_the_helper_does_not_take_a_broken_stream_for_an_answer(visit):
    with (visit(days.CutAfter(3, "fin"), patience="300ms") as site,
          site.sdk().responses.stream(model="auto", input="hi") as stream,
          pytest.raises(RuntimeError, match="completed")):
        stream.get_final_response()


def test_errors_are_the_sdks_own(visit):
    with visit() as site:
        create = site.sdk().responses.create
        with pytest.raises(openai.BadRequestError, match="keeps no conversation state") as stateful:
            create(model="auto", input="hi", previous_response_id="resp_1")
        with pytest.raises(openai.BadRequestError, match="'web_search'"):
            create(model="auto", input="hi", tools=[{"type": "web_search"}])
        with pytest.raises(openai.NotFoundError):
            create(model="nothing-like-it", input="hi")
        with pytest.raises(openai.NotFoundError):
            site.sdk().responses.retrieve("resp_1")
        assert not site.small.requests

    assert (stateful.value.param, stateful.value.code) == ("previous_response_id", "unsupported_field")


# -- a real engine

LLAMA = """
tiers: {{small: {{model: small-chat, endpoints: [{{url: "{url}", engine: llamacpp, slots: 4, model: {model},
         gpu: {{type: RTX 4090, usd_per_hour: 0.51}}}}]}}}}
routes: {{auto: {{ladder: [small], pipeline: ["pinned:small"]}}}}
"""
GREEDY = {"temperature": 0, "extra_body": {"seed": 1}}
ASK = "What is the capital of France? One short sentence."


class Behind:
    """A router before one engine, on a loop of its own."""

    def __init__(self, engine: LlamaCpp) -> None:
        self.router = RunningRouter(load_text(LLAMA.format(url=engine.url, model=MODEL)))

    async def start(self) -> None:
        await self.router.__aenter__()

    async def aclose(self) -> None:
        await self.router.__aexit__(None, None, None)


@pytest.fixture(scope="module")
def llama():
    with contextlib.ExitStack() as stack:
        try:
            engine = stack.enter_context(LlamaCpp())
        except NoLlamaCpp as why:
            pytest.skip(str(why))
        router = stack.enter_context(ServerThread(Behind(engine))).server.router
        yield stack.enter_context(openai.OpenAI(base_url=router.url, api_key="x", max_retries=0))


def test_llamacpp_says_the_same_plain_and_streamed(llama):
    plain = llama.responses.create(model="auto", instructions="You answer briefly.", input=ASK, max_output_tokens=16, **GREEDY)
    with llama.responses.stream(
            model="auto", instructions="You answer briefly.", input=ASK, max_output_tokens=16, **GREEDY) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")

    assert "Paris" in plain.output_text
    assert text == plain.output_text
    assert plain.usage.total_tokens == plain.usage.input_tokens + plain.usage.output_tokens > 20


def test_llamacpp_obeys_a_schema(llama):
    class Answer(pydantic.BaseModel):
        city: str

    answer = llama.responses.parse(model="auto", input=ASK, text_format=Answer, max_output_tokens=60, **GREEDY)

    assert answer.output_parsed is None or isinstance(answer.output_parsed.city, str)
    assert json.loads(answer.output_text).keys() == {"city"}


def test_llamacpp_goes_on_after_a_tool(llama):
    """Whether this small model calls one itself is its affair; what came of a call it must be able to read."""
    answer = llama.responses.create(model="auto", input=[
        {"role": "user", "content": "Weather in Rome?"},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Rome"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "21 °C, sunny"}],
        tools=[WEATHER | {"strict": False}], tool_choice="auto", max_output_tokens=24, **GREEDY)

    assert answer.output
    assert answer.tools[0].name == "weather"


def test_llamacpp_takes_a_coding_agents_preamble(llama):
    answer = llama.responses.create(model="auto", instructions="You answer briefly.", max_output_tokens=12, store=False, input=[
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Stay polite."}]},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "<environment_context><cwd>/repo</cwd></environment_context>"},
            {"type": "input_text", "text": ASK}]}], **GREEDY)

    assert answer.output_text
