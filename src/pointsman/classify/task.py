"""Which kind of work a request is, by its form first and by its words then: no model, the features that the heuristic reads."""

from __future__ import annotations

from pointsman.classify.features import read
from pointsman.core.request import ChatRequest, Kind, Message
from pointsman.core.task import Task

_CODE = ("code", "code_error", "code_task", "algorithm")
_MATHS = ("latex", "maths", "proof", "equation")


def task_of(request: ChatRequest) -> Task:
    """Some 30 µs for an ordinary prompt; asked only where a tier was measured by task."""
    if request.tools:
        return "tools"
    if request.needs.json_schema:
        return "json"
    values = read(request).values
    if any(name in values for name in _CODE):
        return "code"
    if "choices" in values:
        return "choices"
    return "maths" if any(name in values for name in _MATHS) else "text"


def task_of_prompt(prompt: str) -> Task:
    """Of a prompt alone, nothing being offered or asked for beside it."""
    return task_of(ChatRequest(Kind.CHAT, b"", "", (Message("user", prompt),)))
