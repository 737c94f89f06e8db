"""What a model wants to call a tool with: a text of JSON in OpenAI's APIs, an object in Anthropic's."""

from __future__ import annotations

from typing import Any

import msgspec

from pointsman.core.surrogates import decoded

_decode = msgspec.json.decode


def tool_input(arguments: Any) -> Any:
    """Arguments as the object that they are meant to be; what is none is kept under a name that says so."""
    if isinstance(arguments, dict):
        return arguments
    text = arguments if isinstance(arguments, str) else ""
    if not text.strip():
        return {}
    return msgspec.Raw(text.encode("utf-8", "replace")) if is_object(text) else {"invalid_json": text}


def is_object(text: str) -> bool:
    """Whether a text is one whole JSON object."""
    if not (text.lstrip().startswith("{") and text.rstrip().endswith("}")):
        return False
    try:
        return isinstance(decoded(_decode, text.encode("utf-8", "replace")), dict)
    except (msgspec.DecodeError, RecursionError):
        return False
