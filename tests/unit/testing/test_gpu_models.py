"""The three constants put single streams and full batches where the published table says."""

import pytest

from pointsman.testing.gpu_models import (
    GPUS,
    MODELS,
    PREFILL_PER_OUTPUT,
    TIERS,
    gpu_named,
    kv_tokens,
    model_named,
    timing,
)


def tier(name: str) -> tuple:
    row = next(t for t in TIERS if t.name == name)
    return GPUS[row.gpu], MODELS[row.model]


@pytest.mark.parametrize(("name", "tokens_per_s"), [("small", 90), ("medium", 45), ("large", 35)])
def test_a_lone_stream_decodes_at_a_plausible_speed(name: str, tokens_per_s: float) -> None:
    assert 1 / timing(*tier(name)).step_s(0, 1) == pytest.approx(tokens_per_s, rel=0.1)


@pytest.mark.parametrize(("name", "least", "most"), [("small", 0.06, 0.15), ("medium", 0.15, 0.3), ("large", 0.25, 0.5)])
@pytest.mark.parametrize("prompt", [30, 250])
def test_the_first_token_of_a_lone_request_comes_in_time(name: str, least: float, most: float, prompt: int) -> None:
    t = timing(*tier(name))

    assert least <= t.front_s + t.step_s(prompt, 1) <= most


@pytest.mark.parametrize(("name", "least", "most"), [("small", 800, 1200), ("medium", 400, 600), ("large", 300, 500)])
def test_a_full_batch_generates_the_published_tokens_per_second(name: str, least: float, most: float) -> None:
    gpu, model = tier(name)
    # In the steady state of 500 in and 200 out, every token out comes with 2.5 tokens of somebody's prompt.
    step_s = timing(gpu, model).step_s(round(PREFILL_PER_OUTPUT * gpu.slots), gpu.slots)

    assert least <= gpu.slots / step_s <= most


def test_the_70b_has_no_margin_on_one_h100() -> None:
    gpu, model = tier("large")

    assert model.context <= kv_tokens(gpu, model) < 1.1 * model.context


def test_every_pair_has_positive_constants() -> None:
    for gpu in GPUS.values():
        for model in MODELS.values():
            t = timing(gpu, model)
            assert min(t.a, t.b, t.c) > 0


def test_an_unknown_model_is_sized_by_its_name() -> None:
    assert model_named("acme/thing-13b-chat").parameters == 13e9
    assert model_named("acme/thing").parameters == 7.6e9


def test_an_unknown_gpu_is_named_with_the_known_ones() -> None:
    assert gpu_named("rtx 4090").name == "RTX 4090"
    with pytest.raises(KeyError, match=r"B200.*H100"):
        gpu_named("B200")
