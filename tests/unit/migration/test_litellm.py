"""LiteLLM proxy files of every usual shape, and what becomes of them."""

import pytest

from pointsman.config.load import load_text
from pointsman.errors import ConfigError
from pointsman.migration.litellm import import_litellm


def imported(text, environ=None):
    """The migration, and the settings of its result with every variable set."""
    migrated = import_litellm(text, "config.yaml", environ or {})
    return migrated, load_text(migrated.text, "new.yaml", {name: f"value-of-{name}" for name in migrated.variables})


def fates(migrated):
    return {(finding.place, finding.fate) for finding in migrated.findings}


def sentence(migrated, place, fate=None):
    (found,) = [f.sentence for f in migrated.findings if f.place == place and fate in (None, f.fate)]
    return found


def test_two_providers_behind_two_names():
    migrated, settings = imported("""
model_list:
  - model_name: big
    litellm_params: {model: gpt-4o, api_key: os.environ/OPENAI_API_KEY}
  - model_name: fast
    litellm_params: {model: groq/llama-3.1-8b-instant, api_key: os.environ/GROQ_API_KEY}
""")
    big, fast = settings.pools["big"].endpoints[0], settings.pools["fast"].endpoints[0]

    assert (big.url, big.model, big.provider) == ("https://api.openai.com/v1", "gpt-4o", "openai")
    assert (fast.url, fast.model, fast.api_key) == ("https://api.groq.com/openai/v1", "llama-3.1-8b-instant", "value-of-GROQ_API_KEY")
    assert settings.routes["auto"].ladder == ("fast", "big")
    assert "Ordered by price" in migrated.text
    assert set(migrated.variables) == {"OPENAI_API_KEY", "GROQ_API_KEY"}


def test_where_a_price_is_missing_the_ladder_goes_by_size():
    migrated, settings = imported("""
model_list:
  - model_name: gpt
    litellm_params: {model: gpt-4o, api_key: os.environ/OPENAI_API_KEY}
  - model_name: own
    litellm_params: {model: hosted_vllm/Qwen/Qwen2.5-7B-Instruct, api_base: "http://10.0.0.9:8000/v1"}
""")

    assert settings.routes["auto"].ladder == ("own", "gpt")
    assert "Ordered by size as the names tell it" in migrated.text


def test_of_a_model_that_nothing_tells_the_size_of_the_order_is_the_files():
    migrated, settings = imported("""
model_list:
  - model_name: gpt
    litellm_params: {model: gpt-4o, api_key: os.environ/OPENAI_API_KEY}
  - model_name: ours
    litellm_params: {model: hosted_vllm/acme-chat, api_base: "http://10.0.0.9:8000/v1"}
""")

    assert settings.routes["auto"].ladder == ("gpt", "ours")
    assert "In the order of model_list" in migrated.text


def test_entries_of_one_name_are_endpoints_of_one_pool():
    migrated, settings = imported("""
model_list:
  - model_name: llama
    litellm_params: {model: hosted_vllm/meta-llama/Llama-3.1-8B, api_base: "http://10.0.0.1:8000", api_key: none, rpm: 100, max_parallel_requests: 64}
    model_info: {max_input_tokens: 32768, supports_function_calling: true}
  - model_name: llama
    litellm_params: {model: openai/meta-llama/Llama-3.1-8B, api_base: "http://10.0.0.2:8000/v1/", weight: 2}
    model_info: {max_input_tokens: 8192, supports_function_calling: true, supports_vision: false}
""")
    pool = settings.pools["llama"]

    assert [(e.url, e.engine, e.api_key, e.slots) for e in pool.endpoints] == [
        ("http://10.0.0.1:8000/v1", "vllm", None, 64), ("http://10.0.0.2:8000/v1", "openai", None, None)]
    assert (pool.capabilities.context, pool.capabilities.tools, pool.capabilities.vision) == (8192, True, False)
    assert {("model_list[0].litellm_params.rpm", "dropped"), ("model_list[1].litellm_params.weight", "dropped"),
            ("model_list[0].litellm_params.max_parallel_requests", "carried")} <= fates(migrated)


def test_two_keys_at_one_address_are_two_pools_of_one_tier():
    migrated, settings = imported("""
model_list:
  - {model_name: gpt-4o, litellm_params: {model: openai/gpt-4o, api_key: os.environ/KEY_A}}
  - {model_name: gpt-4o, litellm_params: {model: openai/gpt-4o, api_key: os.environ/KEY_B}}
  - {model_name: gpt-4o, litellm_params: {model: openai/gpt-4o, api_key: os.environ/KEY_B}}
""")

    assert settings.tiers["gpt-4o"].pools == ("gpt-4o-1", "gpt-4o-2")
    assert [settings.pools[name].endpoints[0].api_key for name in settings.tiers["gpt-4o"].pools] == ["value-of-KEY_A", "value-of-KEY_B"]
    assert any(f.place == "model_list[1]" and "in reserve behind the first" in f.sentence for f in migrated.findings)
    assert "one endpoint is enough" in sentence(migrated, "model_list[2]", "dropped")


def test_order_is_the_order_of_pools():
    migrated, settings = imported("""
model_list:
  - {model_name: chat, litellm_params: {model: openai/a, api_base: "http://spare/v1", order: 2}}
  - {model_name: chat, litellm_params: {model: openai/a, api_base: "http://first/v1", order: 1}}
""")

    assert [settings.pools[name].endpoints[0].url for name in settings.tiers["chat"].pools] == ["http://first/v1", "http://spare/v1"]
    assert ("model_list[0].litellm_params.order", "carried") in fates(migrated)


def test_literal_keys_become_variables_and_never_show():
    migrated, _ = imported("""
model_list:
  - {model_name: a, litellm_params: {model: openai/gpt-4o, api_key: sk-very-secret-one}}
  - {model_name: b, litellm_params: {model: openai/gpt-4o-mini, api_key: sk-very-secret-two}}
  - {model_name: c, litellm_params: {model: openai/gpt-4.1, api_key: sk-very-secret-one}}
  - {model_name: d, litellm_params: {model: openai/x, api_base: "https://my-models.example/v1", api_key: other-secret}}
general_settings: {master_key: sk-master-secret, database_url: "postgresql://user:db-secret@host/db"}
environment_variables: {SOMETHING: env-secret}
""")
    everything = migrated.text + repr(migrated)

    assert "secret" not in everything.replace("a secret", "")
    assert set(migrated.variables) == {"OPENAI_API_KEY", "OPENAI_API_KEY_2", "MY_MODELS_EXAMPLE_API_KEY", "LITELLM_MASTER_KEY"}
    assert ("environment_variables.SOMETHING", "dropped") in fates(migrated)


def test_a_key_that_litellm_reads_silently_is_written_down():
    migrated, settings = imported("model_list: [{model_name: a, litellm_params: {model: mistral/mistral-large-latest}}]")

    assert settings.pools["a"].endpoints[0].api_key == "value-of-MISTRAL_API_KEY"
    assert "without being told" in " ".join(f.sentence for f in migrated.findings)


def test_prices_of_the_file_are_per_million_here():
    _, settings = imported("""
model_list:
  - model_name: a
    litellm_params: {model: openai/own, api_base: "http://h/v1", input_cost_per_token: 1e-6, output_cost_per_token: 0.000002}
  - model_name: b
    litellm_params: {model: openai/own, api_base: "http://i/v1"}
    model_info: {input_cost_per_token: 0, output_cost_per_token: 0.0000005, cache_read_input_token_cost: "1e-8"}
  - {model_name: c, litellm_params: {model: openai/own, api_base: "http://j/v1", input_cost_per_token: 0.1}}
""")
    prices = {name: settings.pools[name].endpoints[0].price for name in "abc"}

    assert (prices["a"].input, prices["a"].output) == (1.0, 2.0)
    assert (prices["b"].input, prices["b"].output, prices["b"].cached_input) == (0.0, 0.5, 0.01)
    assert prices["c"] is None
    assert settings.routes["auto"].ladder == ("a", "b", "c")


def test_fallbacks_make_a_route_of_the_name_that_clients_use():
    migrated, settings = imported("""
model_list:
  - {model_name: strong, litellm_params: {model: openai/a, api_base: "http://a/v1"}}
  - {model_name: spare, litellm_params: {model: openai/b, api_base: "http://b/v1"}}
  - {model_name: long, litellm_params: {model: openai/c, api_base: "http://c/v1"}, model_info: {max_input_tokens: 200000}}
router_settings:
  fallbacks: [{strong: [spare, absent]}]
litellm_settings:
  context_window_fallbacks: [{strong: [long]}, {absent: [long]}]
  content_policy_fallbacks: [{strong: [spare]}]
""")
    route = settings.routes["strong"]

    assert (route.ladder, route.fallbacks, route.pipeline) == (("strong-only", "long"), ("spare",), ("pinned:strong-only",))
    assert settings.pools["strong-only"].endpoints[0].model == "a"
    assert {("router_settings.fallbacks[0].strong", "carried"), ("router_settings.fallbacks[0].strong", "dropped"),
            ("litellm_settings.context_window_fallbacks[0].strong", "changed"), ("litellm_settings.context_window_fallbacks[1].absent", "dropped"),
            ("litellm_settings.content_policy_fallbacks", "dropped")} <= fates(migrated)


def test_default_fallbacks_hold_for_every_other_model():
    _, settings = imported("""
model_list:
  - {model_name: a, litellm_params: {model: openai/a, api_base: "http://a/v1"}}
  - {model_name: b, litellm_params: {model: openai/b, api_base: "http://b/v1"}}
  - {model_name: last, litellm_params: {model: openai/c, api_base: "http://c/v1"}}
litellm_settings: {default_fallbacks: [last]}
""")

    assert {name: route.fallbacks for name, route in settings.routes.items()} == {"a": ("last",), "b": ("last",), "auto": ()}


def test_aliases_are_routes():
    migrated, settings = imported("""
model_list:
  - {model_name: gpt-4o, litellm_params: {model: openai/a, api_base: "http://a/v1"}}
  - {model_name: spare, litellm_params: {model: openai/b, api_base: "http://b/v1"}}
router_settings:
  model_group_alias: {gpt-4: gpt-4o, old: {model: gpt-4o, hidden: true}, lost: nowhere, spare: gpt-4o, "a/b": spare}
""")

    assert settings.routes["gpt-4"].ladder == settings.routes["old"].ladder == ("gpt-4o",)
    assert {(f"router_settings.model_group_alias.{name}", "dropped") for name in ("lost", "spare", "a/b")} <= fates(migrated)


def test_tags_are_rules_when_filtering_is_on():
    text = """
model_list:
  - {model_name: chat, litellm_params: {model: openai/a, api_base: "http://free/v1", tags: [free]}}
  - {model_name: chat, litellm_params: {model: openai/a, api_base: "http://paid/v1", tags: [paid, team-b]}}
  - {model_name: chat, litellm_params: {model: openai/a, api_base: "http://usual/v1", tags: [default]}}
router_settings: {enable_tag_filtering: ON}
"""
    _, settings = imported(text.replace("ON", "true"))
    route = settings.routes["chat"]
    first = settings.pools[settings.tiers["chat-only"].pools[0]]

    assert [(rule.name, settings.pools[rule.pool].endpoints[0].url) for rule in route.rules] == [
        ("tag-free", "http://free/v1"), ("tag-paid", "http://paid/v1"), ("tag-team-b", "http://paid/v1")]
    assert first.endpoints[0].url == "http://usual/v1"
    assert route.pipeline == ("rules", "pinned:chat-only")

    off, settings = imported(text.replace("ON", "false"))
    assert len(settings.pools["chat"].endpoints) == 3
    assert ("model_list[0].litellm_params.tags", "dropped") in fates(off)


def test_a_complexity_router_is_a_ladder():
    migrated, settings = imported("""
model_list:
  - {model_name: mini, litellm_params: {model: openai/gpt-4o-mini}}
  - {model_name: usual, litellm_params: {model: openai/gpt-4o}}
  - {model_name: deep, litellm_params: {model: openai/o3}}
  - model_name: smart-router
    litellm_params:
      model: auto_router/complexity_router
      complexity_router_config:
        tiers: {SIMPLE: mini, MEDIUM: [mini, usual], COMPLEX: deep, REASONING: deep}
        tier_boundaries: {simple_medium: 0.15}
        keyword_tier_rules:
          - {keywords: [hi, thanks], tier: SIMPLE}
          - {keywords: [kubernetes], tier: REASONING}
          - {keywords: [], tier: SIMPLE}
        classifier_type: llm
        shiny_new_key: 1
      complexity_router_default_model: mini
      drop_params: true
""")
    route, at = settings.routes["smart-router"], "model_list[3].litellm_params.complexity_router_config"

    assert route.ladder == ("mini", "smart-router-medium", "deep")
    assert settings.tiers["smart-router-medium"].pools == ("mini", "usual")
    assert route.default_tier == "mini"
    assert [(rule.when.keywords, rule.tier) for rule in route.rules] == [(("kubernetes",), "deep"), (("hi", "thanks"), "mini")]
    assert "auto" not in settings.routes
    assert {(f"{at}.tier_boundaries", "dropped"), (f"{at}.classifier_type", "dropped"), (f"{at}.shiny_new_key", "dropped"),
            (f"{at}.keyword_tier_rules[2]", "dropped"), (f"{at}.tiers.MEDIUM", "changed")} <= fates(migrated)


def test_a_semantic_router_leads_to_its_default():
    migrated, settings = imported("""
model_list:
  - {model_name: usual, litellm_params: {model: openai/gpt-4o}}
  - model_name: by-example
    litellm_params: {model: auto_router/by-example, auto_router_config_path: router.json, auto_router_default_model: usual, auto_router_embedding_model: e}
  - {model_name: lost, litellm_params: {model: auto_router/lost, auto_router_default_model: nowhere}}
""")

    assert settings.routes["by-example"].ladder == ("usual",)
    assert "lost" not in settings.routes
    assert ("model_list[1].litellm_params.auto_router_config_path", "dropped") in fates(migrated)


def test_embeddings_are_pools_on_no_tier():
    _, settings = imported("""
model_list:
  - {model_name: vectors, litellm_params: {model: openai/text-embedding-3-small}}
  - {model_name: own-vectors, litellm_params: {model: openai/served, api_base: "http://h/v1"}, model_info: {mode: embedding}}
  - {model_name: chat, litellm_params: {model: openai/gpt-4o}}
router_settings: {fallbacks: [{vectors: [own-vectors]}]}
""")

    assert settings.pools["vectors"].embeddings
    assert settings.pools["own-vectors"].embeddings
    assert set(settings.tiers) == {"chat"}


@pytest.mark.parametrize(("entry", "words"), [
    ("{model: azure/deployed, api_base: 'https://x.openai.azure.com', api_version: '2024-02-01'}", "Azure OpenAI wants an api-version"),
    ("{model: bedrock/anthropic.claude-3, aws_region_name: us-east-1}", "AWS signs every request"),
    ("{model: vertex_ai/gemini-2.5-pro}", "short-lived tokens"),
    ("{model: hosted_vllm/x}", "needs an api_base"),
    ("{model: replicate/meta/llama}", "`replicate/` is not known here"),
    ("{model: something-unknown}", "without a known prefix"),
    ("{model: 'openai/*'}", "a wildcard"),
    ("{model: openai/dall-e-3}", "serves images"),
    ("{model: openai/x, api_base: 'ftp://x'}", "is not an http or https URL"),
    ("{model: openai/x, api_base: 'https://key:pw@x/v1'}", "holds credentials"),
    ("{model: openai/x, api_base: os.environ/NOT_SET}", "which is not set here"),
    ("{api_base: 'http://x/v1'}", "names no `model`"),
])
def test_what_cannot_be_an_endpoint_is_dropped_with_a_sentence(entry, words):
    migrated = import_litellm(f"model_list: [{{model_name: a, litellm_params: {entry}}}]", "config.yaml", {})

    assert migrated.text == ""
    assert any(words in f.sentence and f.fate == "dropped" for f in migrated.findings), migrated.findings


def test_an_address_by_reference_is_looked_up_now():
    migrated, settings = imported("model_list: [{model_name: a, litellm_params: {model: openai/x, api_base: os.environ/BASE}}]",
                                  {"BASE": "http://10.1.1.1:8000/v1"})

    assert settings.pools["a"].endpoints[0].url == "http://10.1.1.1:8000/v1"
    assert "what BASE says now" in sentence(migrated, "model_list[0].litellm_params.api_base")


def test_timeouts_health_and_size():
    migrated, settings = imported("""
model_list:
  - {model_name: a, litellm_params: {model: openai/a, api_base: "http://a/v1", timeout: 5}}
  - {model_name: b, litellm_params: {model: openai/b, api_base: "http://b/v1"}}
router_settings: {timeout: 900, stream_timeout: 20, cooldown_time: 300, allowed_fails: 2, num_retries: 3, default_max_parallel_requests: 10,
                  routing_strategy: least-busy, enable_pre_call_checks: true, redis_host: r}
general_settings: {max_request_size_mb: 8}
""")
    route, health = settings.routes["auto"], settings.pools["a"].health

    assert (route.answer_timeout_s, route.deadline_s, route.ttft_timeout_s) == (900.0, 900.0, 20.0)
    assert (health.eject_after, health.eject_s, health.eject_max_s) == (3, 300.0, 300.0)
    assert (settings.pools["b"].endpoints[0].slots, settings.server.max_body) == (10, 8 * 2**20)
    assert {("router_settings.redis_host", "dropped"), ("router_settings.routing_strategy", "changed"), ("router_settings.num_retries", "changed"),
            ("router_settings.enable_pre_call_checks", "carried"), ("model_list[0].litellm_params.timeout", "dropped")} <= fates(migrated)


def test_the_master_key_is_a_client_key():
    _, settings = imported("""
model_list: [{model_name: a, litellm_params: {model: openai/a, api_base: "http://a/v1"}}]
general_settings: {master_key: os.environ/LITELLM_MASTER_KEY}
""")

    assert [key.name for key in settings.keys] == ["master"]


def test_names_that_cannot_be_tiers_still_can_be_asked_for():
    _, settings = imported("""
model_list:
  - {model_name: openai/gpt-4o, litellm_params: {model: openai/gpt-4o}}
  - {model_name: openai-gpt-4o, litellm_params: {model: openai/gpt-4o-mini}}
  - {model_name: gpt-4o, litellm_params: {model: openai/gpt-4.1}}
  - {model_name: auto, litellm_params: {model: openai/o3}}
""")
    models = {pool.model: pool.endpoints[0].model for pool in settings.pools.values()}

    assert models == {"openai/gpt-4o": "gpt-4o", "openai-gpt-4o": "gpt-4o-mini", "gpt-4o": "gpt-4.1", "auto": "o3"}
    assert set(settings.routes) == {"auto-2"}


def test_every_key_of_theirs_is_in_the_report():
    text = """
model_list:
  - model_name: a
    litellm_params: {model: openai/a, api_base: "http://a/v1", brand_new: 1, temperature: 0.2, extra_headers: {x: y}}
    model_info: {id: x, wonder: 2, supports_audio_input: true}
    also_new: 3
router_settings: {retry_policy: {}, unheard: 1}
litellm_settings: {drop_params: true, cache: true, callbacks: [prometheus], unheard: 1, request_timeout: soon}
general_settings: {store_model_in_db: true, unheard: 1}
guardrails: []
unheard: 1
"""
    migrated, _ = imported(text)
    places = {f.place for f in migrated.findings}

    for place in ("model_list[0].litellm_params.brand_new", "model_list[0].litellm_params.temperature", "model_list[0].litellm_params.extra_headers",
                  "model_list[0].model_info.id", "model_list[0].model_info.wonder", "model_list[0].model_info.supports_audio_input",
                  "model_list[0].also_new", "router_settings.retry_policy", "router_settings.unheard", "litellm_settings.drop_params",
                  "litellm_settings.cache", "litellm_settings.callbacks", "litellm_settings.unheard", "litellm_settings.request_timeout",
                  "general_settings.store_model_in_db", "general_settings.unheard", "guardrails", "unheard"):
        assert place in places
    assert [f.line for f in migrated.findings] == sorted(f.line for f in migrated.findings)


@pytest.mark.parametrize("text", [
    "[]", "", "model_list: {}", "{", "model_list: [{a: 1, a: 2}]",
])
def test_what_is_no_such_file_is_said(text):
    with pytest.raises(ConfigError):
        import_litellm(text, "config.yaml", {})


@pytest.mark.parametrize("text", [
    "model_list: [1, null, {}, {model_name: 3}, {model_name: a}, {model_name: a, litellm_params: []}]",
    "{model_list: [{model_name: é, litellm_params: {model: openai/é, api_base: 'http://h/v1', tags: 5, order: x, api_key: 7}}], router_settings: []}",
    "{model_list: [{model_name: a, litellm_params: {model: openai/a, api_base: 'http://h/v1'}, model_info: {max_input_tokens: many, "
    "supports_vision: maybe}}], router_settings: {fallbacks: a, model_group_alias: [x], allowed_fails: true, cooldown_time: -1, timeout: x}}",
])
def test_wrong_types_are_told_and_nothing_fails(text):
    assert import_litellm(text, "config.yaml", {}).findings
