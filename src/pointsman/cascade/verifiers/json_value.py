"""What a JSON value is: its type as schemas call it and as people do, and when two are the same."""

from __future__ import annotations

from math import isclose
from typing import Any, Final

from pointsman.cascade.verifiers.schema_document import Uncheckable

_KINDS: Final = ((bool, "a boolean"), (int, "a number"), (float, "a number"), (str, "a string"), (list, "an array"), (dict, "an object"))


def kind_of(value: object) -> str:
    """In words, for a sentence."""
    return next((words for kind, words in _KINDS if isinstance(value, kind)), "null")


def is_number(value: object) -> bool:
    """Python takes true for 1, JSON does not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_a(value: object, name: object) -> bool:
    """Of the type that a schema calls so. Raises Uncheckable for a name that is none."""
    match name:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "number":
            return is_number(value)
        case "integer":
            return is_number(value) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
        case _:
            raise Uncheckable(f"there is no type {str(name)[:40]!r}")


def is_multiple(value: float, step: float) -> bool:
    """But for rounding: 0.3 is three times 0.1."""
    ratio = value / step
    return isclose(ratio, round(ratio), rel_tol=1e-12, abs_tol=1e-12)


def levelled(value: Any) -> Any:
    """1.0 as 1, so that equal numbers are written alike."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [levelled(inner) for inner in value]
    return {key: levelled(inner) for key, inner in value.items()} if isinstance(value, dict) else value
