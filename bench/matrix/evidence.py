"""What is kept of a request that ended otherwise than it may: enough to tell afterwards what happened, without a second run.

Why a file of its own beside the scorecard? A race of one request in fifty thousand does not come back when asked to: whoever
finds it in a table a day later has the one that was seen, or nothing. The file grows from run to run and holds wrong ends only.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pointsman.testing.fault_ledger import Entry
from pointsman.testing.fault_oracle import Seen

WRONG_ENDS = Path(__file__).resolve().parents[2] / "build" / "matrix" / "wrong-ends.jsonl"
"""Where they are appended, one JSON object a line. `build/` is no part of the repository; `--write` names them in RESULTS.md too."""
BODY_BYTES = 2000
"""Kept of an answer's beginning and of its end."""
LOG_LINES = 40
"""Kept of what the router said of the case's endpoints, the last ones."""
_ENTRY = re.compile(r"(?m)^(?=\d{4}-\d\d-\d\d)")
"""A log entry begins with its time; lines of a traceback belong to the entry before them."""


@dataclass
class Evidence:
    """One request: what was done to it, what it saw, what it should have seen, what both sides wrote down."""

    fault: str
    mode: str
    """stream or plain"""
    alternative: str
    expected: str
    seen: dict[str, Any]
    attempts: list[dict[str, Any]]
    """As the upstreams saw them."""
    second: str = ""
    """The other faulty endpoint's fault."""
    records: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def add_log(self, text: str, names: Iterable[str]) -> None:
        """The entries of the router's log that name the case's tiers or the request."""
        wanted = [name for name in names if name]
        self.log = [entry.rstrip() for entry in _ENTRY.split(text) if any(name in entry for name in wanted)][-LOG_LINES:]


def seen_as_json(seen: Seen) -> dict[str, Any]:
    """All of it; of a long body the beginning and the end."""
    told = asdict(seen)
    body = seen.body.decode("utf-8", "backslashreplace")
    told["body"] = body if len(body) <= 2 * BODY_BYTES else f"{body[:BODY_BYTES]} … {body[-BODY_BYTES:]}"
    return told


def attempts_as_json(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    return [asdict(entry) | {"is_race": entry.is_race} for entry in entries]


def keep(problems: Iterable[Any], path: Path, **run: Any) -> int:
    """Appends them; how many. `run`: what says which run it was (seed, part, commit)."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    lines = [json.dumps({"at": now} | run | asdict(problem), default=str) for problem in problems]
    if lines:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write("\n".join(lines) + "\n")
    return len(lines)
