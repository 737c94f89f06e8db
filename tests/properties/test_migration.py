"""Whatever a LiteLLM file says, the result can be served or is empty, no key shows, and every entry is in the report."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from pointsman.config.load import load_text
from pointsman.migration.litellm import import_litellm

NAMES = st.sampled_from(["a", "b", "auto", "gpt-4o", "openai/gpt-4o", "openai-gpt-4o", "a-only", "a-1", "x y", "é", "smart", "*", "a" * 70])
MODELS = st.sampled_from(["gpt-4o", "openai/gpt-4o", "groq/llama", "openai/own", "hosted_vllm/q", "azure/x", "text-embedding-3-small", "ollama/l",
                          "openai/*", "auto_router/x", "anthropic/c", "unknown"])
KEYS = st.sampled_from(["SECRET-1", "SECRET-2", "os.environ/OPENAI_API_KEY", "none", "", None, 5])
BASES = st.sampled_from(["http://10.0.0.1:8000/v1", "http://10.0.0.2/v1", "https://api.groq.com/openai/v1", "nonsense", "http://u:SECRET-3@h/v1", None])
ODD = st.sampled_from([None, 0, 1, -1, 0.5, True, "x", "1e-6", [], {}, ["x"]])


def some(**fields):
    return st.fixed_dictionaries({}, optional=fields)


PARAMS = st.fixed_dictionaries({"model": MODELS}, optional={
    "api_key": KEYS, "api_base": BASES, "order": st.integers(1, 3) | ODD, "tags": st.lists(st.sampled_from(["free", "paid", "default"]), max_size=2) | ODD,
    "input_cost_per_token": ODD, "output_cost_per_token": ODD, "rpm": ODD, "max_parallel_requests": ODD, "novel": ODD,
    "complexity_router_config": some(tiers=st.dictionaries(st.sampled_from(["SIMPLE", "MEDIUM", "COMPLEX", "REASONING", "HUGE"]),
                                                           NAMES | st.lists(NAMES, max_size=3) | ODD),
                                     keyword_tier_rules=st.lists(some(keywords=st.lists(st.sampled_from(["k8s", ""])), tier=st.just("SIMPLE"))) | ODD),
    "complexity_router_default_model": NAMES, "auto_router_default_model": NAMES,
})
ENTRY = some(model_name=NAMES, litellm_params=PARAMS, model_info=some(max_input_tokens=ODD, supports_vision=ODD, mode=st.sampled_from(
    ["chat", "embedding", "image_generation", "completion"])))
CHAINS = st.lists(st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=2), max_size=2) | ODD
FILES = st.fixed_dictionaries({"model_list": st.lists(ENTRY, max_size=6)}, optional={
    "router_settings": some(fallbacks=CHAINS, context_window_fallbacks=CHAINS, model_group_alias=st.dictionaries(NAMES, NAMES | ODD, max_size=3),
                            enable_tag_filtering=ODD, timeout=ODD, cooldown_time=ODD, allowed_fails=ODD, default_fallbacks=st.lists(NAMES) | ODD,
                            default_max_parallel_requests=ODD),
    "litellm_settings": some(fallbacks=CHAINS, request_timeout=ODD, default_fallbacks=st.lists(NAMES, max_size=2)),
    "general_settings": some(master_key=KEYS, max_request_size_mb=ODD),
})


@given(FILES)
def test_the_result_can_be_served_or_is_empty(said):
    migrated = import_litellm(yaml.safe_dump(said), "config.yaml", {})

    assert "SECRET" not in repr(migrated)
    if migrated.text:
        settings = load_text(migrated.text, "new.yaml", {name: f"value-of-{name}" for name in migrated.variables})
        assert settings.tiers
    for i, _ in enumerate(said["model_list"]):
        assert any(finding.place.startswith(f"model_list[{i}]") for finding in migrated.findings)
