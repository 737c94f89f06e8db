"""Do the answer's tool calls keep to the request's own tools? Exact and free, like the JSON check.

Also read is how earlier calls of this conversation fared: a call that is repeated word for word after it failed will fail
again, and several failures in a row say that the model is out of its depth.
"""

from __future__ import annotations

import re
from typing import Final

from pointsman.cascade.verifiers.asked import Asked, asked_of
from pointsman.cascade.verifiers.json_schema import ANSWER_MAX, is_json, parsed
from pointsman.cascade.verifiers.schema import Schema, Uncheckable
from pointsman.core.answer import Answer, Choice, ToolCall
from pointsman.core.request import ChatRequest
from pointsman.core.verdict import ABSTAINS, Traits, Verdict
from pointsman.core.verifying import ToolCalls

_LEAKED = re.compile(r"\s*(?:<tool_call>|<\|python_tag\|>|\[TOOL_CALLS\]|<function=|<\|tool_calls?_(?:begin|section_begin)\|>)")
"""How models write calls that their engine should have taken out of the text."""

FLAILING: Final = 0.3


class ToolCallsVerifier:
    """Hard where a call cannot be carried out."""

    traits = Traits(goes_by=("tools", "functions"))

    def __init__(self, settings: ToolCalls | None = None) -> None:
        settings = settings or ToolCalls()
        self.name, self.rates, self._max_errors = settings.name, settings.rates, settings.max_errors

    def verify(self, request: ChatRequest, answer: Answer) -> Verdict:
        if not answer.is_whole or not answer.choices:
            return ABSTAINS
        asked = asked_of(request)
        if not asked.tools:
            return ABSTAINS
        features = {"errors_before": float(asked.failures_in_a_row)}
        unchecked = ""
        for choice in answer.choices:
            try:
                said = _objection(choice, asked)
            except Uncheckable as exc:
                unchecked = str(exc)
                continue
            if said is not None:
                return Verdict(0.0, said, is_hard=True, features=features)
        if asked.failures_in_a_row >= self._max_errors:
            return Verdict(FLAILING, f"{asked.failures_in_a_row} turns of tool errors before it", features=features)
        if unchecked:
            return Verdict(None, f"not checked: {unchecked}", features=features)
        if not any(choice.tool_calls for choice in answer.choices):
            return Verdict(None, "no tool was called", features=features)
        return Verdict(1.0, "calls that keep to the tools", features=features)


def _objection(choice: Choice, asked: Asked) -> str | None:
    if not choice.tool_calls:
        if _LEAKED.match(choice.text):
            return "a tool call written into the text"
        if choice.finish_reason == "tool_calls":
            return "it says that it calls a tool, and calls none"
        return "it had to call a tool, and called none" if asked.must_call else None
    for call in choice.tool_calls:
        said = _call_objection(call, asked)
        if said is not None:
            return said
    return None


def _call_objection(call: ToolCall, asked: Asked) -> str | None:
    if call.name not in asked.tools:
        return f"there is no tool {call.name[:60]!r}"
    if asked.only_tool and call.name != asked.only_tool:
        return f"it had to call {asked.only_tool[:60]!r}, not {call.name[:60]!r}"
    if (call.name, call.arguments) in asked.failed_calls:
        return f"the same call of {call.name[:60]!r} that has just failed"
    if call.is_custom:
        return None
    if len(call.arguments) > ANSWER_MAX:
        raise Uncheckable("the arguments are too long")
    value = parsed(call.arguments or "{}")
    if not is_json(value) or not isinstance(value, dict):
        return f"the arguments of {call.name[:60]!r} are no JSON object"
    schema = asked.tools[call.name]
    said = Schema(schema).objection(value) if isinstance(schema, dict) else None
    return None if said is None else f"arguments of {call.name[:60]!r}: {said}"
