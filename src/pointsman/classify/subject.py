"""What a request is about: the user's own words, without what a harness wrapped around them.

Coding harnesses and agents put reminders, environment listings and tool results into user turns. A classifier
that reads those learns about the harness and not about the question, so they are set aside first.

Why are runs of blanks taken as one, and capitals alone read as sentences? Patterns and counts go by both: two blanks after each word
would move one decision in ten (`spacing`, `casing`). Rules are the operator's own, and go by what was sent.

Why a window? A pasted megabyte must cost what a page costs. Classifiers read 8 KiB of head and 8 KiB of tail;
rules, which look for one marker, read twice that. The rest is counted only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from pointsman.classify.casing import cased
from pointsman.classify.courtesy import bared
from pointsman.classify.spacing import evened
from pointsman.core.request import ChatRequest, Message

CLASSIFIER_BYTES = 8 * 1024
"""Head, and again tail, that classifiers see."""
RULE_BYTES = 16 * 1024
"""Head, and again tail, that rules see: 32 KiB together."""

_WINDOW = 64 * 1024
"""Characters at either end in which harness blocks are looked for."""
_BLOCK_REACH = 512 * 1024
"""A block's end is looked for this many characters after its start."""

# Blocks that harnesses inject: nothing between the tags is the user's. A name is matched in any case,
# with `_` and `-` alike.
_SET_ASIDE = (
    "system-reminder", "environment-context", "environment-details", "environment-info", "user-instructions",
    "permissions-instructions", "session-context", "workspace-info", "project-layout", "user-info",
    "attached-files", "open-and-recently-viewed-files", "additional-data", "ide-opened-file", "ide-selection",
    "ide-diagnostics", "command-name", "command-message", "local-command-stdout", "local-command-stderr",
    "local-command-caveat", "bash-stdout", "bash-stderr", "reminder-instructions", "reminderinstructions",
    "editor-context", "editorcontext", "context-window", "tool-result", "tool-results", "tool-response",
    "tool-output", "function-results", "function-response", "skill-instructions", "subagent-notification",
)
# Tags around the user's own words: when one is there, only its inside counts.
_OWN_WORDS = ("user-query", "user-request", "userrequest", "user-message")


def _names(names: Sequence[str]) -> str:
    return "|".join(name.replace("-", "[-_ ]") for name in names)


_OPENING = re.compile(rf"<({_names(_SET_ASIDE)})(?:\s[^<>]{{0,200}})?>", re.IGNORECASE)
_CLOSING = re.compile(rf"</({_names(_SET_ASIDE)})>", re.IGNORECASE)
_OWN = re.compile(rf"<({_names(_OWN_WORDS)})>(.*?)(?:</\1>|\Z)", re.IGNORECASE | re.DOTALL)


class Subject(msgspec.Struct, frozen=True, gc=False):
    """The last user text that is really a user's, cut to a window."""

    text: str
    """At most head + tail; "" when no user turn holds real text."""
    data: bytes
    """`text` as UTF-8."""
    chars: int
    """Characters of the whole text that `text` was cut from, harness blocks not counted, runs of blanks inside a line as one: of a
    text of many pages going by its ends."""
    cut: bool
    """Something in the middle was left out."""

    def is_empty(self) -> bool:
        return not self.text


def subject(request: ChatRequest, window_bytes: int = CLASSIFIER_BYTES, *, as_sent: bool = False) -> Subject:
    """The last user text with real words in it, its head and tail of `window_bytes` each. `as_sent`: with the writer's blanks and case."""
    for message in reversed(request.messages):
        if message.role == "user":
            text = message.text
            if len(text) <= window_bytes and "<" not in text:  # nearly always: no harness, nothing to cut
                if not (text := text.strip()):
                    continue
                data = text.encode("utf-8", "replace")
                if not as_sent and (plain := bared(cased(evened(text, data), data))) is not text:
                    text, data = plain, plain.encode("utf-8", "replace")
                if len(data) <= 2 * window_bytes:
                    return Subject(text, data, len(text), False)
            text, chars = own_words(text)
            if text:
                return _cut(text, chars, window_bytes) if as_sent else _plain(text, chars, window_bytes)
    return Subject("", b"", 0, False)


def turn_of(messages: Sequence[Message]) -> int | None:
    """Which message `subject` reads; None = no user turn holds real text. Not for the path."""
    return next((at for at in range(len(messages) - 1, -1, -1)
                 if messages[at].role == "user" and own_words(messages[at].text)[0]), None)


def own_words(text: str) -> tuple[str, int]:
    """`text` without harness blocks, stripped, and how many characters it has.

    Of a text longer than two windows only the first and last 64 K characters are returned; the count is of
    the whole, blocks found outside taken as text.
    """
    if "<" not in text[:_WINDOW] and (len(text) <= _WINDOW or "<" not in text[-_WINDOW:]):
        text = text.strip()
        return (text, len(text)) if len(text) <= 2 * _WINDOW else (text[:_WINDOW] + text[-_WINDOW:], len(text))
    if len(text) <= _WINDOW:
        kept = _unwrapped(_without_blocks(text)[0]).strip()
        return kept, len(kept)
    head, position = _without_blocks(text)
    tail = _without_orphans(text[max(position, len(text) - _WINDOW):])
    between = max(0, len(text) - _WINDOW - position)
    kept = (_unwrapped(head + "\n" + tail) if tail else _unwrapped(head)).strip()
    return kept, len(kept) + between


def all_text(messages: Sequence[Message]) -> bytes:
    """Every message's text as sent, joined by newlines: what rules read of its head and tail, as UTF-8."""
    if sum(len(message.text) for message in messages) <= 2 * RULE_BYTES:
        return _window("\n".join(message.text for message in messages), RULE_BYTES)[1]
    head: list[str] = []
    left = RULE_BYTES
    for message in messages:
        head.append(message.text[:left])
        left -= len(head[-1])
        if left <= 0:
            break
    tail: list[str] = []
    left = RULE_BYTES
    for message in reversed(messages):
        tail.append(message.text[-left:])
        left -= len(tail[-1])
        if left <= 0:
            break
    return _window("\n".join(head) + "\n" + "\n".join(reversed(tail)), RULE_BYTES)[1]


def _without_blocks(text: str) -> tuple[str, int]:
    """Up to one window of text outside blocks, and the position where reading stopped."""
    kept: list[str] = []
    room, position = _WINDOW, 0
    while position < len(text) and room > 0:
        end = min(len(text), position + room)
        found = _OPENING.search(text, position, end)
        close = _end_of_block(text, found.group(1), found.end()) if found else -1
        if found is None or close < 0:  # an opening tag that nothing closes is just text
            kept.append(text[position:end])
            position = end
            break
        kept.append(text[position:found.start()])
        room -= found.end() - position  # what was scanned counts, so that many tiny blocks stay bounded
        position = close
    return "".join(kept), position


def _end_of_block(text: str, name: str, start: int) -> int:
    closing = f"</{name}>"
    at = text.find(closing, start, start + _BLOCK_REACH)
    return at + len(closing) if at >= 0 else -1


def _without_orphans(tail: str) -> str:
    """The end of a long text, whose first block may have begun before it."""
    closing, opening = _CLOSING.search(tail), _OPENING.search(tail)
    if closing and (opening is None or closing.start() < opening.start()):
        tail = tail[closing.end():]
    kept, position = _without_blocks(tail)
    return kept + tail[position:]


def _unwrapped(text: str) -> str:
    if "<user" not in text and "<USER" not in text and "<User" not in text:
        return text
    inside = [found.group(2) for found in _OWN.finditer(text)]
    return "\n".join(inside) if any(part.strip() for part in inside) else text


def _plain(text: str, chars: int, size: int) -> Subject:
    """As `_cut`, without the writer's habits. Of a long text only as much is evened as may be shown, twice over."""
    about = _cut(text, chars, size)
    if evened(about.text, about.data) is not about.text:
        seen = text if len(text) <= 4 * size else f"{text[:2 * size]}\n{text[-2 * size:]}"
        even = evened(seen, seen.encode("utf-8", "replace"))
        about = _cut(even, max(len(even), chars - round((len(seen) - len(even)) * chars / len(seen))), size)
    plain = bared(cased(about.text, about.data))
    return about if plain is about.text else Subject(plain, plain.encode("utf-8", "replace"), about.chars - len(about.text) + len(plain), about.cut)


def _cut(text: str, chars: int, window_bytes: int) -> Subject:
    shown, data = _window(text, window_bytes)
    return Subject(shown, data, chars, len(shown) < chars)


def _window(text: str, size: int) -> tuple[str, bytes]:
    """Head and tail of at most `size` bytes each, joined by a newline when something was left out."""
    if len(text) <= 2 * size:
        data = text.encode("utf-8", "replace")
        if len(data) <= 2 * size:
            return text, data
    head = text[:size].encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
    tail = text[-size:].encode("utf-8", "replace")[-size:].decode("utf-8", "ignore")
    shown = f"{head}\n{tail}"
    return shown, shown.encode("utf-8")
