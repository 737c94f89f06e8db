"""Server-sent events, decoded from bytes in any chunking (WHATWG HTML §9.2).

Why bytes? What an upstream says passes on byte for byte; decoding text to encode it again would cost time and
could change it. Splitting at line ends is safe on UTF-8 bytes: no multi-byte character contains CR or LF.
"""

from __future__ import annotations

import re

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""One line, or all data of one event. 16 MiB: the logprobs of an echoed long prompt come as one event of some megabytes."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class NoEvents(ValueError):
    """These bytes are no server-sent events, whatever the content type says."""


class EventTooLarge(NoEvents):
    """A line or an event beyond `MAX_EVENT_BYTES`: the stream is not worth its memory."""


class Decoder:
    """Feed it bytes, get the data of the events that they completed.

    With `named`, `names` holds the event names (b"" = unnamed) of the last `feed`, in the same order.
    """

    __slots__ = ("_after_cr", "_data", "_name", "_named", "_scanned", "_size", "_started", "_tail", "names")

    def __init__(self, *, named: bool = False) -> None:
        self._named = named
        self.names: list[bytes] = []
        self._tail = bytearray()  # the beginning of an unfinished line
        self._scanned = 0  # how much of it is known to hold no line end
        self._data: list[bytes] = []  # data lines of an unfinished event
        self._size = 0
        self._name = b""
        self._started = False  # past a possible byte order mark
        self._after_cr = False  # a LF now belongs to the CR before it

    @property
    def pending(self) -> bool:
        """An event has begun and not ended: at the end of a stream it is lost, as the standard says."""
        return bool(self._data or self._tail)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Data of the events completed by `chunk` (any number), multi-line data joined by LF. NoEvents."""
        events: list[bytes] = []
        self.names = []
        if not self._started:
            chunk = self._start(chunk)
        if self._tail or self._data or self._name or self._after_cr or b"\r" in chunk:
            self._lines(chunk, events)
            return events
        # The common case: whole events, LF only.
        end = chunk.rfind(b"\n\n")
        if end < 0:
            self._lines(chunk, events)
            return events
        for block in chunk[:end].split(b"\n\n"):
            if block.startswith(b"data: ") and b"\n" not in block and len(block) <= MAX_EVENT_BYTES:
                events.append(block[6:])
                if self._named:
                    self.names.append(b"")
            else:
                self._lines(block + b"\n\n", events)
        if end + 2 < len(chunk):
            self._lines(chunk[end + 2:], events)
        return events

    def _start(self, chunk: bytes) -> bytes:
        head = bytes(self._tail) + chunk
        self._tail.clear()
        if len(head) < 3 and _BOM.startswith(head):
            self._tail += head
            return b""
        self._started = True
        return head.removeprefix(_BOM)

    def _lines(self, chunk: bytes, events: list[bytes]) -> None:
        if not self._started:
            return
        tail = self._tail
        tail += chunk
        position = 0
        if self._after_cr and tail:
            self._after_cr = False
            position = 1 if tail[0] == 0x0A else 0
        search_from = max(position, self._scanned)
        while (match := _LINE_END.search(tail, search_from)) is not None:
            if match.end() == len(tail) and tail[-1] == 0x0D:
                self._after_cr = True
            self._line(bytes(tail[position:match.start()]), events)
            position = search_from = match.end()
        del tail[:position]
        self._scanned = len(tail)
        if len(tail) > MAX_EVENT_BYTES:
            raise EventTooLarge(f"a line of more than {MAX_EVENT_BYTES} bytes")

    def _line(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            self._dispatch(events)
            return
        if len(line) > MAX_EVENT_BYTES:
            raise EventTooLarge(f"a line of more than {MAX_EVENT_BYTES} bytes")
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > MAX_EVENT_BYTES:
                raise EventTooLarge(f"an event of more than {MAX_EVENT_BYTES} bytes")
        elif field == b"event":
            self._name = value
        elif not field.isascii():
            # The standard would have us ignore it; a field name is never anything but ASCII, so this was a data line before
            # its first byte was spoiled, and a piece of the answer would be missing without a word.
            raise NoEvents("a line that is no field of an event")
        # Comments have an empty field name; id and retry are for clients that reconnect, which we never do.

    def _dispatch(self, events: list[bytes]) -> None:
        if self._data:
            events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
            if self._named:
                self.names.append(self._name)
            self._data.clear()
            self._size = 0
        self._name = b""
