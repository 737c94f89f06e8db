"""A small part of the fault matrix (`make matrix` has all of it), with the router in this process: nothing may be left in it."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from pointsman.core.settings import HealthSettings, RouteSettings
from pointsman.testing.factories import a_pool, a_settings
from pointsman.testing.fault_connections import CONNECTIONS, LINES
from pointsman.testing.fault_oracle import Oracle
from pointsman.testing.fault_proxy import FaultProxy
from pointsman.testing.fault_replies import STATUSES, STREAMS
from pointsman.testing.fault_server import FaultServer
from pointsman.testing.fault_steps import Scenario, Stall
from pointsman.testing.router import RunningRouter

FAULTS = {fault.id: fault for fault in (*CONNECTIONS, *STATUSES, *STREAMS, *LINES)}
SOME = ("U01", "U05", "U06", "U07", "U13-neg", "U15-split", "U16", "U17", "U21-502", "U23-401", "U28-flood", "U34", "U35-huge", "U36-cr",
        "U39-first", "U42", "U44", "U45-stall", "L-half")


def a_router(*urls_of_tiers):
    tiers = ("bad", "good")[: len(urls_of_tiers)]
    health = HealthSettings(eject_s=0.1, eject_max_s=0.1, cooldown_max_s=0.1)
    pools = [a_pool(name, *urls, health=health) for name, urls in zip(tiers, urls_of_tiers, strict=True)]
    route = RouteSettings("auto", ladder=tiers, default_tier="bad", pipeline=("pinned:bad",), deadline_s=4.0, ttft_timeout_s=0.4,
                          stall_timeout_s=0.3, answer_timeout_s=0.5)
    return RunningRouter(a_settings(*pools, route=route))


def tasks():
    """The router's: what the upstreams run in this process does not count."""
    files = [task.get_coro().cr_code.co_filename for task in asyncio.all_tasks()]
    return sum("fault_" not in file for file in files)


async def settled(router, tasks_before):
    """Leases, requests and tasks are what they were."""
    for _ in range(300):
        if not router.leases and not router.service.gateway.in_flight and tasks() <= tasks_before:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"left behind: {router.leases} leases, {router.service.gateway.in_flight} requests, "
                         f"{tasks() - tasks_before} tasks")


CASES = [(fault, stream) for fault in SOME for stream in (True, False) if FAULTS[fault].kind(stream=stream)]
ALLOWED = {"before": {"complete"}, "fine": {"complete"}, "during": {"error", "complete"}, "either": {"complete", "error"}}


@pytest.mark.parametrize(("fault", "stream"), CASES, ids=lambda value: {True: "streamed", False: "plain"}.get(value, value))
def test_a_fault_beside_a_tier_that_answers(fault, stream):
    it = FAULTS[fault]

    async def story():
        good = FaultServer(name="good")
        bad = FaultServer(it.scenario, ledger=good.ledger, name="bad")
        async with bad, good, FaultProxy(bad.port, it.toxics(Random(1)) if it.toxics else None) as proxy:
            async with a_router([proxy.url if it.toxics else bad.url], [good.url]) as router:
                oracle, before = Oracle(router.service.port, allowed_s=5.0), tasks()
                for i in range(3):
                    seen = await oracle.ask(f"r{i}", model="auto", stream=stream, padding=it.padding)
                    assert seen.ended in ALLOWED[it.kind(stream=stream)], str(seen)
                await settled(router, before)
                assert sorted(record.client_request_id for record in router.records()) == ["r0", "r1", "r2"]

    asyncio.run(story())


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_an_engine_that_reads_nothing_learns_that_the_client_left(how):
    """The request waits in the kernel: a FIN behind it would never arrive."""
    stuck = Scenario(lambda asked: [Stall()], reads="part", part_bytes=700, receive_buffer=4096)

    async def story():
        async with FaultServer(stuck) as server, a_router([server.url]) as router:
            leave, loop = asyncio.Event(), asyncio.get_running_loop()
            leaving = asyncio.create_task(
                Oracle(router.service.port, allowed_s=5).leave("r1", model="auto", stream=False, after=leave, how=how, padding=1_500_000))
            while not server.ledger.of("r1"):
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.1)
            leave.set()
            left_at = await leaving
            (entry,) = server.ledger.of("r1")
            while entry.is_running and loop.time() - left_at < 2:
                await asyncio.sleep(0.001)
            assert entry.ended == "rst"
            assert entry.ended_at - left_at < 0.25

    asyncio.run(story())
