"""Sources are asked at once, and each answer or silence becomes a finding."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from pointsman.config.sources import Credential, Finding, Listed, Source
from pointsman.core.price import TokenPrice
from pointsman.testing.model_server import ModelServer
from pointsman.testing.wire import Connection, Seen, WireServer
from pointsman.upstream.discovery import discover

SECRET = "sk-very-secret"


def ask(
    status: int, body: Any, *, source: dict[str, Any] | None = None, hang: bool = False, path: str = "/v1",
) -> tuple[Finding, list[Seen]]:
    """What `discover` makes of a server that answers like this, and what the server saw."""
    seen: list[Seen] = []

    async def serve(request: Seen, connection: Connection) -> None:
        seen.append(request)
        if hang:
            await asyncio.sleep(60)
        connection.reply(status, body if isinstance(body, bytes) else json.dumps(body).encode())

    async def run() -> Finding:
        server = WireServer(serve)
        await server.listen()
        try:
            url = f"http://{server.host}:{server.port}{path}"
            (finding,) = await discover((Source("it", url, **(source or {})),), local_timeout_s=0.2 if hang else 5)
            return finding
        finally:
            await server.aclose()

    return asyncio.run(run()), seen


def listing(*cards: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": list(cards)}


def test_models_come_with_what_the_server_says_of_them() -> None:
    finding, seen = ask(200, listing(
        {"id": "a", "max_model_len": 4096, "owned_by": "vllm"},
        {"id": "b", "meta": {"n_ctx": 1024, "n_params": 134_515_008}, "owned_by": "llamacpp"},
        {"id": "c", "pricing": {"prompt": "0.00000015", "completion": "0.0000006", "input_cache_read": "0.000000075"},
         "architecture": {"output_modalities": ["text"]}},
        {"id": "d", "type": "chat", "pricing": {"input": 0.88, "output": 0.88}},
        {"id": "e", "type": "image"}, {"id": "f", "architecture": {"output_modalities": ["image"]}},
    ), source={"key": Credential(SECRET), "variable": "X_API_KEY"})

    assert finding.models == (
        Listed("a", 4096, owned_by="vllm"), Listed("b", 1024, owned_by="llamacpp", size_b=0.134515008),
        Listed("c", price=TokenPrice(0.15, 0.6, 0.075)), Listed("d", price=TokenPrice(0.88, 0.88), kind="chat"),
        Listed("e", kind="image"), Listed("f", kind="image"))
    assert [(request.method, request.path) for request in seen] == [("GET", "/v1/models")]
    assert seen[0].header("authorization") == f"Bearer {SECRET}"
    assert SECRET not in repr(finding)


@pytest.mark.parametrize("pricing", [
    {"prompt": "-1", "completion": "-1"}, {"prompt": "nan", "completion": "1"}, {"prompt": "free", "completion": "0"}, {"input": 0, "output": 0},
    {"input": True, "output": 1}, {"prompt": "0.1"}, "cheap", None, [],
])
def test_a_price_that_is_none_stays_unknown(pricing: Any) -> None:
    finding, _ = ask(200, listing({"id": "a", "pricing": pricing}))

    assert finding.models == (Listed("a"),)


def test_a_refused_key_is_named_by_its_variable_and_status_only() -> None:
    finding, _ = ask(401, {"error": {"message": f"Incorrect API key provided: {SECRET}"}},
                     source={"key": Credential(SECRET), "variable": "GROQ_API_KEY", "provider": "groq"})

    assert finding.error == "refuses the key in $GROQ_API_KEY (status 401): put one that it takes into $GROQ_API_KEY"
    assert (finding.status, finding.is_silent) == (401, False)
    assert SECRET not in repr(finding)


def test_a_server_that_wants_a_key_says_so() -> None:
    finding, _ = ask(401, b'{"error":"Unauthorized"}')

    assert finding.error == (f"refuses us without a key (status 401): OPENAI_BASE_URL={finding.source.url} and OPENAI_API_KEY=... "
                             "give it one")


def test_a_url_without_a_version_is_asked_about() -> None:
    finding, _ = ask(404, b"not here", path="")
    versioned, _ = ask(404, b"not here")

    assert finding.error.endswith(f"below this URL; is it {finding.source.url}/v1?")
    assert versioned.error.endswith("below this URL")


def test_anthropic_is_asked_with_its_own_headers_for_a_long_page() -> None:
    listed = {"data": [{"type": "model", "id": "claude-haiku-5-5", "display_name": "Claude Haiku"}], "has_more": False}
    finding, (seen,) = ask(200, listed, source={"key": Credential(SECRET), "variable": "ANTHROPIC_API_KEY", "provider": "anthropic",
                                               "engine": "anthropic"})

    assert [model.id for model in finding.models] == ["claude-haiku-5-5"]
    headers = dict(seen.headers)
    assert (headers["x-api-key"], headers["anthropic-version"]) == (SECRET, "2023-06-01")
    assert "authorization" not in headers
    assert seen.path == "/v1/models?limit=1000"


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>Jenkins</html>"), (200, b"{}"), (404, b"not here"), (200, b"[" * 5000)])
def test_what_is_no_model_server_is_silent(status: int, body: bytes) -> None:
    finding, _ = ask(status, body)

    assert finding.is_silent
    assert finding.models == ()
    assert "not as a model server" in finding.error


@pytest.mark.parametrize("status", [429, 500, 503])
def test_other_trouble_is_told_with_its_status(status: int) -> None:
    finding, _ = ask(status, {"error": {"message": SECRET}}, source={"key": Credential(SECRET), "variable": "X"})

    assert finding.error == f"cannot list its models (status {status})"
    assert not finding.is_silent


def test_an_empty_list_says_to_load_a_model() -> None:
    finding, _ = ask(200, listing())

    assert finding.error == "answers, but lists no model: load one there"
    assert not finding.is_silent


def test_another_router_of_ours_is_not_routed_to() -> None:
    finding, _ = ask(200, listing({"id": "auto", "owned_by": "pointsman"}))

    assert finding.models == ()
    assert "in circles" in finding.error


def test_who_listens_but_does_not_answer_in_time_is_told() -> None:
    finding, seen = ask(200, listing(), hang=True)

    assert len(seen) == 1
    assert "did not list its models in time" in finding.error
    assert not finding.is_silent


def test_a_port_without_a_server_is_silent_and_a_faulty_source_is_not_asked() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connects are refused
        closed = Source("closed", f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        found = asyncio.run(discover((closed, Source("faulty", "", fault="is not a URL"))))

    assert [(finding.error, finding.is_silent) for finding in found] == [("cannot be reached", True), ("is not a URL", False)]


def test_all_are_asked_at_once_and_the_order_is_kept() -> None:
    """Each answers only when all have asked."""
    async def run() -> tuple[Finding, ...]:
        waiting, together = [], asyncio.Event()

        async def serve(request: Seen, connection: Connection) -> None:
            waiting.append(request)
            if len(waiting) == 5:
                together.set()
            await together.wait()
            connection.reply(200, json.dumps(listing({"id": "m"})).encode())

        server = WireServer(serve)
        await server.listen()
        try:
            url = f"http://{server.host}:{server.port}"
            return await discover([Source(str(n), f"{url}/{n}/v1") for n in range(5)], local_timeout_s=10)
        finally:
            await server.aclose()

    assert [(finding.source.title, len(finding.models)) for finding in asyncio.run(run())] == [(str(n), 1) for n in range(5)]


def test_a_scripted_model_server_is_found() -> None:
    async def run() -> tuple[Finding, ...]:
        async with ModelServer(model="llama3.2:3b", max_model_len=8192) as server:
            return await discover((Source("Ollama", server.url),))

    (finding,) = asyncio.run(run())
    assert [(model.id, model.context) for model in finding.models] == [("llama3.2:3b", 8192)]
