"""OpenRouter requests as a configuration."""

import json

import pytest

from pointsman.config.load import load_text
from pointsman.errors import ConfigError
from pointsman.migration.openrouter import import_openrouter


def imported(body):
    migrated = import_openrouter(json.dumps(body), "request.json")
    return migrated, load_text(migrated.text, "new", dict.fromkeys(migrated.variables, "a-key"))


def test_models_are_tiers_and_the_rest_of_them_fallbacks():
    migrated, settings = imported({"model": "openai/gpt-4o", "models": ["anthropic/claude-sonnet-5", "openai/gpt-4o", "meta/llama:floor"],
                                   "route": "fallback", "messages": []})
    route = settings.routes["auto"]

    assert (route.ladder, route.fallbacks) == (("openai-gpt-4o",), ("anthropic-claude-sonnet-5", "meta-llama-floor"))
    assert [(e.url, e.model, e.provider) for e in settings.pools["meta-llama-floor"].endpoints] == [
        ("https://openrouter.ai/api/v1", "meta/llama:floor", "openrouter")]
    assert ("route", "carried") in {(f.place, f.fate) for f in migrated.findings}


def test_preferences_are_kept_as_comments():
    provider = {"order": ["together"], "only": ["a"], "ignore": ["b"], "sort": "price", "max_price": {"prompt": 1}, "allow_fallbacks": False, "new": 1}
    migrated, _ = imported({"model": "openai/gpt-4o", "provider": provider})

    for key, value in provider.items():
        assert f"#   {key}: {json.dumps(value)}" in migrated.text
        assert any(f.place == f"provider.{key}" and f.fate == "dropped" and "kept as a comment" in f.sentence for f in migrated.findings)


def test_their_router_means_that_ours_chooses():
    _, settings = imported({"model": "openrouter/auto", "models": ["openai/gpt-4o-mini", "openai/gpt-4o"]})

    assert settings.routes["auto"].ladder == ("openai-gpt-4o-mini", "openai-gpt-4o")
    assert settings.routes["auto"].pipeline == ("rules", "heuristic")


def test_every_field_has_a_sentence_or_is_the_clients_own():
    migrated, _ = imported({"model": "a/b", "messages": [{"role": "user", "content": "my secret words"}], "temperature": 1, "transforms": [], "plugins": [],
                            "shiny": 1, "models": [3]})
    places = {f.place for f in migrated.findings}

    assert {"transforms", "plugins", "shiny", "models[0]"} <= places
    assert "temperature" not in places
    assert "secret words" not in repr(migrated)


@pytest.mark.parametrize("text", ["{", "[]", "3", "{}", '{"messages": []}'])
def test_what_is_no_request_is_said(text):
    with pytest.raises(ConfigError):
        import_openrouter(text, "request.json")


@pytest.mark.parametrize("body", [{"model": "openrouter/auto"}, {"models": "a"}, {"model": 3, "provider": []}, {"model": "a\nb"}])
def test_nothing_to_serve_is_no_configuration(body):
    migrated = import_openrouter(json.dumps(body), "request.json")

    assert migrated.text == ""
    assert migrated.findings
