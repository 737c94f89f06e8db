"""How a request begins: numbers for ever longer parts of its prompt, the same in every process.

Engines keep the beginnings of prompts, so two requests help each other as far as they begin alike. Where they may part is
not known beforehand: a conversation goes on after its last message, a thousand requests share a system prompt, and
questions about one document part in the middle of a long message. So there is a number at the end of each message and at
fixed places within the text, every 512 bytes at first and further apart the more there is (an eighth of a prompt that is
not recognised costs little). Equal numbers mean equal text up to there, roles included.
"""

from __future__ import annotations

from zlib import crc32

from pointsman.core.request import ChatRequest, Message

EDGES = (
    *range(512, 4_096, 512), *range(4_096, 16_384, 1_024), *range(16_384, 65_536, 4_096), *range(65_536, 131_073, 16_384)
)  # fmt: skip
"""Bytes of text after which there is a number. Beyond the last, some 33,000 tokens, nothing is read: to know so much is
reason enough, and reading takes a microsecond for 1,000 to 2,000 bytes."""
FIRST, LAST = 16, 48
"""Numbers kept of a request with more of them. The next turn of a conversation of hundreds of messages parts near its end."""
BYTES_PER_TOKEN = 3
"""As `Needs.context` estimates."""

Beginning = tuple[int, int]
"""(number, estimated tokens up to there). A plain tuple: there are dozens a request."""


def beginnings(request: ChatRequest) -> list[Beginning]:
    """Shortest first, 64 at most; none for a request without text."""
    found: list[Beginning] = []
    crc = size = place = 0
    for message in request.messages:
        data, crc = _text(message, EDGES[-1] - size), _role(message, crc)
        at, end = 0, len(data)
        while size + end - at >= EDGES[place]:
            until = at + EDGES[place] - size
            crc, at, size = crc32(data[at:until], crc), until, EDGES[place]
            found.append((crc, size // BYTES_PER_TOKEN))
            place += 1
            if place == len(EDGES):
                return _few(found)
        if at < end:
            crc, size = crc32(data[at:], crc), size + end - at
            found.append((crc, size // BYTES_PER_TOKEN))
    return _few(found)


def conversation(request: ChatRequest) -> int:
    """The number of everything up to the end of the first user message: what all turns of a conversation have in common."""
    crc, left = 0, EDGES[-1]
    for message in request.messages:
        data = _text(message, left)
        crc, left = crc32(data, _role(message, crc)), left - len(data)
        if message.role == "user" or not left:
            break
    return crc


def _text(message: Message, most: int) -> memoryview:
    """The first `most` bytes; no more of a long text is encoded."""
    return memoryview(message.text[:most].encode("utf-8", "surrogatepass"))[:most]


def _role(message: Message, crc: int) -> int:
    return crc32(message.role.encode("utf-8", "surrogatepass"), crc)


def _few(found: list[Beginning]) -> list[Beginning]:
    return found if len(found) <= FIRST + LAST else [*found[:FIRST], *found[-LAST:]]
