"""Stage `rules`: the operator's own conditions, in order; the first that holds decides.

Patterns are RE2 (linear in the text, whatever the pattern) and all patterns of a route on the same text are looked
for in one pass. `regex` and `keywords` read the last user text with harness text set aside, `text` reads every
message as it was sent (that is how a rule recognises an agent by its system prompt). Both see 32 KiB: 16 KiB of
head and of tail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import re2

from pointsman.classify.patterns import PatternSet, compiled
from pointsman.classify.subject import RULE_BYTES, all_text, subject
from pointsman.core.decision import Decide, StageResult, Target
from pointsman.core.request import ChatRequest
from pointsman.core.settings import Condition, Rule


class Rules:
    """First matching rule wins; abstains when none matches. Raises ConfigError for a pattern that RE2 refuses."""

    name = "rules"

    def __init__(self, rules: Sequence[Rule]) -> None:
        compiler = _Compiler()
        self._rules = tuple((compiler.test(rule.when), _decided(rule)) for rule in rules)
        self._user, self._any = compiler.user.build(), compiler.any.build()

    def classify(self, request: ChatRequest, so_far: StageResult) -> StageResult:
        """The first matching rule's Decide, or None."""
        look = _Look(request, self._user, self._any)
        for holds, decided in self._rules:
            if holds(look):
                return decided
        return None


def _decided(rule: Rule) -> Decide:
    if rule.tier is not None:
        target = Target("tier", rule.tier)
    elif rule.pool is not None:
        target = Target("pool", rule.pool)
    else:
        target = Target("model", rule.model or "")
    return Decide(target, rule.reason or rule.name, rule.system)


class _Look:
    """One request as the rules see it: texts are cut and scanned at most once, when first asked for."""

    __slots__ = ("_any", "_any_hits", "_chars", "_user", "_user_hits", "request")

    def __init__(self, request: ChatRequest, user: PatternSet, any_: PatternSet) -> None:
        self.request = request
        self._user, self._any = user, any_
        self._user_hits: frozenset[int] | None = None
        self._any_hits: frozenset[int] | None = None
        self._chars = 0

    def user_hits(self) -> frozenset[int]:
        if self._user_hits is None:
            about = subject(self.request, RULE_BYTES, as_sent=True)
            self._chars = about.chars
            self._user_hits = frozenset(self._user.hits(about.data))
        return self._user_hits

    def any_hits(self) -> frozenset[int]:
        if self._any_hits is None:
            self._any_hits = frozenset(self._any.hits(all_text(self.request.messages)))
        return self._any_hits

    def chars(self) -> int:
        """Length of the last user text, harness text not counted."""
        self.user_hits()
        return self._chars


_Test = Callable[[_Look], bool]


class _Patterns:
    """Collects patterns for one set."""

    def __init__(self) -> None:
        self._patterns: list[str] = []

    def add(self, pattern: str) -> int:
        self._patterns.append(pattern)
        return len(self._patterns) - 1

    def build(self) -> PatternSet:
        return PatternSet(self._patterns)


class _Compiler:
    """Turns conditions into tests, cheap ones first."""

    def __init__(self) -> None:
        self.user, self.any = _Patterns(), _Patterns()

    def test(self, when: Condition) -> _Test:
        parts = [*self._cheap(when), *self._textual(when), *self._combined(when)]
        return parts[0] if len(parts) == 1 else lambda look: all(part(look) for part in parts)

    def _cheap(self, when: Condition) -> list[_Test]:
        parts: list[_Test] = []
        if when.tenant:
            tenants = frozenset(when.tenant)
            parts.append(lambda look: look.request.caller.tenant in tenants)
        if when.tools is not None:
            parts.append(lambda look: (look.request.tools > 0) is when.tools)
        if when.path is not None:
            path = compiled(when.path)
            parts.append(lambda look: path.search(_utf8(look.request.path)) is not None)
        if when.header:
            headers = {name.lower(): compiled(pattern) for name, pattern in when.header.items()}
            parts.append(lambda look: _all_match(headers, look.request.headers))
        if when.metadata:
            metadata = {key: compiled(pattern) for key, pattern in when.metadata.items()}
            tagged = metadata.pop("tags", None)
            if tagged is not None:
                parts.append(lambda look: _is_tagged(tagged, look.request))
            parts.append(lambda look: _all_match(metadata, look.request.metadata))
        return parts

    def _textual(self, when: Condition) -> list[_Test]:
        parts: list[_Test] = []
        least, most = when.min_chars, when.max_chars
        if least is not None:
            parts.append(lambda look: look.chars() >= least)
        if most is not None:
            parts.append(lambda look: look.chars() <= most)
        if when.regex is not None:
            parts.append(self._on_user(when.regex))
        if when.keywords:
            parts.append(self._on_user(keyword_pattern(when.keywords)))
        if when.text is not None:
            place = self.any.add(when.text)
            parts.append(lambda look: place in look.any_hits())
        return parts

    def _combined(self, when: Condition) -> list[_Test]:
        parts: list[_Test] = []
        if when.all:
            every = [self.test(inner) for inner in when.all]
            parts.append(lambda look: all(test(look) for test in every))
        if when.any:
            some = [self.test(inner) for inner in when.any]
            parts.append(lambda look: any(test(look) for test in some))
        if when.not_ is not None:
            inner_test = self.test(when.not_)
            parts.append(lambda look: not inner_test(look))
        return parts

    def _on_user(self, pattern: str) -> _Test:
        place = self.user.add(pattern)
        return lambda look: place in look.user_hits()


def keyword_pattern(keywords: Sequence[str]) -> str:
    """A pattern for any of the words as whole words, ignoring case. Scripts without spaces have no word edges."""
    words = [f"{_edge(word[0], '^')}{re2.escape(word)}{_edge(word[-1], '$')}" for word in keywords if word]
    return "(?i)(?:" + "|".join(words) + ")" if words else r"[^\x00-\x{10FFFF}]"


def _edge(letter: str, end: str) -> str:
    if not letter.isalnum() or 0x0E00 <= ord(letter) <= 0x0EFF or ord(letter) >= 0x2E80:
        return ""
    return rf"(?:{end}|[^\pL\pN_])"


def _all_match(patterns: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Every pattern matches the whole of its value; absent values, objects and values over 32 KiB match nothing."""
    for name, pattern in patterns.items():
        found = values.get(name)
        value = found if found is None else _plain(found)
        if value is None or len(value) > 2 * RULE_BYTES or pattern.fullmatch(_utf8(value)) is None:
            return False
    return True


def _is_tagged(pattern: Any, request: ChatRequest) -> bool:
    """Any one tag matches; a `tags` that is a string is one tag."""
    one = {"tags": pattern}
    return _all_match(one, request.metadata) or any(_all_match(one, {"tags": tag}) for tag in request.tags)


def _utf8(text: str) -> bytes:
    """For RE2; a lone surrogate becomes a question mark instead of an exception."""
    return text[:2 * RULE_BYTES].encode("utf-8", "replace")


def _plain(value: Any) -> str | None:
    """A scalar as JSON writes it, without quotes."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return None
