import pytest

from pointsman import __version__
from pointsman.errors import Misconfigured
from pointsman.testing.factories import an_endpoint
from pointsman.upstream.exchange import EVENTS, JSON, Target


def test_the_request_head_is_made_from_scratch() -> None:
    target = Target(an_endpoint(url="http://10.0.0.10:8001/v1", api_key="sk-1"))

    assert target.head(b"POST", "/chat/completions", EVENTS, 42).split(b"\r\n") == [
        b"POST /v1/chat/completions HTTP/1.1", b"Host: 10.0.0.10:8001", f"User-Agent: pointsman/{__version__}".encode(),
        b"Accept-Encoding: identity", b"Authorization: Bearer sk-1", b"Accept: text/event-stream",
        b"Content-Type: application/json", b"Content-Length: 42", b"", b"",
    ]
    assert b"Content" not in target.head(b"GET", "/models", JSON, 0)


@pytest.mark.parametrize(("url", "host", "port", "authority", "location"), [
    ("http://h/v1/", "h", 80, "h", "/v1/x"),
    ("https://h/v1", "h", 443, "h", "/v1/x"),
    ("http://[::1]:8/v1", "::1", 8, "[::1]:8", "/v1/x"),
    ("http://h:9", "h", 9, "h:9", "/x"),
    ("https://h/openai?api-version=7", "h", 443, "h", "/openai/x?api-version=7"),
])
def test_urls_are_taken_apart(url: str, host: str, port: int, authority: str, location: str) -> None:
    target = Target(an_endpoint(url=url))

    assert (target.host, target.port, target.authority, target.location("/x")) == (host, port, authority, location)


@pytest.mark.parametrize("key", ["a\r\nX-Evil: 1", "a\nb", "ключ"])
def test_a_key_cannot_add_headers(key: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Target(an_endpoint(api_key=key))

    assert not caught.value.sent
    assert key not in str(caught.value)


def test_anthropic_is_told_its_version_and_gets_the_key_its_own_way() -> None:
    endpoint = an_endpoint(url="https://api.anthropic.com/v1", api_key="sk-ant", engine="anthropic")
    head = Target(endpoint, "tools-2025").head(b"POST", "/messages", b"application/json", 2)

    for line in (b"x-api-key: sk-ant\r\n", b"anthropic-version: 2023-06-01\r\n", b"anthropic-beta: tools-2025\r\n"):
        assert line in head
    assert b"Authorization" not in head
    assert b"anthropic-beta" not in Target(endpoint).head(b"POST", "/messages", b"application/json", 2)
    assert b"anthropic" not in Target(an_endpoint(api_key="k"), "tools-2025").head(b"POST", "/messages", b"application/json", 2)
