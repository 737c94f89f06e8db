"""A body in the client's own API, ready to be handed on: where the few spans stand that change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from pointsman.core.dialect import MESSAGES, Dialect
from pointsman.core.request import Native, Span
from pointsman.core.scan import Member, members
from pointsman.core.surrogates import mended
from pointsman.server.limits import cuts

BETAS = b"anthropic-beta"
BETAS_MAX = 1024
"""Characters of `anthropic-beta` that are handed on; a client that asks for thirty of them stays below."""

_BILLING = re.compile(rb'\[\s*(\{"type"\s*:\s*"text"\s*,\s*"text"\s*:\s*"x-anthropic-billing-header[^"\\]*+"\s*\}\s*,?)')
class _Block(msgspec.Struct, gc=False):
    type: str = ""
    signature: str | None = None


_turns = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_block = msgspec.json.Decoder(_Block).decode
_BETAS = re.compile(rb"[A-Za-z0-9._, -]+")


def native_of(dialect: Dialect, body: bytes, *, is_plain: bool, only_at_origin: str, betas: bytes = b"",
              has_unsigned: bool = False) -> Native | None:
    """For a body that its translation has found to be good; None when it names no model, which cannot be replaced then."""
    fields, end = members(mended(body))
    known: dict[str, Member] = {field.key: field for field in fields}
    if "model" not in known:
        return None
    model, system = known["model"], known.get("system" if dialect == MESSAGES else "instructions")
    return Native(
        dialect, body, Span(model.start, model.end), end, None if system is None else Span(system.start, system.end),
        cuts(fields), _billing(body, system) if dialect == MESSAGES and system is not None else None,
        is_plain and not only_at_origin, tuple(_without_unsigned(mended(body), known)) if has_unsigned else (), only_at_origin,
        betas_of(betas),
    )


def betas_of(header: bytes) -> str:
    """The client's `anthropic-beta`, when it is one."""
    return header.decode() if len(header) <= BETAS_MAX and _BETAS.fullmatch(header) else ""


def _without_unsigned(body: bytes, fields: Mapping[str, Member]) -> Iterator[tuple[Span, bytes]]:
    """The messages without the thoughts that another maker's model had, whose missing signature Anthropic refuses.

    A turn that such a model began and that is still under way cannot go on thinking there either: thoughts would have to
    come first in it.
    """
    messages = fields["messages"]
    turns = _turns(body[messages.start : messages.end])
    kept = []
    for turn in turns:
        content = turn.get("content")
        if content is not None and bytes(content)[:1] == b"[":
            blocks = [block for block in _raws(bytes(content)) if not _is_unsigned(_block(bytes(block)))]
            turn["content"] = msgspec.Raw(msgspec.json.encode(blocks))
        if content is None or bytes(turn["content"]) != b"[]":
            kept.append(turn)
    yield Span(messages.start, messages.end), msgspec.json.encode(kept)
    thinking = fields.get("thinking")
    if thinking is not None and b'"tool_result"' in bytes(turns[-1].get("content", b"")):
        yield Span(thinking.start, thinking.end), b'{"type":"disabled"}'


def _is_unsigned(block: _Block) -> bool:
    return block.type == "thinking" and not block.signature


def _billing(body: bytes, system: Member) -> Span | None:
    """The block that Claude Code puts before its system prompt, with its comma, when others follow it."""
    match = _BILLING.match(body, system.start, system.end)
    return Span(match.start(1), match.end(1)) if match and match[1].endswith(b",") else None
