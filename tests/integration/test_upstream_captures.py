"""What real engines said (vLLM 0.32, SGLang 0.5, llama.cpp), replayed over a socket and read by the client."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pointsman import errors
from pointsman.core.fleet import EndpointSpec
from pointsman.core.reply import Reply, Usage
from pointsman.core.request import Kind
from pointsman.testing.factories import a_request, an_endpoint
from pointsman.upstream.client import HttpUpstream
from pointsman.upstream.load_report.reader import HttpLoadReader
from pointsman.upstream.models import ModelCard

CAPTURES = Path(__file__).parents[1] / "fixtures" / "engines"


def captured(name: str) -> tuple[bytes, bytes]:
    """The response of a capture as it was on the wire (chunked again), and its body."""
    text = (CAPTURES / f"{name}.txt").read_bytes()
    if not text.startswith((b"POST", b"GET", b"<<<")):  # only the tail of a stream was kept
        status, headers, body = b"200", b"content-type: text/event-stream\ntransfer-encoding: chunked", text.partition(b"\n\n")[2]
    else:
        head, _, body = text.partition(b"<<< ")[2].partition(b"\n\n")
        status, _, headers = head.partition(b"\n")
    wire = b"HTTP/1.1 " + status + b" X\r\n" + headers.replace(b"\n", b"\r\n") + b"\r\n\r\n"
    if b"chunked" in headers.lower():
        events = [event + b"\n\n" for event in body.split(b"\n\n") if event.strip()]
        return wire + b"".join(b"%x\r\n%b\r\n" % (len(e), e) for e in events) + b"0\r\n\r\n", b"".join(events)
    return wire + body, body


async def serving(name: str) -> tuple[asyncio.Server, EndpointSpec]:
    wire, _ = captured(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0))
        writer.write(wire)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, an_endpoint(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")


def replay(name: str, **fields: Any) -> tuple[Reply, list[bytes]]:
    async def call() -> tuple[Reply, list[bytes]]:
        upstream = HttpUpstream()
        server, endpoint = await serving(name)
        request = a_request(**fields)
        until = asyncio.get_running_loop().time() + 5
        try:
            if not request.stream:
                return await upstream.ask(endpoint, request, (request.body,), until=until), []
            stream = await upstream.stream(endpoint, request, (request.body,), until=until)
            events: list[bytes] = []
            try:
                while (batch := await stream.next(until)) is not None:
                    events += batch.events
            except errors.UpstreamError as error:
                error.add_note(f"after {len(events)} events")
                raise
            return stream.reply, events
        finally:
            await upstream.aclose()
            server.close()

    return asyncio.run(call())


@pytest.mark.parametrize(("name", "usage", "reason"), [
    ("vllm_chat", Usage(24, 8), "length"),
    ("sglang_chat", Usage(37, 8), "stop"),
    ("llamacpp_chat", Usage(37, 8, 36), "length"),
])
def test_a_plain_answer_passes_byte_for_byte(name: str, usage: Usage, reason: str) -> None:
    reply, _ = replay(name)

    assert reply.body == captured(name)[1]
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (usage.input_tokens, usage.output_tokens)
    assert reply.finish_reasons == (reason,)
    assert reply.output_chars > 0


def test_tool_calls_and_batched_completions_are_answers() -> None:
    assert replay("vllm_chat_tools_named")[0].output_chars > 0
    assert replay("vllm_completions_batch", kind=Kind.COMPLETION, choices=2)[0].finish_reasons == ("length", "length")


def events_of(name: str) -> list[bytes]:
    return [line[6:] for line in captured(name)[1].splitlines() if line.startswith(b"data: ") and line != b"data: [DONE]"]


@pytest.mark.parametrize(("name", "fields"), [
    ("vllm_chat_stream", {}), ("vllm_chat_n2_stream", {"choices": 2}), ("vllm_chat_tools_named_stream", {}),
    ("vllm_completions_stream", {"kind": Kind.COMPLETION}), ("vllm_chat_stream_usage", {"include_usage": True}),
    ("vllm_chat_stream_usage_continuous", {"include_usage": True}),
    ("sglang_chat_stream", {}), ("sglang_chat_stream_usage", {"include_usage": True}),
    ("llamacpp_chat_stream", {}), ("llamacpp_chat_n2_stream", {"choices": 2}),
    ("llamacpp_chat_stream_usage", {"include_usage": True}),
    ("llamacpp_completions_stream", {"kind": Kind.COMPLETION, "include_usage": True}),
])
def test_a_stream_passes_byte_for_byte(name: str, fields: dict[str, Any]) -> None:
    reply, events = replay(name, stream=True, **fields)

    assert events == events_of(name)
    assert len(reply.finish_reasons) == fields.get("choices", 1)
    assert reply.output_chars > 0
    assert reply.model


@pytest.mark.parametrize("name", [
    "vllm_chat_stream_usage", "vllm_chat_stream_usage_continuous", "sglang_chat_stream_usage", "llamacpp_chat_stream_usage",
])
def test_usage_that_nobody_asked_for_is_read_and_taken_out(name: str) -> None:
    reply, events = replay(name, stream=True)

    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (37, 8) or name.startswith("vllm")
    assert not any(b'"usage"' in event for event in events)
    without = [{k: v for k, v in json.loads(event).items() if k != "usage"} for event in events_of(name)]
    assert [json.loads(event) for event in events] == [c for c in without if c["choices"]]


def test_an_engine_killed_in_the_middle_is_a_failure_though_it_says_done() -> None:
    with pytest.raises(errors.UpstreamFailed) as caught:
        replay("vllm_killed_midstream_tail", stream=True)

    assert caught.value.__notes__ == ["after 1 events"]
    assert caught.value.upstream_status == 500


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("name", "kind"), [
    ("vllm_err_queue_full", errors.UpstreamOverloaded), ("sglang_err_queue_full", errors.UpstreamOverloaded),
    ("vllm_err_auth_bad", errors.CredentialRefused), ("sglang_err_auth_bad", errors.CredentialRefused),
    ("vllm_err_bad_model", errors.Misconfigured), ("sglang_err_404", errors.Misconfigured),
    ("llamacpp_err_404", errors.Misconfigured), ("llamacpp_embeddings", errors.UpstreamFailed),
    ("vllm_err_max_tokens_neg", errors.RequestRefused), ("sglang_err_too_long", errors.RequestRefused),
    ("llamacpp_err_too_long", errors.RequestRefused),
])
def test_a_refusal_is_understood(name: str, kind: type[errors.UpstreamError], stream: bool) -> None:
    with pytest.raises(errors.UpstreamError) as caught:
        replay(name, stream=stream)

    assert type(caught.value) is kind
    if kind is errors.RequestRefused:
        assert caught.value.status == 400
        assert caught.value.body is not None
        error = json.loads(caught.value.body)
        assert isinstance(error["message"], str)
        assert "object" not in error


@pytest.mark.parametrize("name", ["sglang_models", "llamacpp_models"])
def test_models_are_asked_for(name: str) -> None:
    async def call() -> tuple[ModelCard, ...]:
        server, endpoint = await serving(name)
        reader = HttpLoadReader()
        try:
            return await reader.models(endpoint, asyncio.get_running_loop().time() + 5.0)
        finally:
            await reader.aclose()
            server.close()

    assert asyncio.run(call()) == (ModelCard("smollm2", 1024),)
