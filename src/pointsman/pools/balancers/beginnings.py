"""How a request begins: numbers for ever longer parts of its prompt, the same in every process.

Engines keep the beginnings of prompts, so two requests help each other as far as they begin alike. Where they may part is
not known beforehand: a conversation goes on after its last message, a thousand requests share a system prompt, and
questions about one document part in the middle of a long message. So there is a number at the end of each message and at
fixed places within the text, every 512 bytes at first and further apart the more there is (an eighth of a prompt that is
not recognised costs little). Equal numbers mean equal text up to there, roles included.
"""

from __future__ import annotations

from zlib import crc32

import msgspec

from pointsman.core.request import ChatRequest

EDGES = (
    *range(512, 4_096, 512), *range(4_096, 16_384, 1_024), *range(16_384, 65_536, 4_096), *range(65_536, 131_073, 16_384)
)  # fmt: skip
"""Bytes of text after which there is a number. Beyond the last, some 33,000 tokens, nothing is read: to know so much is
reason enough, and reading takes a microsecond for 1,000 to 2,000 bytes."""
FIRST, LAST = 16, 48
"""Numbers kept of a request with more of them. The next turn of a conversation of hundreds of messages parts near its end."""
BYTES_PER_TOKEN = 3
"""As `Needs.context` estimates."""

ROLE = 64
"""Bytes of a role that count: roles are words."""

_ROLES = {role: role.encode() for role in ("system", "developer", "user", "assistant", "tool")}
LAST_EDGE = EDGES[-1]

Beginning = tuple[int, int]
"""(number, estimated tokens up to there)."""


class Beginnings(msgspec.Struct, frozen=True, gc=False):
    """What `read` finds."""

    parts: list[Beginning]
    """Shortest first, 64 at most; none for a request without text. Plain tuples: there are dozens a request."""
    conversation: int
    """The number at the end of the first user message: what all turns of a conversation have in common."""

    @property
    def tokens(self) -> int:
        """Of all that was read."""
        return self.parts[-1][1] if self.parts else 0

    def mark(self, share: float) -> int:
        """The number of the shortest beginning with so much of it; 0 = there is none."""
        least = share * self.tokens
        return next((number for number, tokens in self.parts if tokens >= least), 0)


def read(request: ChatRequest) -> Beginnings:
    """The numbers of one request."""
    parts: list[Beginning] = []
    crc = size = place = 0
    conversation: int | None = None
    for message in request.messages:
        role = message.role
        data = _bytes(message.text, LAST_EDGE - size)
        crc, end = crc32(_ROLES.get(role) or _bytes(role, ROLE), crc), size + len(data)
        if end < EDGES[place]:
            crc = crc32(data, crc)
        else:
            crc, place = _across(parts, memoryview(data), crc, size, place)
        if end > size and not (parts and parts[-1][0] == crc):  # a place may be where the message ends
            parts.append((crc, end // BYTES_PER_TOKEN))
        size = end
        if conversation is None and role == "user" and parts:
            conversation = parts[-1][0]
        if place == len(EDGES):
            break
    if conversation is None:
        conversation = parts[-1][0] if parts else 0
    return Beginnings(parts if len(parts) <= FIRST + LAST else [*parts[:FIRST], *parts[-LAST:]], conversation)


def _across(parts: list[Beginning], data: memoryview, crc: int, size: int, place: int) -> tuple[int, int]:
    """Adds the places that lie within one message; the number at its end, and the next place."""
    at, end = 0, size + len(data)
    while place < len(EDGES) and end >= EDGES[place]:
        until = EDGES[place] - size
        crc, at = crc32(data[at:until], crc), until
        parts.append((crc, EDGES[place] // BYTES_PER_TOKEN))
        place += 1
    return crc32(data[at:], crc), place


def _bytes(text: str, most: int) -> bytes:
    """The first `most` bytes; no more of a long text is encoded."""
    if len(text) > most:
        text = text[:most]
    data = text.encode() if text.isascii() else text.encode("utf-8", "surrogatepass")
    return data if len(data) <= most else data[:most]
