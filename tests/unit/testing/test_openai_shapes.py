"""Text becomes tokens and tokens text; replies have the shapes that clients read."""

import base64
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.testing import openai_shapes as shapes


@given(st.text())
def test_whatever_the_text_its_tokens_join_to_it(text: str) -> None:
    assert "".join(shapes.tokens_of(text)) == text


def test_a_token_is_about_four_bytes_and_never_splits_a_character() -> None:
    assert shapes.tokens_of("abcdefgh!") == ["abcd", "efgh", "!"]
    assert shapes.tokens_of("東京タワー") == ["東京", "タワ", "ー"]
    assert shapes.tokens_of("a👩b") == ["a👩", "b"]
    assert shapes.count_tokens("abcde") == 2


def test_a_chat_body_is_read_with_its_text_parts() -> None:
    body = {"model": "m", "stream": True, "stream_options": {"include_usage": True}, "n": 2, "logprobs": True, "top_logprobs": 3,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}, {"type": "image_url"}]}]}

    asked = shapes.read("/v1/chat/completions?x=1", msgspec.json.encode(body))

    assert (asked.kind, asked.model, asked.stream, asked.include_usage) == ("chat", "m", True, True)
    assert (asked.choices, asked.logprobs, asked.texts) == (2, 3, ("hello",))


def test_wrong_types_count_as_absent() -> None:
    asked = shapes.read("/v1/chat/completions", b'{"model": 3, "messages": "hi", "n": "x", "logprobs": 1, "stream": "yes"}')

    assert (asked.model, asked.texts, asked.choices, asked.logprobs, asked.stream) == ("", (), 1, None, False)


@pytest.mark.parametrize(("given_", "texts"), [("a", ("a",)), (["a", "b"], ("a", "b")), ([1, 2], (" 1 2",)), ([[1], [2]], ("[1]", "[2]"))])
def test_inputs_of_every_shape_are_counted(given_: object, texts: tuple[str, ...]) -> None:
    asked = shapes.read("/v1/embeddings", msgspec.json.encode({"model": "m", "input": given_}))

    assert asked.texts == texts


def test_embeddings_as_base64_are_the_same_vectors() -> None:
    def vector(encoding: str) -> object:
        asked = shapes.read("/v1/embeddings", msgspec.json.encode({"input": "red car", "encoding_format": encoding}))
        return msgspec.json.decode(shapes.embeddings(asked, "m", 8, "id"))["data"][0]["embedding"]

    assert struct.unpack("<8f", base64.b64decode(vector("base64"))) == pytest.approx(vector("float"))


def test_texts_that_share_words_are_closer() -> None:
    def cosine(a: str, b: str) -> float:
        return sum(x * y for x, y in zip(shapes.embed(a, 64), shapes.embed(b, 64), strict=True))

    assert cosine("the red car", "the red bus") > cosine("the red car", "quantum field theory")
    assert cosine("same", "same") == pytest.approx(1.0, abs=1e-4)


def test_the_most_likely_token_leads_its_alternatives() -> None:
    entry = shapes.token_logprob("abcd", 3)

    assert entry["top_logprobs"][0]["token"] == "abcd"
    assert [e["logprob"] for e in entry["top_logprobs"]] == sorted((e["logprob"] for e in entry["top_logprobs"]), reverse=True)
    assert entry["logprob"] < 0
