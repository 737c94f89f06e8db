"""The official `openai` SDK against the router: it must not notice that there is one."""

from __future__ import annotations

import asyncio
import json

import openai
import pydantic
import pytest

from pointsman.testing import days
from pointsman.testing import openai_shapes as shapes

PARIS = "Paris is the capital of France."
ASK = [{"role": "user", "content": "What is the capital of France?"}]
TOOL = {"type": "function", "function": {"name": "weather", "description": "Weather of a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}}


# -- chat


def test_a_plain_answer(visit):
    with visit() as site:
        answer = site.sdk().chat.completions.create(model="auto", messages=ASK)

    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", PARIS, "stop")
    assert answer.object == "chat.completion"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert json.loads(site.small.requests[0].body)["model"] == "small-model"


def test_headers_tell_who_answered_why_and_for_how_much(visit):
    with visit(days.Answer(usage_tokens=(500, 200))) as site:
        raw = site.sdk().chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": "Prove it."}], extra_headers={"X-Request-ID": "mine-1"})
        (record,) = site.records

    assert raw.http_response.status_code == 200
    said = {name: value for name, value in raw.headers.items() if name.startswith("x-r")}
    output = raw.parse().usage.completion_tokens
    cost = (raw.parse().usage.prompt_tokens + output) * 880
    assert said == {
        "x-request-id": "mine-1", "x-route-record": record.id, "x-route-attempts": "1", "x-route-tier": "2",
        "x-route-tier-name": "large", "x-route-model": "large-model", "x-route-reason": "proofs",
        "x-route-decided-by": "rules", "x-route-name": "auto", "x-route-cost-usd": f"0.{cost:09d}",
        "x-route-cost-basis": "tokens",
    }
    assert record.cost_nano_usd == cost
    assert record.client_request_id == "mine-1"
    assert raw.parse()._request_id == "mine-1"


def test_a_gpu_priced_answer_costs_its_share_of_the_hour(visit):
    with visit(days.Answer(usage_tokens=(500, 200))) as site:
        raw = site.sdk().chat.completions.with_raw_response.create(model="auto", messages=ASK)

    assert raw.headers["x-route-cost-usd"] == f"{700 / 1000 * 0.51 / 3600:.9f}"


def test_a_stream_arrives_in_pieces_and_without_usage_nobody_asked_for(visit):
    with visit() as site:
        stream = site.sdk().chat.completions.create(model="auto", messages=ASK, stream=True)
        chunks = list(stream)
        headers = stream.response.headers
        (record,) = site.records

    assert "".join(c.choices[0].delta.content or "" for c in chunks) == PARIS
    assert len(chunks) > 3
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
    assert all(c.usage is None for c in chunks)
    assert headers["content-type"].startswith("text/event-stream")
    assert (headers["x-route-tier"], headers["x-route-record"]) == ("1", record.id)
    assert record.usage.output_tokens == len(shapes.tokens_of(PARIS))
    assert json.loads(site.small.requests[0].body)["stream_options"] == {"include_usage": True}


def test_usage_that_was_asked_for_comes_once_with_its_cost(visit):
    with visit(days.Answer(usage_tokens=(500, 200))) as site:
        chunks = list(site.sdk().chat.completions.create(
            model="auto", messages=ASK, stream=True, stream_options={"include_usage": True}))
        (record,) = site.records

    assert [bool(c.usage) for c in chunks] == [False] * (len(chunks) - 1) + [True]
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens, chunks[-1].choices) == (500, 200, [])
    assert usage.model_extra["cost_usd"] == pytest.approx(700 / 1000 * 0.51 / 3600, abs=1e-9)
    assert round(usage.model_extra["cost_usd"] * 1e9) == record.cost_nano_usd


def test_the_stream_helper_follows_a_whole_answer(visit):
    with visit() as site, site.sdk().chat.completions.stream(model="auto", messages=ASK) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()

    assert final.choices[0].message.content == PARIS
    assert {"chunk", "content.delta", "content.done"} <= set(kinds)


def test_the_async_client_too(visit):
    async def story(url):
        async with openai.AsyncOpenAI(base_url=url, api_key="sk-app", max_retries=0) as sdk:
            plain, streamed = await asyncio.gather(
                sdk.chat.completions.create(model="auto", messages=ASK),
                sdk.chat.completions.create(model="auto", messages=ASK, stream=True))
            text = "".join([c.choices[0].delta.content or "" async for c in streamed])
            names = [model.id async for model in sdk.models.list()]
            with pytest.raises(openai.NotFoundError):
                await sdk.chat.completions.create(model="nothing-like-it", messages=ASK)
            return plain.choices[0].message.content, text, names

    with visit() as site:
        plain, text, names = asyncio.run(story(site.url))

    assert plain == text == PARIS
    assert names == ["auto", "small", "large", "small-model", "large-model", "vector-model"]


def test_many_at_once_get_each_their_own_answer(visit):
    async def story(url):
        async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as sdk:
            return await asyncio.gather(*(
                sdk.chat.completions.with_raw_response.create(
                    model="auto", messages=ASK, user=f"u{i}", extra_headers={"x-request-id": f"id-{i}"})
                for i in range(40)))

    with visit() as site:
        answers = asyncio.run(story(site.url))
        records = site.records

    assert [a.headers["x-request-id"] for a in answers] == [f"id-{i}" for i in range(40)]
    assert len({a.headers["x-route-record"] for a in answers}) == 40
    assert {r.id: r.client_request_id for r in records} == {
        a.headers["x-route-record"]: a.headers["x-request-id"] for a in answers}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_tool_calls_arrive_whole(visit, stream):
    calls = (("weather", '{"city": "Zürich"}'), ("weather", '{"city": "東京"}'))
    with visit(days.Answer(tool_calls=calls)) as site:
        sdk = site.sdk()
        if stream:
            with sdk.chat.completions.stream(model="auto", messages=ASK, tools=[TOOL]) as events:
                answer = events.get_final_completion()
        else:
            answer = sdk.chat.completions.create(model="auto", messages=ASK, tools=[TOOL], tool_choice="auto")

    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert not choice.message.content
    assert [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls] == [
        ("call_00000000", *calls[0]), ("call_00000001", *calls[1])]
    assert json.loads(site.small.requests[0].body)["tools"] == [TOOL]


def test_a_tool_conversation_goes_on(visit):
    said = [
        *ASK, {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "21 °C"}]
    with visit() as site:
        answer = site.sdk().chat.completions.create(model="auto", messages=said, tools=[TOOL])

    assert answer.choices[0].message.content == PARIS
    assert json.loads(site.small.requests[0].body)["messages"] == said


class City(pydantic.BaseModel):
    name: str
    population: int


def test_a_json_schema_answer_is_parsed(visit):
    with visit() as site:
        answer = site.sdk().chat.completions.parse(model="auto", messages=ASK, response_format=City)

    assert isinstance(answer.choices[0].message.parsed, City)
    asked = json.loads(site.small.requests[0].body)["response_format"]
    assert (asked["type"], asked["json_schema"]["name"]) == ("json_schema", "City")


def test_in_json_mode_the_answer_is_json(visit):
    with visit() as site:
        answer = site.sdk().chat.completions.create(model="auto", messages=ASK, response_format={"type": "json_object"})

    assert json.loads(answer.choices[0].message.content)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_logprobs_add_up_to_the_answer(visit, stream):
    with visit() as site:
        create = site.sdk().chat.completions.create
        if stream:
            chunks = list(create(model="auto", messages=ASK, logprobs=True, top_logprobs=3, stream=True))
            tokens = [t for c in chunks if c.choices[0].logprobs for t in c.choices[0].logprobs.content]
        else:
            tokens = create(model="auto", messages=ASK, logprobs=True, top_logprobs=3).choices[0].logprobs.content

    assert "".join(t.token for t in tokens) == PARIS
    assert all(t.logprob < 0 and len(t.top_logprobs) == 3 for t in tokens)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_several_choices_are_told_apart(visit, stream):
    with visit() as site:
        create = site.sdk().chat.completions.create
        texts = {0: "", 1: ""}
        if stream:
            for chunk in create(model="auto", messages=ASK, n=2, stream=True):
                for choice in chunk.choices:
                    texts[choice.index] += choice.delta.content or ""
        else:
            texts = {c.index: c.message.content for c in create(model="auto", messages=ASK, n=2).choices}

    assert texts == {0: PARIS, 1: PARIS}


def test_images_parts_and_unknown_fields_arrive_untouched(visit):
    parts = [
        {"type": "text", "text": "What is this? ☃"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}]
    with visit() as site:
        site.sdk().chat.completions.create(
            model="auto", messages=[{"role": "user", "content": parts}], temperature=0.25, seed=2**62,
            extra_body={"guided_choice": ["a", "b"], "vendor": {"depth": [1, {"x": None}]}, "min_p": 0.05})

    arrived = json.loads(site.small.requests[0].body)
    assert arrived["messages"] == [{"role": "user", "content": parts}]
    assert arrived["guided_choice"] == ["a", "b"]
    assert arrived["vendor"] == {"depth": [1, {"x": None}]}
    assert (arrived["min_p"], arrived["temperature"], arrived["seed"]) == (0.05, 0.25, 2**62)


# -- completions, embeddings, models


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_legacy_completion_is_answered(visit, stream):
    with visit() as site:
        create = site.sdk().completions.create
        if stream:
            text = "".join(c.choices[0].text for c in create(model="auto", prompt="France?", stream=True))
        else:
            answer = create(model="auto", prompt="France?", logprobs=2)
            text = answer.choices[0].text
            assert len(answer.choices[0].logprobs.tokens) == len(shapes.tokens_of(PARIS))

    assert text == PARIS
    assert site.small.requests[0].path == "/v1/completions"


def test_a_list_of_prompts_is_a_choice_each(visit):
    with visit() as site:
        answer = site.sdk().completions.create(model="auto", prompt=["one", "two", "three"])

    assert [c.index for c in answer.choices] == [0, 1, 2]


def test_embeddings_of_a_named_model(visit):
    with visit() as site:
        sdk = site.sdk()
        answer = sdk.embeddings.create(model="vector-model", input=["one", "two"])
        floats = sdk.embeddings.create(model="vector-model", input="one", encoding_format="float")
        records = site.records

    assert [d.index for d in answer.data] == [0, 1]
    assert answer.data[0].embedding == pytest.approx(floats.data[0].embedding, abs=1e-6)
    assert json.loads(site.small.requests[0].body)["model"] == "served-vectors"
    assert [(r.kind, r.pool, r.outcome) for r in records] == [("embedding", "vectors", "answered")] * 2
    assert records[0].cost_nano_usd == records[0].usage.input_tokens * 20


@pytest.mark.parametrize("model", ["auto", "auto:auto", "small-model", "small"])
def test_embeddings_are_never_routed(visit, model):
    with visit() as site:
        with pytest.raises(openai.BadRequestError, match="vector-model") as caught:
            site.sdk().embeddings.create(model=model, input="one")
        assert not site.small.requests

    assert caught.value.param == "model"


def test_models_are_listed_and_retrieved(visit):
    with visit() as site:
        sdk = site.sdk()
        cards = {card.id: card for card in sdk.models.list()}
        one, two = sdk.models.retrieve("large-model"), sdk.models.retrieve("auto")
        with pytest.raises(openai.NotFoundError):
            sdk.models.retrieve("absent")

    assert list(cards) == ["auto", "small", "large", "small-model", "large-model", "vector-model"]
    assert {i: c.model_extra["context_length"] for i, c in cards.items() if i != "vector-model"} == {
        "auto": 32768, "small": 8192, "large": 32768, "small-model": 8192, "large-model": 32768}
    assert (one.id, one.object, two.model_extra["kind"]) == ("large-model", "model", "route")


@pytest.mark.parametrize(("model", "tier"), [("auto", "small"), ("auto:auto", "small"), ("small", "small"),
                                             ("large", "large"), ("large-model", "large")])
def test_the_operators_own_choice_stays_reachable(visit, model, tier):
    with visit() as site:
        raw = site.sdk().chat.completions.with_raw_response.create(model=model, messages=ASK)

    assert raw.headers["x-route-tier-name"] == tier
    assert raw.headers["x-route-model"] == f"{tier}-model"


# -- errors


def test_a_bad_request_says_where(visit):
    with visit() as site:
        with pytest.raises(openai.BadRequestError) as caught:
            site.sdk().chat.completions.create(model="auto", messages=[{"content": "no role"}])
        assert not site.small.requests

    assert (caught.value.param, caught.value.status_code) == ("messages[0].role", 400)
    assert caught.value.type == "invalid_request_error"


def test_an_engines_own_objection_comes_through(visit):
    with visit(days.bad_request("temperature must be in [0, 2], got 5.0.")) as site:
        with pytest.raises(openai.BadRequestError) as caught:
            site.sdk(max_retries=2).chat.completions.create(model="auto", messages=ASK, temperature=5)
        assert (len(site.small.requests), len(site.large.requests), len(site.records)) == (1, 0, 1)

    assert caught.value.body == {
        "message": "temperature must be in [0, 2], got 5.0.", "type": "BadRequestError", "param": "temperature", "code": 400}


def test_an_unknown_model_is_not_found_and_near_names_are_told(visit):
    with visit() as site, pytest.raises(openai.NotFoundError, match="'small-model'") as caught:
        site.sdk().chat.completions.create(model="smal-model", messages=ASK)

    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


KEYS = """
auth:
  keys:
    - {name: app, key: "${APP_KEY}", tenant: acme}
    - {name: team, key: "${TEAM_KEY}", tenant: other, routes: [auto]}
"""


def test_a_wrong_key_is_an_authentication_error(visit):
    with visit(more=KEYS) as site:
        with pytest.raises(openai.AuthenticationError) as caught:
            site.sdk(api_key="sk-guess", max_retries=2).chat.completions.create(model="auto", messages=ASK)
        assert not site.small.requests
        answer = site.sdk(api_key="sk-app").chat.completions.create(model="small-model", messages=ASK)
        (record,) = site.records

    assert caught.value.code == "invalid_api_key"
    assert answer.choices[0].message.content == PARIS
    assert (record.tenant, record.key) == ("acme", "app")


def test_a_key_for_routes_only_may_not_name_a_model(visit):
    with visit(more=KEYS) as site:
        sdk = site.sdk(api_key="sk-team")
        with pytest.raises(openai.PermissionDeniedError) as caught:
            sdk.chat.completions.create(model="large-model", messages=ASK)
        assert sdk.chat.completions.create(model="auto", messages=ASK).choices
        assert [m.id for m in sdk.models.list()] == ["auto"]

    assert caught.value.param == "model"


def test_a_rate_limit_says_when_to_come_back(visit):
    limits = (days.rate_limited("7"), days.rate_limited("9"))
    with visit(limits[0], large=limits[1:]) as site, pytest.raises(openai.RateLimitError) as caught:
        site.sdk().chat.completions.create(model="auto", messages=ASK)

    assert int(caught.value.response.headers["retry-after"]) in (7, 8, 9)


@pytest.mark.parametrize(("day", "status"), [(days.server_error, 502), (days.bad_gateway, 502), (days.queue_full, 503),
                                             (days.Refuse, 503), (days.unauthorized, 502)])
def test_a_dead_engine_is_an_internal_server_error(visit, day, status):
    with visit(day(), large=(day(),)) as site:
        with pytest.raises(openai.InternalServerError) as caught:
            site.sdk().chat.completions.create(model="auto", messages=ASK)
        (record,) = site.records

    assert caught.value.status_code == status
    assert caught.value.body["record_id"] == record.id
    assert "<html" not in caught.value.message


@pytest.mark.parametrize("day", [days.CutAfter(3), days.CutAfter(3, "rst"), days.InBandError(3), days.EndWithoutFinish(),
                                 days.GarbageSse(3), days.StallAfter(3)],
                         ids=["fin", "rst", "error in band", "no finish", "garbage", "stall"])
def test_a_stream_that_breaks_raises_instead_of_ending(visit, day):
    heard = []
    with visit(day, patience="200ms") as site:
        stream = site.sdk().chat.completions.create(model="auto", messages=ASK, stream=True)
        with pytest.raises(openai.APIError) as caught:
            heard.extend(chunk.choices[0].delta.content or "" for chunk in stream)
        (record,) = site.records

    assert PARIS.startswith("".join(heard))
    assert "".join(heard)
    assert caught.value.body["record_id"] == record.id
    assert record.outcome == "failed"


def test_a_legacy_stream_that_breaks_raises_too(visit):
    with visit(days.CutAfter(3)) as site, pytest.raises(openai.APIError):
        list(site.sdk().completions.create(model="auto", prompt="France?", stream=True))


def test_a_fault_that_somebody_else_can_hide_is_never_seen(visit):
    with visit(days.server_error()) as site:
        raw = site.sdk().chat.completions.with_raw_response.create(model="auto", messages=ASK)

    assert raw.parse().choices[0].message.content == PARIS
    assert raw.headers["x-route-tier-name"] == "large"
    assert int(raw.headers["x-route-attempts"]) >= 2


# -- retries and time


def test_what_cannot_succeed_is_asked_once(visit):
    with visit(days.unauthorized(), large=(days.unauthorized(),)) as site:
        with pytest.raises(openai.InternalServerError) as caught:
            site.sdk(max_retries=2).chat.completions.create(model="auto", messages=ASK)
        assert len(site.records) == 1

    assert caught.value.response.headers["x-should-retry"] == "false"


def test_the_sdks_own_retry_finds_an_engine_that_is_back(visit):
    with visit(days.server_error(), days.server_error(), days.Answer(), large=(days.server_error(),)) as site:
        answer = site.sdk(max_retries=2).chat.completions.create(model="small", messages=ASK)
        outcomes = [r.outcome for r in site.records]

    assert answer.choices[0].message.content == PARIS
    assert outcomes[-1] == "answered"
    assert len(outcomes) <= 2


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_client_that_gives_up_frees_the_engine_and_is_on_record(visit, stream):
    with visit(days.Hang()) as site:
        with pytest.raises(openai.APITimeoutError):
            site.sdk(timeout=2.0).chat.completions.create(model="auto", messages=ASK, stream=stream)
        site.wait_for(site.small, lambda: site.small.open_connections == 0)
        (record,) = site.records

    assert (record.outcome, record.status, record.attempts[0].outcome) == ("cancelled", 499, "cancelled")
    assert not site.large.requests


def test_a_stream_left_in_the_middle_frees_the_engine(visit):
    with visit(days.StallAfter(2)) as site:
        stream = site.sdk().chat.completions.create(model="auto", messages=ASK, stream=True)
        first = next(iter(stream))
        stream.close()
        site.wait_for(site.small, lambda: site.small.open_connections == 0)
        (record,) = site.records
        assert site.leases == 0

    assert first.choices
    assert (record.outcome, record.status) == ("cancelled", 499)


def test_an_async_task_that_is_cancelled_frees_the_engine(visit):
    async def story(site):
        async with openai.AsyncOpenAI(base_url=site.url, api_key="x", max_retries=0) as sdk:
            asking = asyncio.create_task(sdk.chat.completions.create(model="auto", messages=ASK))
            await asyncio.to_thread(site.wait_for, site.small, lambda: site.small.requests)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    with visit(days.Hang()) as site:
        asyncio.run(story(site))
        site.wait_for(site.small, lambda: site.small.open_connections == 0)
        (record,) = site.records

    assert record.outcome == "cancelled"


def test_an_engine_too_slow_for_the_route_is_a_504(visit):
    hang = days.Hang()
    with visit(hang, large=(hang,), patience="200ms") as site, pytest.raises(openai.InternalServerError) as caught:
        site.sdk().chat.completions.create(model="auto", messages=ASK)

    assert caught.value.status_code == 504
    assert caught.value.type == "timeout_error"


def test_the_sdk_keeps_its_connection(visit):
    """Keep-alive works both ways: ten requests, plain and streamed, over one socket to the engine."""
    with visit() as site:
        sdk = site.sdk()
        for i in range(10):
            answer = sdk.chat.completions.create(model="auto", messages=ASK, stream=i % 2 == 1)
            assert i % 2 == 0 or list(answer)
        assert len({request.connection for request in site.small.requests}) == 1
