"""What an OpenAI-compatible engine says, as bytes: replies, chunks and errors in vLLM's shapes.

Modelled on captures of vLLM 0.32. A token here is about four bytes of UTF-8 and never splits a character: text is
cut greedily after the character that reaches four bytes. It is a unit of account, not anybody's tokenizer.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import Any, Literal

import msgspec

BYTES_PER_TOKEN = 4

encode = msgspec.json.encode

AskedKind = Literal["chat", "completion", "embedding", "other"]
_KINDS: dict[str, AskedKind] = {"chat/completions": "chat", "completions": "completion", "embeddings": "embedding"}


def tokens_of(text: str) -> list[str]:
    """Cuts text into tokens; joined they are the text again."""
    if text.isascii():
        return [text[i:i + BYTES_PER_TOKEN] for i in range(0, len(text), BYTES_PER_TOKEN)]
    tokens, start, size = [], 0, 0
    for end, char in enumerate(text, 1):
        size += len(char.encode("utf-8", "replace"))
        if size >= BYTES_PER_TOKEN:
            tokens.append(text[start:end])
            start, size = end, 0
    if start < len(text):
        tokens.append(text[start:])
    return tokens


def count_tokens(text: str) -> int:
    """Tokens in a prompt: UTF-8 bytes / 4, rounded up."""
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)


class Asked(msgspec.Struct, frozen=True):
    """What a request asks for, read leniently: a wrong type is as if the field were absent."""

    kind: AskedKind
    body: dict[str, Any]
    model: str
    stream: bool
    include_usage: bool
    choices: int
    logprobs: int | None
    """Alternatives wanted per token; None = no logprobs."""
    texts: tuple[str, ...]
    """Chat: the text of every message. Completions and embeddings: every prompt or input."""
    prompt_tokens: int

    @property
    def json_wanted(self) -> bool:
        return isinstance(f := self.body.get("response_format"), dict) and f.get("type") in ("json_object", "json_schema")

    @property
    def is_continuing(self) -> bool:
        """The last message is the beginning of the answer."""
        messages = self.body.get("messages")
        last = messages[-1] if isinstance(messages, list) and messages else None
        return (self.kind == "chat" and self.body.get("continue_final_message") is True and isinstance(last, dict)
                and last.get("role") == "assistant")


def read(path: str, body: bytes) -> Asked:
    """Reads a request body. Raises msgspec.DecodeError when it is not JSON, TypeError when not an object."""
    value = msgspec.json.decode(body)
    if not isinstance(value, dict):
        raise TypeError("the body is not an object")
    kind: AskedKind = next((k for end, k in _KINDS.items() if path.split("?")[0].endswith("/" + end)), "other")
    texts = _texts(kind, value)
    options = value.get("stream_options")
    return Asked(
        kind=kind, body=value,
        model=value["model"] if isinstance(value.get("model"), str) else "",
        stream=value.get("stream") is True and kind != "embedding",
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        choices=n if isinstance(n := value.get("n"), int) and n > 0 else 1,
        logprobs=_logprobs(kind, value),
        texts=texts,
        # Four per message is what chat templates usually add for role and separators.
        prompt_tokens=sum(count_tokens(t) for t in texts) + (4 * len(texts) if kind == "chat" else 0),
    )


def _logprobs(kind: str, value: dict[str, Any]) -> int | None:
    if kind == "chat":
        return (k if isinstance(k := value.get("top_logprobs"), int) else 0) if value.get("logprobs") is True else None
    k = value.get("logprobs")
    return k if isinstance(k, int) and not isinstance(k, bool) else None


def _texts(kind: str, value: dict[str, Any]) -> tuple[str, ...]:
    if kind == "chat":
        messages = value.get("messages")
        return tuple(text_of(m.get("content")) for m in messages if isinstance(m, dict)) if isinstance(messages, list) else ()
    given = value.get("prompt" if kind == "completion" else "input")
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, list) or not given:
        return ()
    if all(isinstance(item, int) for item in given):
        return ("".join(f" {item}" for item in given),)
    return tuple(item if isinstance(item, str) else str(item) for item in given)


def text_of(content: Any) -> str:
    """The text of a message's `content`: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(p["text"] for p in content if isinstance(p, dict) and isinstance(p.get("text"), str))
    return ""


class Origin(msgspec.Struct, frozen=True):
    """The fields that every reply of one request repeats."""

    id: str
    model: str
    created: int
    fingerprint: str

    def chunk(self, kind: str, choices: list[dict[str, Any]], **more: Any) -> bytes:
        """The data of one SSE event."""
        return encode({"id": self.id, "object": "chat.completion.chunk" if kind == "chat" else "text_completion",
                       "created": self.created, "model": self.model, "choices": choices, **more})

    def body(self, kind: str, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        """A plain reply."""
        return encode({"id": self.id, "object": "chat.completion" if kind == "chat" else "text_completion",
                       "created": self.created, "model": self.model, "choices": choices, "service_tier": None,
                       "system_fingerprint": self.fingerprint} | ({"usage": usage} if usage is not None else {}))


def usage(prompt: int, completion: int, cached: int | None = None) -> dict[str, Any]:
    """The usage object; `cached` of the prompt tokens came from the prefix cache (None: it is not said)."""
    return {"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion,
            "prompt_tokens_details": None if cached is None else {"cached_tokens": cached}}


def message(text: str | None, tool_calls: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """An assistant message of a plain reply."""
    said: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "reasoning": None}
    return said | ({"tool_calls": tool_calls} if tool_calls else {})


def tool_call(name: str, arguments: str, id: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def logprob_of(token: str) -> float:
    """A plausible log-probability (-3..-0.001), the same each time for the same token."""
    x = int.from_bytes(hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=4).digest(), "big") / 2**32
    return -round(0.001 + 3.0 * x**4, 6)


def token_logprob(token: str, alternatives: int) -> dict[str, Any]:
    """One entry of `logprobs.content`, with `alternatives` runners-up after the token itself."""
    own = _entry(token, logprob_of(token))
    others = [_entry(f" alt{i}", own["logprob"] - 1.0 - i) for i in range(1, alternatives)]
    return own | {"top_logprobs": [own, *others] if alternatives else []}


def _entry(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode("utf-8", "replace"))}


def chat_logprobs(tokens: list[str], alternatives: int) -> dict[str, Any]:
    return {"content": [token_logprob(t, alternatives) for t in tokens]}


def completion_logprobs(tokens: list[str], alternatives: int, offset: int = 0) -> dict[str, Any]:
    """The legacy shape of `/v1/completions`."""
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token)
    top = [{e["token"]: e["logprob"] for e in token_logprob(t, alternatives)["top_logprobs"]} for t in tokens]
    return {"text_offset": offsets, "token_logprobs": [logprob_of(t) for t in tokens], "tokens": tokens,
            "top_logprobs": top if alternatives else None}


def embeddings(asked: Asked, model: str, dimensions: int, id: str) -> bytes:
    """A plain reply of `/v1/embeddings`: one `embed`ded vector per text, as floats or base64 of float32."""
    vectors: list[Any] = [embed(text, dimensions) for text in asked.texts]
    if asked.body.get("encoding_format") == "base64":
        vectors = [base64.b64encode(struct.pack(f"<{dimensions}f", *v)).decode() for v in vectors]
    return encode({"id": id, "object": "list", "model": model,
                   "data": [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)],
                   "usage": {"prompt_tokens": asked.prompt_tokens, "total_tokens": asked.prompt_tokens}})


def embed(text: str, dimensions: int) -> list[float]:
    """A unit vector that depends on the text alone: hashed words, so that texts sharing words are closer."""
    vector = [0.0] * dimensions
    for word in text.lower().split() or [text]:
        digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=16).digest()
        for i in range(0, 16, 2):
            vector[(digest[i] * 256 + digest[i + 1]) % dimensions] += 1.0 if digest[i] & 1 else -1.0
    length = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [round(x / length, 6) for x in vector]


def error(text: str, type: str, code: int, param: str | None = None) -> bytes:
    """An error body as vLLM writes it (`code` is a number there, unlike OpenAI's)."""
    return encode({"error": {"message": text, "type": type, "param": param, "code": code}})


def sse(data: bytes) -> bytes:
    """One server-sent event."""
    return b"data: " + data + b"\n\n"
