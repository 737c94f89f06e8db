"""The simulated engine over real sockets: what vLLM would say, and when."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from openai import APIConnectionError, APIError, APIStatusError, AsyncOpenAI, BadRequestError, NotFoundError
from prometheus_client.parser import text_string_to_metric_families

from pointsman.testing.engine_trouble import Trouble
from pointsman.testing.simulator import FINGERPRINT, Simulator, simulated_fleet, tiers_yaml

MODEL = "Qwen/Qwen2.5-7B-Instruct"
FAST = 50.0
ASK: Any = [{"role": "user", "content": "What is the capital of France?"}]

Talk = Callable[[Simulator, AsyncOpenAI], Awaitable[None]]


def talk(talking: Talk, model: str = MODEL, **options: Any) -> None:
    """Runs the official SDK against one fast simulator."""

    async def main() -> None:
        settings: Any = {"time_scale": FAST, **options}
        async with (
            asyncio.timeout(120),
            Simulator("small", model, "RTX 4090", **settings) as simulator,
            AsyncOpenAI(base_url=simulator.url, api_key="x", max_retries=0) as client,
        ):
            await talking(simulator, client)

    asyncio.run(main())


async def get(simulator: Simulator, path: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    body = (await reader.readexactly(length)).decode()
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), body


async def gauge(simulator: Simulator, name: str) -> float:
    _, text = await get(simulator, "/metrics")
    return next(s.value for f in text_string_to_metric_families(text) for s in f.samples if s.name == name)


def test_plain_and_streamed_answers_are_the_same_and_admit_what_they_are() -> None:
    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        plain = await client.chat.completions.create(model=MODEL, messages=ASK)
        stream = await client.chat.completions.create(model=MODEL, messages=ASK, stream=True, stream_options={"include_usage": True})
        chunks = [c async for c in stream]

        assert plain.choices[0].message.content == "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert plain.system_fingerprint == FINGERPRINT
        assert plain.usage is not None
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens
        assert plain.usage.prompt_tokens_details is not None
        # One event for the role, one a token, one for usage.
        assert len(chunks) == 1 + plain.usage.completion_tokens + 1
        assert chunks[-2].choices[0].finish_reason == "stop"

    talk(talking)


def test_choices_logprobs_tools_and_json_work_through_the_sdk() -> None:
    tool: Any = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}
    schema: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}}

    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        two = await client.chat.completions.create(model=MODEL, messages=ASK, n=2, logprobs=True, top_logprobs=2, max_tokens=3)
        assert [c.finish_reason for c in two.choices] == ["length", "length"]
        assert two.choices[1].logprobs is not None
        assert len(two.choices[1].logprobs.content or []) == 3
        call = await client.chat.completions.create(model=MODEL, messages=ASK, tools=[tool], tool_choice="required")
        assert call.choices[0].finish_reason == "tool_calls"
        assert "city" in (call.choices[0].message.tool_calls or [None])[0].function.arguments
        stream = await client.chat.completions.create(model=MODEL, messages=ASK, tools=[tool], tool_choice="required", stream=True)
        parts = [c.choices[0].delta.tool_calls[0].function async for c in stream if c.choices[0].delta.tool_calls]
        assert parts[0].name == "get_weather"
        assert "city" in json.loads("".join(p.arguments or "" for p in parts))
        fitting = await client.chat.completions.create(model=MODEL, messages=ASK, response_format=schema)
        assert isinstance(json.loads(fitting.choices[0].message.content or "")["n"], int)
        text = await client.completions.create(model=MODEL, prompt=["Once", "Twice"], max_tokens=4, logprobs=1)
        assert [len(c.logprobs.tokens) for c in text.choices] == [4, 4]

    talk(talking)


def test_models_version_health_and_metrics_are_there() -> None:
    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        (card,) = (await client.models.list()).data
        assert (card.id, card.max_model_len) == (MODEL, 32768)
        assert (await get(simulator, "/health"))[0] == 200
        assert "simulator" in (await get(simulator, "/version"))[1]
        assert (await get(simulator, "/v1/nope")) == (404, '{"detail":"Not Found"}')
        assert (await get(simulator, "/v1/chat/completions"))[0] == 405
        await client.chat.completions.create(model=MODEL, messages=ASK)
        assert await gauge(simulator, "vllm:time_to_first_token_seconds_count") == 1

    talk(talking)


def test_an_embedding_model_embeds_and_a_text_model_does_not() -> None:
    async def embeds(simulator: Simulator, client: AsyncOpenAI) -> None:
        answer = await client.embeddings.create(model="BAAI/bge-base-en-v1.5", input=["a red car", "a red bus", "a red car"])
        assert [len(d.embedding) for d in answer.data] == [768] * 3
        assert answer.data[0].embedding == answer.data[2].embedding != answer.data[1].embedding
        with pytest.raises(NotFoundError):
            await client.chat.completions.create(model="BAAI/bge-base-en-v1.5", messages=ASK)

    async def writes(simulator: Simulator, client: AsyncOpenAI) -> None:
        with pytest.raises(NotFoundError):
            await client.embeddings.create(model=MODEL, input="x")

    talk(embeds, model="BAAI/bge-base-en-v1.5")
    talk(writes)


@pytest.mark.parametrize(("fields", "status", "param"), [
    ({"model": "nope"}, 404, "model"),
    ({"max_tokens": 0}, 400, "max_tokens"),
    ({"max_tokens": 100_000}, 400, "max_tokens"),
    ({"messages": []}, 400, None),
    ({"messages": [{"role": "user", "content": "x " * 100_000}]}, 400, "input_tokens"),
    ({"temperature": 5}, 400, "temperature"),
    ({"top_logprobs": 2}, 400, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 50}, 400, "logprobs"),
    ({"tool_choice": "auto"}, 400, "tool_choice"),
    ({"stream_options": {"include_usage": True}}, 400, "stream_options"),
    ({"extra_body": {"n": 0}}, 400, None),
])
def test_refusals_are_those_of_vllm(fields: dict[str, Any], status: int, param: str | None) -> None:
    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        with pytest.raises(APIStatusError) as refused:
            await client.chat.completions.create(**({"model": MODEL, "messages": ASK} | fields))
        assert (refused.value.status_code, refused.value.body["param"], refused.value.body["code"]) == (status, param, status)

    talk(talking)


@pytest.mark.parametrize(("body", "param"), [(b"", "body"), (b"[]", "body"), (b'{"model": "x", ', "body.15")])
def test_bodies_that_are_no_object_are_refused_with_the_place(body: bytes, param: str) -> None:
    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        with pytest.raises(BadRequestError) as refused:
            await client.post("/chat/completions", content=body, cast_to=object, options={"headers": {"content-type": "application/json"}})
        assert refused.value.body["param"] == param

    talk(talking)


def test_a_full_queue_is_503_and_those_within_are_served() -> None:
    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        endless: Any = {"model": MODEL, "messages": ASK, "max_tokens": 30_000, "extra_body": {"ignore_eos": True}}
        running = await client.chat.completions.create(**endless, stream=True)
        await anext(aiter(running))
        queued = asyncio.create_task(client.chat.completions.create(model=MODEL, messages=ASK, max_tokens=3))
        while await gauge(simulator, "vllm:num_requests_waiting") < 1:
            pass
        with pytest.raises(APIStatusError) as refused:
            await client.chat.completions.create(**endless)
        await running.close()

        assert (refused.value.status_code, refused.value.body["type"]) == (503, "Service Unavailable")
        assert "retry-after" not in refused.value.response.headers
        assert (await queued).choices[0].finish_reason == "length"
        assert simulator.metrics.rejections == 1

    talk(talking, slots=1, max_queued=1)


def test_a_client_that_leaves_frees_its_slot() -> None:
    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(model=MODEL, messages=ASK, stream=True, max_tokens=30_000, extra_body={"ignore_eos": True})
        await anext(aiter(stream))
        assert await gauge(simulator, "vllm:num_requests_running") == 1
        await stream.close()
        # The only slot. The first answer would have held it for 330 simulated seconds.
        await client.chat.completions.create(model=MODEL, messages=ASK, max_tokens=2)
        assert simulator.metrics.finished["abort"] == 1
        assert simulator.metrics.queue.sum < 100

    talk(talking, slots=1)


def test_a_key_is_asked_for_when_there_is_one() -> None:
    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        with pytest.raises(APIStatusError) as refused:
            await client.models.list()
        assert refused.value.status_code == 401
        assert (await get(simulator, "/health"))[0] == 200

    talk(talking, api_key="secret")


def test_a_fleet_has_the_three_tiers_and_says_how_to_configure_them() -> None:
    async def main() -> None:
        async with simulated_fleet(time_scale=FAST) as fleet:
            assert [s.tier_name for s in fleet] == ["small", "medium", "large"]
            text = tiers_yaml(fleet)
            for simulator in fleet:
                assert f'url: "{simulator.url}"' in text

    asyncio.run(main())


def test_a_lone_stream_takes_the_time_of_its_gpu() -> None:
    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        await client.chat.completions.create(model=MODEL, messages=ASK, max_tokens=50, extra_body={"ignore_eos": True})
        _, text = await get(simulator, "/metrics")
        said = {s.name: s.value for f in text_string_to_metric_families(text) for s in f.samples}

        # In the engine's own time, so that a busy machine cannot spoil it.
        assert said["vllm:inter_token_latency_seconds_sum"] / 49 == pytest.approx(simulator.timing.step_s(0, 1), rel=0.5)

    talk(talking)


def spare_port() -> int:
    """Free now, and below those that the system hands out: no connection of a test beside this one can take it meanwhile."""
    for port in range(20_000 + os.getpid() % 8000, 32_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port between 20000 and 32000")


def test_the_command_says_where_it_listens_and_ends_cleanly_on_ctrl_c() -> None:
    port = spare_port()
    command = [sys.executable, "-m", "pointsman", "simulate", "--only", "small", "--port-base", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = ""
        while "Ctrl-C ends it" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        with socket.create_connection(("127.0.0.1", port)):
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=120)

    assert f'url: "http://127.0.0.1:{port}/v1"' in said
    assert process.returncode == 0
    assert "stopped" in rest
    assert "Traceback" not in rest


def test_a_dying_engine_resets_its_streams_and_refuses_from_then_on() -> None:
    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(model=MODEL, messages=ASK, stream=True, max_tokens=30_000, extra_body={"ignore_eos": True})
        with pytest.raises((APIError, httpx2.HTTPError)):
            async for _ in stream:
                pass
        with pytest.raises(APIConnectionError):
            await client.models.list()

    talk(talking, trouble=Trouble(dies_at=20.0))


def test_a_lying_engine_shows_an_idle_one_and_a_slow_one_is_slow() -> None:
    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(model=MODEL, messages=ASK, stream=True, max_tokens=30_000, extra_body={"ignore_eos": True})
        await anext(aiter(stream))
        assert len(simulator.engine.running) == 1
        assert await gauge(simulator, "vllm:num_requests_running") == 0
        assert await gauge(simulator, "vllm:kv_cache_usage_perc") == 0
        assert await gauge(simulator, "vllm:generation_tokens_total") >= 1
        await stream.close()

    talk(talking, trouble=Trouble(lies=True, slow=2.0))


def test_a_spot_notice_appears_where_aws_puts_it() -> None:
    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        status, said = 404, ""
        while status == 404:
            status, said = await get(simulator, "/latest/meta-data/spot/instance-action")
        assert json.loads(said)["action"] == "terminate"

    talk(talking, trouble=Trouble(notice_at=1.0))


def test_an_event_may_carry_several_tokens_but_the_first_is_not_kept_back() -> None:
    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(model=MODEL, messages=ASK, stream=True, max_tokens=10, extra_body={"ignore_eos": True})
        said = [c.choices[0].delta.content or "" async for c in stream]
        assert [len(text) for text in said] == [0, 4, 16, 16, 4]

    talk(talking, stream_interval=4)


def test_a_context_that_fits_into_no_kv_is_cut_to_what_does() -> None:
    async def talking(simulator: Simulator, client: AsyncOpenAI) -> None:
        assert (await client.models.list()).data[0].max_model_len == 160

    talk(talking, kv_blocks=10)
