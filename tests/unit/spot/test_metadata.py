"""Asking a cloud's metadata service."""

from __future__ import annotations

import email.message
import io
import urllib.error
import urllib.request
from http.client import IncompleteRead

import pytest

from pointsman.spot import metadata
from pointsman.spot.metadata import MAX_BODY, ask
from pointsman.spot.notice import Unavailable

URL = "http://169.254.169.254/latest/meta-data/spot/instance-action"


class Opener:
    """A service that says one thing, and the questions that it was asked."""

    def __init__(self, said: bytes | Exception) -> None:
        self.said, self.asked = said, list[tuple[urllib.request.Request, float]]()

    def open(self, request: urllib.request.Request, timeout: float) -> io.BytesIO:
        self.asked.append((request, timeout))
        if isinstance(self.said, Exception):
            raise self.said
        return io.BytesIO(self.said)


def status(code: int) -> urllib.error.HTTPError:
    return urllib.error.HTTPError(URL, code, "so it is", email.message.Message(), None)


def hears(monkeypatch: pytest.MonkeyPatch, said: bytes | Exception) -> Opener:
    opener = Opener(said)
    monkeypatch.setattr(metadata, "_opener", opener)
    return opener


def test_the_body_of_an_answer_comes_back_and_the_question_is_as_it_was_put(monkeypatch):
    opener = hears(monkeypatch, b"TRUE")
    assert ask(URL, {"Metadata-Flavor": "Google"}, method="PUT", timeout_s=0.5) == b"TRUE"
    ((request, timeout_s),) = opener.asked
    assert (request.full_url, request.get_method(), timeout_s) == (URL, "PUT", 0.5)
    assert request.get_header("Metadata-flavor") == "Google"


def test_no_more_is_read_than_a_notice_can_be_long(monkeypatch):
    hears(monkeypatch, b"x" * (MAX_BODY + 1))
    assert len(ask(URL, {}) or b"") == MAX_BODY


def test_not_found_is_how_these_services_say_nothing(monkeypatch):
    error = status(404)
    hears(monkeypatch, error)
    assert ask(URL, {}) is None
    error.close()


@pytest.mark.parametrize("trouble", [
    status(401), status(302), status(500), urllib.error.URLError("nobody there"), TimeoutError("late"), IncompleteRead(b"ha"),
    ValueError("no such scheme"),
], ids=lambda trouble: f"{type(trouble).__name__}{getattr(trouble, 'code', '')}")  # fmt: skip
def test_anything_else_is_unavailable_and_says_where(monkeypatch, trouble):
    hears(monkeypatch, trouble)
    with pytest.raises(Unavailable, match=r"169\.254\.169\.254"):
        ask(URL, {})


def test_nobody_is_asked_through_a_proxy_and_no_answer_sends_us_elsewhere():
    handlers = metadata._opener.handlers
    assert not any(isinstance(handler, urllib.request.ProxyHandler) and handler.proxies for handler in handlers)
    (redirects,) = [handler for handler in handlers if isinstance(handler, urllib.request.HTTPRedirectHandler)]
    assert redirects.redirect_request(urllib.request.Request(URL), None, 302, "", {}, "http://elsewhere") is None
