"""Findings become a ladder: what stands where, and why."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.config.draft import Draft, chat_models, draft, place_in_words, weight_of
from pointsman.config.sources import Credential, Finding, Listed, Source
from pointsman.core.price import TokenPrice

OLLAMA = Source("Ollama", "http://127.0.0.1:11434/v1")
VLLM = Source("vLLM", "http://127.0.0.1:8000/v1")
OPENAI = Source("OpenAI", "https://api.openai.com/v1", "openai", "OPENAI_API_KEY", Credential("sk-x"))
ROUTER = Source("OpenRouter", "https://openrouter.ai/api/v1", "openrouter", "OPENROUTER_API_KEY", Credential("sk-x"))


def found(source: Source, *ids: str) -> Finding:
    return Finding(source, tuple(Listed(name) for name in ids))


def ladder(made: Draft) -> dict[str, str]:
    return {tier: model.name for tier, model in made.rungs}


def test_three_models_are_three_rungs_by_size_whatever_the_listing() -> None:
    made = draft([found(OLLAMA, "llama3.3:70b", "llama3.2:3b", "qwen2.5:32b")])

    assert ladder(made) == {"small": "llama3.2:3b", "medium": "qwen2.5:32b", "large": "llama3.3:70b"}
    assert place_in_words(made, 0) == "3 B parameters by its name; the smallest"
    assert place_in_words(made, 1).endswith("between the two")
    assert place_in_words(made, 2) == "70 B parameters by its name; the largest"


def test_two_models_are_small_and_large_and_one_is_alone() -> None:
    assert ladder(draft([found(OLLAMA, "llama3.2:3b", "mistral:7b")])) == {"small": "llama3.2:3b", "large": "mistral:7b"}
    one = draft([found(OLLAMA, "llama3.2:3b")])
    assert ladder(one) == {"only": "llama3.2:3b"}
    assert "the only model" in place_in_words(one, 0)
    assert draft([]).rungs == draft([Finding(OLLAMA, error="cannot be reached")]).rungs == ()


def test_of_many_the_ends_and_the_middle_are_rungs_and_the_rest_goes_by_name() -> None:
    made = draft([found(OLLAMA, "qwen3:4b", "qwen3:8b", "qwen3:14b", "qwen3:30b", "qwen3:72b")])

    assert ladder(made) == {"small": "qwen3:4b", "medium": "qwen3:14b", "large": "qwen3:72b"}
    assert [model.name for model in made.by_name] == ["qwen3:8b", "qwen3:30b"]


def test_tiny_models_stay_off_a_ladder_that_has_others() -> None:
    made = draft([found(OLLAMA, "smollm2:135m", "qwen2.5:0.5b", "llama3.2:3b", "qwen2.5:7b", "llama3.3:70b")])

    assert "smollm2:135m" not in ladder(made).values()
    assert {model.name for model in made.by_name} == {"smollm2:135m", "qwen2.5:0.5b"}


def test_the_same_model_at_several_places_is_one_pool_with_the_shortest_context() -> None:
    here = Finding(OLLAMA, (Listed("qwen2.5:7b", context=4096),))
    there = Finding(VLLM, (Listed("Qwen/Qwen2.5-7B-Instruct", context=32768, owned_by="vllm"),))
    (_, model), = draft([here, there]).rungs

    assert [(offer.id, offer.engine) for offer in model.offers] == [("qwen2.5:7b", "ollama"), ("Qwen/Qwen2.5-7B-Instruct", "vllm")]
    assert model.context == 4096


def test_one_server_with_a_model_twice_is_one_endpoint_and_the_instructed_one() -> None:
    (_, model), = draft([found(VLLM, "Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B-Instruct")]).rungs

    assert [offer.id for offer in model.offers] == ["Qwen/Qwen2.5-7B-Instruct"]


def test_a_long_listing_gives_its_trio_and_says_so() -> None:
    ids = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "o3", "gpt-4", "gpt-4-turbo", "gpt-3.5-turbo",
           "whisper-1", "text-embedding-3-small", "dall-e-3")
    made = draft([found(OPENAI, *ids)])

    assert ladder(made) == {"small": "gpt-4.1-nano", "medium": "gpt-4.1-mini", "large": "gpt-4.1"}
    assert made.by_name == ()
    assert [model.name for model in made.embeddings] == ["text-embedding-3-small"]
    assert "OpenAI's price list" in place_in_words(made, 0)
    assert place_in_words(made, 0).endswith("priced as the smallest")
    said = dict(made.left_out)
    assert said["6 more of OpenAI"] == "three of its 9 chat models make a first ladder"
    assert said["whisper-1 (OpenAI)"] == "no chat model: speech to text"


def test_hundreds_without_a_known_family_give_three_by_price_and_never_all() -> None:
    listed = tuple(Listed(f"vendor/model-{n}", price=TokenPrice(0.1 * n, 0.2 * n)) for n in range(1, 301))
    made = draft([Finding(ROUTER, listed)])

    assert ladder(made) == {"small": "vendor/model-1", "medium": "vendor/model-17", "large": "vendor/model-300"}
    assert made.by_name == ()
    assert "OpenRouter's own listing" in place_in_words(made, 2)


def test_hundreds_of_which_nothing_is_known_give_one() -> None:
    assert len(draft([found(ROUTER, *(f"v/m{chr(97 + n)}" for n in range(26)))]).rungs) == 1


def test_what_the_provider_lists_is_believed_before_the_table() -> None:
    (_, model), = draft([Finding(OPENAI, (Listed("gpt-4o-mini", price=TokenPrice(9, 9)),))]).rungs

    assert model.offers[0].price == TokenPrice(9, 9)


def test_a_local_model_of_a_providers_name_has_no_price() -> None:
    (_, model), = draft([found(VLLM, "gpt-4o-mini")]).rungs

    assert model.offers[0].price is None


def test_local_small_models_come_before_a_providers() -> None:
    made = draft([found(OPENAI, "gpt-4o", "gpt-4o-mini"), found(OLLAMA, "llama3.2:3b")])

    assert ladder(made) == {"small": "llama3.2:3b", "medium": "gpt-4o-mini", "large": "gpt-4o"}


def test_a_model_of_which_nothing_is_known_goes_to_the_middle_and_is_said_to() -> None:
    made = draft([found(VLLM, "mystery"), found(OLLAMA, "llama3.2:3b", "llama3.3:70b")])

    assert ladder(made) == {"small": "llama3.2:3b", "medium": "mystery", "large": "llama3.3:70b"}
    assert "unknown" in place_in_words(made, 1)


def test_a_guess_is_no_rung_where_enough_is_known() -> None:
    made = draft([found(OLLAMA, "mystery", "qwen3:4b", "qwen3:8b", "qwen3:30b", "qwen3:72b")])

    assert "mystery" not in ladder(made).values()


def test_a_plain_name_is_larger_than_its_sisters_that_call_themselves_small() -> None:
    made = draft([found(VLLM, "gpt-9-mini", "gpt-9", "gpt-9-nano", "gpt-8")])

    assert ladder(made) == {"small": "gpt-9-nano", "medium": "gpt-9-mini", "large": "gpt-9"}
    assert place_in_words(made, 2) == "size and price are unknown; gpt-9-mini is its small sister; the largest"
    assert [model.name for model in made.by_name] == ["gpt-8"]


def test_the_engines_own_count_of_parameters_is_believed_before_the_name() -> None:
    (_, model), = draft([Finding(VLLM, (Listed("smollm2", size_b=0.1345),))]).rungs

    assert model.weight == pytest.approx(0.1345)
    assert "says vLLM" in model.why


def test_models_called_like_a_tier_or_the_route_get_another_name() -> None:
    made = draft([found(OLLAMA, "auto", "small", "qwen3:8b")])

    assert sorted(model.name for _, model in made.rungs) == ["auto-model", "qwen3:8b", "small-model"]


@pytest.mark.parametrize("name", ["käse", " space", "x" * 300, "tab\tbed"])
def test_names_that_no_request_can_carry_are_left_out(name: str) -> None:
    made = draft([found(OLLAMA, name, "qwen3:8b")])

    assert ladder(made) == {"only": "qwen3:8b"}
    assert any("cannot stand in a request" in why for _, why in made.left_out)


def test_chosen_models_are_the_rungs_in_the_order_of_their_size() -> None:
    findings = [found(OLLAMA, "qwen3:8b", "qwen3:4b", "qwen3:30b", "qwen3:72b")]
    made = draft(findings, ["qwen3:72b", "qwen3:8b"])

    assert ladder(made) == {"small": "qwen3:8b", "large": "qwen3:72b"}
    assert made.by_name == ()


def test_every_model_of_a_long_listing_can_be_chosen() -> None:
    findings = [found(OPENAI, *(f"gpt-4o-v{n}" for n in range(50)))]

    assert len(chat_models(findings)) < len(chat_models(findings, everything=True)) == 50
    assert ladder(draft(findings, ["gpt-4o-v33"])) == {"only": "gpt-4o-v33"}


def test_a_file_an_engine_was_started_on_is_called_by_its_own_name() -> None:
    (_, model), = draft([found(VLLM, "/srv/models/SmolLM2-1.7B.Q4_1.gguf")]).rungs

    assert (model.name, model.offers[0].id) == ("SmolLM2-1.7B.Q4_1", "/srv/models/SmolLM2-1.7B.Q4_1.gguf")


def test_a_price_of_a_70_b_model_weighs_70_b() -> None:
    assert weight_of(TokenPrice(0.88, 0.88)) == pytest.approx(70)
    assert weight_of(TokenPrice(0.15, 0.60)) < weight_of(TokenPrice(2.5, 10)) < weight_of(TokenPrice(15, 75))


NAMES = st.lists(st.text(max_size=40) | st.sampled_from(["qwen3:8b", "gpt-4o", "auto", "small", "bge-m3", "x/y/z", "a.gguf"]), max_size=12)


@settings(deadline=None, max_examples=60)
@given(NAMES, NAMES)
def test_whatever_is_listed_at_most_three_rungs_ascend_and_no_name_means_two_things(here: list[str], there: list[str]) -> None:
    made = draft([found(OLLAMA, *here), found(OPENAI, *there)])

    assert len(made.rungs) <= 3
    weights = [model.weight for _, model in made.rungs]
    assert weights == sorted(weights)
    for _, model in made.rungs:
        assert len({offer.source.url for offer in model.offers}) == len(model.offers)
