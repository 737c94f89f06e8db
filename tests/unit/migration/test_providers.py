"""Where a model's name leads."""

import pytest

from pointsman.config.pools import Endpoint
from pointsman.migration.providers import Nowhere, place_of


@pytest.mark.parametrize(("model", "base", "url", "name", "provider"), [
    ("gpt-4o", None, "https://api.openai.com/v1", "gpt-4o", "openai"),
    ("ft:gpt-4o-mini:acme::x", None, "https://api.openai.com/v1", "ft:gpt-4o-mini:acme::x", "openai"),
    ("openai/o3", None, "https://api.openai.com/v1", "o3", "openai"),
    ("openai/o3", "https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1", "o3", "openai"),
    ("openai/mine", "http://h:8000/v1/", "http://h:8000/v1", "mine", None),
    ("together_ai/meta-llama/Llama-3.3-70B", None, "https://api.together.xyz/v1", "meta-llama/Llama-3.3-70B", "together"),
    ("openrouter/openai/gpt-4o", None, "https://openrouter.ai/api/v1", "openai/gpt-4o", "openrouter"),
    ("gemini/gemini-2.5-pro", None, "https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-pro", "google"),
    ("perplexity/sonar", None, "https://api.perplexity.ai", "sonar", "perplexity"),
    ("hosted_vllm/Qwen/Qwen3-8B", "http://h:8000", "http://h:8000/v1", "Qwen/Qwen3-8B", None),
    ("ollama/llama3:8b", None, "http://localhost:11434/v1", "llama3:8b", None),
    ("ollama_chat/llama3", "http://box:11434/", "http://box:11434/v1", "llama3", None),
    ("anthropic/claude-x", "https://api.anthropic.com/v1", "https://api.anthropic.com/v1", "claude-x", "anthropic"),
    ("my-model", "http://h/v1", "http://h/v1", "my-model", None),
    ("meta-llama/Llama", "http://h/v1", "http://h/v1", "meta-llama/Llama", None),
])
def test_known_names_have_a_place(model, base, url, name, provider):
    place = place_of(model, base)

    assert (place.url, place.model, place.provider) == (url, name, provider)
    assert place.engine in Endpoint.model_fields["engine"].annotation.__args__


@pytest.mark.parametrize(("model", "engine"), [("hosted_vllm/x", "vllm"), ("ollama/x", "ollama"), ("llamafile/x", "llamacpp"), ("openai/x", "openai")])
def test_the_prefix_tells_the_engine(model, engine):
    assert place_of(model, "http://h:1/v1").engine == engine


def test_a_custom_provider_stands_for_the_prefix():
    place = place_of("deepseek-chat", None, "deepseek")

    assert (place.provider, place.model, place.variable) == ("deepseek", "deepseek-chat", "DEEPSEEK_API_KEY")


def test_a_key_of_the_provider_is_implied_at_its_own_address_only():
    assert place_of("openai/x").variable == "OPENAI_API_KEY"
    assert place_of("openai/x", "http://elsewhere/v1").variable is None


@pytest.mark.parametrize("model", ["azure/x", "azure_ai/x", "bedrock/x", "vertex_ai/x", "sagemaker/x", "watsonx/x", "cohere/x", "x"])
def test_what_speaks_another_format_is_nowhere(model):
    assert isinstance(place_of(model), Nowhere)
    assert len(place_of(model).why) > 40


@pytest.mark.parametrize(("model", "base", "url", "provider"), [
    ("anthropic/claude-x", None, "https://api.anthropic.com/v1", "anthropic"),
    ("claude-x", None, "https://api.anthropic.com/v1", "anthropic"),
    ("claude-x", "https://api.anthropic.com", "https://api.anthropic.com/v1", "anthropic"),
    ("anthropic/claude-x", "http://10.0.0.9:8000/v1/messages", "http://10.0.0.9:8000/v1", None),
])
def test_anthropics_models_are_asked_in_their_own_format(model, base, url, provider):
    place = place_of(model, base)

    assert (place.url, place.model, place.engine, place.provider) == (url, "claude-x", "anthropic", provider)
    assert place.variable == ("ANTHROPIC_API_KEY" if provider else None)
    assert bool(place.note) == (provider is None)
