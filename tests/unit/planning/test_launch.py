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
