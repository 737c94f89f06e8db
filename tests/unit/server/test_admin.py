"""The operator's listener as ASGI, without sockets: departures of endpoints."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from pointsman.core.settings import ServerSettings
from pointsman.core.signature import HEADER, sign
from pointsman.server.admin import NoSuchEndpoint, admin_app
from pointsman.server.auth import Hosts

NOW = 1_700_000_000.0
PATH = "/endpoints/small/0/drain"


class Told:
    """What the admin listener asked of the service."""

    notice_key: str | None = "notice-key"

    def __init__(self) -> None:
        self.left: list[tuple[str, float | None, str]] = []
        self.stayed: list[str] = []
        self.asked_by: list[str] = []

    def depart(self, endpoint: str, lead_s: float | None, reason: str, by: str) -> dict[str, Any]:
        self.asked_by.append(by)
        if endpoint != "small/0":
            raise NoSuchEndpoint(f"there is no endpoint {endpoint!r}")
        self.left.append((endpoint, lead_s, reason))
        return {"endpoint": endpoint}

    def stay(self, endpoint: str, by: str) -> dict[str, Any]:
        self.asked_by.append(by)
        self.stayed.append(endpoint)
        return {"endpoint": endpoint}


def ask(service: Told, method: str = "POST", path: str = PATH, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    """Status and JSON of one exchange; `bearer="token"` sends the operator's token."""
    sent = {"host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items() if name != "bearer"}
    if "bearer" in headers:
        sent["authorization"] = f"Bearer {headers['bearer']}"
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"",
             "headers": [(name.encode(), value.encode()) for name, value in sent.items()], "http_version": "1.1",
             "scheme": "http", "server": ("127.0.0.1", 4001), "client": ("127.0.0.1", 1)}
    app = admin_app(service, "token", Hosts(ServerSettings()), lambda: NOW)  # type: ignore[arg-type]
    asyncio.run(app(scope, receive, send))
    return said[0]["status"], msgspec.json.decode(b"".join(m.get("body", b"") for m in said[1:]))


@pytest.mark.parametrize("path", [PATH, "/admin" + PATH])
def test_an_endpoint_is_drained_with_a_deadline_and_a_reason(path):
    service = Told()

    status, _ = ask(service, path=path, body=b'{"deadline": 120, "reason": "spot"}', bearer="token")

    assert status == 200
    assert service.left == [("small/0", 120.0, "spot")]


def test_a_deadline_may_be_a_time_of_day():
    service = Told()

    ask(service, body=b'{"deadline": "2023-11-14T22:14:20Z"}', bearer="token")

    assert service.left == [("small/0", 60.0, "drain")]


def test_without_a_deadline_nobody_knows_how_long_is_left():
    service = Told()

    ask(service, bearer="token")

    assert service.left == [("small/0", None, "drain")]


@pytest.mark.parametrize("body", [b'{"deadline": "soon"}', b'{"dedline": 3}', b"[]", b'{"deadline": 1e9}', b'{"deadline": "2023-11-14T22:14:20"}',
                                  b"\xff"])
def test_a_notice_that_makes_no_sense_is_refused_and_drains_nothing(body):
    service = Told()

    status, answer = ask(service, body=body, bearer="token")

    assert (status, answer["error"]["code"], service.left) == (400, "malformed_body", [])


def test_an_endpoint_that_is_not_there_is_a_404():
    assert ask(Told(), path="/endpoints/small/7/drain", bearer="token")[0] == 404


def test_an_endpoint_comes_back():
    service = Told()

    assert ask(service, method="DELETE", bearer="token")[0] == 200
    assert service.stayed == ["small/0"]


def test_a_signed_notice_needs_no_token():
    service, body = Told(), b'{"deadline": 30}'

    status, _ = ask(service, body=body, **{HEADER: sign("notice-key", "POST", PATH, body, NOW)})

    assert status == 200
    assert service.left == [("small/0", 30.0, "drain")]


def test_a_signature_opens_nothing_else():
    status, _ = ask(Told(), method="GET", path="/state", **{HEADER: sign("notice-key", "GET", "/state", b"", NOW)})

    assert status == 401


def test_a_wrong_signature_is_refused_and_so_is_none_at_all():
    service = Told()

    assert ask(service, **{HEADER: sign("wrong", "POST", PATH, b"", NOW)})[0] == 401
    assert ask(service)[0] == 401
    assert service.left == []


def test_a_stranger_cannot_make_it_read_more_than_a_notice():
    service, body = Told(), b" " * 5000

    status, answer = ask(service, body=body, **{HEADER: sign("wrong", "POST", PATH, body, NOW)})

    assert (status, answer["error"]["code"], service.left) == (413, "body_too_large", [])


def test_without_a_notice_key_only_the_token_will_do():
    service = Told()
    service.notice_key = None

    status, answer = ask(service, **{HEADER: sign("", "POST", PATH, b"", NOW)})

    assert status == 401
    assert "set `admin.notice_key` to the agent's key" in answer["error"]["message"]
    assert ask(service, bearer="token", **{HEADER: "anything"})[0] == 200


@pytest.mark.parametrize("path", ["/nope", "/admin/nope", "/admin", "/", "/state/", "/admin/state/"])
def test_a_path_that_is_not_there_is_told_as_json_with_what_is(path):
    status, answer = ask(Told(), "GET", path, bearer="token")

    assert (status, answer["error"]["code"]) == (404, "not_found")
    assert repr(path) in answer["error"]["message"]
    assert "/scale" in answer["error"]["message"]


def test_a_stranger_is_not_told_which_paths_there_are():
    status, answer = ask(Told(), "GET", "/nope")

    assert (status, answer["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("POST", "/state", "GET"), ("GET", "/admin/reload", "POST"), ("GET", PATH, "DELETE or POST"),
])
def test_another_method_is_told_as_json_with_the_right_one(method, path, allowed):
    status, answer = ask(Told(), method, path, bearer="token")

    assert (status, answer["error"]["code"]) == (405, "method_not_allowed")
    assert f"takes {allowed}, not {method}" in answer["error"]["message"]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_who_signs_is_an_agent_and_who_has_the_token_is_the_operator(method):
    service = Told()

    assert ask(service, method, bearer="token")[0] == 200
    assert ask(service, method, **{HEADER.replace("-", "_"): sign("notice-key", method, PATH, b"", NOW)})[0] == 200

    assert service.asked_by == ["operator", "agent"]
