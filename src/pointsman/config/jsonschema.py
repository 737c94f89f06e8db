"""The JSON Schema of the configuration, so that an editor completes keys, shows what they mean and marks typos.

Made from `schema.py` and the modules of its sections themselves: descriptions are the docstrings under the fields, patterns are those of `units.py` and
`secrets.py`. What takes more than one field to see (does that tier exist?) no schema can say: `pointsman check` does.
"""

from __future__ import annotations

import ast
import inspect
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from pointsman.config import cascade, fields, learned, measured, pools, promises, remote, schema, units, verifiers

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
FILE_NAME: Final = "pointsman.schema.json"
EDITOR_LINE: Final = f"# yaml-language-server: $schema={FILE_NAME}"
"""The first line of a configuration whose schema lies beside it: VS Code, Neovim, Zed and JetBrains read it."""

_MODULES: Final = (schema, cascade, learned, measured, pools, promises, remote, verifiers)
"""Where sections are."""
_LONE_VERIFIERS: Final = ("well_formed", "json_schema", "tool_calls", "logprobs", "p_true", "self_report", "agreement")
"""Verifiers that need no settings."""

_NUMBER = r"[0-9]{1,15}(\.[0-9]{1,9})?"
_DURATION: Final[JsonSchemaValue] = {
    "type": "string", "pattern": rf"^{_NUMBER} ?({'|'.join(units.DURATIONS)})$", "examples": ["200ms", "30s", "2m"],
}
_SIZE: Final[JsonSchemaValue] = {
    "type": "string", "pattern": rf"^{_NUMBER} ?({'|'.join(units.SIZES)})$", "examples": ["32MiB", "512KB"],
}
_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_SECRET: Final[JsonSchemaValue] = {
    "type": "string", "pattern": rf"^(\$\{{{_NAME}\}}|os\.environ/{_NAME}|file:.+)$",
    "examples": ["${NAME}", "os.environ/NAME", "file:secrets/name"],
}
_EXAMPLES: Final[dict[tuple[str, str], list[Any]]] = {
    ("Endpoint", "url"): ["http://10.0.0.10:8001/v1", "https://api.together.xyz/v1"],
    ("Endpoint", "slots"): [256],
    ("Gpu", "type"): ["RTX 4090", "A100", "H100", "H200"],
    ("Route", "ladder"): [["small", "medium", "large"]],
    ("Route", "pipeline"): [["rules", "heuristic"], ["rules", "pinned:small"], ["random:0.2"]],
    ("When", "header"): [{"x-team": "legal"}],
    ("When", "metadata"): [{"topic": "refund|chargeback"}],
}


def json_schema() -> dict[str, Any]:
    """The whole schema as plain data, every section under `$defs`."""
    made = schema.Root.model_json_schema(by_alias=True, schema_generator=_Schema)
    meanings = field_meanings()
    _describe(made, "Root", meanings)
    for name, section in made["$defs"].items():
        _describe(section, name, meanings)
    return {"$schema": DIALECT, "title": "Pointsman configuration", **{k: v for k, v in made.items() if k != "title"}}


def field_meanings() -> dict[tuple[str, str], tuple[ast.expr, str]]:
    """(section, field) -> its annotation and the docstring under it."""
    found: dict[tuple[str, str], tuple[ast.expr, str]] = {}
    for node in (node for module in _MODULES for node in ast.parse(inspect.getsource(module)).body):
        if not isinstance(node, ast.ClassDef):
            continue
        for statement, after in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                text = ""
                if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                    text = str(after.value.value)
                found[node.name, statement.target.id] = (statement.annotation, " ".join(text.split()))
    return found


def _describe(section: JsonSchemaValue, name: str, meanings: dict[tuple[str, str], tuple[ast.expr, str]]) -> None:
    """Meanings and examples in place of generated titles."""
    section.pop("title", None)
    section["description"] = " ".join(section.get("description", "").split())
    model: type[BaseModel] = next(getattr(module, name) for module in _MODULES if hasattr(module, name))
    for field, info in model.model_fields.items():
        entry = section["properties"][info.alias or field]
        entry.pop("title", None)
        entry["description"] = meanings[name, field][1]
        for bound in ("gt", "ge", "le"):  # of the number that the text stands for: no keyword of JSON Schema
            entry.pop(bound, None)
        if "patternProperties" in entry:
            entry["additionalProperties"] = False
        if "propertyNames" in entry:  # a table of known names: editors complete those that are spelled out
            of_each = entry["additionalProperties"]
            entry |= {"properties": dict.fromkeys(entry.pop("propertyNames")["enum"], of_each), "additionalProperties": False}
        if (name, field) in _EXAMPLES:
            entry["examples"] = _EXAMPLES[name, field]


class _Schema(GenerateJsonSchema):
    """Texts with a unit, references to secrets, and absence, as a person writes them."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        said: JsonSchemaValue | None = _WRITTEN.get(schema["function"]["function"])
        if said is not None:
            return dict(said)
        inner = super().function_before_schema(schema)
        if schema["function"]["function"] is _ONE_OR_MORE:
            return {"anyOf": [inner["items"], inner]}
        if schema["function"]["function"] is verifiers.read_verifier:
            return {"anyOf": [{"type": "string", "enum": list(_LONE_VERIFIERS)}, inner]}
        return inner

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Defaults with their units; those of whole sections are in the sections."""
        made = super().default_schema(schema)
        default = made.get("default")
        if isinstance(default, dict) or default is None:
            made.pop("default", None)
        elif made.get("pattern") == _DURATION["pattern"]:
            made["default"] = units.format_duration(float(default))
        elif made.get("pattern") == _SIZE["pattern"]:
            made["default"] = units.format_size(int(default))
        return made

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """A key without a value counts as absent; for sections an editor had better say that something is missing."""
        inner = self.generate_inner(schema["schema"])
        if isinstance(inner.get("type"), str):
            return {**inner, "type": [inner["type"], "null"]}
        return inner


_WRITTEN: Final[dict[Any, JsonSchemaValue]] = {
    fields.read_duration: _DURATION, fields.read_size: _SIZE, fields.read_secret: _SECRET,
}
_ONE_OR_MORE: Final[Any] = fields.one_or_more
