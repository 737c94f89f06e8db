"""The head of an HTTP message when it is plain: a first line, and headers that are tokens with printable values.

Why beside a parser? A parser calls back for each header; most messages need none of its judgement. Whatever is not plain is
not judged here: whoever asks gives the same bytes to the parser then.
"""

from __future__ import annotations

_PRINTABLE = bytes((0x09, *range(0x20, 0x7F), *range(0x80, 0x100)))
"""What may stand in a head besides the ends of lines."""
_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"


def fields(head: bytes) -> tuple[dict[bytes, bytes], list[bytes]] | None:
    """Lower-case name -> first value, and the names that came again; None = a head that is not plain.

    `head` is everything before the empty line.

    >>> fields(b"GET / HTTP/1.1\\r\\nHost: here\\r\\nA:1\\r\\na: 2 ")
    ({b'host': b'here', b'a': b'1'}, [b'a'])
    """
    lines = head.split(b"\r\n")
    del lines[0]
    if len(head.translate(None, _PRINTABLE)) != 2 * len(lines):
        return None
    found: dict[bytes, bytes] = {}
    again: list[bytes] = []
    for line in lines:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or not name or name.translate(None, _TOKEN):
            return None
        if name in found:
            again.append(name)
        else:
            found[name] = value.strip(b" \t")
    return found, again
