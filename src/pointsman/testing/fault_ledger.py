"""What an upstream saw and what it would charge for: the other side's books, to hold the router's against.

Why at the upstream? A router that counts wrongly counts itself right. The ledger knows of each request how far it
came, who ended it and when, and how many tokens of answer were handed out by then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Ended = Literal["", "fin", "rst", "us"]
"""Who ended the connection under this request: the peer by FIN or RST, or this server; "" = nobody yet."""


@dataclass(slots=True, eq=False)
class Entry:
    """One request as one endpoint saw it. Times are monotonic seconds of the server's loop."""

    id: str
    endpoint: str
    at: float
    connection: int
    nth_on_connection: int
    received: int
    """Bytes of the request, head included."""
    sent: int = 0
    billed: int = 0
    """Tokens of answer that were handed to the kernel."""
    phase: Literal["reading", "answering", "answered", "over"] = "reading"
    is_complete: bool = False
    """The whole right answer went out while the peer was there."""
    ended: Ended = ""
    ended_at: float | None = None

    @property
    def is_running(self) -> bool:
        return self.phase in ("reading", "answering")

    @property
    def is_race(self) -> bool:
        """Closed without a byte on a connection that had served before: a client may dial again in silence."""
        return self.ended == "us" and self.sent == 0 and self.nth_on_connection > 1


class Ledger:
    """All entries, by request id."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._by_id: defaultdict[str, list[Entry]] = defaultdict(list)

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._by_id[entry.id].append(entry)

    def of(self, id: str) -> list[Entry]:
        """What was seen of a request, in order of arrival."""
        return self._by_id.get(id, [])

    def at(self, endpoint: str) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry.endpoint == endpoint)

    @property
    def running(self) -> list[Entry]:
        """Requests under way."""
        return [entry for entry in self.entries if entry.is_running]

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"<Ledger [{len(self.entries)} entries, {len(self.running)} running]>"
