"""Requests that are almost right: whole HTTP exchanges as bytes, made from a seed and a number, so that each can be made again.

Every maker takes an `rng` and returns a `Case`. What a case promises (`is_whole`, `allowed`) is what the oracle holds
the router to; where a mutation may have made anything of a request, it promises nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

KEY = "fuzz-key-0123456789"
MODELS = ("auto", "auto:auto", "small", "large", "small-model", "small", "dead")
CHAT, COMPLETIONS, EMBEDDINGS, ROUTE, CLASSIFY = (
    "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/route", "/classify")
REFUSED = frozenset((400, 408, 413, 431, 501, 505))
"""What may be said to bytes that are no HTTP request."""
HIDDEN = b"GET /health/liveness HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""A second request hidden in a body: if it is answered, two readers of the same bytes may disagree."""


@dataclass(frozen=True)
class Case:
    """One exchange: what is sent, in which segments, and what may come back."""

    family: str
    segments: tuple[bytes, ...]
    is_whole: bool = False
    """Certainly a complete request: it must be answered, or the connection closed."""
    allowed: frozenset[int] | None = None
    """The statuses of the first answer; None = any but a 5xx that is not the upstream's."""
    answers: int | None = None
    """The most answers there may be; None = nobody knows."""
    keeps_open: bool = False
    """The connection can be used again when exactly one answer has come."""

    @property
    def data(self) -> bytes:
        return b"".join(self.segments)


def case_of(seed: int, number: int) -> Case:
    """The `number`-th case of a seed."""
    rng = Random(f"{seed}:{number}")
    return rng.choices(_MAKERS, _WEIGHTS)[0](rng)


# ---------------------------------------------------------------------------------------------------------------------
# Right requests, which the makers below spoil


def head(path: str, length: int | None, *more: str, method: str = "POST", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", f"Authorization: Bearer {KEY}",
             "Content-Type: application/json"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join((*lines, *more, "", "")).encode("utf-8", "surrogateescape")


def a_body(rng: Random) -> tuple[str, dict[str, Any]]:
    """A path and a right body for it."""
    path = rng.choice((CHAT, CHAT, CHAT, COMPLETIONS, EMBEDDINGS, ROUTE, CLASSIFY))
    if path == EMBEDDINGS:
        return path, {"model": "vectors", "input": rng.choice(("a text", ["a", "b"], [1, 2, 3], [[1, 2], [3]]))}
    body: dict[str, Any] = {"model": rng.choice(MODELS[:-1])}
    if path == COMPLETIONS:
        body["prompt"] = rng.choice((_words(rng), [_words(rng), "b"], [1, 2, 3]))
    else:
        body["messages"] = [{"role": role, "content": _words(rng)} for role in
                            rng.choice((("user",), ("system", "user"), ("user", "assistant", "user")))]
    for field, values in _FIELDS.items():
        if rng.random() < 0.08:
            body[field] = rng.choice(values)
    return path, body


_FIELDS: dict[str, tuple[Any, ...]] = {
    "stream": (True, True, False, None), "stream_options": ({"include_usage": True}, {}, None), "max_tokens": (1, 100, None),
    "n": (1, 2, None), "metadata": ({"a": "b"}, {}, None), "temperature": (0, 1.5, 1e-300, 10**40),
    "seed": (2**63 - 1, -5), "user": ("é\u4e2d\U0001f600",), "x_unknown": ({"a": [1, {"b": None}]}, "\u0000"),
}


def _words(rng: Random) -> str:
    return " ".join(rng.choice(("order 1234567", "prove", "é", "中文", "def f(x):", "refund", "\U0001f600", "agent", "why"))
                    for _ in range(rng.randrange(12)))


def request(path: str, body: bytes, *more: str) -> bytes:
    return head(path, len(body), *more) + body


def right(rng: Random) -> Case:
    """A right request, in random segments now and then."""
    path, body = a_body(rng)
    data = request(path, json.dumps(body, ensure_ascii=rng.random() < 0.5).encode())
    if path == EMBEDDINGS and rng.random() < 0.1:
        data = data.replace(b"vectors", b"small", 1).replace(b"Content-Length: ", b"Content-Length:   ")
        return Case("right", (data + b"  ",), is_whole=True, answers=1)
    return Case("right", _segments(rng, data), is_whole=True, allowed=frozenset((200,)), answers=1, keeps_open=True)


def down(rng: Random) -> Case:
    """A right request for a model whose only endpoint refuses connections."""
    body = json.dumps({"model": "dead", "messages": [{"role": "user", "content": "hi"}], "stream": rng.random() < 0.5})
    return Case("down", (request(CHAT, body.encode()),), is_whole=True, allowed=frozenset((503,)), answers=1, keeps_open=True)


def _segments(rng: Random, data: bytes) -> tuple[bytes, ...]:
    if rng.random() < 0.8:
        return (data,)
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 6)))
    return tuple(data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b)


# ---------------------------------------------------------------------------------------------------------------------
# Bodies


_ODD = (
    "null", "true", "false", "0", "-1", "1e400", "-0.0", "1E+2", "9223372036854775807", "9223372036854775808", "1" * 400,
    "1" + "0" * 5000, "NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "0x10", '""', '"\\ud800"', '"\\udc00\\ud800"',
    '"\\u0000"', '"\\x41"', '"\\u12"', '"\t"', '"unterminated', "[]", "{}", "[[]]", "[null]", "[{}]", '{"type":5}', "[1,2]",
    '["a",1]', '{"":""}', '{"include_usage":"yes"}', '{"include_usage":true,"include_usage":false}', "[1,]", "{,}", "'a'",
    '{"type":"json_schema"}', '{"a":"\\ud800"}', '{"\\ud800":"a"}', '{"a":"b","a":"c"}', '{"a":"\\q"}', '{"a":1e999}',
    '[{"role":"user"}]', '[{"role":5}]', '[{"role":"user","content":5}]', '[{"role":"user","content":[5]}]',
    '[{"role":"user","content":[{"type":"text"}]}]', '[{"role":"user","content":[{"type":"text","text":"\\ud83d"}]}]',
    '[{"role":"system","content":"a","content":"order 1234567"}]', '[{"role":"user","content":null}]',
    '[{"role":"system","c\\u006fntent":"speak agent"},{"role":"user","content":"agent"}]', "/* */ 1", "\ufeff1", "tru",
)
_READ = ("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "tools", "functions",
         "response_format", "logprobs", "top_logprobs", "metadata", "prompt", "best_of", "input", "models", "fallbacks",
         "provider", "api_base", "base_url", "api_key", "user_config", "x_unknown")


_CONTENTS = tuple(f"[{turns}]" for turns in (
    "", '{"role":"user","content":null}', '{"role":"tool","tool_call_id":"1","content":"x"},{"role":"user","content":"agent"}',
    '{"role":"system","content":"a","content":"b"},{"role":"user","content":"agent"}', '{"role":"","content":"\\u0000"}',
    '{"role":"system","c\\u006fntent":"x"},{"role":"user","content":"agent"}', '{"role":"user","content":["agent",{"type":"text"}]}',
    '{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}', '{"content":"agent","role":"user","x":"\\ud800"}',
    '{"role":"system"},{"role":"user","content":"agent"}', '{"role":"system","content":["a"]},{"role":"user","content":"agent"}',
    '{"role":"user","content":"' + "order 1234567 " * 3000 + '"}', '{"role":"user","content":"' + "(" * 20_000 + '"}',
    '{"role":"user","content":"' + "\\u202e\\u0000\\ufeff" * 500 + '"}', ",".join(['{"role":"user","content":"why"}'] * 500),
    '{"role":"user","content":"' + "`" * 9000 + '"}', '{"role":"user","content":"' + "a" * 60_000 + '"}',
))
_FITTING: dict[str, tuple[str, ...]] = {
    "stream": ("true", "null"), "stream_options": ("{}", '{"include_usage":true,"x":1}', '{"include_usage":null}', "null",
                                                   '{"include_usage":false,"include_usage":true}', '{"\\ud800":1}'),
    "max_tokens": ("0", "-1", "9223372036854775807", "1.0", "1e3", "-9223372036854775808"), "n": ("0", "-5", "64", "1000000000", "1e2"),
    "tools": ("[]", "[null,1,{}]", '[{"type":"function","function":{"name":"f"}}]'), "functions": ("[{}]",), "logprobs": ("true", "5"),
    "metadata": ('{"a":"b","a":"c"}', '{"a":"\\ud800"}', '{"\\ud800":"x"}', '{"a":"\\q"}', '{"a":{"b":[]}}', "[]", '{"a":1e999}', '{"":""}'),
    "response_format": ('{"type":"json_schema","json_schema":{}}', "{}", '{"type":"text","type":"json_schema"}'),
    "prompt": ("null", "[]", '[[],[1]]', '["agent","a"]', '"agent"', "[1,2]", '[1,"a"]'), "input": ("[]", '""', "[[]]", "[1]"),
    "best_of": ("0", "5"), "x_unknown": ('{"a":"\\ud800"}', "1e999", "-0", "123456789012345678901234567890", '{"a":1,"a":2}', '"\\q"', "[" * 62 + "]" * 62),
    "\\ud800": ("1",), "": ("null",),
}


def grammar(rng: Random) -> Case:
    """JSON with odd values in the fields that we read, odd keys, duplicates, odd top levels."""
    path, body = a_body(rng)
    members = [[json.dumps(key), json.dumps(value)] for key, value in body.items()]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        match rng.randrange(6) if members else 2:
            case 0:
                rng.choice(members)[1] = _odd(rng)
            case 1:
                members[-1][1] = rng.choice(_CONTENTS)
            case 2:
                members.insert(rng.randrange(len(members) + 1), [_key(rng), _odd(rng)])
            case 3:
                name = rng.choice(tuple(_FITTING))
                members.insert(rng.randrange(len(members) + 1), [f'"{name}"', rng.choice(_FITTING[name])])
            case 4 if rng.random() < 0.4:
                members.append(list(rng.choice(members)))
            case 4 if rng.random() < 0.3:
                members.pop()
            case _:
                members.append([_key(rng), _deep(rng)])
    space = rng.choice(("", " ", "\n\t\r "))
    text = "{" + f"{space},{space}".join(f"{key}{space}:{space}{value}" for key, value in members) + "}"
    match rng.randrange(60):
        case 0:
            text = f"[{text}]"
        case 1:
            text = rng.choice(_ODD)
        case 2:
            text += rng.choice(("x", "{}", ",", "\0", " " * 5000))
        case 3:
            text = "\ufeff" + text
        case 4:
            text = _deep(rng)
    data = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.02:
        data = text.encode(rng.choice(("utf-16", "utf-32", "utf-16-le")), "surrogatepass")
    more = ("X-Team: legal",) if rng.random() < 0.1 else ()  # a rule that adds a system prompt, whatever the text
    return Case("json grammar", (request(path, data, *more),), is_whole=True, answers=1, keeps_open=True)


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=len)
    except ValueError:
        return False
    return True


_VALID = tuple(text for text in _ODD if _is_json(text))


def _odd(rng: Random) -> str:
    """Mostly what is JSON, so that what comes after the parser is reached."""
    return rng.choice(_VALID if rng.random() < 0.85 else _ODD)


def _key(rng: Random) -> str:
    """A field that we read, sometimes written with escapes, so that only a parser sees that it is one."""
    name = rng.choice(_READ)
    if rng.random() < 0.3:
        at = rng.randrange(len(name))
        name = f"{name[:at]}\\u{ord(name[at]):04x}{name[at + 1:]}"
    return f'"{name}"' if rng.random() < 0.95 else rng.choice(('"\\ud800"', '"\\q"', "model", '""', '"a\nb"'))


def _deep(rng: Random) -> str:
    depth = rng.choice((1, 5, 10, 20, 30, 31, 60, 61, 62, 63, 64, 65, 66, 200, 1000, 5000, 100_000 if rng.random() < 0.1 else 900))
    left, right_, core = rng.choice((("[", "]", "1"), ('{"a":', "}", "1"), ('[{"b":[', "]}]", '"]}"'), ('{"a":[', "]}", "")))
    return left * depth + core + (right_ * depth if rng.random() < 0.9 else "")


def body_bytes(rng: Random) -> Case:
    """A right body with bytes changed; its length still fits."""
    path, body = a_body(rng)
    data = mutated(rng, json.dumps(body, ensure_ascii=False).encode())
    return Case("body bytes", (request(path, data),), is_whole=True, answers=1, keeps_open=bool(data))


def big_body(rng: Random) -> Case:
    """Bodies around the limit, honest and not about their length."""
    size = rng.choice((200_000, 262_000, 262_144, 262_145, 300_000))
    filler = b"a" * size
    body = b'{"model":"auto","messages":[{"role":"user","content":"' + filler + b'"}]}'
    match rng.randrange(4):
        case 0:
            return Case("big body", (head(CHAT, 10**rng.randrange(7, 30)) + body,), is_whole=False, answers=1)
        case 1:
            return Case("big body", _chunked(rng, CHAT, body), is_whole=True, answers=1)
        case _:
            return Case("big body", (request(CHAT, body),), is_whole=True, allowed=frozenset((200, 413)), answers=1)


# ---------------------------------------------------------------------------------------------------------------------
# Heads and whole messages


_TOKENS = (b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"%00", b"%2e", b"..", b"//", b"\xff", b"\xc3\x28", b"chunked",
           b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"HTTP/1.1", b"Host: evil.example\r\n",
           b"-1", b"99999999999999999999", b"\r\n\r\n", b"A" * 300, b"\\u0000", b'"', b"{", b"}", b"[", b"]", b",", b"\\")


def mutated(rng: Random, data: bytes) -> bytes:
    """A few small accidents: flipped, dropped, doubled, swapped and inserted bytes."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(7):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                del out[at : at + rng.choice((1, 1, 2, 10))]
            case 2:
                out[at:at] = out[at : at + rng.choice((1, 5, 40))]
            case 3:
                out[at:at] = rng.choice(_TOKENS)
            case 4 if at < len(out):
                out[at] = rng.randrange(256)
            case 5:
                to = rng.randrange(len(out) + 1)
                out[at : at + 4], out[to : to + 4] = out[to : to + 4], out[at : at + 4]
            case _:
                out[at : at + rng.choice((1, 3))] = rng.choice(_TOKENS)
    return bytes(out)


def head_bytes(rng: Random) -> Case:
    path, body = a_body(rng)
    data = json.dumps(body).encode()
    return Case("head bytes", (mutated(rng, head(path, len(data))) + data,))


def whole_bytes(rng: Random) -> Case:
    path, body = a_body(rng)
    data = request(path, json.dumps(body).encode())
    if rng.random() < 0.3:
        data = b"".join(_chunked(rng, path, json.dumps(body).encode()))
    data = mutated(rng, data)
    if rng.random() < 0.1:
        data = rng.randbytes(rng.randrange(1, 300))
    return Case("whole bytes", _segments(rng, data) if data else (b"\r\n",))


def _chunked(rng: Random, path: str, body: bytes, *more: str) -> tuple[bytes, ...]:
    parts, at = [head(path, None, "Transfer-Encoding: chunked", *more)], 0
    while at < len(body):
        size = rng.choice((1, 7, 100, 5000, len(body)))
        piece = body[at : at + size]
        parts.append(b"%x\r\n%b\r\n" % (len(piece), piece))
        at += size
    parts.append(b"0\r\n\r\n")
    return tuple(parts) if rng.random() < 0.3 else (b"".join(parts),)


def chunked(rng: Random) -> Case:
    """Right and wrong chunking."""
    path, body = a_body(rng)
    data = json.dumps(body).encode()
    if rng.random() < 0.5:
        return Case("chunked", _chunked(rng, path, data), is_whole=True, allowed=frozenset((200,)), answers=1, keeps_open=True)
    size = rng.choice((b"-1", b"g", b"0x10", b"ffffffffffffffffff", b"10000000000000000", b" 5", b"5 ", b"+5", b"", b"\0",
                       b"5;" + b"x" * 70_000, b"5;a=b;c", b'5;a="\r\n0\r\n\r\n"', b"5\n", b"00000000000000000005"))
    wrong = head(path, None, "Transfer-Encoding: chunked") + size + b"\r\nhello\r\n0\r\n\r\n"
    return Case("chunked", (wrong,))


def trailers(rng: Random) -> Case:
    """Trailers must not become headers: the key comes too late here."""
    _, body = a_body(rng)
    data = json.dumps(body).encode()
    trailer = rng.choice((f"x-api-key: {KEY}", f"Authorization: Bearer {KEY}"))
    start = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    whole = (start + b"Transfer-Encoding: chunked\r\nTrailer: x-api-key\r\n\r\n" + b"%x\r\n%b\r\n0\r\n" % (len(data), data)
             + trailer.encode() + b"\r\n\r\n")
    return Case("trailers", (whole,), is_whole=True, allowed=frozenset((401,)), answers=1)


def smuggled(rng: Random) -> Case:
    """Two readers of these bytes could disagree about where the request ends. It must be refused, or end where we say."""
    body = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}'
    n = len(body)
    start = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n".encode()
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (n, body)
    length, te = b"Content-Length: %d\r\n" % n, b"Transfer-Encoding: chunked\r\n"
    cases: tuple[bytes, ...] = (
        length + te + b"\r\n" + chunk + HIDDEN,
        te + length + b"\r\n" + chunk + HIDDEN,
        te + b"Content-Length: 4\r\n\r\n" + chunk + HIDDEN,
        length + b"Content-Length: %d\r\n" % (n + len(HIDDEN)) + b"\r\n" + body + HIDDEN,
        length + length + b"\r\n" + body + HIDDEN,
        b"Content-Length: %d, %d\r\n\r\n" % (n, n) + body + HIDDEN,
        b"Content-Length: +%d\r\n\r\n" % n + body + HIDDEN,
        b"Content-Length: -1\r\n\r\n" + body + HIDDEN,
        b"Content-Length: 0x10\r\n\r\n" + body + HIDDEN,
        b"Content-Length : %d\r\n\r\n" % n + body + HIDDEN,
        b"Content-Length:\r\n\r\n" + HIDDEN,
        b"Content-Length: %d %d\r\n\r\n" % (n, n) + body + HIDDEN,
        b"Content-Length\0: 5\r\n\r\n" + body + HIDDEN,
        b"Transfer-Encoding:\r\n chunked\r\n\r\n" + chunk + HIDDEN,
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunk + HIDDEN,
        b"Transfer-Encoding: identity, chunked, identity\r\n\r\n" + chunk + HIDDEN,
        b"Transfer-Encoding: xchunked\r\n\r\n" + chunk + HIDDEN,
        b"Transfer-Encoding: chunked, gzip\r\n\r\n" + chunk + HIDDEN,
        b"Transfer-Encoding : chunked\r\n\r\n" + chunk + HIDDEN,
        b"Transfer-Encoding: \x0bchunked\r\n\r\n" + chunk + HIDDEN,
        b"Transfer_Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % (n + len(HIDDEN)) + body + HIDDEN,
        b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + chunk + HIDDEN,
        b"X: y\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + chunk + HIDDEN,
        b"X: \0\r\n" + length + b"\r\n" + body + HIDDEN,
        b" X: folded\r\n" + length + b"\r\n" + body + HIDDEN,
        te + b"\r\n" + b"%x \r\n%b\r\n0\r\n\r\n" % (n, body) + HIDDEN,
        te + b"\r\n" + b"%x\n%b\r\n0\r\n\r\n" % (n, body) + HIDDEN,
        te + b"\r\n" + b"%x\r\n%bXX0\r\n\r\n" % (n, body) + HIDDEN,
    )
    return Case("smuggling", (start + rng.choice(cases),), allowed=REFUSED, answers=1)


def odd_heads(rng: Random) -> Case:
    """Heads that are too much, too many, or ask for something that we do not do."""
    body = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}'
    n = len(body)
    big = rng.choice((1000, 60_000, 70_000, 400_000))
    makers: tuple[Callable[[], Case], ...] = (
        lambda: Case("odd heads", (head(CHAT, n, "X-Big: " + "a" * big) + body,), is_whole=True, answers=1),
        lambda: Case("odd heads", (head(CHAT, n, *(f"X-{i}: y" for i in range(big // 10))) + body,), is_whole=True, answers=1),
        lambda: Case("odd heads", (head(CHAT, n, "a" * big + ": b") + body,), is_whole=True, answers=1),
        lambda: Case("odd heads", (b"GET /" + b"a" * big + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",), is_whole=True, answers=1),
        lambda: Case("odd heads", (head(CHAT, n, "Expect: 100-continue") + body,), is_whole=True, answers=2),
        lambda: Case("odd heads", (head(CHAT, n, "Expect: 200-maybe") + body,), is_whole=True, answers=1),
        lambda: Case("odd heads", (head(CHAT, n, "Connection: Upgrade", "Upgrade: " + rng.choice(("h2c", "websocket", "x"))) + body,),
                     is_whole=True, answers=2),
        lambda: Case("odd heads", (head(CHAT, n, "Connection: " + rng.choice(("close", "keep-alive", "x", "close, keep-alive"))) + body,),
                     is_whole=True, allowed=frozenset((200,)), answers=1),
        lambda: Case("odd heads", (head(CHAT, n, "Content-Encoding: " + rng.choice(("gzip", "identity", "br", ""))) + body,),
                     is_whole=True, answers=1),
        lambda: Case("odd heads", (head(CHAT, n, version=rng.choice(("1.0", "0.9", "2.0", "1.2", "9.9", "1.1 "))) + body,), answers=1),
        lambda: Case("odd heads", (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",)),
        lambda: Case("odd heads", (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(100),)),
        lambda: Case("odd heads", (head(CHAT, n).replace(b"application/json", rng.choice(
            (b"text/plain", b"application/json; charset=utf-16", b"", b"APPLICATION/JSON", b"application/jsonx", b"\xff"))) + body,),
            is_whole=True, answers=1),
        lambda: Case("odd heads", (head(CHAT, n).replace(b"localhost", rng.choice(
            (b"evil.example", b"localhost.evil.example", b"[::1]:80", b"127.0.0.1:9", b"", b"localhost:x", b"\xe9", b"localhost, evil",
             b"user@localhost", b"[", b"0x7f000001"))) + body,), is_whole=True, answers=1),
        lambda: Case("odd heads", (head(CHAT, n, "Host: evil.example") + body,), is_whole=True, allowed=frozenset((400,)), answers=1),
        lambda: Case("odd heads", (head(CHAT, n, "X-Request-ID: " + rng.choice(("é\x7f", "a" * 5000, "a\tb", "<script>"))) + body,),
                     is_whole=True, answers=1),
        lambda: Case("odd heads", (head(CHAT, n) + body + b"\x00\xff garbage \r\n\r\n",)),
        lambda: Case("odd heads", ((head(CHAT, n) + body) * 3,), is_whole=True, allowed=frozenset((200,)), answers=3),
    )
    return rng.choice(makers)()


_AUTH = ("", "Bearer", "Bearer ", "bearer " + KEY, "BEARER  " + KEY + " ", "Basic " + KEY, KEY, "Bearer " + KEY[:-1], "Bearer \xff\xfe",
         "Bearer " + "a" * 50_000, "Bearer " + KEY + ",Bearer x", "Bearer\t" + KEY, "Bearer " + KEY + "\x00", "Digest a=b", "é", "Bearer null")


def auth(rng: Random) -> Case:
    """Junk for credentials; without the key nobody gets in."""
    body = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}'
    value = rng.choice(_AUTH).encode("latin-1", "replace")
    name = rng.choice((b"Authorization", b"authorization", b"X-Api-Key"))
    start = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % (
        rng.choice((CHAT, ROUTE, CLASSIFY)).encode(), len(body))
    right_ = value.lower().split() == [b"bearer", KEY.lower().encode()] if name.lower() == b"authorization" else value == KEY.encode()
    allowed = None if right_ else frozenset((400, 401, 431))
    return Case("credentials", (start + name + b": " + value + b"\r\n\r\n" + body,), is_whole=True, allowed=allowed, answers=1)


_PATHS = ("//v1/chat/completions", "/v1//chat/completions", "/v1/chat/completions/", "/v1/chat/%63ompletions", "/v1/./chat/completions",
          "/v1/x/../chat/completions", "/%2e%2e/admin", "/v1/chat/completions%00", "/v1/chat/completions%0d%0aX: y", "/v1/models/%ff%fe",
          "/v1/models/", "/v1/models/auto", "/v1/models/a%2Fb", "/v1/models/" + "x" * 5000, "/V1/CHAT/COMPLETIONS", "/v1/chat/completions?a=b",
          "/v1/chat/completions#frag", "/v1/chat/completions;a=b", "*", "/", "", "http://localhost/v1/chat/completions",
          "http://evil.example/v1/chat/completions", "http://evil.example", "//evil.example/v1/models", "/state", "/reload", "/drain",
          "/records/1", "/metrics", "/health/readiness", "/v1/models?%", "/v1/models/%", "/%", "/v1/chat/completions\\", "/é", "/\x7f",
          "localhost:80", "/v1/models/%e2%80%ae", "/" + "%2e/" * 1000, "/" + "a/" * 20_000)


def paths(rng: Random) -> Case:
    body = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}'
    method = rng.choice(("POST", "GET", "GET"))
    if method == "GET":
        return Case("paths", (head(rng.choice(_PATHS), None, method="GET"),), is_whole=True, answers=1)
    return Case("paths", (head(rng.choice(_PATHS), len(body)) + body,), is_whole=True, answers=2)


_METHODS = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND", "QUERY", "get", "POST\0", "P OST", "", "G" * 9000,
            "POST POST", "\xff", "SOURCE", "M-SEARCH", "PRI", "BREW")


def methods(rng: Random) -> Case:
    path = rng.choice((CHAT, "/v1/models", CLASSIFY, "/", "localhost:443", "/metrics"))
    return Case("methods", (head(path, rng.choice((None, 0, 5)), method=rng.choice(_METHODS)) + rng.choice((b"", b"hello")),))


_TABLE: dict[Callable[[Random], Case], int] = {
    right: 12, down: 1, grammar: 30, body_bytes: 14, big_body: 1, head_bytes: 10, whole_bytes: 10, chunked: 4, trailers: 1,
    smuggled: 4, odd_heads: 5, auth: 3, paths: 4, methods: 3,
}
_MAKERS, _WEIGHTS = tuple(_TABLE), tuple(_TABLE.values())
