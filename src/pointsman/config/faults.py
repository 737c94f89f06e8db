"""pydantic's errors as our problems: which key, in words of the file, never with a secret's value."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pointsman.config.problems import Loc, Problem, near
from pointsman.config.schema import Root

_EXPECTED = {
    "string_type": "text", "int_type": "a whole number", "float_type": "a number", "bool_type": "true or false",
    "list_type": "a list (`- item` or `[item]`)", "dict_type": "a mapping (`key: value`)",
    "model_type": "a mapping (`key: value`)", "model_attributes_type": "a mapping (`key: value`)",
}
_NAME_HINT = "letters, digits, `.`, `_` and `-`, at most 64"


def problems_of(error: ValidationError) -> list[Problem]:
    """One problem for each wrong place."""
    found = error.errors(include_url=False, include_context=True)
    words = {details["loc"][:-1]: str(details["ctx"]["expected"]) for details in found if _is_word(details["loc"])}
    return [_or_word(_problem(details), words) for details in found if not _is_word(details["loc"])]


def place_of(loc: Loc) -> Loc:
    """pydantic marks a bad mapping key by a trailing `[key]`, and what could be this or that by a complaint about each."""
    if not loc:
        return loc
    return loc[:-1] if loc[-1] == "[key]" or _is_word(loc) else loc


def _is_word(loc: Loc) -> bool:
    """The complaint that a value, which may also be a number, is not one word: `server.workers: auto`."""
    return isinstance(loc[-1], str) and loc[-1].startswith("literal[") if loc else False


def _or_word(problem: Problem, words: Mapping[Loc, str]) -> Problem:
    """What is wrong with the value as a number, with the word that would have done as well."""
    word = words.get(problem.loc[:-1])
    if word is None:
        return problem
    sentence, got, value = problem.sentence.partition(", got ")
    return Problem(problem.loc[:-1], f"{sentence} or {word}{got}{value}", problem.hint)


def _problem(details: ErrorDetails) -> Problem:
    kind, loc, value = details["type"], details["loc"], details["input"]
    limits = details.get("ctx", {})
    if kind == "missing":
        return Problem(loc[:-1], f"`{loc[-1]}` is missing", _meaning(loc))
    if kind == "extra_forbidden":
        return Problem(loc, f"unknown key {str(loc[-1])!r}", near(str(loc[-1]), _keys_at(loc[:-1])))
    if value is None and kind in _EXPECTED:
        return Problem(loc, "there is no value", f"give {_EXPECTED[kind]}, or remove the key")
    if kind in _EXPECTED:
        return Problem(loc, f"expected {_EXPECTED[kind]}, got {_shown(value)}", _trap(kind, value))
    if kind == "literal_error":
        return Problem(loc, f"{_shown(value)} is not one of {limits['expected']}", _near_literal(value, limits))
    if kind == "string_pattern_mismatch":
        what = "name" if loc[-1:] == ("[key]",) or _is_name(loc) else "model name"
        hint = _NAME_HINT if what == "name" else "printable ASCII without spaces at the ends, at most 256"
        return Problem(place_of(loc), f"{_shown(value)} is no usable {what}", hint)
    if kind == "finite_number":
        return Problem(loc, "expected a finite number, got infinity or NaN")
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return Problem(loc, f"must be {kind.replace('_', ' ').replace('than equal', 'than or equal to')} "
                            f"{next(iter(limits.values())):g}")
    if kind in ("too_short", "string_too_short"):
        return Problem(loc, "must not be empty")
    if kind in ("too_long", "string_too_long"):
        return Problem(loc, f"is too long: at most {limits['max_length']}")
    return Problem(loc, details["msg"])


def _shown(value: object) -> str:
    """The value where it helps and cannot be a secret: scalars of fields that hold none."""
    match value:
        case bool():
            return f"{str(value).lower()} (a boolean)"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str() if _is_plain(value):
            return f"text {value[:40]!r}"
        case str():
            return "text"
        case _:
            return f"{value!r:.40}"


def _is_plain(value: str) -> bool:
    """Short, and nothing that looks like a key put into the wrong place."""
    return len(value) <= 24 and not value.startswith(("sk-", "Bearer"))


def _trap(kind: str, value: object) -> str:
    if isinstance(value, bool):
        return "YAML reads yes, no, on, off, true and false as booleans; quote it if it is text" if (
            kind == "string_type") else "YAML reads yes, no, on and off as booleans"
    if kind == "string_type" and isinstance(value, int | float):
        return "quote it"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        return "write a plain decimal number without quotes"
    if kind == "int_type" and isinstance(value, float):
        return "drop the fraction"
    if kind == "bool_type" and isinstance(value, str):
        return "without quotes"
    return ""


def _near_literal(value: object, limits: dict[str, Any]) -> str:
    options = [word.strip("' ") for word in str(limits["expected"]).replace(" or ", ",").split(",")]
    found = near(str(value), options) if isinstance(value, str) else ""
    return found if found.startswith("did") else ""


def _meaning(loc: Loc) -> str:
    return "every route rule needs conditions" if loc[-1] == "when" else ""


def _is_name(loc: Loc) -> bool:
    return loc[-1] in ("name", "provider")


# ---------------------------------------------------------------------------------------------------------
# What stands at a place of the schema


def _keys_at(loc: Loc) -> list[str]:
    """Keys that the mapping at this place may have."""
    model = type_at(loc)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def type_at(loc: Loc) -> Any:
    """The schema's type at a place, without Annotated and None; None where there is nothing."""
    kind: Any = Root
    for part in loc:
        kind = _inside(kind, part)
    return kind


def _inside(kind: Any, part: str | int) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if part == (field.alias or name):
                return bare(field.annotation)
        return None
    arguments = get_args(kind)
    return bare(arguments[-1]) if arguments else None


def bare(annotation: Any) -> Any:
    """The type itself: Annotated and `| None` taken off."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return bare(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return bare(next(a for a in get_args(annotation) if a is not type(None)))
    return annotation

