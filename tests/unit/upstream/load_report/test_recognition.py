"""Which engine is it?"""

import asyncio
import json
from pathlib import Path

import pytest

from pointsman.upstream.load_report.recognition import Heard, recognise

CAPTURES = Path(__file__).parents[3] / "fixtures" / "engines"


def models(owner: str = "somebody", server: str = "uvicorn") -> Heard:
    return Heard(json.dumps({"data": [{"id": "m", "owned_by": owner}]}).encode(), server)


def asked(first: Heard | None, **answers: bytes) -> tuple[str, list[str]]:
    """The engine, and the paths that had to be asked; `props` is `/props`, `api_version` is `/api/version`."""
    paths: list[str] = []

    async def ask(path: str) -> Heard | None:
        paths.append(path)
        body = answers.get(path.strip("/").replace("/", "_"))
        return None if body is None else Heard(body)

    return asyncio.run(recognise(first, ask)), paths


@pytest.mark.parametrize(("owner", "engine"), [
    ("vllm", "vllm"), ("sglang", "sglang"), ("llamacpp", "llamacpp"), ("library", "ollama"), ("tensorrt_llm", "trtllm")])
def test_the_owner_of_a_model_tells_without_another_question(owner: str, engine: str) -> None:
    assert asked(models(owner)) == (engine, [])


def test_the_captured_lists_of_models_tell():
    for capture, engine in (("llamacpp_models", "llamacpp"), ("sglang_models", "sglang")):
        body = (CAPTURES / f"{capture}.txt").read_bytes().partition(b"\n\n")[2]
        assert asked(Heard(body)) == (engine, [])


def test_llama_cpp_signs_its_answers():
    assert asked(models(server="llama.cpp"))[0] == "llamacpp"


@pytest.mark.parametrize(("answers", "engine"), [
    ({"metrics": b"vllm:num_requests_running 0\n"}, "vllm"),
    ({"metrics": b"sglang:num_running_reqs 0\n"}, "sglang"),
    ({"metrics": b"tgi_queue_size 0\n"}, "tgi"),
    ({"metrics": b"trtllm_num_requests_running 0\n"}, "trtllm"),
    ({"props": b'{"total_slots":4}'}, "llamacpp"),
    ({"get_server_info": b'{"internal_states":[],"version":"0.4"}'}, "sglang"),
    ({"api_version": b'{"version":"0.12.6"}'}, "ollama"),
    ({"info": b'{"model_id":"m","max_concurrent_requests":128,"version":"3"}', "version": b'{"version":"9"}'}, "tgi"),
    ({"version": b'{"version":"0.32.0"}'}, "vllm"),
    ({"metrics": b"python_info 1\n", "info": b'{"name":"mine"}', "props": b"<html>"}, ""),
    ({}, ""),
])
def test_others_tell_by_their_metrics_or_their_own_paths(answers: dict[str, bytes], engine: str) -> None:
    assert asked(models(), **answers)[0] == engine
    assert asked(None, **answers)[0] == engine


def test_nobody_is_asked_for_a_generation():
    assert not [path for path in asked(None)[1] if "health" in path or "generate" in path]
