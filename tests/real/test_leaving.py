"""Clients that leave: the real engine stops working for them."""

from __future__ import annotations

import asyncio
import time

import pytest
from client import Client, asked
from engine import Load, Vllm
from fleet import a_fleet, a_pool

from pointsman.testing.router import RunningRouter

ENGINE_S = 5.0
"""The engine notices at its next step; the metrics a step later. Seconds only because the machine is shared."""


async def becomes(engine: Vllm, metric: str, value: float) -> float:
    """Seconds until the engine's gauge is at `value`."""
    began = time.monotonic()
    while await asyncio.to_thread(engine.metric, metric) != value:
        assert time.monotonic() - began < 30
        await asyncio.sleep(0.05)
    return time.monotonic() - began


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
def test_whoever_leaves_frees_the_seat_at_the_engine(calm, measured, stream):
    async def story():
        async with RunningRouter(a_fleet(a_pool("small", calm.url))) as router, Client() as client:
            aborted = calm.metric("vllm:request_success_total")
            answers = [client.begin(router.url, stream=stream, max_tokens=900) for _ in range(3)]
            await becomes(calm, "vllm:num_requests_running", 3)
            for _, task in answers:
                task.cancel()
            left = time.monotonic()
            while router.leases:
                await asyncio.sleep(0.005)
            own_s = time.monotonic() - left
            engine_s = await becomes(calm, "vllm:num_requests_running", 0)
            assert own_s < 1.0
            assert engine_s < ENGINE_S
            await asyncio.gather(*(task for _, task in answers), return_exceptions=True)
            assert {record.outcome for record in router.records()} == {"cancelled"}
            # Why nothing here reads that counter: three were aborted, and it did not move.
            measured(f"leases closed after {own_s * 1000:.0f} ms, engine at 0 running after {engine_s:.2f} s; "
                     f"its success counter moved by {calm.metric('vllm:request_success_total') - aborted:.0f}")

    asyncio.run(story())


def test_whoever_leaves_while_still_in_the_engines_queue_leaves_the_queue(calm, measured):
    async def story():
        async with RunningRouter(a_fleet(a_pool("small", calm.url))) as router, Client() as client:
            with Load(calm, 8, max_tokens=100):
                _, task = client.begin(router.url, stream=True, max_tokens=900, messages=asked()["messages"] * 20)
                await asyncio.sleep(1.0)
                assert router.leases == 1
                task.cancel()
                left = time.monotonic()
                while router.leases:
                    await asyncio.sleep(0.005)
                own_s = time.monotonic() - left
            engine_s = await becomes(calm, "vllm:num_requests_running", 0)
            assert own_s < 1.0
            assert await asyncio.to_thread(calm.metric, "vllm:num_requests_waiting") == 0
            assert engine_s < 2 * ENGINE_S
            measured(f"lease closed after {own_s * 1000:.0f} ms, nothing of it left at the engine")

    asyncio.run(story())
