"""A router among the servers that a test needs: they start before it, end after it, and its records and metrics are at hand."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Self

from pointsman.core.record import Record
from pointsman.core.settings import Settings
from pointsman.testing.router import RunningRouter


class Scene:
    """`async with Scene(client, engine, service) as scene: ...await scene.ask("Where is my order?")...`

    A test's own scene says in `settings` what the router is configured with: it is asked when the servers have their ports. What
    has started is ended again, also when something after it does not start.
    """

    def __init__(self, client: Callable[[], AbstractAsyncContextManager[Any]], *servers: AbstractAsyncContextManager[Any]) -> None:
        self._client, self._servers = client, servers

    def settings(self) -> Settings:
        """What the router is configured with."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for server in self._servers:
                await stack.enter_async_context(server)
            self.router = await stack.enter_async_context(RunningRouter(self.settings()))
            self.client = await stack.enter_async_context(self._client())
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._open.aclose()

    async def ask(self, prompt: str = "hi", **fields: Any) -> Record:
        """A chat that is answered; its record."""
        heard = await self.client.chat(self.router.url, prompt, **fields)
        if heard.status != 200:
            raise AssertionError(heard.body)
        await self.router.at_rest()
        return self.router.records()[-1]

    async def page(self) -> str:
        """The metrics."""
        heard = await self.client.get(f"{self.router.root}/metrics")
        return str(heard.body, "utf-8")
