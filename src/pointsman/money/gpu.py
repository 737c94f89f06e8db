"""The machines' bill: what each rented GPU costs by the hour, how much of that was work, and what its tokens really cost.

    achieved $ per 1,000 tokens = dollars of running time / tokens done x 1000
    nominal  $ per 1,000 tokens = usd_per_hour x count / 3600 / tokens_per_s x 1000

The first is what the bill says, the second what a price list would: a GPU that idles half the day costs twice its list.
An attempt's cost in a record is nominal (nobody knows at its end how busy the machine will have been); this is the other side.

Pure: somebody looks every few seconds and says who runs and who is busy. Time between two looks counts as the earlier one
saw it, at most `GAP_S` of it: what nobody saw is not billed by guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pointsman.core.fleet import EndpointId
from pointsman.core.price import NANO, GpuPrice
from pointsman.money.catalogue import nominal_tokens_per_s

GAP_S = 60.0
HOUR_S = 3600.0


class Seen(msgspec.Struct, frozen=True, gc=False):
    """One machine at one look."""

    is_running: bool
    is_busy: bool


class MachineBill(msgspec.Struct, frozen=True, gc=False):
    """One endpoint's GPUs since the router's start."""

    endpoint: EndpointId
    gpu: str
    usd_per_hour: float
    """All its GPUs."""
    running_s: float
    busy_s: float
    running_nano_usd: int
    busy_nano_usd: int
    idle_nano_usd: int
    tokens: int
    achieved_usd_per_1k: float | None
    """None = it has done no token yet."""
    nominal_usd_per_1k: float | None
    """None = no throughput is declared or published."""


class Offer(msgspec.Struct, frozen=True, gc=False):
    """What one machine costs by the hour; spot or on demand."""

    usd_per_hour: float
    is_spot: bool


def hourly(offers: Sequence[Offer], machines: int, lasting: int) -> float | None:
    """What so many machines cost by the hour, the cheapest first, of which `lasting` are not spot. More than there are offers cost what
    the cheapest of their kind does. None = there is no offer, or none that lasts where one should."""
    cheap = sorted(offers, key=lambda offer: offer.usd_per_hour)
    stable = [offer for offer in cheap if not offer.is_spot]
    lasting = min(lasting, machines)
    if (machines and not cheap) or (lasting and not stable):
        return None
    chosen, left = stable[:lasting], list(cheap)
    for offer in chosen:
        left.remove(offer)
    rest = left[: machines - lasting]
    beyond = (lasting - len(chosen)) * stable[0].usd_per_hour if lasting > len(chosen) else 0.0
    if machines - lasting > len(rest):
        beyond += (machines - lasting - len(rest)) * cheap[0].usd_per_hour
    return sum(offer.usd_per_hour for offer in (*chosen, *rest)) + beyond


class GpuLedger:
    """Running and busy seconds of each machine."""

    def __init__(self) -> None:
        self._seen_at: float | None = None
        self._last: Mapping[EndpointId, Seen] = {}
        self._running: dict[EndpointId, float] = {}
        self._busy: dict[EndpointId, float] = {}

    def look(self, now: float, machines: Mapping[EndpointId, Seen]) -> None:
        """What is so at `now` (monotonic seconds)."""
        passed = 0.0 if self._seen_at is None else min(max(0.0, now - self._seen_at), GAP_S)
        for endpoint, seen in self._last.items():
            if seen.is_running:
                self._running[endpoint] = self._running.get(endpoint, 0.0) + passed
                if seen.is_busy:
                    self._busy[endpoint] = self._busy.get(endpoint, 0.0) + passed
        self._seen_at, self._last = now, dict(machines)

    def is_running(self, endpoint: EndpointId) -> bool:
        seen = self._last.get(endpoint)
        return seen is not None and seen.is_running

    def is_idle(self, endpoint: EndpointId) -> bool:
        """It runs, and nothing runs on it."""
        seen = self._last.get(endpoint)
        return seen is not None and seen.is_running and not seen.is_busy

    def bill(self, endpoint: EndpointId, price: GpuPrice, tokens: int) -> MachineBill:
        """What it comes to. `tokens`: in and out, since the start."""
        running_s, busy_s = self._running.get(endpoint, 0.0), self._busy.get(endpoint, 0.0)
        hourly = price.usd_per_hour * price.count
        running, busy = _nano(hourly, running_s), _nano(hourly, busy_s)
        per_s = price.tokens_per_s or nominal_tokens_per_s(price.type)
        return MachineBill(
            endpoint, price.type, hourly, running_s, busy_s, running, busy, running - busy, tokens,
            running / NANO / tokens * 1000 if tokens else None, hourly / HOUR_S / per_s * 1000 if per_s else None,
        )

    def __repr__(self) -> str:
        return f"<GpuLedger [{len(self._running)} machines]>"


def _nano(usd_per_hour: float, seconds: float) -> int:
    return round(usd_per_hour * NANO * seconds / HOUR_S)
