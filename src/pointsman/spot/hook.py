"""A file that somebody puts down when the machine will be taken away: for clouds without a notice, and for scripts."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from pointsman.spot.notice import Notice, Unavailable


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    deadline: float | datetime | None = None
    reason: str = "hook file"


class HookFile:
    """There = leaving. It may be empty, or hold `{"deadline": 60, "reason": "outbid"}`: seconds, or a time of RFC 3339."""

    name, every_s = "file", 0.25

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_here(self) -> bool:
        return True

    def look(self) -> Notice | None:
        try:
            body = self._path.read_bytes()[:4096].strip()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise Unavailable(f"{self._path}: {exc.strerror}") from exc
        try:
            said = msgspec.json.decode(body or b"{}", type=_Said)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Notice("hook file (its content cannot be read)")  # whoever put it there meant something
        if isinstance(said.deadline, datetime):
            return Notice(said.reason, at=said.deadline if said.deadline.tzinfo else None)
        return Notice(said.reason, lead_s=said.deadline)
