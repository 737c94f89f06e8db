"""What is read at each scrape of things that are kept elsewhere: endpoints, tiers, anterooms, machines.

One table from a series to whoever reads it; `telemetry/series.py` says what each of them means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pointsman.core.price import NANO
from pointsman.money.gpu import MachineBill
from pointsman.telemetry.series import VOCABULARY

Labels = tuple[str, ...]
Rows = Iterator[tuple[Labels, float]]


class Sight(msgspec.Struct, frozen=True):
    """Everything as it stood when the scrape began."""

    version: str
    endpoints: Sequence[Mapping[str, Any]]
    tiers: Sequence[Mapping[str, Any]]
    anterooms: Mapping[str, Mapping[str, Any]]
    machines: Sequence[MachineBill]
    tenants: Mapping[str, str]
    """What a tenant is called in a label."""


Reader = Callable[[Sight], Rows]


def _build(sight: Sight) -> Rows:
    yield (sight.version,), 1


def _of_endpoint(key: str) -> Reader:
    return lambda sight: ((_endpoint(one), one[key]) for one in sight.endpoints)


def _of_load(key: str) -> Reader:
    """An endpoint's own word; what it does not report has no row."""
    return lambda sight: ((_endpoint(one), load[key]) for one in sight.endpoints if (load := one.get("load")) is not None and load.get(key) is not None)


def _endpoint_states(sight: Sight) -> Rows:
    return (((*_endpoint(one), state), float(one["state"] == state)) for one in sight.endpoints for state in VOCABULARY["state"])


def _endpoint(status: Mapping[str, Any]) -> Labels:
    return status["pool"], status["id"]


def _of_tier(key: str) -> Reader:
    """What is unknown has no row."""
    return lambda sight: (((tier["tier"],), tier[key]) for tier in sight.tiers if tier.get(key) is not None)


def _tier_signals(sight: Sight) -> Rows:
    return (((tier["tier"], signal), float(tier["unfit"] == signal)) for tier in sight.tiers for signal in VOCABULARY["signal"])


def _crowds(sight: Sight) -> Rows:
    return (((pool,), crowd["waiting"]) for pool, crowd in sight.anterooms.items())


def _crowds_oldest(sight: Sight) -> Rows:
    return (((pool,), crowd["oldest_s"] or 0.0) for pool, crowd in sight.anterooms.items())


def _crowds_tenants(sight: Sight) -> Rows:
    for pool, crowd in sight.anterooms.items():
        tenants = Counter[str]()
        for tenant, waiting in crowd["tenants"].items():
            tenants[sight.tenants[tenant]] += waiting
        yield from (((pool, tenant), waiting) for tenant, waiting in tenants.items())


def _machines_usd(sight: Sight) -> Rows:
    for machine in sight.machines:
        yield (*_machine(machine), "busy"), machine.busy_nano_usd / NANO
        yield (*_machine(machine), "idle"), machine.idle_nano_usd / NANO


def _machines_usd_per_1k(sight: Sight) -> Rows:
    for machine in sight.machines:
        for kind, value in (("achieved", machine.achieved_usd_per_1k), ("nominal", machine.nominal_usd_per_1k)):
            if value is not None:
                yield (*_machine(machine), kind), value


def _machine(bill: MachineBill) -> Labels:
    return bill.endpoint.rpartition("/")[0], bill.endpoint


READERS: dict[str, Reader] = {
    "pointsman_build_info": _build,
    "pointsman_endpoint_in_flight": _of_endpoint("in_flight"),
    "pointsman_endpoint_state": _endpoint_states,
    "pointsman_endpoint_waiting": _of_load("waiting"),
    "pointsman_endpoint_running": _of_load("running"),
    "pointsman_endpoint_kv_usage_ratio": _of_load("kv_usage"),
    "pointsman_endpoint_report_age_seconds": _of_load("age_s"),
    "pointsman_queue_waiting": _of_tier("waiting"),
    "pointsman_desired_replicas": _of_tier("desired"),
    "pointsman_idle_usd_per_hour": _of_tier("idle_usd_per_hour"),
    "pointsman_tier_saturated": _tier_signals,
    "pointsman_anteroom_waiting": _crowds,
    "pointsman_anteroom_oldest_seconds": _crowds_oldest,
    "pointsman_anteroom_tenant_waiting": _crowds_tenants,
    "pointsman_gpu_usd_total": _machines_usd,
    "pointsman_gpu_usd_per_1k_tokens": _machines_usd_per_1k,
}
"""Series -> who reads it."""
