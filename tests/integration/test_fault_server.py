"""The fault server and the fault proxy do what they are told, byte for byte, and see who leaves."""

from __future__ import annotations

import asyncio
import time

import pytest

from pointsman.testing import fault_answers as answers
from pointsman.testing.fault_oracle import Oracle
from pointsman.testing.fault_proxy import FaultProxy, Toxics
from pointsman.testing.fault_server import FaultServer
from pointsman.testing.fault_steps import Close, Drip, Reset, Scenario, Send, Stall


def ask(server, request="r1", *, stream=True, **more):
    return Oracle(server.port, allowed_s=5.0).ask(request, model="m", stream=stream, **more)


@pytest.mark.parametrize("stream", [True, False])
def test_a_right_answer_is_billed_and_complete(stream):
    async def story():
        async with FaultServer() as server:
            assert (await ask(server, stream=stream)).ended == "complete"
            (entry,) = server.ledger.of("r1")
            assert (entry.is_complete, entry.phase, entry.billed) == (True, "answered", len(answers.pieces_of("r1")))

    asyncio.run(story())


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("reads", ["whole", "part"])
def test_the_ledger_tells_how_the_peer_left_and_what_was_billed_by_then(how, reads):
    scenario = Scenario(lambda asked: [*answers.sends(asked, 2), Stall()], reads=reads, part_bytes=200)

    async def story():
        async with FaultServer(scenario) as server:
            leave = asyncio.Event()
            leaving = asyncio.create_task(Oracle(server.port, allowed_s=5).leave("r1", model="m", stream=True, after=leave, how=how))
            while not server.ledger.of("r1") or server.ledger.of("r1")[0].billed < 2:
                await asyncio.sleep(0)
            leave.set()
            left_at = await leaving
            (entry,) = server.ledger.of("r1")
            while entry.is_running:
                await asyncio.sleep(0)
            assert (entry.ended, entry.phase, entry.billed, entry.is_complete) == (how, "over", 2, False)
            assert entry.ended_at is not None
            assert entry.ended_at - left_at < 0.5

    asyncio.run(story())


def test_other_paths_are_answered_as_the_story_says_anew_each_time():
    asked = iter(("one", "two"))

    async def got(server, path):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        answer = await reader.readuntil(b"\r\n\r\n") + await reader.read(3)
        writer.close()
        await writer.wait_closed()
        return answer

    async def story():
        async with FaultServer(get={"/metrics": lambda: [Send(answers.plain("200 OK", next(asked).encode()))]}) as server:
            assert (await got(server, "/metrics")).endswith(b"one")
            assert (await got(server, "/metrics?x=1")).endswith(b"two")

    asyncio.run(story())


def test_resets_closes_and_drips_reach_the_client():
    async def story():
        async with FaultServer(Scenario(lambda asked: [Reset()])) as server:
            assert "reset" in str(await ask(server)).lower()
        async with FaultServer(Scenario(lambda asked: [Send(b"HTTP/1.1 200 OK\r\n"), Close()])) as server:
            assert "no complete response head in 17 bytes" in str(await ask(server))
        whole = answers.plain("200 OK", answers.completion("r1"))
        async with FaultServer(Scenario(lambda asked: [Drip(whole, 0.0, 7)])) as server:
            assert (await ask(server, stream=False)).ended == "complete"

    asyncio.run(story())


def test_a_closed_port_refuses_and_a_full_queue_says_nothing():
    async def story():
        async with FaultServer(Scenario(lambda asked: [], listens=False)) as server:
            assert (await ask(server)).ended == "unreachable"
        async with FaultServer(Scenario(lambda asked: [], accepts=False)) as server:
            began = time.monotonic()
            assert (await Oracle(server.port, allowed_s=0.2).ask("r1", model="m", stream=True)).ended == "hung"
            assert time.monotonic() - began >= 0.19

    asyncio.run(story())


def test_a_mistake_in_a_scenario_is_raised_at_the_end():
    def mistaken(asked):
        raise ZeroDivisionError

    async def story():
        async with FaultServer(Scenario(mistaken)) as server:
            assert (await ask(server)).ended == "broken"

    with pytest.raises(ZeroDivisionError):
        asyncio.run(story())


@pytest.mark.parametrize("toxics", [Toxics(), Toxics(slice=1), Toxics(latency_s=0.001, jitter_s=0.001), Toxics(bandwidth=1_000_000)])
def test_a_slow_line_changes_no_byte(toxics):
    async def story():
        async with FaultServer() as server, FaultProxy(server.port, toxics) as proxy:
            assert (await ask(proxy)).ended == "complete"

    asyncio.run(story())


@pytest.mark.parametrize(("toxics", "what"), [
    (Toxics(limit=300), "cut"), (Toxics(reset=300), "reset"), (Toxics(half_close=300), "cut"), (Toxics(corrupt=250), ""),
])
def test_a_bad_line_spoils_the_answer(toxics, what):
    async def story():
        async with FaultServer() as server, FaultProxy(server.port, toxics) as proxy:
            seen = await ask(proxy)
            assert seen.ended == "broken"
            assert what in str(seen).lower()

    asyncio.run(story())


@pytest.mark.parametrize("toxics", [Toxics(blackhole=300), Toxics(stall=300), Toxics(deaf=True)])
def test_a_dead_line_tells_nobody(toxics):
    async def story():
        async with FaultServer() as server, FaultProxy(server.port, toxics) as proxy:
            assert (await Oracle(proxy.port, allowed_s=0.1).ask("r1", model="m", stream=True)).ended == "hung"
            while proxy.open_lines:  # the client's leaving ends the line
                await asyncio.sleep(0)

    asyncio.run(story())
