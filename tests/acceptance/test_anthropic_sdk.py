"""The official `anthropic` SDK against the router: it must not notice that there is one, nor that nobody behind it is Claude."""

from __future__ import annotations

import asyncio
import json

import anthropic
import pydantic
import pytest

from pointsman.testing import days

PARIS = "Paris is the capital of France."
ASK = {"model": "auto", "max_tokens": 64, "messages": [{"role": "user", "content": "What is the capital of France?"}]}
WEATHER = {"name": "weather", "description": "Weather of a city", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
CALL = days.Answer(tool_calls=(("weather", '{"city": "Paris"}'),))


@pytest.fixture
def sdk():
    """`sdk(site)`: the client of a site; no retries of its own unless the test is about them."""
    clients = []

    def made(site, **options):
        client = anthropic.Anthropic(**({"base_url": site.url.removesuffix("/v1"), "api_key": "sk-app", "max_retries": 0} | options))
        clients.append(client)
        return client

    yield made
    for client in clients:
        client.close()


def test_a_plain_answer(visit, sdk):
    with visit(days.Answer(PARIS, usage_tokens=(12, 8), cached_tokens=8)) as site:
        answer = sdk(site).messages.create(**ASK, system="Be brief.", stop_sequences=["END"], extra_body={"temperature": 0, "top_k": 5})
        (record,) = site.records

    assert answer.content == [anthropic.types.TextBlock(type="text", text=PARIS)]
    assert (answer.role, answer.type, answer.stop_reason, answer.stop_sequence) == ("assistant", "message", "end_turn", None)
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.cache_read_input_tokens) == (4, 8, 8)
    assert answer._request_id == record.id
    assert answer.id == f"msg_{record.id}"
    sent = json.loads(site.small.requests[0].body)
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (sent["stop"], sent["top_k"], sent["model"]) == (["END"], 5, "small-model")


def test_a_raw_stream(visit, sdk):
    with visit() as site:
        stream = sdk(site).messages.create(**ASK, stream=True)
        events = list(stream)
        headers = stream.response.headers

    assert [event.type for event in events[:2]] == ["message_start", "content_block_start"]
    assert [event.type for event in events[-3:]] == ["content_block_stop", "message_delta", "message_stop"]
    assert "".join(event.delta.text for event in events if event.type == "content_block_delta") == PARIS
    assert headers["x-route-tier-name"] == "small"


def test_the_stream_helper(visit, sdk):
    with visit(days.Answer(PARIS, usage_tokens=(12, 8))) as site, sdk(site).messages.stream(**ASK) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()

    assert said == final.content[0].text == PARIS
    assert (final.usage.input_tokens, final.usage.output_tokens, final.stop_reason) == (12, 8, "end_turn")


def test_a_tool_is_called_and_its_result_comes_back(visit, sdk):
    with visit(CALL, days.Answer("18 degrees.")) as site:
        client = sdk(site)
        asked = client.messages.create(**ASK, tools=[WEATHER], tool_choice={"type": "tool", "name": "weather"})
        (call,) = asked.content
        answer = client.messages.create(model="auto", max_tokens=64, tools=[WEATHER], messages=[
            *ASK["messages"], {"role": "assistant", "content": asked.content},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "18"}]}]}])
        first, second = (json.loads(request.body) for request in site.small.requests)

    assert (asked.stop_reason, call.type, call.name, call.input) == ("tool_use", "tool_use", "weather", {"city": "Paris"})
    assert answer.content[0].text == "18 degrees."
    assert first["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert second["messages"][1]["tool_calls"][0]["id"] == second["messages"][2]["tool_call_id"] == call.id
    assert json.loads(second["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {"city": "Paris"}
    assert second["messages"][2]["content"] == "18"


def test_a_tool_call_streams(visit, sdk):
    with visit(CALL) as site, sdk(site).messages.stream(**ASK, tools=[WEATHER]) as stream:
        kinds = [event.type for event in stream]
        (call,) = stream.get_final_message().content

    assert call.input == {"city": "Paris"}
    assert kinds.count("input_json") > 1


def test_the_tool_runner_goes_round(visit, sdk):
    @anthropic.beta_tool
    def weather(city: str) -> str:
        """Weather of a city."""
        return f"18 degrees in {city}"

    with visit(CALL, days.Answer("Mild.")) as site:
        runner = sdk(site).beta.messages.tool_runner(**ASK, tools=[weather])
        final = runner.until_done()
        second = json.loads(site.small.requests[1].body)

    # It asks for a thread that the server keeps, is told that there are none, and goes on without.
    assert final.content[0].text == "Mild."
    assert second["messages"][-1]["content"] == "18 degrees in Paris"


def test_a_parsed_answer_of_a_schema(visit, sdk):
    class City(pydantic.BaseModel):
        name: str

    with visit() as site:
        parsed = sdk(site).messages.parse(**ASK, output_format=City)
        sent = json.loads(site.small.requests[0].body)

    assert isinstance(parsed.parsed_output, City)
    assert sent["response_format"]["type"] == "json_schema"
    assert "name" in sent["response_format"]["json_schema"]["schema"]["properties"]


def test_tokens_are_counted_with_system_prompt_and_tools(visit, sdk):
    with visit() as site:
        few = sdk(site).messages.count_tokens(model="auto", messages=ASK["messages"])
        many = sdk(site).messages.count_tokens(model="auto", messages=ASK["messages"], system="Be brief. " * 100, tools=[WEATHER])

    assert 5 < few.input_tokens < 30
    assert 250 < many.input_tokens < 400


@pytest.mark.parametrize(("day", "kind", "status"), [
    (days.bad_request, anthropic.BadRequestError, 400), (lambda: days.rate_limited("1"), anthropic.RateLimitError, 429),
    (days.unprocessable, anthropic.UnprocessableEntityError, 422), (days.server_error, anthropic.InternalServerError, 502),
    (days.unauthorized, anthropic.InternalServerError, 502), (days.queue_full, anthropic.InternalServerError, 503),
])
def test_errors_become_the_sdks_own(visit, sdk, day, kind, status):
    with visit(day(), large=(day(),)) as site, pytest.raises(kind) as caught:
        sdk(site).messages.create(**ASK)

    assert caught.value.status_code == status
    assert caught.value.body["type"] == "error"
    assert caught.value.request_id == caught.value.body["request_id"]


def test_an_unknown_model_names_near_ones(visit, sdk):
    with visit() as site, pytest.raises(anthropic.NotFoundError, match="auto"):
        sdk(site).messages.create(**ASK | {"model": "autto"})


def test_a_key_is_taken_in_either_header_and_a_wrong_one_refused(visit, sdk):
    more = "auth: {keys: [{name: app, key: '${APP_KEY}'}]}"
    with visit(more=more) as site:
        assert sdk(site).messages.create(**ASK).stop_reason == "end_turn"
        assert sdk(site, api_key=None, auth_token="sk-app").messages.create(**ASK).stop_reason == "end_turn"
        with pytest.raises(anthropic.AuthenticationError):
            sdk(site, api_key="sk-wrong").messages.create(**ASK)


def test_a_stream_that_breaks_raises(visit, sdk):
    with visit(days.CutAfter(2)) as site:
        heard = []
        with pytest.raises(anthropic.APIStatusError, match="api_error") as caught:
            heard += (event.type for event in sdk(site).messages.create(**ASK, stream=True))
        (record,) = site.records

    assert caught.value.body["error"]["record_id"] == record.id
    assert record.outcome == "failed"


def test_a_refusal_that_is_final_is_not_repeated(visit, sdk):
    with visit() as site:
        with pytest.raises(anthropic.BadRequestError):
            sdk(site, max_retries=3).messages.create(**ASK | {"messages": [{"role": "user", "content": [{"type": "nope"}]}]})
        assert len(site.records) == 1


def test_a_client_that_leaves_frees_the_engine(visit):
    async def story(site):
        async with anthropic.AsyncAnthropic(base_url=site.url.removesuffix("/v1"), api_key="x", max_retries=0) as client:
            asking = asyncio.create_task(client.messages.create(**ASK))
            await asyncio.to_thread(site.wait_for, site.small, lambda: site.small.requests)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    with visit(days.Hang()) as site:
        asyncio.run(story(site))
        site.wait_for(site.small, lambda: site.small.open_connections == 0)
        (record,) = site.records

    assert record.outcome == "cancelled"
