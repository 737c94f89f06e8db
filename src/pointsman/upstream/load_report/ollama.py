"""Ollama: `/api/ps` lists what is loaded. It tells no queue, and loads a model that is asked for by itself.

Listed-but-not-loaded is therefore neither asleep nor absent: the first request waits for the loading.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.upstream.load_report.parts import Parts, as_json, version_of, whole

LOADED = "/api/ps"
VERSION = "/api/version"


def parse(answers: Mapping[str, bytes], model: str = "") -> Parts:
    return Parts(version=version_of(answers.get(VERSION)), context=_context(as_json(answers.get(LOADED)), model))


def _context(value: Any, model: str) -> int | None:
    """What the loaded model was given room for, which is often far less than what it could take."""
    loaded = value.get("models") if isinstance(value, dict) else None
    for card in loaded if isinstance(loaded, list) else ():
        if isinstance(card, dict) and tagged(model) in (tagged(card.get("name")), tagged(card.get("model"))):
            return whole(card.get("context_length")) or None
    return None


def tagged(name: object) -> str:
    """`llama3` and `llama3:latest` are one model."""
    return name if isinstance(name, str) and ":" in name else f"{name}:latest"
