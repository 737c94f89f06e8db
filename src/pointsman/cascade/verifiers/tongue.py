"""Whether an answer is in another language than its question: by script, and within the Latin one by its commonest words.

Says so only when both sides are long enough and clear, and nothing in the question speaks of languages.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

SEEN: Final = 4096
"""Characters of each side that are read."""
LETTERS_MIN: Final = 40
"""Letters that each side must have: a name or a number has no language."""
CLEAR: Final = 0.8
"""Share of letters in one script that makes it the text's script."""
WORDS_MIN: Final = 6
"""Commonest words of a language that a text must have for it to be that language's."""

_SCRIPTS: Final = (
    ("latin", 0x41, 0x24F), ("greek", 0x370, 0x3FF), ("cyrillic", 0x400, 0x52F), ("hebrew", 0x590, 0x5FF),
    ("arabic", 0x600, 0x6FF), ("devanagari", 0x900, 0x97F), ("thai", 0xE00, 0xE7F), ("hangul", 0x1100, 0x11FF),
    ("east_asian", 0x3040, 0x30FF), ("east_asian", 0x3400, 0x9FFF), ("hangul", 0xAC00, 0xD7AF),
)
_COMMON: Final = {tongue: words.split() for tongue, words in {
    "en": "the of and to in is that it for was with are this you not have be on what how",
    "de": "der die und das ist nicht ein eine mit auf für den von zu wie sich auch es ich wird",
    "fr": "le la les des et est une dans que pour qui pas sur il vous avec sont ce du au",
    "es": "el los las y es una que por para con no se del como su lo más está son un",
    "it": "il che di è una per non sono con gli della nel come più anche questo ma lo si un",
    "pt": "o os que é uma para não com do da em por se mais como um dos na são você",
    "nl": "de het een en van is dat niet op te zijn voor met die er aan ook maar wat",
}.items()}
_LANGUAGE_OF: Final = {word: {tongue for tongue, words in _COMMON.items() if word in words} for words in _COMMON.values() for word in words}
_WORD = re.compile(r"[^\W\d_]+")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)
_SPEAKS_OF_LANGUAGES = re.compile(
    r"translat|übersetz|tradu[ciz]|перев[её]|翻译|翻譯|訳|번역|ترجم|langu[ae]|sprache|idioma|lingua|taal|язык"
    r"|\b(?:in|into|auf|en|ins?)\s+(?:english|german|french|spanish|italian|portuguese|dutch|russian|chinese|japanese|korean|arabic"
    r"|hindi|greek|hebrew|thai|deutsch\w*|englisch\w*|französisch\w*|spanisch\w*|anglais|allemand|français|espagnol|inglés|español)\b"
    r"|\b(?:english|german|french|spanish|italian|portuguese|dutch|russian|chinese|japanese|korean|arabic|hindi)\b", re.IGNORECASE)


def is_other_tongue(question: str, answer: str) -> bool:
    """Both are clear, they differ, and the question does not speak of languages."""
    question, answer = _prose(question), _prose(answer)
    scripts = _script(question), _script(answer)
    if not scripts[0] or not scripts[1] or _SPEAKS_OF_LANGUAGES.search(question):
        return False
    if scripts[0] != scripts[1]:
        return True
    tongues = _tongue(question), _tongue(answer)
    return bool(tongues[0] and tongues[1]) and tongues[0] != tongues[1]


def _prose(text: str) -> str:
    return _CODE.sub(" ", text[:SEEN])


def _script(text: str) -> str:
    """The script of nearly all letters; "" = mixed, or too few."""
    found: Counter[str] = Counter()
    for letter, count in Counter(text).items():
        if letter.isalpha():
            found[next((name for name, low, high in _SCRIPTS if low <= ord(letter) <= high), "other")] += count
    letters = found.total()
    if letters < (LETTERS_MIN if found["latin"] else LETTERS_MIN // 4):
        return ""
    name, count = found.most_common(1)[0]
    return name if count >= CLEAR * letters and name != "other" else ""


def _tongue(text: str) -> str:
    """The Latin language whose commonest words it has three times as often as any other's; "" = unclear."""
    found: Counter[str] = Counter()
    for word, count in Counter(_WORD.findall(text.lower())).items():
        for tongue in _LANGUAGE_OF.get(word, ()):
            found[tongue] += count
    ranked = [*found.most_common(2), ("", 0), ("", 0)]
    (first, most), (_, next_most) = ranked[0], ranked[1]
    return first if most >= WORDS_MIN and most >= 3 * next_most else ""
