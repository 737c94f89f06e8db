import asyncio

import pytest

from pointsman.cli.demonstration.client import ask, nano_of

ROUTED = b"x-route-record: r1\r\nx-route-tier-name: small\r\nx-route-cost-usd: 0.000003967\r\n"
PLAIN = b'{"choices":[{"message":{"content":"Lisbon"},"finish_reason":"stop"}]}'


def asked(*parts, body=b"{}"):
    """What the client makes of a server that says these parts, and what the server heard."""
    heard = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(head + await reader.readexactly(len(body)))
        for part in parts:
            writer.write(part)
            await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            return await ask("127.0.0.1", server.sockets[0].getsockname()[1], body, {"x-team": "legal"})

    return asyncio.run(main()), heard


def a_plain(body=PLAIN, status=b"200 OK"):
    return b"HTTP/1.1 " + status + b"\r\n" + ROUTED + b"content-length: %d\r\n\r\n" % len(body) + body


def a_stream(*events):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n" + ROUTED + b"\r\n"
    data = [b"data: " + event + b"\n\n" for event in events]
    return [head, *(b"%x\r\n" % len(d) + d + b"\r\n" for d in data), b"0\r\n\r\n"]


ROLE = b'{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}'
WORD = b'{"choices":[{"delta":{"content":"Lis"},"finish_reason":null}]}'
LAST = b'{"choices":[{"delta":{"content":"bon"},"finish_reason":"stop"}]}'
USAGE = b'{"choices":[],"usage":{"prompt_tokens":1,"cost_usd":0.000003967}}'


def test_a_plain_answer_tells_tier_record_and_exact_cost():
    answer, heard = asked(a_plain(), body=b'{"model":"auto"}')

    assert answer.error is None
    assert (answer.status, answer.tier, answer.record_id, answer.said_nano_usd) == (200, "small", "r1", 3967)
    assert heard[0].startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"x-team: legal" in heard[0]
    assert heard[0].endswith(b'\r\n\r\n{"model":"auto"}')


def test_a_stream_tells_its_exact_cost_in_the_usage():
    answer, _ = asked(*a_stream(ROLE, WORD, LAST, USAGE, b"[DONE]"))

    assert answer.error is None
    assert answer.said_nano_usd == 3967


def test_a_stream_without_usage_has_only_an_expected_cost():
    answer, _ = asked(*a_stream(WORD, LAST, b"[DONE]"))

    assert answer.said_nano_usd is None
    assert answer.about_nano_usd == 3967


@pytest.mark.parametrize(("parts", "says"), [
    ([a_plain(b'{"error":{"message":"no tier has an endpoint"}}', b"503 Service Unavailable")], "no tier has an endpoint"),
    ([a_plain(b'{"choices":[{"finish_reason":null}]}')], "no finish_reason"),
    ([a_plain(b"<html>")], "cannot be read"),
    ([a_plain()[:-5]], "connection broke"),
    (a_stream(WORD, b"[DONE]"), "ended before its answer"),
    (a_stream(WORD, LAST), "ended before its answer"),
    (a_stream(WORD, b'{"choices":[],"error":{"message":"the engine went away"}}'), "the engine went away"),
    ([], "connection broke"),
])
def test_anything_but_a_whole_answer_is_an_error_in_words(parts, says):
    answer, _ = asked(*parts)

    assert says in answer.error


def test_nobody_listening_is_an_error_too():
    answer = asyncio.run(ask("127.0.0.1", 1, b"{}", {}))

    assert "connection broke" in answer.error


def test_what_is_no_amount_is_none():
    assert nano_of("0.000000001") == 1
    assert nano_of(3.967e-06) == 3967
    assert [nano_of(text) for text in ("unknown", "pending", None)] == [None, None, None]
