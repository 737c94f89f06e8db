"""Stage `published`: a regex heuristic as it was published, kept as a baseline, flaws included.

It reads every message's text (so a long system prompt counts), counts words at spaces (so Chinese is always short)
and takes "first class fare" for code. On RouteLLM's public data it is about as good as chance (APGR .51).
"""

from __future__ import annotations

from collections.abc import Sequence

import re2

from pointsman.core.decision import Decide, StageResult, Target
from pointsman.core.request import ChatRequest

_CODE = re2.compile(r"```|def |class |import |#include")
_MATHS = re2.compile(r"\$\$|\\\[|\\begin\{|integral|derivative|proof")
_REASONING = re2.compile(
    r"(?i)step by step|analyze|compare and contrast|write a (detailed|comprehensive)|explain (how|why|the difference)")
_SIMPLE = re2.compile(r"^(what is|who is|when did|where is|how many|what are)")

_LONG_WORDS = 500
_SHORT_WORDS = 100


class Published:
    """Tier 1, 2 or 3 by regular expressions; 1 is the ladder's first rung, 3 its last, 2 the middle."""

    name = "published"

    def __init__(self, ladder: Sequence[str]) -> None:
        self._rungs = {1: ladder[0], 2: ladder[len(ladder) // 2], 3: ladder[-1]}

    def classify(self, request: ChatRequest, so_far: StageResult) -> StageResult:
        tier, reason = published_tier(request)
        return Decide(Target("tier", self._rungs[tier]), f"published heuristic, tier {tier}: {reason}")


def published_tier(request: ChatRequest) -> tuple[int, str]:
    """1, 2 or 3, and which branch said so."""
    text = " ".join(message.text for message in request.messages)
    data = text.encode("utf-8", "replace")
    words = len(text.split(maxsplit=_LONG_WORDS))  # counts up to 501: only "more than 500" matters
    if _CODE.search(data):
        return 3, "code pattern"
    if _MATHS.search(data):
        return 3, "maths pattern"
    if words > _LONG_WORDS and _REASONING.search(data):
        return 3, "long and reasoning words"
    if words < _SHORT_WORDS and _SIMPLE.search(_last_user(request)):
        return 1, "short question form"
    return 2, "nothing matched"


def _last_user(request: ChatRequest) -> bytes:
    for message in reversed(request.messages):
        if message.role == "user":
            return message.text.strip()[:64].lower().encode("utf-8", "replace")
    return b""
