"""One worker's place: who sits there, what it last said, when the next one comes."""

from __future__ import annotations

import asyncio
from typing import Any

from pointsman.records.tail import Tail
from pointsman.state.local import Link
from pointsman.state.messages import Crowd, FromWorker, Loads, Pulse
from pointsman.supervisor.restarts import Restarts


class Seat:
    """What the supervisor knows of the worker in one seat."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.restarts = Restarts()
        self.link: Link[FromWorker] | None = None
        self.process = 0
        """Its process id; 0 while nobody sits here."""
        self.life = 0
        """Which worker of this router it is, counted from 1: process ids come again."""
        self.born_at = 0.0
        self.generation = 0
        """The configuration that it serves; 0 until it is ready."""
        self.refused = ""
        """Why it could not take up a newer one."""
        self.pulse: Pulse | None = None
        """The latest."""
        self.waiting: dict[str, int] = {}
        self.unfit: dict[str, str] = {}
        """Who waits in line there and which tiers it sends past, as it last said."""
        self.anterooms: dict[str, Crowd] = {}
        """Who waits there until an endpoint has less to read, by pool, as it last said."""
        self.departed: dict[str, int] = {}
        self.told: Loads | None = None
        """What it last heard of the others."""
        self.silent = 0
        """Looks since it was last heard."""
        self.tail: Tail | None = None
        self.ready: asyncio.Future[None] | None = None
        """Done when it serves, or has died before it did."""
        self.leaving = False
        """It was told to go."""

    @property
    def is_serving(self) -> bool:
        return self.link is not None and self.generation > 0

    @property
    def in_flight(self) -> int:
        return self.pulse.in_flight if self.pulse is not None else 0

    def vacate(self) -> None:
        """Nobody sits here any more."""
        self.link, self.process, self.generation, self.pulse, self.tail = None, 0, 0, None, None
        self.refused, self.silent, self.leaving = "", 0, False
        self.waiting, self.anterooms, self.unfit, self.departed, self.told = {}, {}, {}, {}, None

    def status(self, now: float) -> dict[str, Any]:
        """For the operator."""
        pulse = self.pulse
        return {
            "worker": self.number, "process": self.process or None, "is_serving": self.is_serving,
            "generation": self.generation or None, "up_s": round(now - self.born_at, 1) if self.process else None,
            "in_flight": self.in_flight, "connections": pulse.connections if pulse is not None else 0,
            "restarts": self.restarts.count, "refused": self.refused,
        }

    def __repr__(self) -> str:
        who = f"process {self.process}, generation {self.generation}" if self.process else "empty"
        return f"<Seat {self.number} [{who}, {self.in_flight} in flight]>"
