"""The keywords of a JSON Schema, one method each: what is wrong with a value, and where. Every step is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from pointsman.cascade.verifiers.json_value import is_a, is_multiple, is_number, kind_of, levelled
from pointsman.cascade.verifiers.schema_document import Document, Uncheckable

STEPS_MAX: Final = 50_000
"""Comparisons for one answer, about a microsecond each: 50 ms at the very worst, and a thousand times what is usual."""
DEPTH_MAX: Final = 96
"""Schemas within schemas, references followed: real ones stay below 20, and Python's stack bears three times as much."""
COMPILING: Final = 200
"""Steps that the first use of a pattern counts as: it takes about as many microseconds at worst."""

_BEYOND: Final = ("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef")
_encode = msgspec.json.Encoder(order="sorted").encode


class Check:
    """One value against one schema; every step is counted."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._left = STEPS_MAX

    def look(self, schema: Any, value: Any, at: str, depth: int) -> str | None:
        self._spend(1)
        if depth > DEPTH_MAX:
            raise Uncheckable("schema and answer are nested too deep")
        if schema is True:
            return None
        if schema is False:
            return f"{at or 'the answer'} is not allowed"
        if not isinstance(schema, dict):
            raise Uncheckable("a part of the schema is no schema")
        if any(keyword in schema for keyword in _BEYOND):
            raise Uncheckable("it uses keywords that are not checked here")
        if "$ref" in schema:
            said = self.look(self._document.resolve(schema["$ref"]), value, at, depth + 1)
            if said or self._document.refs_stand_alone:
                return said
        self._spend(len(schema))
        for keyword, rule in schema.items():
            check = _RULES.get(keyword)
            if check is not None and (said := check(self, rule, value, schema, at, depth + 1)) is not None:
                return said
        return None

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise Uncheckable("checking it would take too long")

    # -- any value -----------------------------------------------------------------------------------------

    def type(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        names = rule if isinstance(rule, list) else [rule]
        if any(is_a(value, name) for name in names):
            return None
        return f"{_place(at)} is {kind_of(value)}, not {' or '.join(map(str, names))[:60]}"

    def enum(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        options = _listed(rule)
        self._spend(len(options))
        if any(self._same(option, value, depth) for option in options):
            return None
        return f"{_place(at)} is none of the {len(options)} allowed values"

    def const(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        return None if self._same(rule, value, depth) else f"{_place(at)} is not the one allowed value"

    def _same(self, one: Any, other: Any, depth: int) -> bool:
        """Equal as JSON: 1 is 1.0, but never true."""
        self._spend(1)
        if depth > 2 * DEPTH_MAX:
            raise Uncheckable("schema and answer are nested too deep")
        if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
            return one is other
        if isinstance(one, dict) and isinstance(other, dict):
            return one.keys() == other.keys() and all(self._same(one[key], other[key], depth + 1) for key in one)
        if isinstance(one, list) and isinstance(other, list):
            return len(one) == len(other) and all(self._same(a, b, depth + 1) for a, b in zip(one, other, strict=True))
        return bool(one == other)

    # -- numbers and texts ---------------------------------------------------------------------------------

    def multiple_of(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        if not is_number(value):
            return None
        if not is_number(rule) or rule <= 0:
            raise Uncheckable("`multipleOf` is no number above 0")
        try:
            is_one = value % rule == 0 if isinstance(value, int) and isinstance(rule, int) else is_multiple(value, rule)
        except (OverflowError, ValueError):
            raise Uncheckable("numbers too large to divide") from None
        return None if is_one else f"{_place(at)} is no multiple of {rule}"

    def max_length(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        too_long = isinstance(value, str) and len(value) > _count(rule)
        return f"{_place(at)} is longer than {rule} characters" if too_long else None

    def min_length(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        too_short = isinstance(value, str) and len(value) < _count(rule)
        return f"{_place(at)} is shorter than {rule} characters" if too_short else None

    def pattern(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        if not isinstance(value, str) or self._matches(rule, value):
            return None
        return f"{_place(at)} does not match its pattern"

    def _matches(self, pattern: Any, text: str) -> bool:
        self._spend(1 + len(text) // 256)
        if not self._document.knows(pattern):
            self._spend(COMPILING)
        try:
            return self._document.pattern(pattern).search(text) is not None
        except UnicodeError as exc:
            raise Uncheckable("a text that is no Unicode") from exc

    # -- arrays --------------------------------------------------------------------------------------------

    def items(self, rule: Any, value: Any, schema: Any, at: str, depth: int) -> str | None:
        if not isinstance(value, list):
            return None
        if isinstance(rule, list):  # before 2020: one schema a place, the rest under `additionalItems`
            return self._placed(rule, value, at, depth) or self._each(
                schema.get("additionalItems", True), value, len(rule), at, depth)
        first = len(_listed(schema["prefixItems"])) if "prefixItems" in schema else 0
        return self._each(rule, value, first, at, depth)

    def prefix_items(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        return self._placed(_listed(rule), value, at, depth) if isinstance(value, list) else None

    def _placed(self, rules: list[Any], values: list[Any], at: str, depth: int) -> str | None:
        return _first(self.look(rule, inner, f"{at}[{i}]", depth)
                      for i, (rule, inner) in enumerate(zip(rules, values, strict=False)))

    def _each(self, rule: Any, values: list[Any], first: int, at: str, depth: int) -> str | None:
        if rule is True:
            return None
        return _first(self.look(rule, values[i], f"{at}[{i}]", depth) for i in range(first, len(values)))

    def max_items(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        too_many = isinstance(value, list) and len(value) > _count(rule)
        return f"{_place(at)} has more than {rule} items" if too_many else None

    def min_items(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        too_few = isinstance(value, list) and len(value) < _count(rule)
        return f"{_place(at)} has fewer than {rule} items" if too_few else None

    def unique_items(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        if rule is not True or not isinstance(value, list):
            return None
        seen: set[bytes] = set()
        for inner in value:
            written = _encode(levelled(inner))
            self._spend(1 + len(written) // 64)
            if written in seen:
                return f"{_place(at)} holds the same item twice"
            seen.add(written)
        return None

    def contains(self, rule: Any, value: Any, schema: Any, at: str, depth: int) -> str | None:
        if not isinstance(value, list):
            return None
        found = sum(1 for inner in value if self.look(rule, inner, at, depth) is None)
        least, most = _count(schema.get("minContains", 1)), schema.get("maxContains")
        if found < least or (most is not None and found > _count(most)):
            return f"{_place(at)} holds {found} of the items that it must contain"
        return None

    # -- objects -------------------------------------------------------------------------------------------

    def properties(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        if not isinstance(value, dict):
            return None
        rules = _mapped(rule)
        return _first(self.look(rules[key], inner, f"{at}.{key[:40]}", depth) for key, inner in value.items() if key in rules)

    def pattern_properties(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        if not isinstance(value, dict):
            return None
        return _first(self.look(inner_rule, inner, f"{at}.{key[:40]}", depth)
                      for pattern, inner_rule in _mapped(rule).items() for key, inner in value.items()
                      if self._matches(pattern, key))

    def additional_properties(self, rule: Any, value: Any, schema: Any, at: str, depth: int) -> str | None:
        if not isinstance(value, dict) or rule is True:
            return None
        known, patterns = _mapped(schema.get("properties", {})), _mapped(schema.get("patternProperties", {}))
        for key, inner in value.items():
            if key in known or any(self._matches(pattern, key) for pattern in patterns):
                continue
            if rule is False:
                return f"{_place(at)} has a property {key[:40]!r} that is not allowed"
            if (said := self.look(rule, inner, f"{at}.{key[:40]}", depth)) is not None:
                return said
        return None

    def required(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        if not isinstance(value, dict) or isinstance(rule, bool):  # draft 3's boolean says nothing here
            return None
        names = _listed(rule)
        self._spend(len(names))
        missing = next((name for name in names if isinstance(name, str) and name not in value), None)
        return None if missing is None else f"{_place(at)} lacks {missing[:60]!r}"

    def max_properties(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        too_many = isinstance(value, dict) and len(value) > _count(rule)
        return f"{_place(at)} has more than {rule} properties" if too_many else None

    def min_properties(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        too_few = isinstance(value, dict) and len(value) < _count(rule)
        return f"{_place(at)} has fewer than {rule} properties" if too_few else None

    def property_names(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        if not isinstance(value, dict):
            return None
        return _first(self.look(rule, key, f"{at} (the name {key[:40]!r})", depth) for key in value)

    def dependencies(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        """`dependentRequired`, `dependentSchemas` and the `dependencies` that they were once."""
        if not isinstance(value, dict):
            return None
        for key, wanted in _mapped(rule).items():
            if key not in value:
                continue
            said = (self.required(wanted, value, None, at, depth) if isinstance(wanted, list)
                    else self.look(wanted, value, at, depth))
            if said is not None:
                return said
        return None

    # -- schemas of schemas --------------------------------------------------------------------------------

    def all_of(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        return _first(self.look(inner, value, at, depth) for inner in _listed(rule))

    def any_of(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        said: str | None = None
        for inner in _listed(rule):
            if (said := self.look(inner, value, at, depth)) is None:
                return None
        return f"{_place(at)} fits none of its alternatives" + (f" (the last: {said})" if said else "")

    def one_of(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        fitting = sum(1 for inner in _listed(rule) if self.look(inner, value, at, depth) is None)
        return None if fitting == 1 else f"{_place(at)} fits {fitting} of its alternatives instead of one"

    def not_(self, rule: Any, value: Any, _: Any, at: str, depth: int) -> str | None:
        return f"{_place(at)} is what it must not be" if self.look(rule, value, at, depth) is None else None

    def if_(self, rule: Any, value: Any, schema: Any, at: str, depth: int) -> str | None:
        branch = "then" if self.look(rule, value, at, depth) is None else "else"
        return self.look(schema[branch], value, at, depth) if branch in schema else None


_Rule = Callable[[Check, Any, Any, Any, str, int], str | None]


def _bound(sign: int, *, strict: bool, words: str) -> _Rule:
    def check(self: Check, rule: Any, value: Any, schema: Any, at: str, depth: int) -> str | None:
        if not is_number(value):
            return None
        if not is_number(rule):  # draft 4's `exclusiveMaximum: true`
            raise Uncheckable("a bound is no number")
        is_over = sign * value > sign * rule or (strict and value == rule)
        return f"{_place(at)} is {words} {rule}" if is_over else None
    return check


_RULES: Final[Mapping[str, _Rule]] = {
    "type": Check.type, "enum": Check.enum, "const": Check.const, "multipleOf": Check.multiple_of,
    "maximum": _bound(1, strict=False, words="above"), "minimum": _bound(-1, strict=False, words="below"),
    "exclusiveMaximum": _bound(1, strict=True, words="not below"),
    "exclusiveMinimum": _bound(-1, strict=True, words="not above"),
    "maxLength": Check.max_length, "minLength": Check.min_length, "pattern": Check.pattern,
    "items": Check.items, "prefixItems": Check.prefix_items, "maxItems": Check.max_items, "minItems": Check.min_items,
    "uniqueItems": Check.unique_items, "contains": Check.contains,
    "properties": Check.properties, "patternProperties": Check.pattern_properties,
    "additionalProperties": Check.additional_properties, "required": Check.required,
    "maxProperties": Check.max_properties, "minProperties": Check.min_properties, "propertyNames": Check.property_names,
    "dependentRequired": Check.dependencies, "dependentSchemas": Check.dependencies, "dependencies": Check.dependencies,
    "allOf": Check.all_of, "anyOf": Check.any_of, "oneOf": Check.one_of, "not": Check.not_, "if": Check.if_,
}


def _first(said: Iterator[str | None]) -> str | None:
    return next((objection for objection in said if objection is not None), None)


def _place(at: str) -> str:
    return at.removeprefix(".")[-120:] or "the answer"


def _count(rule: object) -> float:
    if not isinstance(rule, int | float) or isinstance(rule, bool):
        raise Uncheckable("a limit is no number")
    return rule


def _listed(rule: object) -> list[Any]:
    if not isinstance(rule, list):
        raise Uncheckable("a keyword that takes a list has none")
    return rule


def _mapped(rule: object) -> dict[str, Any]:
    if not isinstance(rule, dict):
        raise Uncheckable("a keyword that takes an object has none")
    return rule
