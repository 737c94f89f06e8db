"""What the front door lets in, what it refuses and how, and what never leaves through the back."""

from __future__ import annotations

import asyncio
import json

import pytest

from pointsman.config.load import load_text
from pointsman.errors import Forbidden
from pointsman.server.auth import Keys
from pointsman.testing import days
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter

CONFIG = """
server: {{max_body: 4KiB, hosts: [router.example]}}
tiers:
  small: {{model: small-model, capabilities: {{context: 8192}}, endpoints: [{{url: "{url}", api_key: "${{ENGINE}}"}}]}}
{more}
"""
KEYS = """
auth:
  keys:
    - {name: app, key: "${APP}", tenant: acme}
    - {name: team, key: "${TEAM}", tenant: other, routes: [auto]}
"""
SECRETS = {"ENGINE": "sk-engine", "APP": "sk-app", "TEAM": "sk-team"}
HI = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


def at(url, more=""):
    return RunningRouter(load_text(CONFIG.format(url=url, more=more), environ=SECRETS))


async def raw(router, text: bytes, timeout_s: float = 5.0) -> bytes:
    """Sends bytes, returns what comes until the server closes or has said one whole response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", router.service.port)
    try:
        writer.write(text)
        async with asyncio.timeout(timeout_s):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
            no_body = text.startswith(b"HEAD")
            return head + (b"" if no_body else await reader.readexactly(length))
    finally:
        writer.close()
        await writer.wait_closed()


def test_a_known_key_says_who_asks(client):
    async def story():
        async with ModelServer() as server, at(server.url, KEYS) as router, client() as c:
            for headers in ({"authorization": "Bearer sk-app"}, {"authorization": "bearer  sk-app "}, {"x-api-key": "sk-team"},
                            {"authorization": "Bearer sk-app", "x-tenant": "evil", "openai-organization": "evil"}):
                assert (await c.post(f"{router.url}/chat/completions", HI, headers)).status == 200
            assert [(r.key, r.tenant) for r in router.records()] == [
                ("app", "acme"), ("app", "acme"), ("team", "other"), ("app", "acme")]

    asyncio.run(story())


STRANGERS = [
    {}, {"authorization": "Bearer sk-engine"}, {"authorization": "Basic sk-app"}, {"authorization": "sk-app"},
    {"authorization": "Bearer "}, {"x-api-key": "sk-ap"}, {"authorization": "Bearer no", "x-api-key": "sk-app"},
]


def test_without_a_known_key_nothing_is_done(client):
    async def story():
        async with ModelServer() as server, at(server.url, KEYS) as router, client() as c:
            for headers in STRANGERS:
                for path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/route", "/classify"):
                    heard = await c.post(router.root + path, HI, headers)
                    assert (heard.status, heard.error["code"]) == (401, "invalid_api_key"), headers
                    assert heard.headers["www-authenticate"] == "Bearer"
                for path in ("/v1/models", "/v1/models/auto", "/metrics", "/classify"):
                    assert (await c.get(router.root + path, headers)).status == 401
                assert (await c.get(f"{router.root}/health/readiness", headers)).status == 200
            assert not server.requests
            assert not router.records()

    asyncio.run(story())


def test_a_key_for_some_routes_sees_and_uses_only_those(client):
    async def story():
        async with ModelServer() as server, at(server.url, KEYS) as router, client() as c:
            team, app = {"x-api-key": "sk-team"}, {"x-api-key": "sk-app"}
            for model in ("small", "small-model"):
                heard = await c.post(f"{router.url}/chat/completions", HI | {"model": model}, team)
                assert (heard.status, heard.error["type"], heard.error["param"]) == (403, "permission_error", "model")
            assert (await c.post(f"{router.url}/chat/completions", HI | {"model": "auto:auto"}, team)).status == 200
            assert [m["id"] for m in (await c.get(f"{router.url}/models", team)).json["data"]] == ["auto"]
            assert (await c.get(f"{router.url}/models/small-model", team)).status == 404
            assert (await c.get(f"{router.url}/models/small-model", app)).status == 200

    asyncio.run(story())


@pytest.mark.parametrize("peer", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "fe80::1%eth0", "::ffff:10.0.0.1", "nonsense"])
def test_an_open_router_serves_this_machine_only(peer):
    keys = Keys(load_text(CONFIG.format(url="http://127.0.0.1:9/v1", more=""), environ=SECRETS))

    for near in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", ""):
        assert keys.caller(None, None, near).name == "anonymous"
    with pytest.raises(Forbidden, match=r"auth\.keys"):
        keys.caller(b"Bearer anything", None, peer)


HOSTS = {
    "localhost": 200, "LOCALHOST:4000": 200, "127.0.0.1:1": 200, "[::1]:4000": 200, "10.1.2.3": 200, "router.example": 200,
    "evil.example": 421, "router.example.evil.example": 421, "localhost.evil.example:80": 421,
}


def test_only_our_own_names_are_answered(client):
    async def story():
        async with ModelServer() as server, at(server.url) as router, client() as c:
            for host, status in HOSTS.items():
                heard = await c.post(f"{router.url}/chat/completions", HI, {"host": host})
                assert heard.status == status, host
                assert status == 200 or heard.error["code"] == "misdirected_request"
                assert (await c.get(f"{router.url}/models", {"host": host})).status == status

    asyncio.run(story())


def test_browsers_get_no_leave_to_read(client):
    async def story():
        async with ModelServer() as server, at(server.url) as router, client() as c:
            origin = {"origin": "https://evil.example"}
            heard = await c.post(f"{router.url}/chat/completions", HI, origin)
            preflight = await raw(router, b"OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                                          b"Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n")
            assert not [name for name in heard.headers if name.startswith("access-control")]
            assert preflight.startswith(b"HTTP/1.1 405")
            assert b"access-control" not in preflight.lower()
            # What a page may send without asking first is no JSON to us.
            form = await c.post(f"{router.url}/chat/completions", HI, origin | {"content-type": "text/plain"})
            assert form.status == 415

    asyncio.run(story())


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_what_is_the_clients_stays_here_and_ours_goes_there(client, stream):
    mine = {
        "authorization": "Bearer sk-mine", "x-api-key": "sk-mine", "cookie": "session=1", "proxy-authorization": "Basic x",
        "x-request-id": "req-1", "openai-organization": "org", "x-forwarded-for": "10.0.0.9", "user-agent": "mine/1.0",
        "x-custom": "mine",
    }

    async def story():
        async with ModelServer() as server, at(server.url) as router, client() as c:
            heard = await c.post(f"{router.url}/chat/completions", HI | {"stream": stream}, mine)
            assert (heard.status, heard.headers["x-request-id"]) == (200, "req-1")
            (seen,) = server.requests
            assert {name.lower() for name, _ in seen.headers} <= {
                "host", "authorization", "content-type", "content-length", "accept", "accept-encoding", "user-agent", "connection"}
            assert seen.header("authorization") == "Bearer sk-engine"
            assert seen.header("host") == f"127.0.0.1:{server.port}"
            assert not any("mine" in value for _, value in seen.headers)

    asyncio.run(story())


def test_an_engines_headers_stay_behind(client):
    day = days.Answer(headers=(("set-cookie", "a=b"), ("server", "vllm"), ("x-engine-secret", "1"), ("access-control-allow-origin", "*")))

    async def story():
        async with ModelServer(day) as server, at(server.url) as router, client() as c:
            for stream in (False, True):
                heard = await c.chat(router.url, stream=stream)
                assert heard.status == 200
                assert not {"set-cookie", "server", "x-engine-secret", "access-control-allow-origin"} & set(heard.headers)

    asyncio.run(story())


REFUSED = [
    ("POST", "/v1/chat/completion", HI, {}, 404, "not_found", "/v1/chat/completions"),
    ("POST", "/v2/chat/completions", HI, {}, 404, "not_found", "/v1/chat/completions"),
    ("POST", "/v1/chat/completions/", HI, {}, 404, "not_found", "/v1/chat/completions"),
    ("GET", "/v1/chat/completions", None, {}, 405, "method_not_allowed", "takes POST"),
    ("PUT", "/v1/models", HI, {}, 405, "method_not_allowed", "takes GET"),
    ("POST", "/v1/chat/completions", b"x" * 5000, {}, 413, "body_too_large", "server.max_body"),
    ("POST", "/v1/chat/completions", HI, {"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type",
     "application/json"),
    ("POST", "/v1/chat/completions", HI, {"content-encoding": "gzip"}, 415, "unsupported_media_type", "compressed"),
    ("POST", "/v1/chat/completions", b"", {}, 400, "malformed_body", "empty"),
    ("POST", "/v1/chat/completions", b"[1]", {}, 400, "malformed_body", "JSON object"),
    ("POST", "/v1/chat/completions", b'{"model":"auto","messages":[],"model":"x"}', {}, 400, "malformed_body", "more than once"),
    ("POST", "/v1/chat/completions", b'{"model":"auto","messages":[],"t":NaN}', {}, 400, "malformed_body", "JSON"),
    ("POST", "/v1/chat/completions", b'{"model":"auto","messages":[],"t":"\xff"}', {}, 400, "malformed_body", "UTF-8"),
    ("POST", "/v1/chat/completions", b'{"model":"auto","messages":[],"a":' + b"[" * 99 + b"]" * 99 + b"}", {}, 400,
     "malformed_body", "deeper than 64"),
    ("POST", "/v1/chat/completions", b"[" * 4000, {}, 400, "malformed_body", "JSON"),
    ("POST", "/v1/chat/completions", HI | {"api_base": "http://evil"}, {}, 400, "unsupported_field", "api_base"),
    ("POST", "/v1/embeddings", {"model": "auto", "input": "x"}, {}, 400, "invalid_request", "none is configured"),
]


def refused_request(method, path, body, headers) -> bytes:
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"host": "localhost", "content-type": "application/json", "x-request-id": "r-1"} | headers
    if body is not None:
        lines["content-length"] = str(len(data))
    said = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{said}\r\n".encode() + data


def test_a_refusal_says_what_and_what_next():
    async def story():
        async with ModelServer() as server, at(server.url) as router:
            for method, path, body, headers, status, code, words in REFUSED:
                said = await raw(router, refused_request(method, path, body, headers))
                top, _, text = said.partition(b"\r\n\r\n")
                error = json.loads(text)["error"]
                assert (int(top.split()[1]), error["code"], error["type"]) == (status, code, "invalid_request_error"), words
                assert words in error["message"]
                assert b"x-should-retry: false" in top
                assert b"x-request-id: r-1" in top
            assert not server.requests

    asyncio.run(story())


def test_an_objection_names_the_path_of_the_field(client):
    async def story():
        async with ModelServer() as server, at(server.url) as router, client() as c:
            for fields, path in (({"messages": [{"content": "x"}]}, "messages[0].role"), ({"max_tokens": "x"}, "max_tokens"),
                                 ({"model": 1}, "model"), ({"fallbacks": "x"}, "fallbacks")):
                heard = await c.post(f"{router.url}/chat/completions", HI | fields)
                assert (heard.status, heard.error["param"]) == (400, path)

    asyncio.run(story())


def test_bodies_in_chunks_arrive_whole_or_are_too_large(client):
    async def pieces(total):
        body = json.dumps(HI | {"messages": [{"role": "user", "content": "x" * total}]}).encode()
        for i in range(0, len(body), 500):
            yield body[i:i + 500]

    async def story():
        async with ModelServer() as server, at(server.url) as router, client() as c:
            ask = c._session.post
            headers = {"content-type": "application/json; charset=utf-8"}
            async with ask(f"{router.url}/chat/completions", data=pieces(3000), headers=headers) as r:
                assert r.status == 200
            assert len(json.loads(server.requests[0].body)["messages"][0]["content"]) == 3000
            async with ask(f"{router.url}/chat/completions", data=pieces(9000), headers=headers) as r:
                assert r.status == 413
            assert len(server.requests) == 1

    asyncio.run(story())


def test_after_a_refusal_the_next_request_is_fine(client):
    """A body that nobody read must not be taken for the next request."""

    async def story():
        async with ModelServer() as server, at(server.url) as router, client() as c:
            for body, headers, status in ((b"x" * 5000, {}, 413), (b"{}", {"content-type": "text/plain"}, 415),
                                          (b"{", {}, 400), (json.dumps(HI).encode(), {"host": "evil.example"}, 421)):
                assert (await c.post(f"{router.url}/chat/completions", body, headers)).status == status
                assert (await c.chat(router.url)).status == 200

    asyncio.run(story())


def test_a_head_request_gets_no_body():
    async def story():
        async with ModelServer() as server, at(server.url) as router:
            for path, status in ((b"/classify", b"200"), (b"/v1/models", b"405"), (b"/nothing", b"404")):
                reader, writer = await asyncio.open_connection("127.0.0.1", router.service.port)
                writer.write(b"HEAD " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                said = await reader.read()
                writer.close()
                await writer.wait_closed()
                assert said.split()[1] == status
                assert said.endswith(b"\r\n\r\n")

    asyncio.run(story())


def test_a_request_id_is_made_harmless(client):
    async def story():
        async with ModelServer() as server, at(server.url) as router, client() as c:
            heard = await c.post(f"{router.url}/chat/completions", HI, {"x-request-id": "a<b>\"c'; d" + "z" * 300})
            plain = await c.chat(router.url)
            assert heard.headers["x-request-id"].startswith("abcd")
            assert len(heard.headers["x-request-id"]) <= 128
            assert plain.headers["x-request-id"] == plain.headers["x-route-record"]

    asyncio.run(story())
