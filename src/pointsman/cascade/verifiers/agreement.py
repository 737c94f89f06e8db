"""Do several samples of a model give the same answer? (Self-consistency: Wang et al., arXiv 2203.11171.)

Worth its price where answers can be compared: a number, a choice, a name, a JSON value. Prose never agrees word for word, and
then it abstains.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from pointsman.cascade.verifiers.json_schema import is_json, parsed
from pointsman.core.answer import Answer, Choice
from pointsman.core.verdict import ABSTAINS, Verdict

SHORT: Final = 80
"""Characters of an answer that can be compared as it stands."""
READ: Final = 64 * 1024

_BOXED = re.compile(r"\\boxed\s{0,4}\{([^{}]{1,200})\}")
_STATED = re.compile(r"(?:final answer|the answer|answer|result|lösung|antwort|réponse|respuesta)\s{0,4}(?:is|ist|est|es|:|=)+\s{0,4}([^\n]{1,200})", re.IGNORECASE)
_HASHES = re.compile(r"####\s{0,4}([^\n]{1,200})")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d{1,30})(?:\.\d{1,20})?%?")
_NOISE = re.compile(r"[\s*_`\"'“”‘’.,;:!$€£]+")
_ARTICLE = re.compile(r"^(?:the|a|an)\s")
_encode = msgspec.json.Encoder(order="sorted").encode


def agreement(answer: Answer, samples: Sequence[Answer]) -> Verdict:
    """The share of samples that agree with the answer, it being one of them (so that a lone dissenter is not certain of
    being wrong): (agreeing + 1) / (samples + 2)."""
    if not answer.choices or not samples:
        return ABSTAINS
    own = gist(answer.choices[0])
    others = [gist(sample.choices[0]) for sample in samples if sample.choices]
    others = [other for other in others if other]
    if not own or not others:
        return Verdict(None, "nothing in it that could be compared")
    agreeing = sum(1 for other in others if other == own)
    score = (agreeing + 1) / (len(others) + 2)
    return Verdict(score, f"{agreeing} of {len(others)} further samples agree", is_graded=True,
                   features={"agreeing": float(agreeing), "samples": float(len(others))})


def gist(choice: Choice) -> str:
    """What an answer comes to, normalised; "" = nothing that could be compared."""
    if choice.tool_calls:
        return "\n".join(f"{call.name}({_canonical(call.arguments)})" for call in choice.tool_calls)
    text = choice.text[-READ:].strip()
    if text[:1] in ("{", "[") and is_json(parsed(text)):
        return _canonical(text)
    for pattern in (_BOXED, _HASHES, _STATED):
        found = pattern.findall(text)
        if found:
            return _levelled(str(found[-1]))
    if len(text) <= SHORT:
        return _levelled(text)
    numbers = _NUMBER.findall(text[-400:])
    return _levelled(numbers[-1]) if numbers else ""


def _canonical(text: str) -> str:
    value = parsed(text)
    try:
        return _encode(value).decode() if is_json(value) else text.strip()
    except (RecursionError, msgspec.EncodeError):
        return text.strip()


def _levelled(text: str) -> str:
    """Case, blanks, marks and the writing of numbers taken out."""
    lone = _NUMBER.fullmatch(text.strip(" .$€£*`"))
    if lone is not None:
        return _number(lone.group())
    found = _NUMBER.findall(text)
    if len(found) == 1 and len(text) <= 30:  # `42 apples`, `x = 42`
        return _number(found[0])
    return _ARTICLE.sub("", _NOISE.sub(" ", text.lower()).strip())


def _number(text: str) -> str:
    text = text.replace(",", "").lstrip("+")
    if text.endswith("%"):
        return _number(text[:-1]) + "%"
    return text.rstrip("0").rstrip(".") if "." in text else text
