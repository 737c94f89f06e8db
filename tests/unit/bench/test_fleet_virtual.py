"""The fleet bench without sockets: traces become the prompts they describe, and a fleet in virtual time is a fleet."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from random import Random
from types import ModuleType
from unittest.mock import patch

import pytest

from pointsman.core.fleet import EndpointState, EndpointView
from pointsman.testing.factories import a_request

BENCH = Path(__file__).resolve().parents[3] / "bench" / "fleet"


def _module(name: str, **needs: ModuleType) -> ModuleType:
    """A module of the bench folder, which is no package: under a name of its own; what it imports by bare name is handed in."""
    full = f"bench_fleet_{name}"
    spec = importlib.util.spec_from_file_location(full, BENCH / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.dict(sys.modules, {full: module, **needs}):
        spec.loader.exec_module(module)
        imported = {name: one for name, one in sys.modules.items() if name not in needs}
    sys.modules.update(imported)  # `patch.dict` forgets them, and what is imported twice has classes of its own
    sys.modules[full] = module
    return module


traffic, machines, candidates, line = _module("traffic"), _module("machines"), _module("candidates"), _module("line")
virtual = _module("virtual", traffic=traffic, machines=machines, candidates=candidates, line=line)
tenants = _module("tenants", machines=machines, virtual=virtual)


def conversation(*prompts: tuple[int, ...]) -> list:
    """Mooncake rows: block ids, the last block holding 240 tokens (30 after shrinking)."""
    texts = traffic.Conversations()
    return [texts.messages(blocks, 30, 20) for blocks in prompts]


def test_prompts_that_share_blocks_share_text() -> None:
    one, other = conversation((0, 1, 2, 3), (0, 1, 2, 4))

    assert one[0] == other[0]
    assert one[0][0] == "system"
    shared = 2 * traffic.BLOCK_TOKENS * 4
    assert one[1][1][:shared] == other[1][1][:shared]
    assert one[1][1] != other[1][1]


def test_the_next_turn_repeats_the_last_question_then_the_answer_then_asks() -> None:
    first, second = conversation((0, 1, 2), (0, 1, 5, 6))

    assert [role for role, _ in second] == ["system", "user", "assistant", "user"]
    assert second[:2] == first
    assert len(second[2][1]) == 20 * 4


@pytest.mark.parametrize("name", traffic.NAMES)
def test_a_trace_is_the_same_each_time_and_has_the_length_it_says(name: str) -> None:
    once, again = (traffic.read(name, None, count=40, seed=3) for _ in range(2))

    assert once == again
    assert [a.at_s for a in once] == sorted(a.at_s for a in once)
    for arrival in once:
        text = sum(len(text.encode()) for _, text in arrival.messages)
        assert text // 4 + 4 * len(arrival.messages) == pytest.approx(arrival.prompt_tokens, abs=1)


def test_a_trace_can_be_played_at_any_rate() -> None:
    arrivals = traffic.at_rate(traffic.read("conv", None, count=50), 5.0)

    assert arrivals[-1].at_s == pytest.approx(10.0)


def play(balancer: str, load: float, *, healthy: bool = False, seed: int = 0, promise=None, seconds: float = 20.0, make=None):
    fleet = machines.Machines(4, seconds, is_healthy=healthy)
    tasks, arrivals = virtual.workload("mooncake", None, fleet, load, seed)
    chosen = (make or virtual.BALANCERS_HERE[balancer])()
    return virtual.VirtualFleet(fleet, chosen, promise=promise, seed=seed).play(virtual.fresh(tasks, arrivals))


def test_the_same_seed_gives_the_same_run() -> None:
    assert play("power_of_two", 60).ttfts() == play("power_of_two", 60).ttfts()


def test_a_healthy_fleet_answers_everybody() -> None:
    outcome = play("least_loaded", 40, healthy=True)

    assert (outcome.errors, len(outcome.ttfts())) == (0, len(outcome.tasks))
    assert 0 < outcome.attained <= 1


def test_only_streams_under_way_die_with_their_endpoint() -> None:
    outcome = play("least_loaded", 60)

    assert {task.error for task in outcome.tasks} <= {"", "ConnectionLost"}
    assert all(task.ttft_s is not None for task in outcome.tasks)


@pytest.mark.parametrize("balancer", ["prefix", "hashed"])
def test_affinity_finds_more_in_the_cache_than_chance(balancer: str) -> None:
    assert play(balancer, 60).hit_rate > play("power_of_two", 60).hit_rate


def test_a_promise_without_slots_turns_away_those_who_would_come_late_and_serves_more_in_time() -> None:
    without, with_one = (play("prefix", 250, seconds=40.0, promise=promise) for promise in (None, virtual.Promise()))

    assert {task.error for task in with_one.tasks} >= {"shed"}
    assert with_one.attained > 2 * without.attained
    assert virtual.quantile(with_one.ttfts(), 0.95) < virtual.quantile(without.ttfts(), 0.95) / 2


def test_a_full_home_keeps_most_of_what_it_would_keep_otherwise() -> None:
    promise = virtual.Promise(slots=6)

    assert play("prefix", 80, promise=promise).hit_rate > 1.5 * play("least_loaded", 80, promise=promise).hit_rate


def test_processes_that_tell_each_other_find_more_than_strangers() -> None:
    def found(**how) -> float:
        return play("prefix", 60, make=lambda: candidates.Processes(4, virtual.BALANCERS_HERE["prefix"], **how)).hit_rate

    assert found() > found(strangers=True)


def test_cache_aware_follows_text_until_one_endpoint_has_far_more_requests() -> None:
    def view(id_: str, in_flight: int = 0) -> EndpointView:
        return EndpointView(id_, EndpointState.HEALTHY, in_flight, 0, None)

    balancer, one, other = candidates.CacheAware(absolute=8), a_request("x" * 500), a_request("y" * 500)
    views = [view("small/0"), view("small/1")]
    home, rng = balancer.pick(one, views, Random(1)), Random(1)
    some = [view(each.id, 2 if each.id == home else 0) for each in views]

    assert balancer.pick(other, some, rng) != home  # what nobody knows goes where the fewest requests are
    assert balancer.pick(one, some, rng) == home
    busy = [view(each.id, 9 if each.id == home else 0) for each in views]
    assert balancer.pick(one, busy, rng) != home


def test_longer_answers_stay_longer_and_so_more_are_in_hand() -> None:
    fleet = machines.Machines(4, 20.0)
    slots = {name: virtual.slots_in_time(virtual.tasks_of(traffic.read(name, None, count=60)), fleet) for name in ("conv", "code")}

    assert slots["conv"] > slots["code"] >= 1


@pytest.mark.parametrize("load", [60, 110])
def test_prefix_serves_more_in_time_than_what_follows_text_or_counts_requests(load: float) -> None:
    ours, *others = (play(balancer, load, seconds=40.0) for balancer in ("prefix", "cache_aware", "least_requests", "round_robin"))

    assert all(ours.attained > other.attained for other in others)
    if load < 100:
        assert all(virtual.quantile(ours.ttfts(), 0.95) < virtual.quantile(other.ttfts(), 0.95) for other in others)


def test_nearly_as_much_is_found_as_by_what_follows_text_whatever_waits_there() -> None:
    for load in (60, 130):
        ours, other = (play(balancer, load, seconds=40.0) for balancer in ("prefix", "cache_aware"))

        assert ours.hit_rate > other.hit_rate - 0.02, load


def test_several_processes_that_tell_each_other_serve_as_many_in_time_as_one() -> None:
    four = play("prefix", 90, seconds=40.0, make=lambda: candidates.Processes(4, virtual.BALANCERS_HERE["prefix"]))

    assert four.attained > play("prefix", 90, seconds=40.0).attained - 0.05


def test_a_floods_requests_and_anothers_are_told_apart() -> None:
    fleet = machines.Machines(2, 4.0, is_healthy=True)
    flood, few = ([virtual.Task(a, virtual.parse(a.body(virtual.MODEL), virtual.Kind.CHAT), (seed,)) for a in traffic.read("conv", None, count=count, seed=seed)]
                  for seed, count in ((1, 12), (2, 3)))
    mixed = [*tenants.of("flood", flood), *tenants.of("other", few)]
    done, attained = tenants.play(fleet, mixed, 0, is_shared=True, patience_s=30.0)

    assert sum(task.request.caller.tenant == "other" for task in done) == 3
    assert 0.0 < attained <= 1.0
    p50, p95 = tenants.times(done, 30.0, lambda task: task.request.caller.tenant == "other")
    assert 0.0 < p50 <= p95 <= 30.0
