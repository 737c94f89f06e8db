"""What a worker and its supervisor say to each other. Times are monotonic seconds, the same for all processes of a machine.

Everything that describes a state is said whole and again, never as a step: a message that is lost with a dying process,
or overtaken by a newer one, leaves nothing wrong behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pointsman.core.counts import Counts
from pointsman.core.fleet import EndpointId, Sighting
from pointsman.core.settings import Settings
from pointsman.pools.health import Health

VERSION = 1
"""Of this page. Both ends come from one installation; a mismatch is an upgrade under a running router, and is refused."""


class News(msgspec.Struct, frozen=True, gc=False, tag="news"):
    """What one process has found out about an endpoint's health. The later of two is right."""

    endpoint: EndpointId
    health: Health
    is_draining: bool
    at: float


class Load(msgspec.Struct, frozen=True, gc=False):
    """What runs on one endpoint: attempts, and their estimated tokens."""

    in_flight: int = 0
    tokens: int = 0


class Answered(msgspec.Struct, frozen=True, gc=False):
    """Answers of one endpoint since the last pulse; added up by who judges what endpoints say of themselves."""

    count: int
    ttft_sum_s: float
    ttft_n: int
    ttfts: tuple[float, ...] = ()
    """Times to first token, the latest of them: for the endpoint's window, like the next two."""
    failed: int = 0
    gaps: tuple[float, ...] = ()
    """Mean times between tokens."""


class Times(msgspec.Struct, frozen=True, gc=False):
    """Of one pool, since they were last told: times to first token, how long those waited that got none, answers that ended."""

    heard: tuple[float, ...] = ()
    waited: tuple[float, ...] = ()
    answered: int = 0


Loads = dict[EndpointId, Load]
"""Endpoints on which nothing runs are left out."""


# -- a worker says

class Ready(msgspec.Struct, frozen=True, gc=False, tag="ready"):
    """It serves this generation from now on. Also the answer to `Configured`."""

    generation: int


class Refused(msgspec.Struct, frozen=True, gc=False, tag="refused"):
    """It could not take up a generation, and still serves the one before."""

    generation: int
    why: str


class Crowd(msgspec.Struct, frozen=True, gc=False):
    """Who waits in a pool's anteroom."""

    waiting: int
    oldest_s: float | None
    """How long the one that came first has waited; None = nobody waits."""
    tenants: dict[str, int] = {}

    def beside(self, others: Mapping[str, Any]) -> dict[str, Any]:
        """Those and `others`, who wait for the same pool in other processes."""
        oldest = [seconds for seconds in (self.oldest_s, others["oldest_s"]) if seconds is not None]
        tenants = {tenant: self.tenants.get(tenant, 0) + others["tenants"].get(tenant, 0) for tenant in (*others["tenants"], *self.tenants)}
        return {"waiting": self.waiting + others["waiting"], "oldest_s": max(oldest, default=None), "tenants": tenants}


class Pulse(msgspec.Struct, frozen=True, gc=False, tag="pulse"):
    """How it fares: what runs where, and what it has counted since it last said so."""

    generation: int
    loads: Loads
    in_flight: int
    """Requests under way, whether on an endpoint or not."""
    news: tuple[News, ...] = ()
    is_whole: bool = False
    """Has what follows: as it is now, or since the last whole one."""
    counts: Counts = Counts()
    spool: str = ""
    """Name of the spool file in use, and its size when `counts` was taken."""
    spool_size: int = 0
    answers: dict[EndpointId, Answered] = {}
    times: dict[str, Times] = {}
    """By pool."""
    waiting: dict[str, int] = {}
    """Requests in line, by tier."""
    anterooms: dict[str, Crowd] = {}
    """By pool, where somebody waits."""
    unfit: dict[str, str] = {}
    """Tiers that it sends past, and the signal."""
    departed: dict[str, int] = {}
    """What became of answers on departing endpoints, by outcome: totals."""
    connections: int = 0


class PageWanted(msgspec.Struct, frozen=True, gc=False, tag="page-wanted"):
    """Somebody asks this worker for `/metrics`."""

    number: int


# -- the supervisor says

class Configured(msgspec.Struct, frozen=True, gc=False, tag="configured"):
    """Serve this from now on. Checked already."""

    generation: int
    settings: Settings
    columns: dict[EndpointId, int] = {}
    """Where each endpoint's in-flight counts stand in the memory that all share. Those without one are told."""


class View(msgspec.Struct, frozen=True, gc=False, tag="view"):
    """The fleet as the others see it: what runs elsewhere, and what has been found out."""

    generation: int
    elsewhere: Loads | None = None
    """What all other workers together run; None = as before."""
    news: tuple[News, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    times: dict[str, Times] = {}
    """By pool: what another worker has heard."""


class Leaving(msgspec.Struct, frozen=True, gc=False):
    """An endpoint that has said when it will be gone."""

    reason: str
    announced_at: float
    leaves_at: float
    cut_off_at: float


class Notices(msgspec.Struct, frozen=True, gc=False, tag="notices"):
    """All endpoints that will be gone. Those not named stay."""

    leaving: dict[EndpointId, Leaving]


class Page(msgspec.Struct, frozen=True, gc=False, tag="page"):
    """`/metrics` of the whole router."""

    number: int
    body: bytes
    media: str


class Drain(msgspec.Struct, frozen=True, gc=False, tag="drain"):
    """No new requests; those under way end."""


class Leave(msgspec.Struct, frozen=True, gc=False, tag="leave"):
    """Drain, then end the process."""


class Hurry(msgspec.Struct, frozen=True, gc=False, tag="hurry"):
    """Cut what still runs."""


FromWorker = Ready | Refused | Pulse | PageWanted
FromSupervisor = Configured | View | Notices | Page | Drain | Leave | Hurry
