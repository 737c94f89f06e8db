"""The text that is written is a configuration: it loads, says why, and holds no secret."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.config.draft import draft
from pointsman.config.draft_file import Choices, text_of, variables_of
from pointsman.config.load import load_text, load_text_with_warnings
from pointsman.config.sources import Credential, Finding, Listed, Source
from pointsman.core.price import TokenPrice
from pointsman.errors import ConfigError

OLLAMA = Source("Ollama", "http://127.0.0.1:11434/v1")
OPENAI = Source("OpenAI", "https://api.openai.com/v1", "openai", "OPENAI_API_KEY", Credential("sk-very-secret"))
ENVIRON = {"OPENAI_API_KEY": "sk-very-secret", "POINTSMAN_CLIENT_KEY": "pm-client"}
FINDINGS = (
    Finding(OLLAMA, (Listed("qwen2.5:7b", context=32768, owned_by="library"), Listed("nomic-embed-text:latest"), Listed("true"))),
    Finding(OPENAI, (Listed("gpt-4o"), Listed("gpt-4o-mini"), Listed("openai/qwen2.5-7b"))),
)


def test_the_file_loads_as_what_was_drafted() -> None:
    made = draft(FINDINGS)
    loaded = load_text(text_of(made, Choices(quality=0.9, port=4100)), environ=ENVIRON)

    assert list(loaded.tiers) == [tier for tier, _ in made.rungs]
    assert loaded.routes["auto"].ladder == tuple(loaded.tiers)
    assert (loaded.routes["auto"].quality, loaded.server.port, loaded.admin.port) == (0.9, 4100, 4101)
    small = loaded.pools["small"]
    assert (small.model, small.capabilities.context) == ("qwen2.5:7b", 32768)
    assert [(end.url, end.model, end.engine) for end in small.endpoints] == [
        ("http://127.0.0.1:11434/v1", "qwen2.5:7b", "ollama"), ("https://api.openai.com/v1", "openai/qwen2.5-7b", "openai")]
    large = loaded.pools["large"].endpoints[0]
    assert (large.api_key, large.provider, large.price) == ("sk-very-secret", "openai", TokenPrice(2.5, 10.0, 1.25))
    assert [pool.model for pool in loaded.pools.values() if pool.embeddings] == ["nomic-embed-text:latest"]


def test_it_has_the_editors_line_reasons_dates_and_no_secret() -> None:
    text = text_of(draft(FINDINGS), Choices())

    assert text.startswith("# yaml-language-server: $schema=")
    assert "7 B parameters by its name; the smallest" in text
    assert re.search(r"OpenAI's price list, 20\d\d-\d\d; check it", text)
    assert '"${OPENAI_API_KEY}"' in text
    assert "sk-very-secret" not in text
    assert variables_of(draft(FINDINGS)) == ("OPENAI_API_KEY",)


def test_what_has_no_price_is_warned_of_and_never_free() -> None:
    loaded = load_text_with_warnings(text_of(draft(FINDINGS[:1]), Choices()), environ={})

    assert loaded.warnings
    assert all("has no price" in warning for warning in loaded.warnings)


def test_one_rung_says_that_routing_needs_two() -> None:
    text = text_of(draft([Finding(OLLAMA, (Listed("qwen3:8b"),))]), Choices())

    assert "One rung routes nothing" in text
    assert list(load_text(text, environ={}).tiers) == ["only"]


def test_a_clients_key_is_a_reference_and_an_open_host_needs_one() -> None:
    made = draft(FINDINGS)
    keyed = load_text(text_of(made, Choices(host="0.0.0.0", key="${POINTSMAN_CLIENT_KEY}")), environ=ENVIRON)

    assert [key.name for key in keyed.keys] == ["first-client"]
    with pytest.raises(ConfigError, match="no client keys"):
        load_text(text_of(made, Choices(host="0.0.0.0")), environ=ENVIRON)


def test_prices_are_never_written_with_exponents() -> None:
    cheap = Finding(OPENAI, (Listed("m-1b", price=TokenPrice(0.00002, 1e-7, 0.0)),))

    assert load_text(text_of(draft([cheap]), Choices()), environ=ENVIRON).pools["only"].endpoints[0].price == TokenPrice(0.00002, 1e-7, 0.0)


@pytest.mark.parametrize(("port", "admin"), [(0, 0), (4000, 4001), (65535, 0)])
def test_the_admin_port_is_the_next_one(port: int, admin: int) -> None:
    assert Choices(port=port).admin_port == admin


NAMES = st.lists(st.text(max_size=30) | st.sampled_from(
    ["yes", "null", "1e3", "qwen3:8b", "openai/gpt-4o", "gpt-4o", "auto", "auto:auto", "small", "only", "large", "- x", "# x", "'", '"', "a: b",
     "bge-m3", "openai/bge-m3", "small-model", "medium", "a/auto", "models/x.gguf", "/a/b/gpt-4o", "é", "ollama/x"]), max_size=10)


def test_a_name_that_is_both_a_chat_model_and_an_embedder_elsewhere_is_two_names() -> None:
    findings = (Finding(OLLAMA, (Listed("foo", kind="chat"),)), Finding(OPENAI, (Listed("foo", kind="embedding"), Listed("small-model"), Listed("small"))))
    loaded = load_text(text_of(draft(findings), Choices()), environ=ENVIRON)

    assert sorted(pool.model for pool in loaded.pools.values()) == ["foo", "foo-model", "small-model", "small-model-model"]


@settings(deadline=None, max_examples=60)
@given(NAMES, NAMES, st.sampled_from([None, 4096]))
def test_whatever_models_are_called_the_file_loads(here: list[str], there: list[str], context: int | None) -> None:
    made = draft([Finding(OLLAMA, tuple(Listed(name, context) for name in here)), Finding(OPENAI, tuple(map(Listed, there)))])
    if made.rungs:
        load_text(text_of(made, Choices()), environ=ENVIRON)


def test_anthropics_key_makes_a_ladder_of_its_own_models_in_its_own_api() -> None:
    source = Source("Anthropic", "https://api.anthropic.com/v1", "anthropic", "ANTHROPIC_API_KEY", Credential("sk-ant"), engine="anthropic")
    listed = tuple(Listed(f"claude-{name}") for name in (
        "opus-5-5", "sonnet-5-5", "haiku-5-5", "opus-5", "sonnet-5", "opus-4-8", "opus-4-7", "sonnet-4-6", "haiku-4-5-20251001"))
    loaded = load_text(text_of(draft((Finding(source, listed),)), Choices()), environ={"ANTHROPIC_API_KEY": "sk-ant"})

    ladder = [loaded.pools[tier].endpoints[0] for tier in loaded.routes["auto"].ladder]
    assert [end.model for end in ladder] == ["claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"]
    assert {(end.engine, end.dialects, end.is_origin, end.api_key) for end in ladder} == {("anthropic", ("messages",), True, "sk-ant")}
    assert all(end.price is not None for end in ladder)
