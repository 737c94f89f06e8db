"""The official SDK, the router, and a real llama.cpp behind all three tiers."""

from __future__ import annotations

import asyncio
import contextlib
import json

import openai
import pytest

from pointsman.config.load import load_text
from pointsman.testing.llamacpp import MODEL, LlamaCpp, NoLlamaCpp
from pointsman.testing.router import RunningRouter
from pointsman.testing.server_thread import ServerThread

ASK = [{"role": "user", "content": "What is the capital of France? One short sentence."}]
GREEDY = {"temperature": 0, "seed": 1}
CONFIG = """
tiers:
  small: {{model: small-chat, endpoints: [{endpoint}]}}
  medium: {{model: medium-chat, endpoints: [{endpoint}]}}
  large: {{model: large-chat, endpoints: [{endpoint}]}}
pools:
  vectors: {{model: vector-model, capabilities: {{embeddings: true}}, endpoints: [{{url: "{vectors}"}}]}}
routes:
  auto: {{ladder: [small, medium, large], pipeline: [rules, "pinned:small"], rules: [{{when: {{keywords: [prove]}}, tier: large}}]}}
"""
ENDPOINT = '{{url: "{url}", engine: llamacpp, slots: 4, model: {model}, gpu: {{type: RTX 4090, usd_per_hour: 0.51}}}}'


class Behind:
    """A router before one engine, on a loop of its own."""

    def __init__(self, engine: LlamaCpp, vectors: str) -> None:
        endpoint = ENDPOINT.format(url=engine.url, model=MODEL)
        self.engine = engine
        self.router = RunningRouter(load_text(CONFIG.format(endpoint=endpoint, vectors=vectors)))

    async def start(self) -> None:
        await self.router.__aenter__()

    async def aclose(self) -> None:
        await self.router.__aexit__(None, None, None)


@pytest.fixture(scope="session")
def vectors():
    with contextlib.ExitStack() as stack:
        try:
            engine = stack.enter_context(LlamaCpp(embeddings=True, slots=1))
        except NoLlamaCpp as why:
            pytest.skip(str(why))
        yield engine


@pytest.fixture(scope="session")
def behind(vectors):
    with LlamaCpp() as engine, ServerThread(Behind(engine, vectors.url)) as thread:
        yield thread.server


@pytest.fixture
def sdk(behind):
    with openai.OpenAI(base_url=behind.router.url, api_key="x", max_retries=0) as client:
        yield client


def test_a_plain_answer_with_usage_and_cost(sdk):
    raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=ASK, max_tokens=16, **GREEDY)
    answer = raw.parse()

    assert "Paris" in answer.choices[0].message.content
    assert answer.usage.completion_tokens > 1
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.model_extra["timings"]["predicted_n"] == answer.usage.completion_tokens  # what only llama.cpp says
    assert (raw.headers["x-route-tier"], raw.headers["x-route-model"]) == ("1", "small-chat")
    # 1,000 tokens/s is the catalogue's midpoint for this GPU.
    assert float(raw.headers["x-route-cost-usd"]) == pytest.approx(answer.usage.total_tokens / 1000 * 0.51 / 3600, abs=2e-9)


def test_a_stream_says_the_same_as_the_plain_answer(sdk):
    create = sdk.chat.completions.create
    plain = create(model="auto", messages=ASK, max_tokens=16, **GREEDY)
    chunks = list(create(model="auto", messages=ASK, max_tokens=16, stream=True, stream_options={"include_usage": True}, **GREEDY))

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == plain.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens
    assert chunks[-1].usage.model_extra["cost_usd"] > 0


def test_usage_that_nobody_asked_for_is_not_seen_but_recorded(sdk, behind):
    stream = sdk.chat.completions.create(model="auto", messages=ASK, max_tokens=8, stream=True, **GREEDY)
    chunks = list(stream)
    record = next(r for r in behind.router.records() if r.id == stream.response.headers["x-route-record"])

    assert all(c.usage is None and c.choices for c in chunks)
    assert record.usage.output_tokens >= len(chunks) - 2
    assert record.outcome == "answered"


def test_a_rule_climbs(sdk):
    raw = sdk.chat.completions.with_raw_response.create(
        model="auto", messages=[{"role": "user", "content": "Prove that 2 is prime."}], max_tokens=4)

    assert (raw.headers["x-route-tier"], raw.headers["x-route-model"]) == ("3", "large-chat")


def test_logprobs_are_the_engines_own(sdk):
    answer = sdk.chat.completions.create(model="auto", messages=ASK, max_tokens=5, logprobs=True, top_logprobs=2, **GREEDY)
    tokens = answer.choices[0].logprobs.content

    assert answer.choices[0].message.content.startswith(tokens[0].token.strip())
    assert all(t.logprob <= 0 and len(t.top_logprobs) == 2 for t in tokens)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_json_schema_is_obeyed(sdk, stream):
    schema = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"],
              "additionalProperties": False}
    answer = sdk.chat.completions.create(
        model="auto", messages=ASK, max_tokens=40, stream=stream, **GREEDY,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": True}})
    text = ("".join(c.choices[0].delta.content or "" for c in answer) if stream else answer.choices[0].message.content)

    assert json.loads(text)["city"] in ("Paris", "Rome")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_request_with_tools_is_answered_one_way_or_the_other(sdk, stream):
    tool = {"type": "function", "function": {"name": "weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
    answer = sdk.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": "Weather in Rome?"}], tools=[tool], max_tokens=12,
        stream=stream, **GREEDY)
    said = [c.delta for chunk in answer for c in chunk.choices] if stream else [answer.choices[0].message]

    assert any(part.content or part.tool_calls for part in said)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_legacy_completion_goes_on_with_its_prompt(sdk, stream):
    answer = sdk.completions.create(model="auto", prompt="One, two, three,", max_tokens=6, stream=stream, **GREEDY)
    text = "".join(c.choices[0].text for c in answer) if stream else answer.choices[0].text

    assert "four" in text


def test_several_choices_come_with_their_numbers(sdk):
    answer = sdk.chat.completions.create(model="auto", messages=ASK, max_tokens=4, n=2)

    assert sorted(c.index for c in answer.choices) == [0, 1]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_prompt_that_does_not_fit_is_refused_in_the_engines_own_words(sdk, behind, stream):
    """Fits the gate's estimate (a third of the bytes), not the engine's count: one token a character."""
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model="small", messages=[{"role": "user", "content": "7§" * 900}], stream=stream)

    assert caught.value.body["type"] == "exceed_context_size_error"
    assert caught.value.body["n_ctx"] == 1024
    assert caught.value.response.headers["x-should-retry"] == "false"
    record = next(r for r in behind.router.records() if r.id == caught.value.response.headers["x-route-record"])
    assert len(record.attempts) == 1


def test_embeddings_of_like_texts_are_alike(sdk):
    answer = sdk.embeddings.create(model="vector-model", input=["a cat", "a kitten", "stock market"])
    cat, kitten, market = (d.embedding for d in answer.data)

    assert len(cat) == 576
    assert sum(a * b for a, b in zip(cat, kitten, strict=True)) > sum(a * b for a, b in zip(cat, market, strict=True))


def test_unknown_fields_reach_the_engine(sdk):
    """`grammar` and `n_probs` are llama.cpp's own; the SDK and the router know neither."""
    answer = sdk.chat.completions.create(
        model="auto", messages=ASK, max_tokens=20, extra_body={"grammar": 'root ::= "blue" | "green"'}, **GREEDY)

    assert answer.choices[0].message.content in ("blue", "green")


def test_a_client_that_leaves_a_stream_frees_the_slot(behind):
    """Streams only: this llama.cpp does not look at the socket while it works on a plain answer."""

    async def story():
        async with openai.AsyncOpenAI(base_url=behind.router.url, api_key="x", max_retries=0) as sdk:
            stream = await sdk.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": "Count to a thousand."}], max_tokens=900, stream=True,
                extra_body={"ignore_eos": True})
            await until(lambda: behind.engine.busy_slots() == 1)
            await stream.close()
            begun = asyncio.get_running_loop().time()
            await until(lambda: behind.engine.busy_slots() == 0)
            return asyncio.get_running_loop().time() - begun

    assert asyncio.run(story()) < 10.0
    assert behind.router.records()[-1].outcome == "cancelled"


async def until(holds, timeout_s=60.0):
    """Asks a real engine until it says so: it has no way to tell us."""
    async with asyncio.timeout(timeout_s):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.01)


def test_several_at_once_share_the_slots(behind):
    async def story():
        async with openai.AsyncOpenAI(base_url=behind.router.url, api_key="x", max_retries=0) as sdk:
            answers = await asyncio.gather(*(
                sdk.chat.completions.create(model="auto", messages=ASK, max_tokens=6, **GREEDY) for _ in range(6)))
            return {a.choices[0].message.content for a in answers}

    assert all("capital" in text for text in asyncio.run(story()))
