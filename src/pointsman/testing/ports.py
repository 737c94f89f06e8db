"""The client's side of a request, remembered: what was opened, sent and said."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from pointsman.core.record import Record
from pointsman.core.reply import Reply
from pointsman.errors import PointsmanError
from pointsman.gateway.port import Facts


@dataclass
class HeardPort:
    """`gateway.port.Port`."""

    said: list[str] = field(default_factory=list)
    events_heard: list[bytes] = field(default_factory=list)
    facts: Facts | None = None
    error: PointsmanError | None = None
    is_gone: bool = True
    """Whether a cancelled request means that the client left (else: that the process stops)."""
    is_aborted: bool = False

    def abort(self) -> None:
        self.is_aborted = True

    async def open(self, facts: Facts) -> None:
        await asyncio.sleep(0)
        self.said.append("open")

    async def begin(self, facts: Facts) -> None:
        await asyncio.sleep(0)
        self.said.append("begin")
        self.facts = facts

    async def events(self, events: list[bytes], cost_nano_usd: int | None) -> None:
        await asyncio.sleep(0)
        self.said.append("events")
        self.events_heard += events

    async def end(self) -> None:
        await asyncio.sleep(0)
        self.said.append("end")

    async def reply(self, reply: Reply, facts: Facts) -> None:
        await asyncio.sleep(0)
        self.said.append("reply")
        self.facts = facts

    async def fail(self, error: PointsmanError, facts: Facts) -> None:
        await asyncio.sleep(0)
        self.said.append("fail")
        self.error, self.facts = error, facts

    @property
    def endings(self) -> int:
        """How often the exchange ended: once, or something is wrong."""
        return sum(word in ("end", "reply", "fail") for word in self.said)


@dataclass
class ListSink:
    """`core.protocols.Sink` that keeps records in memory."""

    records: list[Record] = field(default_factory=list)

    def write(self, record: Record) -> None:
        self.records.append(record)
