"""A site: model servers and a router in front of them, on a loop of their own, as a client's program would find them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from pointsman.config.load import load_text
from pointsman.core.record import Record
from pointsman.testing.day import Answer, Day
from pointsman.testing.model_server import ModelServer, ServerThread
from pointsman.testing.router import RunningRouter

CONFIG = """
tiers:
  small:
    model: small-model
    capabilities: {{context: 8192, tools: true, json_schema: true, logprobs: true}}
    endpoints: [{{url: "{small}", gpu: {{type: RTX 4090, usd_per_hour: 0.51, tokens_per_s: 1000}}}}]
  large:
    model: large-model
    capabilities: {{context: 32768}}
    endpoints: [{{url: "{large}", usd_per_million: {{input: 0.88, output: 0.88}}}}]
pools:
  vectors:
    model: vector-model
    capabilities: {{embeddings: true}}
    endpoints: [{{url: "{small}", model: served-vectors, usd_per_million: {{input: 0.02, output: 0}}}}]
routes:
  auto:
    ladder: [small, large]
    ttft_timeout: {patience}
    stall_timeout: {patience}
    answer_timeout: {patience}
    pipeline: [rules, "pinned:small"]
    rules: [{{when: {{regex: "(?i)prove"}}, tier: large, reason: proofs}}]
{more}
"""


class Site:
    """Two model servers, small and large, and the router of `CONFIG` before them. Starts and ends on one loop."""

    def __init__(self, small: ModelServer, large: ModelServer, patience: str, more: str) -> None:
        self.small, self.large = small, large
        self._patience, self._more = patience, more
        self._router: RunningRouter | None = None

    @property
    def router(self) -> RunningRouter:
        if self._router is None:
            raise RuntimeError("the site has not started")
        return self._router

    async def start(self) -> None:
        for server in (self.small, self.large):
            await server.start()
        text = CONFIG.format(small=self.small.url, large=self.large.url, patience=self._patience, more=self._more)
        self._router = RunningRouter(load_text(text, environ={"APP_KEY": "sk-app", "TEAM_KEY": "sk-team"}))
        await self._router.__aenter__()

    async def aclose(self) -> None:
        if self._router is not None:
            await self._router.__aexit__(None, None, None)
        for server in (self.small, self.large):
            await server.aclose()


class Visit:
    """A running site, seen from a client's thread. Shows only what has happened since the visit began."""

    def __init__(self, thread: ServerThread[Site]) -> None:
        self._thread = thread
        self.small, self.large = thread.server.small, thread.server.large
        self._clients: list[openai.OpenAI] = []
        self._earlier = len(thread.server.router.records())
        for server in (self.small, self.large):
            server.requests.clear()

    @property
    def url(self) -> str:
        return self._thread.server.router.url

    @property
    def records(self) -> list[Record]:
        return self._thread.server.router.records()[self._earlier:]

    @property
    def leases(self) -> int:
        return self._thread.server.router.leases

    def sdk(self, **options: Any) -> openai.OpenAI:
        """The official client; no retries of its own unless the test is about them."""
        client = openai.OpenAI(**({"base_url": self.url, "api_key": "sk-app", "max_retries": 0} | options))
        self._clients.append(client)
        return client

    def wait_for(self, server: ModelServer, holds: Callable[[], object]) -> None:
        self._thread.run(server.wait_for(holds))

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture(scope="session")
def sunny_site() -> Iterator[ServerThread[Site]]:
    """One site for all tests in which nothing goes wrong: nothing of them is left behind in its health."""
    with ServerThread(Site(ModelServer(), ModelServer(), "5s", "")) as thread:
        yield thread


@pytest.fixture
def visit(request: pytest.FixtureRequest) -> Callable[..., contextlib.AbstractContextManager[Visit]]:
    """`with visit(days.Answer("hi")) as site: site.sdk().chat...`: the small tier's days, then options."""

    @contextlib.contextmanager
    def visiting(*days: Day, large: tuple[Day, ...] = (), patience: str = "5s", more: str = "") -> Iterator[Visit]:
        with contextlib.ExitStack() as stack:
            if more == "" and patience == "5s" and all(isinstance(day, Answer) for day in (*days, *large)):
                thread = request.getfixturevalue("sunny_site")
                for server, script in ((thread.server.small, days), (thread.server.large, large)):
                    server.days = list(script) or [Answer()]
            else:
                thread = stack.enter_context(ServerThread(Site(ModelServer(*days), ModelServer(*large), patience, more)))
            there = Visit(thread)
            stack.callback(there.close)
            yield there

    return visiting
