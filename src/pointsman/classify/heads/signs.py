"""Signs of difficulty that hold from one kind of traffic to another: what the shipped prior and the generic guess read.

Few, and each for a reason: how much is asked (the length of a line without the answers to choose from, clauses, sentences), how
much must be kept in mind (numbers, quantities in words), whether answers are offered (choosing is easier than finding), ordinary
words and pronouns between the terms (a story to think through rather than a lookup), whether somebody is told what to do ("you are
given", a part to play) rather than asked, words said again (a grid or a list is long and says little), blanks to fill; and the
structural features of the request.

What people put before a task moves them little: the length of a line is that of the line in which a letter is found on the average (one short line more
does not halve it), and the first pronoun or quantity says no more than the third.

Numbers and operators count only where no answers are offered: among tests, formal questions are those at which a small model and
a large one of the same family fail alike.

Why so few? On sources that were left out of the fit, these rank better than hashed words, and than any vector of the whole
meaning: those learn which benchmark a prompt comes from.

Case and runs of white space say nothing here, so that they move no decision; of line breaks only whether one is there.
"""

from __future__ import annotations

import re
from math import log
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.features import NAMES as STRUCTURAL

Floats: TypeAlias = NDArray[np.float64]

_LEFT_OUT = ("lines", "length")
"""Structural features that white space moves; length is counted here without it."""
KEPT = tuple(at for at, name in enumerate(STRUCTURAL) if name not in _LEFT_OUT)
LOOKS = len(KEPT)
"""As many signs come from the request's structure."""
NAMES: tuple[str, ...] = (
    *(f"structural.{STRUCTURAL[at]}" for at in KEPT),
    "size", "stem", "words", "word_length", "long_words", "common", "commas", "sentences", "numbers", "digits",
    "options", "option_size", "brackets", "operators", "quotes", "asks", "wide",
    "line", "repeated", "story", "quantities", "blanks", "told",
)
"""In the order of `read`."""

_BYTES, _WORDS, _FEW = 100, 20, 8
"""What every text is taken to hold besides: of a short one a word, a comma or a number more or less says little, and what is appended
to it moves little."""
_LINE, _TOLD = 300, 40
"""The same for the length of a line in bytes, and for pronouns."""
_ALREADY = 2
"""As many pronouns, or quantities, every text is taken to hold: under the root the first of them would say as much as the next three."""
_USUAL_SIZE, _USUAL_LONG, _USUAL_COMMON = 5.0, 0.15, 0.4
"""Letters per word, share of long words, share of ordinary words in English."""
VERSION = 3
"""Changes when the same text gives other numbers."""
HEAD, TAIL = 2048, 1024
"""Bytes that are counted at either end: they bound what a page costs. Of a longer text the middle counts as much."""

_SPACE = b" \t\r\n\x0b\x0c"
_DIGITS = b"0123456789"
_AS_DIGITS = bytes(byte if 48 <= byte <= 57 else 32 for byte in range(256))
_JOINERS = b".,:/-"
_BRACKETS = b"()[]{}<>"
_OPERATORS = b"+*=^%\\_|"
"""Without those that dates, telephone numbers and prices hold."""
_QUOTES = b"\"'`"
_ENDS = b".!?;"
_WIDE = bytes(range(0xC0, 256))
_WIDE_COMMAS = ("，".encode(), "、".encode(), "،".encode())
_OPTION = re.compile(rb"\n[ \t]*\(?([a-jA-J])[.):][ \t]*[^\s]")
COMMON = frozenset(
    b"the of and a to in is you that it he was for on are as with his they i at be this have from or one had by but not what all were "
    b"we when your can there an each which she do how their if will other about out many then them these so some her would make like "
    b"him into has more go no way could than first been who its now find long down did get my me".split())
STORY = frozenset(b"he she they his her their him them it its me my we our us".split())
"""Somebody, of whom something is told. Not "you", which is told what to do, nor "i", which code says."""
QUANTITIES = frozenset(
    b"one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand million half third quarter "
    b"double twice triple dozen pair percent percentage both each every per many much total sum difference average remaining left "
    b"altogether number amount cost costs price".split())
ADDRESSED = frozenset(b"you your".split())
"""Who is told what to do."""
_LONG = 7
"""Letters and marks up to which a word is not long."""
_FEWEST, _MOST = 0.2, 0.6
"""Shares of ordinary words that count: below are lists of terms, formulas and other languages, of which this says nothing."""


def read(data: bytes, chars: int, structural: tuple[float, ...]) -> list[float]:
    """The signs of a text: `data` is the part that classifiers see, `chars` counts the whole."""
    return [*looks(structural), *counted(data, chars)]


def looks(structural: tuple[float, ...]) -> list[float]:
    """Those that were found in the request already; the first of `NAMES`."""
    return [structural[at] for at in KEPT]


def counted(data: bytes, chars: int) -> list[float]:
    """Those that are counted in the text."""
    seen, factor = _window(data, chars)
    words = seen.lower().split()
    size = _without(seen, _SPACE) + 1
    word = len(words) + 1
    options, begin, offered = _options(seen)
    stem, asked = (seen[:begin], seen[:begin].lower().split()) if options else (seen, words)
    stem_size = _without(stem, _SPACE)
    ordinary = sum(map(COMMON.__contains__, words))
    long_words = sum(map(_LONG.__lt__, map(len, words)))
    wide = len(seen) - _without(seen, _WIDE)
    commas = seen.count(b",") + (sum(map(seen.count, _WIDE_COMMAS)) if wide else 0)
    digits = size - 1 - (_without(seen, _DIGITS) - (len(seen) - size + 1))
    numbers = 0 if options else len(seen.translate(_AS_DIGITS, _JOINERS).split())
    operators = 0 if options else len(seen) - _without(seen, _OPERATORS)
    return [
        log(_BYTES + size * factor) / 8, log(_BYTES + stem_size * factor) / 8, log(_WORDS + word * factor) / 6,
        min(1.0, (size + _USUAL_SIZE * _WORDS) / (word + _WORDS) / 12),
        _share(long_words + _USUAL_LONG * _WORDS, word),
        min(_MOST, max(_FEWEST, (ordinary + _USUAL_COMMON * _WORDS) / (word + _WORDS))),
        log(_FEW + factor * commas) / 4,
        log(1 + factor * (len(seen) - _without(seen, _ENDS))) / 4,
        log(_FEW + factor * numbers) / 4, _share(digits, size),
        options / 10, log(1 + offered) / 6,
        _share(len(seen) - _without(seen, _BRACKETS), size), _share(operators, size),
        _share(len(seen) - _without(seen, _QUOTES), size), min(1.0, seen.count(b"?") / 4),
        _share(wide, size),
        log(_LINE + _line(stem, stem_size)) / 8, log((_WORDS + len(asked)) / (_WORDS + len(set(asked)))),
        _often(sum(map(STORY.__contains__, asked)), len(asked) + _TOLD),
        _often(sum(map(QUANTITIES.__contains__, asked)), len(asked) + _WORDS),
        min(1.0, seen.count(b"_") / 2),
        _often(sum(map(ADDRESSED.__contains__, asked)), len(asked) + _TOLD),
    ]


def _window(data: bytes, chars: int) -> tuple[bytes, float]:
    """Both ends of a long text, and by how much the whole is longer."""
    if len(data) > HEAD + TAIL:
        data = data[:HEAD] + b"\n" + data[-TAIL:]
    return data, max(1.0, float(chars) / (len(data) + 1.0))  # as the kernel divides: of two whole numbers Python's quotient may end in another bit


def _options(data: bytes) -> tuple[int, int, int]:
    """Answers to choose from, where the first of them begins, and bytes per answer, white space not counted."""
    found = [at.start() for at in _OPTION.finditer(data)] if b"\n" in data else []
    if len(found) < 2:
        return 0, len(data), 0
    return min(10, len(found)), found[0], _without(data[found[0]:], _SPACE) // len(found)


def _line(data: bytes, size: int) -> float:
    """How long the line is in which a byte stands, on the average over bytes; `size` of them, white space not counted."""
    if b"\n" not in data or not size:
        return size
    lines = [_without(line, _SPACE) for line in data.split(b"\n")]
    return sum(line * line for line in lines) / size


def _often(found: int, words: int) -> float:
    """How often a kind of word stands among `words`: a root, as of shares, but the first one says no more than the next."""
    return float(((found + _ALREADY) / words) ** 0.5 - (_ALREADY / words) ** 0.5)


def _without(data: bytes, kinds: bytes) -> int:
    return len(data.translate(None, kinds))


def _share(part: float, whole: int) -> float:
    """Square root of a share: a few say nearly as much as many."""
    return float((part / (whole + _BYTES)) ** 0.5) if part > 0 else 0.0
