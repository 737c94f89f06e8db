"""The published schema says what the loader does, as far as a schema can."""

import re
from pathlib import Path

import pytest
import yaml

from pointsman.config import schema
from pointsman.config.jsonschema import EDITOR_LINE, FILE_NAME, field_meanings, json_schema

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json_schema()
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
KEYWORDS = {
    "$ref", "type", "properties", "required", "additionalProperties", "patternProperties", "items", "enum", "pattern", "minimum", "maximum",
    "exclusiveMinimum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "anyOf", "const",
    "description", "examples", "default", "$defs", "$schema", "title",
}


def faults(value, part, place="file"):
    """A validator for the keywords that the schema uses."""
    part = SCHEMA["$defs"][part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part
    if "anyOf" in part:
        return [] if any(not faults(value, option, place) for option in part["anyOf"]) else [f"{place}: none of the options"]
    kinds = part.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds):
        return [f"{place}: not {kinds}"]
    return [fault for check in (_text_faults, _number_faults, _list_faults, _mapping_faults) for fault in check(value, part, place)]


def _text_faults(value, part, place):
    if "enum" in part and value not in part["enum"]:
        yield f"{place}: not one of {part['enum']}"
    if isinstance(value, str):
        if "pattern" in part and re.search(part["pattern"], value) is None:
            yield f"{place}: {part['pattern']}"
        if not part.get("minLength", 0) <= len(value) <= part.get("maxLength", 10**9):
            yield f"{place}: length"


def _number_faults(value, part, place):
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    if not part.get("minimum", value) <= value <= part.get("maximum", value) or value <= part.get("exclusiveMinimum", value - 1):
        yield f"{place}: out of bounds"


def _list_faults(value, part, place):
    if isinstance(value, list):
        if not part.get("minItems", 0) <= len(value) <= part.get("maxItems", 10**9):
            yield f"{place}: number of items"
        for i, item in enumerate(value):
            yield from faults(item, part["items"], f"{place}[{i}]")


def _mapping_faults(value, part, place):
    if not isinstance(value, dict):
        return
    yield from (f"{place}: {name} is missing" for name in part.get("required", ()) if name not in value)
    if len(value) < part.get("minProperties", 0):
        yield f"{place}: empty"
    for key, inner in value.items():
        patterns = [found for pattern, found in part.get("patternProperties", {}).items() if re.search(pattern, key)]
        found = part.get("properties", {}).get(key) or (patterns[0] if patterns else part.get("additionalProperties", True))
        if found is False:
            yield f"{place}.{key}: unknown"
        elif isinstance(found, dict):
            yield from faults(inner, found, f"{place}.{key}")


def keywords(part):
    if isinstance(part, dict):
        for key, inner in part.items():
            yield key
            for name, deeper in inner.items() if key in ("properties", "patternProperties", "$defs") else ():
                yield from keywords(deeper)
                assert name
            if key in ("items", "additionalProperties"):
                yield from keywords(inner)
            if key == "anyOf":
                for option in inner:
                    yield from keywords(option)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_an_example_is_valid(path):
    assert faults(yaml.safe_load(path.read_text("utf-8")), SCHEMA) == []


@pytest.mark.parametrize(("text", "said"), [
    ("tiers: {}", "file.tiers: empty"),
    ("teirs: {}", "file: tiers is missing"),
    ("tiers: {small: {modle: x}}", "file.tiers.small.modle: unknown"),
    ("tiers: {a b: {pools: [x]}}", "file.tiers.a b: unknown"),
    ("tiers: {a: {model: m, endpoints: [{url: u, api_key: sk-literal}]}}", "file.tiers.a.endpoints[0].api_key"),
    ("tiers: {a: {model: m, endpoints: [{url: u, connect_timeout: 30}]}}", "file.tiers.a.endpoints[0].connect_timeout"),
    ("tiers: {a: {model: m, endpoints: [{url: u, connect_timeout: 30 parsecs}]}}", "file.tiers.a.endpoints[0].connect_timeout"),
    ("{tiers: {a: {pools: [x]}}, server: {port: 70000}}", "file.server.port: out of bounds"),
    ("{tiers: {a: {pools: [x]}}, server: {max_body: 32}}", "file.server.max_body"),
    ("{tiers: {a: {pools: [x]}}, records: {content: some}}", "file.records.content: not one of"),
])
def test_what_the_loader_refuses_is_marked(text, said):
    assert any(fault.startswith(said) for fault in faults(yaml.safe_load(text), SCHEMA)), faults(yaml.safe_load(text), SCHEMA)


def test_only_keywords_of_json_schema_are_used():
    assert set(keywords(SCHEMA)) <= KEYWORDS


def test_every_field_has_its_meaning_and_no_section_takes_unknown_keys():
    assert {name for name, _ in field_meanings()} == {"Root", *SCHEMA["$defs"]}
    for section in (SCHEMA, *SCHEMA["$defs"].values()):
        assert section["additionalProperties"] is False
        for name, entry in section["properties"].items():
            assert len(entry["description"]) > 10, name


def test_defaults_have_their_units():
    route, server = SCHEMA["$defs"]["Route"]["properties"], SCHEMA["$defs"]["Server"]["properties"]

    assert (route["open_after"]["default"], server["max_body"]["default"], server["port"]["default"]) == ("15s", "32MiB", 4000)


def test_a_condition_holds_conditions():
    when = SCHEMA["$defs"]["When"]["properties"]

    assert when["not"] == {"$ref": "#/$defs/When", "description": when["not"]["description"]}
    assert faults({"any": [{"keywords": "refund"}, {"keywords": ["a", "b"]}], "not": {"tools": True}}, SCHEMA["$defs"]["When"]) == []
    assert faults({"any": [{"keyword": "refund"}]}, SCHEMA["$defs"]["When"])


def test_the_sections_are_those_of_the_file():
    assert set(SCHEMA["properties"]) == set(schema.Root.model_fields)
    assert EDITOR_LINE.endswith(f"$schema={FILE_NAME}")
