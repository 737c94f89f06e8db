"""Is the answer the JSON that the request asked for? Exact and free: the strongest check where it applies.

Judged is what a client would parse: JSON within a Markdown fence, or with a sentence before it, is not what was asked for.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pointsman.cascade.verifiers.asked import asked_of
from pointsman.cascade.verifiers.schema import Schema, Uncheckable
from pointsman.core.answer import Answer, Choice
from pointsman.core.request import ChatRequest
from pointsman.core.surrogates import decoded
from pointsman.core.verdict import ABSTAINS, Traits, Verdict
from pointsman.core.verifying import JsonSchema

ANSWER_MAX: Final = 1024 * 1024
"""Characters of an answer that is still read: a million tokens of JSON are nobody's answer."""

_decode = msgspec.json.Decoder().decode


class JsonSchemaVerifier:
    """Hard: what does not parse, or breaks the schema, cannot be used, however well it reads."""

    traits = Traits(goes_by=("response_format", "guided_json", "structured_outputs"))

    def __init__(self, settings: JsonSchema | None = None) -> None:
        settings = settings or JsonSchema()
        self.name, self.rates = settings.name, settings.rates

    def verify(self, request: ChatRequest, answer: Answer) -> Verdict:
        asked = asked_of(request)
        if not asked.wants_json or not answer.is_whole:
            return ABSTAINS
        texts = [choice for choice in answer.choices if choice.text or not choice.tool_calls]
        if not texts:
            return ABSTAINS
        try:
            schema = None if asked.schema is None else Schema(asked.schema)
            for choice in texts:
                said = _objection(choice, schema)
                if said is not None:
                    return Verdict(0.0, said, is_hard=True)
        except Uncheckable as exc:
            return Verdict(None, f"not checked: {exc}")
        return Verdict(1.0, "JSON that keeps to the schema" if schema is not None else "JSON, as asked for")


def _objection(choice: Choice, schema: Schema | None) -> str | None:
    if choice.finish_reason == "length":
        return "JSON that was cut off"
    if len(choice.text) > ANSWER_MAX:
        raise Uncheckable("the answer is too long")
    value = parsed(choice.text)
    if value is _NONE:
        return "not JSON"
    if schema is None:
        return None if isinstance(value, dict) else "JSON, but no object"
    return schema.objection(value)


_NONE: Final = object()


def parsed(text: str) -> Any:
    """The JSON in `text`; `_NONE` when it is none."""
    try:
        return decoded(_decode, text.encode("utf-8", "replace"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NONE


def is_json(value: object) -> bool:
    """`parsed` found something."""
    return value is not _NONE


