"""Checks of a route's rules: one effect each, targets that exist, patterns that RE2 takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import re2

from pointsman.config.problems import Loc, Report, near
from pointsman.config.schema import RouteRule, When

MAX_PATTERN: Final = 1024
"""Bytes of one pattern: longer ones are lists of words, which `keywords` holds better."""
HIDDEN_HEADERS: Final = frozenset({"authorization", "x-api-key", "cookie", "proxy-authorization", "api-key"})
"""Never shown to rules: they would end up in reasons and records."""

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")


def check_rules(
    rules: list[RouteRule], loc: Loc, tiers: frozenset[str], pools: frozenset[str], models: frozenset[str],
    broken: frozenset[Loc], report: Report,
) -> None:
    """`broken` places are known problems already: a rule that lost its effect there is not blamed twice."""
    first: dict[str, int] = {}
    for i, rule in enumerate(rules):
        place: Loc = (*loc, i)
        if rule.name is not None and (known := first.setdefault(rule.name, i)) != i:
            report.problem((*place, "name"), f"the same name as rules[{known}]", "decisions tell rules apart by name")
        targets = {"tier": (rule.tier, tiers), "pool": (rule.pool, pools), "model": (rule.model, models)}
        given = [key for key, (name, _) in targets.items() if name is not None]
        is_sound = not any(bad[: len(place)] == place for bad in broken)
        if len(given) != 1 and (given or is_sound):
            report.problem(place, f"has {' and '.join(f'`{key}`' for key in given) or 'no effect'}",
                           "give exactly one of `tier`, `pool` and `model`")
        for key in given:
            name, known_names = targets[key]
            if name is not None and name not in known_names:
                report.problem((*place, key), f"{key} {name[:80]!r} does not exist", near(name, known_names))
        _check_when(rule.when, (*place, "when"), is_sound, report)


def _check_when(when: When, loc: Loc, is_sound: bool, report: Report) -> None:
    if when == When() and is_sound:
        report.problem(loc, "has no condition, so it would hold for every request",
                       "give one, or use `default_tier` or the stage `pinned:<tier>`")
    for place, pattern in _patterns(when):
        _check_pattern(pattern, (*loc, *place), report)
    for name in when.header:
        if name.lower() in HIDDEN_HEADERS:
            report.problem((*loc, "header", name), "rules never see credentials or cookies", "use `tenant`")
        elif _HEADER.fullmatch(name) is None:
            report.problem((*loc, "header", name), "is not a header name")
    if len({name.lower() for name in when.header}) != len(when.header):
        report.problem((*loc, "header"), "names one header twice, differing in case", "keep one")
    if when.min_chars is not None and when.max_chars is not None and when.min_chars > when.max_chars:
        report.problem((*loc, "min_chars"), "is above `max_chars`, so the rule never holds")
    for key, inner in (("all", when.all), ("any", when.any)):
        for i, condition in enumerate(inner):
            _check_when(condition, (*loc, key, i), is_sound, report)
    if when.not_ is not None:
        _check_when(when.not_, (*loc, "not"), is_sound, report)


def _patterns(when: When) -> Iterator[tuple[Loc, str]]:
    for key, pattern in (("regex", when.regex), ("text", when.text), ("path", when.path)):
        if pattern is not None:
            yield (key,), pattern
    for section, patterns in (("header", when.header), ("metadata", when.metadata)):
        for name, pattern in patterns.items():
            yield (section, name), pattern


def _check_pattern(pattern: str, loc: Loc, report: Report) -> None:
    if len(pattern.encode()) > MAX_PATTERN:
        report.problem(loc, f"the pattern is longer than {MAX_PATTERN} bytes", "split it, or use `keywords`")
        return
    if not pattern:
        report.problem(loc, "the pattern is empty, so it matches everything", "remove the key")
        return
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options=options)
    except re2.error as exc:
        said = exc.args[0].decode(errors="replace") if exc.args and isinstance(exc.args[0], bytes) else str(exc)
        hint = "RE2 has no lookaround and no backreferences; use `not:`" if "(?" in said or "escape" in said else ""
        report.problem(loc, f"RE2 does not take the pattern: {said[:120]}", hint)
