from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.planning.launch import BadCommand, read_launch


def test_a_command_is_read_as_a_shell_would():
    launch = read_launch("""HF_HOME=/x vllm serve Qwen/Qwen2.5-7B-Instruct \\
        --quantization fp8 --max-model-len=16k --gpu-memory-utilization 0.9 --enable-auto-tool-choice --max-num-seqs 256  # words""")

    assert (launch.engine, launch.model, launch.quantization, launch.context, launch.share, launch.slots) == (
        "vllm", "Qwen/Qwen2.5-7B-Instruct", "fp8", 16000, 0.9, 256)


@pytest.mark.parametrize("command", [
    "python -m vllm.entrypoints.openai.api_server --model M --tensor-parallel-size 2",
    "docker run --gpus all vllm/vllm-openai:v0.29.0 --model M -tp 2",
    "python3 -m sglang.launch_server --model-path M --tp 2",
    "vllm serve M --served-model-name some/name --tensor-parallel-size 2",
])
def test_every_usual_way_to_start_one(command):
    launch = read_launch(command)

    assert (launch.model, launch.gpus) == ("M", 2)


def test_a_dtype_that_is_in_many_recipes_and_in_no_engine_is_refused_with_what_to_write():
    (why,) = read_launch("vllm serve M --dtype fp8").refused

    assert "--dtype fp8 does not exist" in why
    assert "--quantization fp8" in why


def test_the_engines_name_kv_types_differently():
    assert read_launch("vllm serve M --kv-cache-dtype fp8").refused == ()
    assert read_launch("python -m sglang.launch_server --model-path M --kv-cache-dtype fp8").refused
    assert read_launch("python -m sglang.launch_server --model-path M --kv-cache-dtype fp8_e5m2").refused == ()


@pytest.mark.parametrize("command", ["", "ollama serve", "vllm serve", "vllm serve --port 1", "vllm serve M --max-model-len", "vllm serve M --max-num-seqs many",
                                     "vllm serve 'M"])
def test_what_cannot_be_read_says_what_to_write(command):
    with pytest.raises(BadCommand):
        read_launch(command)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text):
    for command in (text, f"vllm serve {text}", f"vllm serve M {text}"):
        try:
            read_launch(command)
        except BadCommand:
            continue


def test_a_length_that_is_left_to_the_engine_is_what_fits():
    for text in ("auto", "-1"):
        launch = read_launch(f"vllm serve Qwen/Qwen2.5-7B-Instruct --max-model-len {text}")
        assert (launch.context, launch.is_fitted, launch.refused) == (None, True, ())


def test_numbers_that_no_engine_takes_are_refused_by_the_flags_name():
    launch = read_launch("vllm serve Qwen/Qwen2.5-7B-Instruct --max-model-len=-5 -tp 0")

    assert set(launch.refused) == {"--max-model-len -5 must be above 0", "-tp 0 must be above 0"}
    assert launch.tensor_parallel == 1


def test_what_is_no_number_is_told_with_its_flag():
    with pytest.raises(BadCommand, match="--max-num-seqs: 'abc' is no number"):
        read_launch("vllm serve Qwen/Qwen2.5-7B-Instruct --max-num-seqs abc")


def test_vllm_takes_underscores_for_dashes():
    assert read_launch("vllm serve m --max_model_len 8192 --kv_cache_dtype=fp8").context == 8192


def test_flags_that_change_memory_and_are_not_reckoned_with_are_named_once():
    launch = read_launch("vllm serve m --cpu-offload-gb 10 --speculative-config '{}' --cpu-offload-gb=4 --seed -1")

    assert launch.uncounted == ("--cpu-offload-gb", "--speculative-config")


@pytest.mark.parametrize("command", ["vllm serve m -dp 2", "vllm serve m --data-parallel-size=2", "python -m sglang.launch_server --model-path m --dp 2"])
def test_data_parallel_engines_are_counted(command):
    assert read_launch(command).data_parallel == 2
