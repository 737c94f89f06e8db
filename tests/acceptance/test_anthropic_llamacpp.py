"""The official Anthropic SDK on a real llama.cpp: through the router, translated, and on the engine's own `/v1/messages`."""

from __future__ import annotations

import contextlib
from typing import Literal

import anthropic
import pydantic
import pytest

from pointsman.config.load import load_text
from pointsman.testing.llamacpp import MODEL, LlamaCpp, NoLlamaCpp
from pointsman.testing.router import RunningRouter
from pointsman.testing.server_thread import ServerThread

ASK = {"max_tokens": 16, "messages": [{"role": "user", "content": "What is the capital of France? One short sentence."}],
       "extra_body": {"temperature": 0, "seed": 1}}
WEATHER = {"name": "weather", "description": "Weather of a city", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string", "maxLength": 6}}, "required": ["city"]}}
CONFIG = """
tiers:
  small: {{model: small-chat, endpoints: [{{url: "{url}", engine: llamacpp, slots: 2, model: {model}}}]}}
routes:
  auto: {{ladder: [small], pipeline: ["pinned:small"]}}
"""


class Behind:
    """A router before one engine."""

    def __init__(self, engine: LlamaCpp) -> None:
        self.engine = engine
        self.router = RunningRouter(load_text(CONFIG.format(url=engine.url, model=MODEL)))

    async def start(self) -> None:
        await self.router.__aenter__()

    async def aclose(self) -> None:
        await self.router.__aexit__(None, None, None)


@pytest.fixture(scope="module")
def behind():
    with contextlib.ExitStack() as stack:
        try:
            engine = stack.enter_context(LlamaCpp(slots=2))
        except NoLlamaCpp as why:
            pytest.skip(str(why))
        yield stack.enter_context(ServerThread(Behind(engine))).server


@pytest.fixture
def both(behind):
    """(through the router, straight to the engine): client and model name each."""
    with (anthropic.Anthropic(base_url=behind.router.root, api_key="x", max_retries=0) as ours,
          anthropic.Anthropic(base_url=behind.engine.root, api_key="x", max_retries=0) as theirs):
        yield (ours, "auto"), (theirs, MODEL)


def test_a_plain_answer_has_the_engines_own_structure(both):
    ours, theirs = (client.messages.create(model=model, **ASK) for client, model in both)

    assert "Paris" in ours.content[0].text
    assert ours.content == theirs.content
    assert (ours.stop_reason, ours.role, ours.type, ours.stop_sequence) == (theirs.stop_reason, theirs.role, theirs.type, None)
    assert ours.usage.output_tokens == theirs.usage.output_tokens
    assert total_input(ours) == total_input(theirs)


def total_input(message):
    return message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0)


def test_a_stream_has_the_engines_own_order(both):
    heard = []
    for client, model in both:
        with client.messages.stream(model=model, **ASK) as stream:
            kinds = [event.type for event in stream]
            heard.append((kinds, stream.get_final_message()))

    (our_kinds, ours), (their_kinds, theirs) = heard
    assert without_repeats(our_kinds) == without_repeats(their_kinds)
    assert ours.content[0].text == theirs.content[0].text
    assert (ours.stop_reason, ours.usage.output_tokens, total_input(ours)) == (
        theirs.stop_reason, theirs.usage.output_tokens, total_input(theirs))


def without_repeats(kinds):
    """Each kind once where it comes in a row; `content_block_delta` and the helper's `text` take turns."""
    order = [kind for kind in kinds if kind != "text"]
    return [kind for i, kind in enumerate(order) if i == 0 or kind != order[i - 1]]


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])
def test_a_request_with_tools_is_answered_as_the_engine_answers_it(both, streamed):
    """This model's template knows no tools, so llama.cpp leaves them out, forced or not, on either path."""
    found = []
    for client, model in both:
        asked = ASK | {"max_tokens": 48, "model": model, "tools": [WEATHER], "tool_choice": {"type": "any"}}
        if streamed:
            with client.messages.stream(**asked) as stream:
                found.append(stream.get_final_message())
        else:
            found.append(client.messages.create(**asked))
    ours, theirs = found

    assert [block.to_dict() for block in ours.content] == [block.to_dict() for block in theirs.content]
    assert (ours.stop_reason, total_input(ours)) == (theirs.stop_reason, total_input(theirs))


def test_a_schema_binds_the_engine(both):
    class City(pydantic.BaseModel):
        capital: Literal["Paris", "Rome"]

    (client, model), _ = both
    parsed = client.messages.parse(model=model, output_format=City, **ASK | {"max_tokens": 100})

    assert parsed.parsed_output == City(capital="Paris")


def test_a_conversation_with_tools_and_system_is_the_same_prompt(both):
    """Both translations must reach the model as the same number of tokens."""
    asked = {
        "max_tokens": 1, "system": "Be brief.", "tools": [WEATHER], "extra_body": {"temperature": 0}, "messages": [
            {"role": "user", "content": "Weather in Paris?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 C"}]}]}
    ours, theirs = (client.messages.create(model=model, **asked) for client, model in both)

    assert total_input(ours) == total_input(theirs)
    assert ours.stop_reason == theirs.stop_reason == "max_tokens"


def test_a_stop_sequence_ends_the_text(both):
    (client, model), _ = both
    answer = client.messages.create(model=model, **ASK, stop_sequences=["Paris"])

    assert "Paris" not in answer.content[0].text
    assert answer.stop_reason in ("end_turn", "stop_sequence")  # llama.cpp does not say which it was


def test_a_prompt_longer_than_the_context_is_refused_in_anthropics_shape(both):
    (client, model), _ = both
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model=model, max_tokens=8, messages=[{"role": "user", "content": "word " * 3000}])

    assert caught.value.body["error"]["type"] == "invalid_request_error"


def test_the_estimate_of_tokens_is_of_the_right_size(both):
    asked = {"messages": [{"role": "user", "content": "The quick brown fox jumps over the lazy dog. " * 20}]}
    ours, theirs = (client.messages.count_tokens(model=model, **asked).input_tokens for client, model in both)

    assert 0.5 < ours / theirs < 2
