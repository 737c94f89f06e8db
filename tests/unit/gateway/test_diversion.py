from __future__ import annotations

from random import Random

import msgspec
import pytest

from pointsman.cascade.ladder import CHOSEN, FAILED, FALLBACK, LAST_RESORT, Rung
from pointsman.core.fleet import Fitness
from pointsman.core.record import Escalation
from pointsman.core.settings import TierSettings
from pointsman.gateway.diversion import enter, entered_at, place_of, places_to_wait_for
from pointsman.gateway.graph import Way
from pointsman.pools.fleet import Fleet
from pointsman.testing.factories import a_pool, a_settings


class Told(Fleet):
    """A fleet whose tiers are as a test says: tier -> why it is unfit; and how slow they are."""

    def __init__(self, unfit: dict[str, str] | None = None, p95: dict[str, float] | None = None) -> None:
        super().__init__(a_settings(*(a_pool(name) for name in ("small", "medium", "large", "spare"))))
        self.unfit, self.p95 = unfit or {}, p95 or {}
        self.gone: set[str] = set()
        self.starting: set[str] = set()

    def fitness(self, tier, now):
        return Fitness(tier not in self.unfit, self.unfit.get(tier, ""))

    def diverts(self, tier, now, rng):
        return self.unfit.get(tier)

    def has_room(self, tier, now, entering=0):
        return self.unfit.get(tier) != "saturated"

    def is_served(self, tier, now):
        return tier not in self.gone

    def is_starting(self, tier, now):
        return tier in self.starting

    def ttft_p95(self, tier, now):
        return self.p95.get(tier)


def way(*rungs: tuple[str, str]) -> Way:
    return Way(tuple(Rung(tier, (f"{tier}/0",), reason) for tier, reason in rungs), {tier: (tier,) for tier, _ in rungs})


UP = way(("small", CHOSEN), ("medium", FAILED), ("large", FAILED))
NOW = 100.0


def tiers(way: Way) -> list[str]:
    return [rung.tier for rung in way.rungs]


def test_a_fit_tier_is_entered_as_decided():
    entry = enter(UP, Told(), NOW, Random(0))

    assert entry.way is UP
    assert entry.escalation is None
    assert not entry.is_stuck


@pytest.mark.parametrize("reason", ["saturated", "sla"])
def test_an_unfit_tier_is_passed_over_for_the_next_one_up(reason):
    entry = enter(UP, Told({"small": reason}), NOW, Random(0))

    assert tiers(entry.way) == ["medium", "large", "small"]
    assert [rung.reason for rung in entry.way.rungs] == [reason, FAILED, LAST_RESORT]
    assert entry.escalation == Escalation("small", "medium", reason)


def test_the_next_tier_must_be_fit_itself():
    entry = enter(UP, Told({"small": "saturated", "medium": "saturated"}), NOW, Random(0))

    assert tiers(entry.way) == ["large", "medium", "small"]


def test_a_fallback_takes_over_when_the_ladder_is_unfit_but_a_weaker_tier_never_does():
    there = way(("medium", CHOSEN), ("large", FAILED), ("spare", FALLBACK), ("small", LAST_RESORT))

    entry = enter(there, Told({"medium": "saturated", "large": "saturated"}), NOW, Random(0))
    stuck = enter(there, Told(dict.fromkeys(("medium", "large", "spare"), "saturated")), NOW, Random(0))

    assert tiers(entry.way) == ["spare", "large", "medium", "small"]
    assert stuck.is_stuck
    assert tiers(stuck.way) == tiers(there)


def test_a_slow_tier_that_has_nothing_above_it_serves_and_does_not_queue():
    entry = enter(way(("large", CHOSEN)), Told({"large": "sla"}), NOW, Random(0))

    assert not entry.is_stuck
    assert entry.escalation is None


def test_a_clients_own_promise_passes_over_a_tier_that_keeps_its_own():
    fleet = Told(p95={"small": 0.4, "medium": 0.1})

    assert enter(UP, fleet, NOW, Random(0), ttft_slo_s=0.5).escalation is None
    assert enter(UP, fleet, NOW, Random(0), ttft_slo_s=0.2).escalation == Escalation("small", "medium", "sla")


def test_a_tier_that_nobody_has_measured_is_fast_enough():
    assert enter(UP, Told(), NOW, Random(0), ttft_slo_s=0.001).escalation is None


def test_a_pool_that_was_named_itself_is_nobodys_tier_and_entered_as_it_is():
    named = way(("llama", CHOSEN))

    assert enter(named, Told({"llama": "saturated"}), NOW, Random(0)).way is named


def test_who_waits_may_be_let_in_above_but_not_below():
    there = way(("medium", CHOSEN), ("large", FAILED), ("small", LAST_RESORT))

    assert places_to_wait_for(there, Told()) == {"medium": "medium", "large": "large"}
    assert tiers(entered_at(there, "large", "saturated")) == ["large", "medium", "small"]


def test_a_dead_tier_is_no_way_around_the_line_of_the_full_one_above_it():
    fleet = Told(dict.fromkeys(("medium", "large"), "saturated"))
    fleet.gone.add("small")

    assert enter(UP, fleet, NOW, Random(0)).is_stuck
    fleet.unfit["large"] = "sla"
    assert not enter(UP, fleet, NOW, Random(0)).is_stuck, "the machine finds the way to a tier with room"
    fleet.gone.update(("medium", "large"))
    assert not enter(UP, fleet, NOW, Random(0)).is_stuck, "nothing is there to wait for"


def test_where_one_pool_of_a_tier_is_left_it_is_that_pool_that_must_be_fit():
    settings = a_settings(a_pool("qwen"), a_pool("llama"))
    tier = TierSettings("small", ("qwen", "llama"))
    fleet = Fleet(msgspec.structs.replace(settings, tiers={"small": tier}))
    whole = Way((Rung("small", ("qwen/0", "llama/0"), CHOSEN),), {"small": ("qwen", "llama")})
    part = Way((Rung("small", ("llama/0",), CHOSEN),), {"small": ("llama",)})

    assert place_of(whole, whole.rungs[0], fleet) == "small"
    assert place_of(part, part.rungs[0], fleet) == "llama"
    assert places_to_wait_for(part, fleet) == {"llama": "small"}


def test_a_tier_that_went_to_nothing_is_waited_for_only_where_nobody_above_is_there():
    fleet = Told()
    fleet.gone, fleet.starting = {"small", "medium", "large"}, {"small"}
    assert enter(UP, fleet, NOW, Random(0)).is_stuck

    fleet.gone = {"small", "medium"}
    assert not enter(UP, fleet, NOW, Random(0)).is_stuck, "the machine finds the way to the tier that is there"
