"""JSON that fits a schema: what a constrained engine would write, without a model."""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 12


def fit(schema: Any, words: list[str], depth: int = 0, root: Any = None) -> Any:
    """A value that the schema accepts; strings are made of `words` (never empty).

    Knows type, properties, required, items, enum, const, anyOf/oneOf/allOf, local $ref, minItems, minLength,
    minimum and maximum: the subset that structured outputs use. Patterns and formats are not looked at.
    """
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None
    if "$ref" in schema:
        return fit(_resolve(str(schema["$ref"]), root), words, depth + 1, root)
    if "const" in schema:
        return schema["const"]
    if enum := schema.get("enum"):
        return enum[depth % len(enum)] if isinstance(enum, list) else None
    for many in ("anyOf", "oneOf"):
        if isinstance(options := schema.get(many), list) and options:
            return fit(options[0], words, depth + 1, root)
    if isinstance(parts := schema.get("allOf"), list) and parts:
        return fit(_merged(parts, root), words, depth + 1, root)
    return _of_type(_type(schema), schema, words, depth, root)


def _of_type(type: str, schema: dict[str, Any], words: list[str], depth: int, root: Any) -> Any:
    match type:
        case "object":
            properties = schema.get("properties")
            items = properties.items() if isinstance(properties, dict) else ()
            return {name: fit(sub, words[i:] + words[:i], depth + 1, root) for i, (name, sub) in enumerate(items)}
        case "array":
            count = max(_number(schema, "minItems", 1), 1)
            return [fit(schema.get("items"), words, depth + 1, root) for _ in range(int(count))]
        case "string":
            text = " ".join(words[:4])
            text += "x" * int(_number(schema, "minLength", 0) - len(text))
            return text[: int(_number(schema, "maxLength", 1 << 20))]
        case "integer" | "number":
            low, high = _number(schema, "minimum", 1), _number(schema, "maximum", float("inf"))
            value = min(max(low, 1), high)
            return int(value) if type == "integer" else float(value)
        case "boolean":
            return True
        case _:
            return None


def _type(schema: dict[str, Any]) -> str:
    given = schema.get("type", "object" if "properties" in schema else "array" if "items" in schema else "string")
    return str(given[0]) if isinstance(given, list) and given else str(given)


def _number(schema: dict[str, Any], name: str, default: float) -> float:
    value = schema.get(name, default)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else default


def _resolve(ref: str, root: Any) -> Any:
    node = root
    for part in ref.removeprefix("#/").split("/"):
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _merged(parts: list[Any], root: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        resolved = _resolve(str(part["$ref"]), root) if isinstance(part, dict) and "$ref" in part else part
        if isinstance(resolved, dict):
            merged |= resolved | {"properties": merged.get("properties", {}) | resolved.get("properties", {})}
    return merged
