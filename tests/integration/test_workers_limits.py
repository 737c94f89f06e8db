"""Two worker processes before one engine of twenty places, crowded for seconds: the engine counts for itself, and never has a
tenth more than its places.

Clients come and go in every way there is: short answers and long ones, plain and streamed, some that leave in the middle.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import msgspec
import pytest

from pointsman.testing import days
from pointsman.testing import openai_shapes as shapes
from pointsman.testing.model_server import ModelServer, ServerThread
from pointsman.testing.wire import chunk

from .test_workers import CONFIG, Router, folder

__all__ = ["folder"]

PLACES, MOST = 20, 22
CLIENTS, SECONDS, LEAVES = 64, 3.0, 0.1
"""A tenth of the questions is asked by somebody who goes away within a tenth of a second."""
QUESTION = msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": "hi"}]})
STREAMED = msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": "hi"}], "stream": True})


class Crowd:
    """Whom the engine is serving, as it sees it itself."""

    def __init__(self) -> None:
        self.now = self.most = self.served = 0
        self.rng = Random(4)


class Counted(days.Day):
    """Takes 5 to 25 ms, every fifth time 100 to 300."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd

    async def serve(self, exchange: days.Exchange) -> None:
        crowd = self.crowd
        crowd.now += 1
        crowd.served += 1
        crowd.most = max(crowd.most, crowd.now)
        long = crowd.rng.random() < 0.2
        passing = asyncio.ensure_future(asyncio.sleep(crowd.rng.uniform(0.1, 0.3) if long else crowd.rng.uniform(0.005, 0.025)))
        try:
            if exchange.asked.stream:
                exchange.open_stream()
                events = [chunk(shapes.sse(event)) for event in (*days.Answer().events(exchange), b"[DONE]")]
                exchange.send(b"".join(events[:2]))
                await passing
            else:
                await passing
        finally:
            passing.cancel()
            crowd.now -= 1  # before the answer is out: whoever hears its end may send the next one at once
        if exchange.asked.stream:
            exchange.send(b"".join(events[2:]) + chunk(b""))
        else:
            exchange.connection.reply(200, days.Answer().body(exchange))


class Client:
    """Asks again and again on one connection, which it now and then leaves in the middle of an answer."""

    def __init__(self, port: int, seed: int) -> None:
        self.port, self.rng = port, Random(seed)
        self.answered = self.left = 0
        self.other: list[bytes] = []

    async def ask_until(self, until: float) -> None:
        now = asyncio.get_running_loop().time
        while now() < until:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                while now() < until and await self._ask(reader, writer):
                    pass
            finally:
                writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """False: the connection is used up."""
        streams = self.rng.random() < 0.4
        body = STREAMED if streams else QUESTION
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                     % (len(body), body))
        patience = self.rng.uniform(0.0, 0.1) if self.rng.random() < LEAVES else 120.0
        try:
            async with asyncio.timeout(patience):
                head = await reader.readuntil(b"\r\n\r\n")
                if b"content-length: " in head.lower():
                    await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
                else:
                    await reader.readuntil(b"\r\n0\r\n\r\n")
        except TimeoutError:
            self.left += 1
            return False
        if head.startswith(b"HTTP/1.1 200"):
            self.answered += 1
        else:
            self.other.append(head)
        return b"connection: close" not in head.lower()


async def crowd_in(port: int) -> list[Client]:
    until = asyncio.get_running_loop().time() + SECONDS
    clients = [Client(port, seed) for seed in range(CLIENTS)]
    await asyncio.gather(*(client.ask_until(until) for client in clients))
    return clients


@pytest.mark.parametrize("limit", ["slots", "max_in_flight"])
def test_an_engine_never_has_a_tenth_more_than_its_places_however_they_come_and_go(folder: Path, limit: str) -> None:
    crowd = Crowd()
    with ServerThread(ModelServer(Counted(crowd))) as engine:
        places = f"slots: {PLACES}" + (f", max_in_flight: {PLACES}" if limit == "max_in_flight" else "")
        endpoint = f'{{url: "{engine.server.url}", {places}, usd_per_million: {{input: 1, output: 2}}}}'
        (folder / "router.yaml").write_text(
            CONFIG.format(model="small-model", endpoints=endpoint).replace("    health:", "    queue: {size: 500, max_wait: 60s}\n    health:"))
        with Router(folder) as router:
            clients = asyncio.run(crowd_in(router.port))

            def in_flight() -> int:
                (seen,) = router.admin("/state")["pools"]["small"]["endpoints"]
                return int(seen["in_flight"] + seen["in_flight_elsewhere"])

            router.until(lambda: in_flight() == sum(worker["in_flight"] for worker in router.workers()) == 0)

    assert [client.other for client in clients if client.other] == []
    assert sum(client.answered for client in clients) > 4 * PLACES
    assert sum(client.left for client in clients) > 0
    assert crowd.most >= PLACES - 2, "it was crowded"
    assert crowd.most <= MOST
    assert crowd.now == 0
