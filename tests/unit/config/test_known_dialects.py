"""Which APIs an endpoint speaks when nobody says."""

from typing import get_args

import pytest

from pointsman.config.known_dialects import BY_ENGINE, dialects_of, is_origin
from pointsman.config.load import load_text
from pointsman.config.pools import Endpoint
from pointsman.errors import ConfigError

FILE = 'tiers: {small: {model: m, endpoints: [{url: "http://127.0.0.1:9/v1", %s}]}}'


def endpoint(text):
    return load_text(FILE % text).pools["small"].endpoints[0]


def test_every_engine_is_in_the_table_with_a_reason():
    engines = get_args(Endpoint.model_fields["engine"].annotation)

    assert set(BY_ENGINE) == set(engines)
    assert all(len(reason) > 5 and {"chat", "messages"} & set(known) for known, reason in BY_ENGINE.values())


@pytest.mark.parametrize(("engine", "url", "known", "origin"), [
    ("anthropic", "https://api.anthropic.com/v1", ("messages",), True), ("openai", "https://api.openai.com/v1", ("chat", "responses"), True),
    ("openai", "http://10.0.0.1/v1", ("chat",), False), ("llamacpp", "http://10.0.0.1/v1", ("chat", "messages"), False),
])
def test_engine_and_host_tell(engine, url, known, origin):
    assert (dialects_of(engine, url), is_origin(engine, url)) == (known, origin)


def test_the_file_overrides_the_table():
    assert endpoint("engine: vllm").dialects == ("chat", "messages", "responses")
    assert endpoint("engine: vllm, dialects: chat").dialects == ("chat",)
    assert endpoint("dialects: [chat, messages]").dialects == ("chat", "messages")
    assert endpoint("engine: anthropic, max_output: 100").max_output == 100


@pytest.mark.parametrize(("text", "words"), [
    ("dialects: [responses]", "names neither chat nor messages"), ("dialects: []", "dialects"), ("dialects: [grpc]", "dialects"),
])
def test_a_dialect_that_leads_nowhere_is_a_problem(text, words):
    with pytest.raises(ConfigError, match=words):
        endpoint(text)
