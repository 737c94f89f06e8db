"""The router's side of the helper: starts it, talks to it, starts it again when it dies.

A request that meets a dead helper does not wait for the next one: its check abstains.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from typing import Any, Final

import msgspec

from pointsman.core.verifying import CommandCheck
from pointsman.verification.sandbox.frames import BadFrame, Frames, framed

_log = logging.getLogger(__name__)
NOBODY: Final = 65534
HELLO_S: Final = 5.0
"""A Python that only reads its standard library is there in a tenth of a second."""
PAUSE_S: Final = 0.2
PAUSE_MAX_S: Final = 30.0
"""Between two starts of a helper that dies: doubles up to this."""
END_S: Final = 1.0
GRACE_S: Final = 2.0
"""Beyond a check's own wall limit, for making and clearing its cage."""
_CODE: Final = "import sys; from pointsman.verification.sandbox.warden import main; main(int(sys.argv[1]), sys.argv[2])"


class NoHelper(Exception):
    """No helper is there to run the check."""


class Ran(msgspec.Struct, frozen=True):
    """How a command ended."""

    end: str
    """`exited`, `wall`, `memory`, or `broken`: it could not be run, and nothing can be said about the answer."""
    code: int
    """Exit code; 128 and more: a signal."""
    output: str
    """The end of what it printed."""
    why: str = ""


class Keeper:
    """One helper process, kept alive from `begin` to `aclose`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._base = ""
        self._waiting: dict[int, asyncio.Future[Ran]] = {}
        self._next = 0
        self._hello: asyncio.Future[dict[str, Any]] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ending = False
        self.isolation = ""
        """`namespaces`, `none`, or "" while no helper has said so."""
        self.why_not = ""
        """Why there are no namespaces."""
        self.starts = 0

    @property
    def is_up(self) -> bool:
        return bool(self.isolation) and self._link is not None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def begin(self) -> None:
        """From now on there is a helper, as soon as it has started. Idempotent."""
        if self._listening is None:
            self._ending = False
            self._hello = asyncio.get_running_loop().create_future()
            self._listening = asyncio.get_running_loop().create_task(self._keep())

    async def ready(self) -> None:
        """Until the first helper is there, or has had its time."""
        if self._hello is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HELLO_S):
                    await asyncio.shield(self._hello)

    async def run(self, check: CommandCheck, text: str, wall_s: float) -> Ran:
        """Runs the check's command on `text`. Raises NoHelper; cancelling ends the command."""
        link = self._link
        if link is None or not self.isolation:
            raise NoHelper("the helper process is not there")
        self._next += 1
        number, loop = self._next, asyncio.get_running_loop()
        ended: asyncio.Future[Ran] = loop.create_future()
        self._waiting[number] = ended
        try:
            await loop.sock_sendall(link, framed(_told(number, check, text, wall_s)))
            async with asyncio.timeout(wall_s + GRACE_S):
                return await ended
        except TimeoutError:
            raise NoHelper("the helper process does not answer") from None
        except (OSError, BadFrame) as exc:
            raise NoHelper(f"the helper process cannot be told: {exc}") from exc
        finally:
            self._waiting.pop(number, None)
            if not ended.done() or ended.cancelled():
                await self._cancel(link, number)

    async def aclose(self) -> None:
        """Ends the helper and everything under it. Idempotent."""
        self._ending = True
        task, self._listening = self._listening, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(self._clear)

    async def _cancel(self, link: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            link.send(framed({"cancel": number}))

    # -- its life ------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        pause_s = PAUSE_S
        while not self._ending:
            served = False
            try:
                link = await asyncio.to_thread(self._spawn)
                served = await self._listen(link)
            except OSError as exc:
                _log.error("the helper process for command checks cannot be started: %s", exc)
            self._gone()
            await asyncio.to_thread(self._clear)
            pause_s = PAUSE_S if served else min(PAUSE_MAX_S, pause_s * 2)
            _log.warning("the helper process for command checks is gone; another one starts in %.1f s", pause_s)
            await asyncio.sleep(pause_s)

    def _spawn(self) -> socket.socket:
        ours, its = socket.socketpair()
        try:
            self._base = tempfile.mkdtemp(prefix="pointsman-checks-")
            if os.geteuid() == 0:
                os.chown(self._base, NOBODY, NOBODY)
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter, our own code
                [sys.executable, "-I", "-c", _CODE, str(its.fileno()), self._base], pass_fds=(its.fileno(),), env={}, cwd="/",
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        except BaseException:  # whatever it is, no descriptor stays
            ours.close()
            raise
        finally:
            its.close()
        ours.setblocking(False)
        self._link, self.starts = ours, self.starts + 1
        return ours

    async def _listen(self, link: socket.socket) -> bool:
        """Until the socket closes. True: it has been of use."""
        loop, frames, served = asyncio.get_running_loop(), Frames(), False
        try:
            while data := await loop.sock_recv(link, 65536):
                for message in frames.feed(data):
                    served = self._heard(message) or served
        except (OSError, BadFrame) as exc:
            _log.warning("the helper process for command checks: %s", exc)
        return served

    def _heard(self, message: dict[str, Any]) -> bool:
        if "hello" in message:
            self.isolation, self.why_not = str(message.get("isolation", "none")), str(message.get("why", ""))[:200]
            if self._hello is not None and not self._hello.done():
                self._hello.set_result(message)
            return False
        ended = self._waiting.get(message.get("id", 0))
        if ended is None or ended.done():
            return False
        try:
            ended.set_result(Ran(str(message["end"]), int(message["code"]), str(message["output"]), str(message["why"])))
        except (KeyError, ValueError, TypeError) as exc:
            ended.set_exception(NoHelper(f"the helper process said something strange: {exc!r}"))
        return True

    def _gone(self) -> None:
        self.isolation = ""
        link, self._link = self._link, None
        if link is not None:
            link.close()
        for ended in self._waiting.values():
            if not ended.done():
                ended.set_exception(NoHelper("the helper process died"))

    def _clear(self) -> None:
        """What is left of a helper: its process, and the directories of its checks."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
        process, self._process = self._process, None
        if process is not None:
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        base, self._base = self._base, ""
        if base:
            shutil.rmtree(base, ignore_errors=True)

    def __repr__(self) -> str:
        return f"<Keeper [{self.isolation or 'down'} | {len(self._waiting)} checks, {self.starts} starts]>"


def _told(number: int, check: CommandCheck, text: str, wall_s: float) -> dict[str, Any]:
    return {
        "id": number, "run": list(check.run), "file": check.file, "text": text, "beside": check.beside, "reads": list(check.reads),
        "cpu_s": check.cpu_s, "memory_bytes": check.memory_bytes, "file_bytes": check.file_bytes,
        "open_files": check.open_files, "processes": check.processes, "wall_s": wall_s,
    }
