"""A tier's machines at one moment, read from what a router's admin listener says (`/state` and `/scale/{tier}`)."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec

from pointsman.gateway.departures import NOT_NEEDED as REASON

__all__ = ["REASON", "Machine", "Phase", "Yard", "yard_of"]


class Phase(Enum):
    """Where a machine is, as far as the router can tell."""

    THERE = "there"
    """It runs, in service or not."""
    ABSENT = "absent"
    """Nobody answers at its address."""
    PARKED = "parked"
    """We have taken it out of service, and nobody answers there any more."""
    LEAVING = "leaving"
    """We have taken it out of service, and it still runs."""
    FOREIGN = "foreign"
    """Somebody else has taken it out of service: an operator, or a spot notice that is not over."""


class Machine(msgspec.Struct, frozen=True):
    """One endpoint of the tier."""

    endpoint: str
    phase: Phase
    url: str = ""
    in_flight: int = 0
    is_spot: bool = False
    usd_per_hour: float | None = None
    """None = unknown."""
    is_ready: bool = False
    """It answered the last time that it was asked."""
    is_drained: bool = False
    leaves_in_s: float | None = None


class Yard(msgspec.Struct, frozen=True):
    """All machines of a tier, and how many it wants."""

    machines: tuple[Machine, ...]
    desired: int | None
    """Besides those that are being taken away and still run; None = the router cannot say."""
    on_demand: int = 0
    """How many of them should not be spot."""
    reason: str = ""


def yard_of(tier: str, state: dict[str, Any], scale: dict[str, Any]) -> Yard:
    """Raises KeyError where the router has no such tier, or is of another version."""
    watched, leaving = state["watched"], state["departures"]["leaving"]
    machines = tuple(
        _machine(endpoint, watched.get(endpoint["id"], {}).get("readiness", "unknown"), leaving.get(endpoint["id"]))
        for pool in state["tiers"][tier]["pools"] for endpoint in state["pools"][pool]["endpoints"]
        if endpoint["is_ours"])  # who sells tokens is neither started nor stopped
    desired = scale["desired"]
    # One more is wanted for each that is being taken away, and those are not counted here.
    return Yard(machines, None if desired is None else max(0, desired - scale["leaving"]), scale["on_demand"], scale["reason"])


def _machine(endpoint: dict[str, Any], readiness: str, notice: dict[str, Any] | None) -> Machine:
    is_drained = endpoint["state"] == "draining"
    return Machine(
        endpoint["id"], _phase(endpoint, readiness, notice if is_drained else None, is_drained=is_drained), endpoint["url"],
        endpoint["in_flight"] + endpoint["in_flight_elsewhere"], endpoint["is_spot"], endpoint["usd_per_hour"],
        readiness == "ready", is_drained,
        None if notice is None else notice["leaves_in_s"])


def _phase(endpoint: dict[str, Any], readiness: str, notice: dict[str, Any] | None, *, is_drained: bool) -> Phase:
    if not is_drained:
        is_silent = endpoint["state"] == "ejected" and readiness == "unknown"
        return Phase.ABSENT if readiness == "gone" or is_silent else Phase.THERE
    if notice is not None and notice["reason"] == REASON:
        return Phase.PARKED if readiness == "gone" else Phase.LEAVING
    is_taken = endpoint["is_spot"] and notice is not None and notice["leaves_in_s"] <= 0 and readiness in ("gone", "unknown")
    return Phase.ABSENT if is_taken else Phase.FOREIGN
