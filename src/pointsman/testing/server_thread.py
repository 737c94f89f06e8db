"""Servers for callers without an event loop: a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Generic, Protocol, Self, TypeVar


class Running(Protocol):
    """Anything that starts and ends on an event loop: a `ModelServer`, a `Simulator`."""

    async def start(self) -> Any: ...

    async def aclose(self) -> None: ...


T = TypeVar("T")
S = TypeVar("S", bound=Running)


class ServerThread(Generic[S]):
    """Runs one server in a thread, for synchronous tests and SDKs.

    >>> with ServerThread(ModelServer(Answer())) as thread:      # doctest: +SKIP
    ...     OpenAI(base_url=thread.server.url, api_key="x").models.list()

    Attributes of `server` may be read from any thread; `run` calls one of its coroutines.
    """

    def __init__(self, server: S) -> None:
        self.server = server
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.close()

    def start(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pointsman-server-thread", daemon=True)
        self._thread.start()
        try:
            self.run(self.server.start())
        except BaseException:
            self._stop()
            raise
        return self

    def close(self) -> None:
        """Ends the server, then the thread. Idempotent."""
        if self._loop is not None:
            try:
                self.run(self.server.aclose())
            finally:
                self._stop()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float = 60.0) -> T:
        """Runs a coroutine on the server's loop and returns what it returns."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the server thread is not running: call start() first")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def _stop(self) -> None:
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
