"""What the client scripts share: where the server is, how a check ends, and when a slot is free. Standard library only."""

from __future__ import annotations

import importlib.metadata
import json
import os
import time
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

BASE = os.environ["BASE_URL"]
"""With `/v1`."""
ROOT = BASE.removesuffix("/v1")
MODEL = os.environ["MODEL"]
ENGINE = os.environ["ENGINE_ROOT"]

# Shared with outcome.mjs, so that every client is asked the same.
_prompts = json.loads(Path(__file__).with_name("prompts.json").read_text(encoding="utf-8"))
QUESTION: str = _prompts["QUESTION"]
TOOL_QUESTION: str = _prompts["TOOL_QUESTION"]
"""Quotes the call: a model this small does not think of one, and the engine's grammar begins with the tag."""
LONG: str = _prompts["LONG"]
TOO_LONG: str = _prompts["TOO_LONG"] * 900
"""One token a character: more than a slot holds."""
CITY: dict[str, Any] = _prompts["CITY"]
WEATHER: str = _prompts["WEATHER"]


def report(package: str, **checks: Callable[[], None]) -> None:
    """Runs the checks and prints one JSON line: the version, then `ok` or what went wrong for each."""
    said = {"version": importlib.metadata.version(package)}
    for feature, check in checks.items():
        try:
            check()
        except Exception as error:  # noqa: BLE001  whatever it is, it goes into the table
            last = traceback.extract_tb(error.__traceback__)[-1]
            said[feature] = f"{type(error).__name__}: {str(error)[:200]} ({os.path.basename(last.filename)}:{last.lineno})"
        else:
            said[feature] = "ok"
    print(json.dumps(said))


def expect(holds: object, what: str) -> None:
    """Raises AssertionError with what was seen instead."""
    if not holds:
        raise AssertionError(what)


def expect_error(kind: type[BaseException], call: Callable[[], object]) -> None:
    """The client raises its own error, with status 400 where it tells one."""
    try:
        call()
    except kind as error:
        expect(getattr(error, "status_code", 400) == 400, f"status {getattr(error, 'status_code', None)}")
        return
    raise AssertionError(f"no {kind.__name__}")


def busy() -> int:
    with urllib.request.urlopen(f"{ENGINE}/slots", timeout=5) as reply:
        return sum(bool(slot["is_processing"]) for slot in json.loads(reply.read()))


def expect_freed(leave: Callable[[], object]) -> None:
    """The engine works, the client leaves, and the engine stops within three seconds."""
    expect_working()
    leave()
    expect_free()


def expect_working() -> None:
    expect(busy() > 0, "the engine had already ended its answer")


def expect_free() -> None:
    """Within three seconds."""
    until = time.monotonic() + 3
    while busy():
        expect(time.monotonic() < until, "the engine still works for a client that has left")
        time.sleep(0.05)
