"""What a real vLLM publishes about its prefix cache, and what the router makes of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import msgspec
import pytest
from client import Client
from engine import NAME, Vllm, free_port
from fleet import a_fleet, a_pool

from pointsman.core.request import Message
from pointsman.pools.balancers.beginnings import read
from pointsman.testing.factories import a_request
from pointsman.testing.router import RunningRouter

pytest.importorskip("zmq")


@pytest.fixture(scope="module")
def telling() -> Iterator[tuple[Vllm, str, str]]:
    """An engine with room for 1,536 tokens in blocks of 128 that says what it keeps, and where it says so (again)."""
    events, replay = free_port(), free_port()
    said = {"enable_kv_cache_events": True, "publisher": "zmq", "endpoint": f"tcp://*:{events}", "replay_endpoint": f"tcp://*:{replay}"}
    with Vllm("--max-num-seqs", "4", "--num-gpu-blocks-override", "12", "--kv-events-config", json.dumps(said)) as engine:
        yield engine, f"tcp://127.0.0.1:{events}", f"tcp://127.0.0.1:{replay}"


def prompt(name: str) -> list[dict[str, str]]:
    """Some 640 tokens that no other name shares: a byte is a token."""
    return [{"role": "system", "content": f"{name}: " + f"{name} " * (600 // (len(name) + 1))}, {"role": "user", "content": "Count, please."}]


def numbers(messages: list[dict[str, str]]) -> set[int]:
    """Of a prompt's beginnings."""
    request = a_request(messages=tuple(Message(m["role"], m["content"]) for m in messages))
    return {number for number, _ in read(request).parts}


async def until(true, what, seconds: float = 120.0) -> float:
    """Seconds until it is so. `what()` says what is there instead. So patient: the machine is shared."""
    begun = time.monotonic()
    while not true():
        if time.monotonic() - begun > seconds:
            raise AssertionError(what())
        await asyncio.sleep(0.05)
    return time.monotonic() - begun


def test_what_the_engine_keeps_is_known_and_what_it_overwrites_is_forgotten(telling, measured):
    engine, events, replay = telling

    async def story():
        # Two names of one engine: a pool of one asks no balancer.
        pool = a_pool("small", engine.url, engine.url.replace("127.0.0.1", "localhost"), balancer="prefix", kv_events=events, kv_replay=replay)
        async with RunningRouter(a_fleet(pool)) as router, Client() as client:
            follower = router.service._follower

            def memory():
                """Of now: what the engines say of themselves soon after the start makes new pools."""
                return router.service.gateway.graph.fleet.pools["small"].memory

            def knows(messages) -> bool:
                return any(number in memory()._memory(f"small/{i}") for number in numbers(messages) for i in range(2))

            def saw(what: str) -> str:
                told = {i: list(memory()._memory(f"small/{i}").numbers) for i in range(2)}
                sent = {name: sorted(numbers(prompt(name))) for name in ("first", "second", "third", "fourth", "fifth")}
                picked = [(record.attempts[-1].endpoint, record.outcome) for record in router.records()]
                return f"{what}: {follower.status()}, known {told}, prompts {sent}, went to {picked}"

            first = prompt("first")
            answer = await client.chat(router.url, messages=first, max_tokens=2)
            assert answer.status == 200, answer.body
            believed_s = await until(lambda: follower.counts["believed"] >= 2, lambda: saw("nothing believed"))
            status = follower.status()
            assert follower.counts["failed"] == 0, saw("not asked")
            assert {place["block_tokens"] for place in status["endpoints"].values()} == {128}, status
            assert knows(first), saw("believed and not known")
            blocks = max(place["blocks"] for place in status["endpoints"].values())

            for other in ("second", "third", "fourth", "fifth"):
                answer = await client.chat(router.url, messages=prompt(other), max_tokens=2)
                assert answer.status == 200, answer.body
            await until(lambda: not knows(first), lambda: saw("never forgotten"))
            assert knows(prompt("fifth")), saw("the latest is not known")
            measured(f"{blocks} blocks of 128 tokens told, believed {believed_s:.1f} s after sending; four other prompts later forgotten")

    asyncio.run(story())


def test_who_comes_late_is_told_again(telling, measured):
    engine, events, replay = telling

    async def story():
        async with Client() as client:
            await client.chat(engine.url, model=NAME, messages=prompt("early"), max_tokens=2)  # not through the router
        pool = a_pool("small", engine.url, engine.url.replace("127.0.0.1", "localhost"), balancer="prefix", kv_events=events, kv_replay=replay)
        async with RunningRouter(a_fleet(pool)) as router:
            follower = router.service._follower
            await until(lambda: follower.status()["endpoints"].get("small/0", {}).get("is_whole"), lambda: f"not told again: {follower.status()}")
            held = follower._held["small/0"]
            tokens = await router.service._tokens.of(
                pool.endpoints[0], a_request(body=msgspec.json.encode({"messages": prompt("early")})), asyncio.get_running_loop().time() + 60)
            # The engine publishes from a thread of its own: the last blocks may come a moment after the answer.
            await until(lambda: len(held.chain(tokens)) == len(tokens) // 128,
                        lambda: f"{len(held.chain(tokens))} blocks of {len(tokens)} tokens known: {follower.status()}")
            measured(f"{len(held)} blocks known without a request; a prompt sent past the router found in all of its {len(tokens) // 128}")

    asyncio.run(story())
