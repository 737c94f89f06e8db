"""What can be counted in a text without reading it: its length, its lines, its kinds of characters.

Joined to the structural features of a request (`classify.features`), which know words and patterns but hardly tell one
sentence's length from another's; and of the signs of difficulty (`signs`) those that are not there yet. Length alone ranks requests better than most trained routers do, so it is given in
bends: a line that may rise, flatten and fall as the labels say.
"""

from __future__ import annotations

from math import log, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.features import NAMES as STRUCTURAL
from pointsman.classify.heads import signs
from pointsman.classify.heads.ngrams import window

Floats: TypeAlias = NDArray[np.float64]

BENDS = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
"""Characters at which the line of length may bend: each doubling, from a question to some pages."""
SIGNS = ("common", "long_words", "sentences", "numbers", "line", "repeated", "story", "quantities", "blanks", "told")
"""What the generic guess counts besides (`signs`), and a trained head reads too: beside what stands here already these hold nearly all of what the
guess goes by, so that what it says of difficulty can be believed before any label (`learn.presumed`)."""
NAMES: tuple[str, ...] = (
    *(f"structural.{name}" for name in STRUCTURAL),
    "chars", *(f"chars>{bend}" for bend in BENDS),
    "lines", "words", "word_length", "digits", "capitals", "marks", "wide", "asks", "options", "brackets", "commas",
    *(f"signs-{signs.VERSION}.{name}" for name in SIGNS),
)
"""In the order of `read`."""

LENGTH = slice(len(STRUCTURAL), len(STRUCTURAL) + 1 + len(BENDS))
"""Where length stands among them."""

_AT = tuple(signs.NAMES.index(name) - signs.LOOKS for name in SIGNS)
_SCALE = 8.0
_DIGITS = b"0123456789"
_CAPITALS = bytes(range(65, 91))
_MARKS = bytes(byte for byte in range(33, 127) if not chr(byte).isalnum())
_WIDE = bytes(range(0xC0, 256))
_BRACKETS = b"()[]{}<>"
_OPTIONS = tuple(f"\n{letter}{end}".encode() for letter in "ABCDEFGHIJ" for end in (".", ")", ":"))


def read(data: bytes, chars: int, structural: tuple[float, ...]) -> list[float]:
    """The numbers of a text: `data` is the part that classifiers see, `chars` counts the whole. Lines and kinds of
    characters are counted at the two ends."""
    data = window(data)
    told = signs.counted(data, chars)
    length = log(1 + chars)
    size = len(data) + 1.0
    words = len(data.split())
    return [
        *structural,
        length / _SCALE, *(max(0.0, length - log(1 + bend)) / _SCALE for bend in BENDS),
        log(1 + data.count(b"\n")) / 4, log(1 + words) / _SCALE, min(1.0, len(data) / (words + 1) / 12),
        _share(data, _DIGITS, size), _share(data, _CAPITALS, size), _share(data, _MARKS, size), _share(data, _WIDE, size),
        min(1.0, data.count(b"?") / 4), _options(data) / 10,
        _share(data, _BRACKETS, size), min(1.0, log(1 + data.count(b",")) / 5),
        *map(told.__getitem__, _AT),
    ]


def _share(data: bytes, kinds: bytes, size: float) -> float:
    """Square root of the share of these bytes: a few say as much as many."""
    return sqrt((len(data) - len(data.translate(None, kinds))) / size)


def _options(data: bytes) -> int:
    """Answers to choose from: lines that begin with a letter and a mark."""
    if b"\nA" not in data and b"\nB" not in data:
        return 0
    return sum(mark in data for mark in _OPTIONS)
