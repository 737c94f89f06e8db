"""A value is made for every schema that structured outputs use."""

from typing import Any

import pytest

from pointsman.testing.fitting_json import fit

WORDS = ["one", "two", "three"]


@pytest.mark.parametrize(("schema", "value"), [
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}}}, {"a": 1, "b": True}),
    ({"type": "array", "items": {"type": "number"}, "minItems": 2}, [1.0, 1.0]),
    ({"enum": ["x", "y"]}, "x"),
    ({"const": 7}, 7),
    ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
    ({"type": ["integer", "null"], "minimum": 5}, 5),
    ({"type": "integer", "maximum": -3}, -3),
    ({"type": "string", "minLength": 20}, "one two threexxxxxxx"),
    ({"type": "string", "maxLength": 2}, "on"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "boolean"}}}, True),
    ({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}, {"a": 1, "b": 2}),
])
def test_a_value_fits_its_schema(schema: dict[str, Any], value: object) -> None:
    assert fit(schema, WORDS) == value


def test_a_schema_that_contains_itself_ends() -> None:
    schema = {"type": "object", "properties": {"child": {"$ref": "#"}}}

    assert isinstance(fit(schema, WORDS), dict)
