"""Whatever bytes a peer sends: what is read without the parser, the parser reads the same."""

from __future__ import annotations

import httptools
from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.head import fields
from pointsman.server.direct import read

LINES = {b"POST /x HTTP/1.1": "/x"}

a_name = st.sampled_from((b"Host", b"content-length", b"Content-Length", b"Transfer-Encoding", b"Connection", b"X-A", b"Expect",
                          b"Upgrade", b" folded", b"bad name", b"")) | st.binary(max_size=4)
a_value = st.sampled_from((b"2", b" 2", b"2 ", b"02", b"+2", b"0x2", b"chunked", b"close", b"keep-alive", b"localhost", b"")) | st.binary(max_size=6)
a_line = st.builds(lambda name, colon, value: name + colon + value, a_name, st.sampled_from((b":", b": ", b" :", b"")), a_value)
an_end = st.sampled_from((b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"))


@st.composite
def a_message(draw: st.DrawFn) -> bytes:
    """A request that is often right and sometimes odd in one place."""
    lines = draw(st.lists(a_line, max_size=4))
    body = draw(st.binary(max_size=6))
    if draw(st.booleans()):
        lines.append(b"Content-Length: %d" % len(body))
    first = draw(st.sampled_from((b"POST /x HTTP/1.1", b"POST /x HTTP/1.1", b"POST /y HTTP/1.1", b"POST /x HTTP/1.0")))
    end = draw(an_end)
    return end.join((first, *draw(st.permutations(lines)))) + end + draw(an_end) + body


class Parsed:
    """What the parser reports."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.url = self.body = b""
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_complete = True


@given(a_message())
def test_a_request_read_directly_is_the_one_that_the_parser_reads(data: bytes) -> None:
    found = read(data, LINES)
    if found is None:
        return
    seen = Parsed()
    parser = httptools.HttpRequestParser(seen)
    parser.feed_data(data)

    assert (seen.url, parser.get_method(), parser.get_http_version()) == (b"/x", b"POST", "1.1")
    assert found.headers == dict(reversed(seen.headers))
    assert (found.body, len(found.body) == found.length) == (seen.body, seen.is_complete)
    assert parser.should_keep_alive()


@given(st.lists(a_line, max_size=4), an_end)
def test_headers_of_an_answer_are_those_that_the_parser_reads(lines: list[bytes], end: bytes) -> None:
    head = end.join((b"HTTP/1.1 200 OK", *lines))
    found = fields(head)
    if found is None or not {b"transfer-encoding", b"content-length", b"connection", b"upgrade"}.isdisjoint(found[0]):
        return
    seen = Parsed()
    httptools.HttpResponseParser(seen).feed_data(head + b"\r\n\r\n")

    assert found[0] == dict(reversed(seen.headers))
