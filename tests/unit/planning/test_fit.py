"""Against figures computed by hand from the models' configurations, and against what engines are known to do."""

from __future__ import annotations

import json

import pytest

from pointsman.planning.cards import UnknownCard, card_of
from pointsman.planning.fit import Fit, fit
from pointsman.planning.launch import read_launch
from pointsman.planning.models import KNOWN, UnknownModel, architecture_of

L70 = "meta-llama/Llama-3.3-70B-Instruct"


def fitted(command: str, card: str) -> Fit:
    launch = read_launch(command)
    return fit(launch, architecture_of(launch.model), card_of(card))


def test_the_published_third_tier_does_not_start_on_one_h100():
    found = fitted(f"vllm serve {L70} --quantization fp8 --gpu-memory-utilization 0.92 --max-num-seqs 64 --max-model-len 32768", "H100")

    assert found.verdict == "does not fit"
    assert round(found.weights_gib, 1) == 67.7
    assert found.kv_bytes_per_token == 320 * 1024
    assert 8_000 < found.tokens < 18_400  # 18,400 if nothing but weights were there
    assert "takes 10.0 GiB" in found.why
    assert any("--tensor-parallel-size 2" in change for change in found.changes)
    assert any("H200" in change for change in found.changes)
    assert any("--max-model-len 8192" in change for change in found.changes)


def test_what_is_proposed_fits():
    found = fitted(f"vllm serve {L70} --quantization fp8 --max-model-len 32768", "H100")
    flags = [change for change in found.changes if change.startswith("--")]

    assert flags
    for change in flags:
        again = fitted(f"vllm serve {L70} --quantization fp8 --max-model-len 32768 {change}", "H100")
        assert again.verdict == "fits", change


def test_72b_in_16_bits_leaves_nothing_on_141_gb():
    assert fitted("vllm serve Qwen/Qwen2.5-72B-Instruct", "H200").verdict == "does not fit"
    assert fitted("vllm serve Qwen/Qwen2.5-72B-Instruct-FP8", "H200").verdict == "fits"


@pytest.mark.parametrize(("model", "kib"), [
    ("Qwen/Qwen2.5-7B-Instruct", 56), ("Qwen/Qwen2.5-32B-Instruct", 256), (L70, 320), ("meta-llama/Llama-3.2-3B-Instruct", 112),
    ("meta-llama/Llama-3.1-8B-Instruct", 128),
])
def test_keys_and_values_of_a_token(model, kib):
    assert KNOWN[model].kv_bytes_per_token(2) == kib * 1024


def test_the_published_second_tiers_limit_of_90_percent_can_never_fire():
    found = fitted("vllm serve Qwen/Qwen2.5-32B-Instruct --quantization fp8 --gpu-memory-utilization 0.90 --max-num-seqs 128", "A100 80GB")

    assert any("a limit of 90 % never fires" in warning for warning in found.warnings)
    assert any("no FP8 arithmetic" in warning for warning in found.warnings)


def test_flags_that_an_engine_refuses_are_corrected_before_counting():
    found = fitted("vllm serve Qwen/Qwen2.5-7B-Instruct --dtype fp8 --gpu-memory-utilization 0.85", "RTX 4090")

    assert found.verdict == "does not start"
    assert found.changes == ("correct the flags as said",)
    assert round(found.weights_gib, 1) == 8.1


def test_gpus_share_weights_and_heads_until_each_has_one():
    one, eight = (fitted(f"vllm serve {L70} --quantization fp8 --tensor-parallel-size {n}", "H100") for n in (1, 8))
    assert eight.weights_gib == pytest.approx(one.weights_gib / 8)
    assert eight.kv_bytes_per_token == one.kv_bytes_per_token / 8
    assert fitted("vllm serve Qwen/Qwen2.5-7B-Instruct -tp 8", "L4").kv_bytes_per_token == 56 * 1024 / 4


def test_a_context_beyond_the_training_is_refused_and_the_longest_possible_named():
    found = fitted("vllm serve Qwen/Qwen2.5-7B-Instruct --max-model-len 131072", "H100")

    assert (found.verdict, "longer than the 32,768" in found.why) == ("does not start", True)


def test_a_model_from_its_own_configuration(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({
        "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
        "intermediate_size": 14336, "max_position_embeddings": 131072}))
    found, known = architecture_of(str(tmp_path)), KNOWN["meta-llama/Llama-3.1-8B-Instruct"]

    assert found.parameters == pytest.approx(known.parameters, rel=0.001)
    assert found.kv_bytes_per_token(2) == known.kv_bytes_per_token(2)


def test_strangers_are_named_with_what_is_known():
    with pytest.raises(UnknownModel, match=r"Qwen2\.5-7B"):
        architecture_of("x/unheard-of")
    with pytest.raises(UnknownCard, match="H100"):
        card_of("GeForce 2")


@pytest.mark.parametrize(("written", "name"), [
    ("NVIDIA GeForce RTX 4090", "RTX 4090 24 GB"), ("a100-sxm4-80gb", "A100 80 GB"), ("A100 40GB", "A100 40 GB"), ("h100 mig 3g.40gb", "H100 80 GB, MIG 3g.40gb"),
    ("L40S", "L40S 48 GB"), ("L4", "L4 24 GB"),
])
def test_cards_as_people_write_them(written, name):
    assert card_of(written).name == name


def test_an_engine_that_chooses_its_own_length_starts_with_what_there_is_room_for():
    found = fitted(f"vllm serve {L70} --quantization fp8 --max-model-len auto", "H100")

    assert found.verdict == "fits"
    assert found.context == found.tokens < 18_400


def test_an_engine_that_chooses_its_own_length_still_needs_room_for_its_weights():
    assert fitted(f"vllm serve {L70} --max-model-len auto", "H100").verdict == "does not fit"


def test_data_parallel_engines_and_uncounted_flags_are_told():
    found = fitted("vllm serve Qwen/Qwen2.5-7B-Instruct -dp 2 -tp 2 --cpu-offload-gb 4", "A100")

    assert "2 data-parallel engines take 4 cards; figures are of one engine" in found.warnings
    assert "not reckoned with: --cpu-offload-gb" in found.warnings
