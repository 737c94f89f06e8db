"""A JSON Schema held against a value, within bounds."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.cascade.verifiers.schema import Schema, Uncheckable


@pytest.mark.parametrize(("schema", "good", "bad"), [
    ({"type": "integer"}, [1, 1.0, -3], [1.5, "1", True, None]),
    ({"type": ["string", "null"]}, ["a", None], [1, [], {}]),
    ({"enum": [1, "a", None, [1, {"b": 2}]]}, [1, 1.0, "a", None, [1, {"b": 2}]], [True, "b", [1]]),
    ({"const": {"a": [1]}}, [{"a": [1]}], [{"a": [1, 2]}, 1]),
    ({"minimum": 0, "exclusiveMaximum": 10}, [0, 9.9, "text"], [-1, 10]),
    ({"multipleOf": 0.1}, [0.3, 1], [0.35]),
    ({"minLength": 2, "maxLength": 3}, ["ab", "äöü", 7], ["a", "abcd"]),
    ({"pattern": "^a+$"}, ["aaa", 5], ["ab", ""]),
    ({"items": {"type": "string"}, "minItems": 1, "maxItems": 2}, [["a"], "x"], [[], ["a", 1], ["a", "b", "c"]]),
    ({"prefixItems": [{"type": "string"}], "items": {"type": "number"}}, [["a", 1], []], [[1], ["a", "b"]]),
    ({"items": [{"type": "string"}], "additionalItems": False}, [["a"]], [["a", 1]]),
    ({"uniqueItems": True}, [[1, 2], [[1], [2]], [1, True]], [[1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]]),
    ({"contains": {"const": 1}, "minContains": 2, "maxContains": 3}, [[1, 1], [1, 2, 1, 1]], [[1], [1, 1, 1, 1]]),
    ({"properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}, [{"a": 1}, "no object"],
     [{}, {"a": "x"}, {"a": 1, "b": 2}]),
    ({"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": {"type": "string"}}, [{"x1": 1, "y": "s"}],
     [{"x1": "s"}, {"y": 1}]),
    ({"propertyNames": {"maxLength": 2}, "minProperties": 1, "maxProperties": 2}, [{"ab": 1}], [{"abc": 1}, {}, {"a": 1, "b": 1, "c": 1}]),
    ({"dependentRequired": {"a": ["b"]}}, [{"a": 1, "b": 2}, {"c": 1}], [{"a": 1}]),
    ({"dependencies": {"a": {"required": ["b"]}, "c": ["d"]}}, [{"a": 1, "b": 1}], [{"a": 1}, {"c": 1}]),
    ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, ["a", 6], [4]),
    ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, [1, 2.5], [3, 1.5]),
    ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [3]),
    ({"not": {"type": "string"}}, [1], ["a"]),
    ({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 2}}, ["ab", 2], ["a", 1]),
    ({"$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}, [{"a": 1}], [{"a": "x"}]),
    ({"properties": {"next": {"$ref": "#"}}, "required": ["v"]}, [{"v": 1, "next": {"v": 2}}], [{"v": 1, "next": {}}]),
    ({"properties": {"a/b~c": {"type": "integer"}}, "items": {"$ref": "#/properties/a~1b~0c"}}, [[1]], [["x"]]),
    (True, [1, None], []), (False, [], [1, None]),
    ({"format": "email"}, ["not an address"], []),
    ({"type": "object", "unknownKeyword": 5}, [{}], [1]),
])  # fmt: skip
def test_values_are_told_apart(schema: Any, good: list[Any], bad: list[Any]):
    checked = Schema(schema)

    assert [value for value in good if checked.objection(value) is not None] == []
    assert [value for value in bad if checked.objection(value) is None] == []


def test_an_objection_says_where_and_what():
    schema = Schema({"properties": {"items": {"items": {"properties": {"price": {"type": "number"}}}}}})

    assert schema.objection({"items": [{"price": 1}, {"price": "2"}]}) == "items[1].price is a string, not number"


def test_before_2019_a_reference_makes_its_neighbours_void():
    neighbours = {"$ref": "#/definitions/s", "maxLength": 1}
    schema: dict[str, Any] = {"definitions": {"s": {"type": "string"}}, "properties": {"a": neighbours}}

    assert Schema(schema).objection({"a": "long"}) is not None
    assert Schema(schema | {"$schema": "http://json-schema.org/draft-07/schema#"}).objection({"a": "long"}) is None


@pytest.mark.parametrize("schema", [
    {"$ref": "https://example.com/schema"}, {"$ref": "#/nowhere"}, {"$ref": 5}, {"unevaluatedProperties": False}, {"type": "thing"},
    {"pattern": "(?=a)b"}, {"pattern": "a" * 2000}, {"pattern": 5}, {"properties": []}, {"required": 5}, {"maximum": True},
    {"anyOf": {}}, {"items": 5}, {"minItems": "1"}, {"multipleOf": 0}, {"$ref": "#"}, {"allOf": [{"$ref": "#"}]},
])
def test_what_nobody_can_judge_is_uncheckable(schema: Any):
    def check() -> None:
        for value in ({"a": "b"}, ["x"], "text", 5):
            Schema(schema).objection(value)

    with pytest.raises(Uncheckable):
        check()


def test_alternatives_of_oneself_end():
    """Each level doubles the work: a library would still be at it tomorrow."""
    value: Any = 1
    for _ in range(25):
        value = {"a": value}

    with pytest.raises(Uncheckable, match="too long"):
        Schema({"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}}).objection(value)


def test_a_pattern_that_makes_others_backtrack_is_quick_here():
    assert Schema({"pattern": "^(a+)+$"}).objection("a" * 20_000 + "!") is not None


def test_a_schema_from_bytes_is_bounded():
    assert Schema.read(b'{"type":"string"}').objection(1) is not None
    for data in (b"[]", b"{", b"5", b'{"a":"' + b"x" * 300_000 + b'"}', b"[" * 10_000):
        with pytest.raises(Uncheckable):
            Schema.read(data)


def test_a_value_nested_deeper_than_any_is_uncheckable():
    value: Any = []
    for _ in range(400):
        value = [value]

    with pytest.raises(Uncheckable, match="deep"):
        Schema({"items": {"$ref": "#"}}).objection(value)
