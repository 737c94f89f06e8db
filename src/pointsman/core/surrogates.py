r"""JSON escapes of half a character (`"\ud83d"` alone), which the grammar of JSON allows and our decoder does not.

Clients that cut a text in the middle of an emoji send them, and engines that stream by UTF-16 unit split one over two
events. Such bytes pass on as they came. For our own reading each half becomes U+FFFD, which is as many bytes long, so
that positions found in the one are positions in the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")

HALVES_MAX = 4096
"""More of them are no accident, and each costs a microsecond: such a text is as invalid as the decoder says."""

_HINT = re.compile(rb"\\u[dD][89a-fA-F]")
# Up to and including the next half; whole escapes are passed one by one, so that the second backslash of `\\` never
# begins another.
_HALF = re.compile(
    rb"(?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F])|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+"
    rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}", re.DOTALL)
_REPLACEMENT = rb"\ufffd"


def mended(data: bytes) -> bytes:
    r"""`data` (JSON) with every lone surrogate escape replaced by `\ufffd`; unchanged beyond `HALVES_MAX`.

    >>> mended(rb'"a\ud83d \ud83d\ude80 \\ud83d"')
    b'"a\\ufffd \\ud83d\\ude80 \\\\ud83d"'
    """
    if _HINT.search(data) is None:
        return data
    whole = bytearray(data)
    end = 0
    for _ in range(HALVES_MAX):
        half = _HALF.match(data, end)  # not a search: that would begin again inside of what was passed
        if half is None:
            return bytes(whole)
        end = half.end()
        whole[end - 6 : end] = _REPLACEMENT
    return data


def decoded(decode: Callable[[bytes], T], data: bytes) -> T:
    """`decode(data)`, lone surrogates read as U+FFFD. Raises what `decode` raises."""
    try:
        return decode(data)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        again = mended(data)
        if again == data:
            raise
        return decode(again)
