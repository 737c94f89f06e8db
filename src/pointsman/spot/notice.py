"""What a machine learns about its end, whoever says it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec


class Notice(msgspec.Struct, frozen=True):
    """The machine will be taken away."""

    reason: str
    """For people and logs: `aws spot terminate`."""
    at: datetime | None = None
    """When, with its zone; None = nobody says."""
    lead_s: float | None = None
    """Seconds from when it was seen, where a source knows that instead."""


class Source(Protocol):
    """One place where a notice may appear. Blocking, with short timeouts of its own: it is asked in a thread."""

    name: str
    every_s: float
    """Pause between two looks."""

    def is_here(self) -> bool:
        """This machine has such a place."""
        ...

    def look(self) -> Notice | None:
        """The notice, once there is one. Raises Unavailable when the place does not answer as it should."""
        ...


class Unavailable(Exception):
    """The metadata service did not answer, or not in a way that we read."""
