"""Telling one router."""

from __future__ import annotations

import http.client
from typing import Any

import msgspec
import pytest

from pointsman.core.signature import HEADER, sign
from pointsman.spot.teller import FIRST_PAUSE_S, LONGEST_PAUSE_S, Heard, Refused, Teller, Unheard, pauses

KEY, NOW = "k" * 40, 1_795_000_000.0
LISTENED = b'{"endpoint": "small/0", "in_flight": 3}'


class Reply:
    def __init__(self, status: int, body: bytes) -> None:
        self.status, self._body = status, body

    def read(self, most: int) -> bytes:
        return self._body[:most]


class Line:
    """Connections to a router that says one thing, and what was said to it."""

    def __init__(self, status: int = 200, body: bytes = LISTENED, trouble: Exception | None = None) -> None:
        self.status, self.body, self.trouble = status, body, trouble
        self.to: list[tuple[str, int | None]] = []
        self.said: list[tuple[str, str, bytes, dict[str, str]]] = []
        self.closed = 0

    def __call__(self, host: str, port: int | None, timeout: float) -> Line:
        self.to.append((host, port))
        return self

    def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        self.said.append((method, path, body, headers))
        if self.trouble is not None:
            raise self.trouble

    def getresponse(self) -> Reply:
        return Reply(self.status, self.body)

    def close(self) -> None:
        self.closed += 1


def a_teller(monkeypatch: pytest.MonkeyPatch, line: Line, router: str = "http://10.0.0.1:4001") -> Teller:
    monkeypatch.setattr(http.client, "HTTPSConnection" if router.startswith("https") else "HTTPConnection", line)
    return Teller(router, "small/0", KEY, wall=lambda: NOW)


@pytest.mark.parametrize(("lead_s", "body"), [(29.87654, {"reason": "outbid", "deadline": 29.877}), (None, {"reason": "outbid"})])
def test_a_notice_says_why_and_how_long_and_is_signed(monkeypatch, lead_s, body):
    line = Line()
    assert a_teller(monkeypatch, line).leaving(lead_s, "outbid") == Heard("small/0", 3)
    ((method, path, said, headers),) = line.said
    assert (method, path, msgspec.json.decode(said)) == ("POST", "/endpoints/small/0/drain", body)
    assert headers[HEADER] == sign(KEY, "POST", path, said, NOW)
    assert line.to == [("10.0.0.1", 4001)]
    assert line.closed == 1


def test_an_arrival_takes_the_notice_back(monkeypatch):
    line = Line()
    a_teller(monkeypatch, line).back()
    assert [(method, path, body) for method, path, body, _ in line.said] == [("DELETE", "/endpoints/small/0/drain", b"")]


def test_a_listener_behind_a_path_and_tls_is_reached(monkeypatch):
    line = Line()
    a_teller(monkeypatch, line, "https://router.example/admin/").back()
    assert line.to == [("router.example", None)]
    assert line.said[0][1] == "/admin/endpoints/small/0/drain"


def test_without_a_scheme_it_is_http(monkeypatch):
    line = Line()
    a_teller(monkeypatch, line, "10.0.0.7:4001").back()
    assert line.to == [("10.0.0.7", 4001)]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_router_that_is_busy_or_broken_has_not_heard_it(monkeypatch, status):
    line = Line(status, b"")
    with pytest.raises(Unheard, match=str(status)):
        a_teller(monkeypatch, line).back()
    assert line.closed == 1


@pytest.mark.parametrize("trouble", [ConnectionRefusedError("nobody there"), TimeoutError("late"), http.client.BadStatusLine("?")])
def test_nor_has_one_that_does_not_answer(monkeypatch, trouble):
    line = Line(trouble=trouble)
    with pytest.raises(Unheard, match=r"10\.0\.0\.1"):
        a_teller(monkeypatch, line).back()
    assert line.closed == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_no_is_a_no_and_says_why(monkeypatch, status):
    with pytest.raises(Refused, match="no such endpoint"):
        a_teller(monkeypatch, Line(status, b"no such endpoint")).back()


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"", b"[]", b'{"in_flight": "many"}'])
def test_who_answers_something_else_is_no_router_of_ours(monkeypatch, body):
    with pytest.raises(Refused, match="no admin listener"):
        a_teller(monkeypatch, Line(200, body)).back()


@pytest.mark.parametrize(("router", "endpoint", "says"), [
    ("ftp://10.0.0.1", "small/0", "--router"), ("http://", "small/0", "--router"), ("10.0.0.1:4001", "small", "--endpoint"),
    ("10.0.0.1:4001", "/0", "--endpoint"), ("10.0.0.1:4001", "small/first", "--endpoint")])
def test_what_cannot_be_told_is_said_before_it_matters(router: str, endpoint: str, says: str):
    with pytest.raises(ValueError, match=says):
        Teller(router, endpoint, KEY)


def test_pauses_double_up_to_a_bound_and_begin_anew_for_everybody():
    pause: Any = pauses()
    waited = [pause() for _ in range(7)]
    assert waited == [FIRST_PAUSE_S, 0.2, 0.4, 0.8, 1.6, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert pauses()() == FIRST_PAUSE_S
