"""Whatever bytes a client sends as a body: a request with honest spans, or a 400 with a sentence; never anything else."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.core.request import ChatRequest, Kind
from pointsman.core.splice import spliced
from pointsman.errors import RequestError
from pointsman.server.body import parse
from pointsman.server.limits import CONSUMED

READ = ("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "tools", "functions",
        "response_format", "logprobs", "metadata", "prompt", "best_of", "input", "models", "api_key", "x_unknown")

a_scalar = (st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=20) | st.sampled_from(("auto", "user", "system", "agent")))
a_value = st.recursive(a_scalar, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
                       max_leaves=12)
a_turn = st.fixed_dictionaries({"role": st.sampled_from(("system", "user", "assistant", "tool")) | a_scalar},
                               optional={"content": a_value, "name": a_value})
a_member = st.tuples(st.sampled_from(READ) | st.text(max_size=8), a_value)


@st.composite
def a_body(draw: st.DrawFn) -> bytes:
    """An object with some right fields, some odd ones, some twice, its keys sometimes written with escapes."""
    right: list[tuple[str, object]] = [("model", "auto"), ("messages", draw(st.lists(a_turn, max_size=4))), ("prompt", draw(a_value)),
                                       ("input", draw(a_value))]
    members = draw(st.permutations([m for m in right if draw(st.integers(0, 9))] + draw(st.lists(a_member, max_size=4))))
    space = draw(st.sampled_from(("", " ", "\n\t")))
    ascii_only = draw(st.booleans())
    parts = []
    for key, value in members:
        name = json.dumps(key, ensure_ascii=ascii_only)
        if len(key) > 1 and key.isalpha() and key.isascii() and not draw(st.integers(0, 4)):
            name = f'"\\u{ord(key[0]):04x}{key[1:]}"'
        parts.append(f"{name}{space}:{space}{json.dumps(value, ensure_ascii=ascii_only)}")
    text = space + "{" + f"{space},{space}".join(parts) + "}" + space
    return text.encode("utf-8", "surrogatepass")


@st.composite
def a_spoiled_body(draw: st.DrawFn) -> bytes:
    """A body with a few bytes changed."""
    body = bytearray(draw(a_body()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 3))] = draw(st.sampled_from((b"", b'"', b"\\", b"\\ud800", b"{", b"]", b",", b"\xff", b"\0",
                                                                        b"NaN", b"\xef\xbb\xbf", b"1" * 400)) | st.binary(max_size=4))
    return bytes(body)


def read(body: bytes, kind: Kind) -> ChatRequest | RequestError:
    try:
        return parse(body, kind)
    except RequestError as error:
        return error


def check(body: bytes, kind: Kind) -> None:
    """`parse` refuses with a sentence, or what goes upstream is the same JSON but for what we change."""
    request = read(body, kind)
    if isinstance(request, RequestError):
        assert request.status == 400
        assert str(request)
        return
    for system in (None, "You are an agent."):
        if system is not None and kind is Kind.EMBEDDING:
            continue  # no rule is asked about embeddings
        sent = json.loads(spliced(request, "real-model", system))
        asked = json.loads(body)
        assert sent["model"] == "real-model"
        assert asked["model"] == request.model
        if request.stream:
            assert sent["stream_options"]["include_usage"] is True
        changed = {"model", "stream_options", *CONSUMED, *(("messages", "prompt") if system else ())}
        assert not CONSUMED & set(sent)
        unchanged = set(asked) - changed
        assert all(sent[key] == asked[key] or sent[key] != sent[key] for key in unchanged)
        if system is not None:
            assert system in json.dumps(sent.get("messages" if kind is Kind.CHAT else "prompt")) or _cannot_take(asked, kind)


def _cannot_take(asked: dict[str, object], kind: Kind) -> bool:
    """Prompts of tokens, and lists of prompts, have no place for words of ours."""
    return kind is Kind.COMPLETION and not isinstance(asked.get("prompt"), str)


@settings(max_examples=300, deadline=None)
@given(a_body(), st.sampled_from(Kind))
def test_odd_json_is_read_or_refused(body: bytes, kind: Kind) -> None:
    check(body, kind)


@settings(max_examples=300, deadline=None)
@given(a_spoiled_body(), st.sampled_from(Kind))
def test_spoiled_json_is_read_or_refused(body: bytes, kind: Kind) -> None:
    check(body, kind)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(Kind))
def test_any_bytes_are_read_or_refused(body: bytes, kind: Kind) -> None:
    check(body, kind)


@pytest.mark.parametrize("depth", [1, 62, 63, 64, 500, 100_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_depth_is_refused_beyond_64_and_never_breaks_the_reader(depth: int, brackets: str) -> None:
    opening, closing = ("[", "]") if brackets == "[]" else ('{"a":', "}")
    value = opening * depth + "1" + closing * depth
    body = b'{"model":"auto","messages":[{"role":"user","content":"hi"}],"x":' + value.encode() + b"}"

    assert isinstance(read(body, Kind.CHAT), ChatRequest) is (depth < 64)


def test_a_completion_without_prompt_gets_the_system_prompt_as_its_prompt() -> None:
    request = parse(b'{"model":"auto"}', Kind.COMPLETION)

    assert msgspec.json.decode(spliced(request, "m", "Be brief.")) == {"model": "m", "prompt": "Be brief."}


def test_the_system_prompt_goes_into_the_content_that_the_engine_will_read() -> None:
    body = b'{"model":"auto","messages":[{"role":"system","content":"decoy","content":"real"}]}'

    sent = msgspec.json.decode(spliced(parse(body, Kind.CHAT), "m", "Be brief."))
    assert sent["messages"][0]["content"] == "Be brief.\n\nreal"
