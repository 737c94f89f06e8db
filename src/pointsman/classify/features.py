"""Numbers read from a request, in microseconds and without a model.

Defined once, here: serving and fitting read the same numbers. Every value lies in [0, 1]; 0 is the ordinary
case, so that a weight times a value is that value's whole influence.

Why the last user message only? A long system prompt or an old turn full of code does not make "What are your
business hours?" hard. Turns, tools, schema and images are counted, their text is not read.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log2

import msgspec

from pointsman.classify import signals as wording
from pointsman.classify.kernel.build import found as kernel_found
from pointsman.classify.signals import found
from pointsman.classify.subject import Subject, subject
from pointsman.classify.tail import end_behind_question
from pointsman.core.request import ChatRequest

NAMES: tuple[str, ...] = (
    "length", "lines", "numbers", "asks",
    "code", "code_task", "code_error", "algorithm",
    "latex", "maths", "proof", "equation", "units",
    "steps", "analysis", "thorough", "constraints", "puzzle", "writing", "expert",
    "question", "daily", "greeting", "simple_task", "choices",
    "turns", "tools", "schema", "images",
)
"""Feature names, in the order of a vector."""

SCRIPTS = ("latin", "cjk", "cyrillic", "arabic/hebrew", "indic/thai")
"""What most letters of a text may be, in the order of the kernel's numbers for them."""

_SAME = ("code", "code_error", "algorithm", "latex", "maths", "equation", "units", "steps", "analysis", "thorough",
         "puzzle", "writing", "expert", "choices")
"""Signals that are features as they stand: 1 when found. In a fixed order, so that sums are bit for bit the same."""

ORDER: tuple[str, ...] = (*_SAME, "code_task", "proof", "constraints", "question", "daily", "greeting", "simple_task",
                          "length", "lines", "numbers", "asks", "turns", "tools", "schema", "images")
"""The order in which features are found, and added up."""

_CONDITIONS = frozenset(("demands", "bounds", "givens", "exclusions"))
"""Kinds of conditions a task may set."""

_EASY = (("question", 80), ("daily", 120), ("greeting", 12), ("simple_task", 200))
"""Signs of ease, and the tokens up to which each counts: what follows a question or a greeting may be a document, and
"my account" in a page of requirements says nothing."""

_OUTWEIGHS_DAILY = ("code", "code_error", "code_task", "algorithm", "latex", "proof")
"""Who mentions the weather in a stack trace is not asking about the weather."""

_PLAIN_NUMBERS = 6
"""As many numbers as a telephone number, a date and an order have together; only more of them say something."""

_PROBLEM_TOKENS, _PROBLEM_NUMBERS = 30, 3
"""A word problem tells of dinners and tickets before it asks how many, and is no everyday matter. Shorter ones are."""

_DIGITS = b"0123456789"
_AS_DIGITS = bytes(byte if 48 <= byte <= 57 else 32 for byte in range(256))
_JOINERS = b".:/-"
"""Dropped between digits, so that 2024-05-01, 10:30, 3.14 and 555-0199 are one number each."""

_WIDE_MARK = "？".encode()
_LEADS_2 = bytes(range(0xC2, 0xE0))
_LEADS_3 = bytes(range(0xE0, 0xF0))
_LEADS_4 = bytes(range(0xF0, 0xF5))
_CJK = bytes(range(0xE3, 0xEE))
_CYRILLIC = bytes(range(0xD0, 0xD4))
_ARABIC_HEBREW = bytes(range(0xD6, 0xDC))
_INDIC_THAI = b"\xe0"


class Features(msgspec.Struct, frozen=True, gc=False):
    """What was read from a request."""

    numbers: tuple[float, ...]
    """In the order of `NAMES`."""
    tokens: int
    """Estimated tokens of the last user text, all of it."""
    script: str
    """One of `SCRIPTS`."""
    turns: int
    """User turns, this one included."""

    @property
    def values(self) -> dict[str, float]:
        """Only those that are not 0, in the order of `ORDER`."""
        numbers = self.numbers
        return {name: value for name, at in _PLACES if (value := numbers[at])}

    def vector(self) -> list[float]:
        """Dense, in the order of `NAMES`."""
        return list(self.numbers)


_PLACES = tuple((name, NAMES.index(name)) for name in ORDER)
_ZEROS = (0.0,) * len(NAMES)


def read(request: ChatRequest, about: Subject | None = None) -> Features:
    """The features of a request; `about` spares reading the subject twice. With the kernel where there is one: the same numbers."""
    if _looks is None:
        return read_plainly(request, about)
    about = asked(subject(request) if about is None else about)
    turns = _turns(request)
    numbers, tokens, script = _looks(about.data, wording.mask(about.data), len(about.text), about.chars, about.cut, turns, request.tools,
                                     request.needs.json_schema, request.images)
    return Features(numbers, tokens, SCRIPTS[script], turns)


def read_plainly(request: ChatRequest, about: Subject | None = None) -> Features:
    """As `read`, without the kernel: this is what the kernel must agree with."""
    about = asked(subject(request) if about is None else about)
    tokens, script = _tokens(about)
    signals = found(about.data)
    values = dict.fromkeys(filter(signals.__contains__, _SAME), 1.0)
    numbers = _numbers(about.data)
    _combine(values, signals, tokens)
    if "reckon" in signals and numbers >= _PROBLEM_NUMBERS and tokens >= _PROBLEM_TOKENS:
        values.pop("daily", None)
    _measure(values, about.data, tokens, numbers)
    turns = _turns(request)
    _count(values, request, turns)
    return Features(tuple(map(values.get, NAMES, _ZEROS)), tokens, script, turns)


def asked(about: Subject) -> Subject:
    """The subject without a short end behind its question: who asks, and then says that it is hard or adds a line of code, has asked the same. Itself
    where there is no such end."""
    end = end_behind_question(about.data)
    if end is None:
        return about
    data = about.data[:end].rstrip()
    text = data.decode("utf-8", "replace")
    return Subject(text, data, max(len(text), about.chars - len(about.text) + len(text)), about.cut)


def _combine(values: dict[str, float], signals: set[str], tokens: int) -> None:
    """Features that need more than one signal."""
    if (task := _code_task(signals)) > 0:
        values["code_task"] = task
    if "proof" in signals and "proof_daily" not in signals:
        values["proof"] = 1.0
    if (conditions := len(signals & _CONDITIONS)) > 2:  # "it must be black, at least tell me" is ordinary English
        values["constraints"] = (conditions - 2) / 2
    for name, most in _EASY:
        if name in signals and tokens <= most:
            values[name] = 1.0
    if "simple_opening" in signals:
        values["simple_task"] = 1.0
    if "daily" in values and not values.keys().isdisjoint(_OUTWEIGHS_DAILY):
        del values["daily"]


def _numbers(data: bytes) -> int:
    """How many numbers there are; 0 when there are too few digits for a problem."""
    if len(data) - len(data.translate(None, _DIGITS)) < _PROBLEM_NUMBERS:
        return 0
    return len(data.translate(_AS_DIGITS, _JOINERS).split())


def _code_task(signals: set[str]) -> float:
    """1 = asked to make or change code, 0.5 = about code. A function, a script or a code alone is anything."""
    firm = "code_lang" in signals or "code" in signals
    if firm and ("code_phrase" in signals or ("code_lang" in signals and "code_verb" in signals)):
        return 1.0
    if "code_daily" in signals and not firm:
        return 0.0
    if "code_phrase" in signals or ("code_in" in signals and "code_object" in signals):
        return 1.0
    if "code_lang" in signals or "code_object" in signals or ("code_in" in signals and "code_verb" in signals):
        return 0.5
    return 0.0


def _measure(values: dict[str, float], data: bytes, tokens: int, numbers: int) -> None:
    """Length and what can be counted; each saturates at 1."""
    if tokens:
        values["length"] = min(1.0, log2(1 + tokens / 64) / 6)  # 1 at 4,032 tokens; nearly 0 for a sentence
    if lines := data.count(b"\n"):
        values["lines"] = min(1.0, log2(1 + lines) / 6)
    if numbers > _PLAIN_NUMBERS:
        values["numbers"] = min(1.0, log2(numbers / _PLAIN_NUMBERS) / 2)  # 1 at 24 numbers
    asks = data.count(b"?")
    if asks > 1:
        asks -= data.count(b"??")  # "where is it??" asks once
    asks += data.count(_WIDE_MARK)
    if asks > 1:
        values["asks"] = min(1.0, (asks - 1) / 4)


def _turns(request: ChatRequest) -> int:
    """How often the user has spoken."""
    turns = 0
    for message in request.messages:
        if message.role == "user":
            turns += 1
    return turns


def _count(values: dict[str, float], request: ChatRequest, turns: int) -> None:
    """The request's structure."""
    if turns > 1:
        values["turns"] = min(1.0, log2(turns) / 5)
    if request.tools:
        values["tools"] = min(1.0, (1 + log2(request.tools)) / 5)
    if request.needs.json_schema:
        values["schema"] = 1.0
    if request.images:
        values["images"] = 1.0


def _tokens(about: Subject) -> tuple[int, str]:
    """Estimated tokens of the whole subject, and its script.

    Per character: 1/4 for ASCII, 1/2 for two-byte letters, 0.8 for CJK and other three-byte ones, 2 for emoji:
    rounded from what current 100k-200k-word vocabularies need. What was cut is taken to be like what was seen.
    """
    data, text = about.data, about.text
    if len(data) == len(text):
        return (about.chars + 3) // 4, "latin"
    two, three, four = _share(data, _LEADS_2), _share(data, _LEADS_3), _share(data, _LEADS_4)
    ascii_ = len(text) - two - three - four
    tokens = ascii_ / 4 + two / 2 + three * 0.8 + four * 2
    if about.cut and text:
        tokens *= float(about.chars) / float(len(text))  # as the kernel divides
    return max(1, round(tokens)), _script(data, len(text))


def _script(data: bytes, chars: int) -> str:
    cjk = _share(data, _CJK)
    counts = {"cjk": cjk * 2, "cyrillic": _share(data, _CYRILLIC), "arabic/hebrew": _share(data, _ARABIC_HEBREW),
              "indic/thai": _share(data, _INDIC_THAI)}
    most = max(counts, key=lambda name: counts[name])
    return most if counts[most] * 3 >= chars else "latin"


def _share(data: bytes, leads: bytes) -> int:
    """How many characters of UTF-8 `data` start with one of these bytes."""
    return len(data) - len(data.translate(None, leads))


def _compiled() -> Callable[..., tuple[tuple[float, ...], int, int]] | None:
    """The kernel's reading of a request; None where there is no kernel, or one that knows other signals and features."""
    kernel = kernel_found().module
    if kernel is None or kernel.signals != wording.NAMES or kernel.features != NAMES:
        return None
    looks: Callable[..., tuple[tuple[float, ...], int, int]] = kernel.looks
    return looks


_looks = _compiled()
