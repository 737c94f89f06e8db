"""Is a record on the disk before its answer's last byte leaves? Read from what the kernel was asked for, in order.

Pulling the plug of a machine can be tried once. So the router is watched by strace while it answers one request after the other, each on a
connection of its own: the answer number k may send its last bytes only when k records have been flushed. What a drive says
it has flushed and has not is beyond this.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import signal
from pathlib import Path

_LINE = re.compile(r"^(?P<thread>\d+) +(?P<call>.*)$")
_FLUSH = re.compile(r"^fsync\(\d+<[^>]*/spool-[^>]*>\) += 0")
_FLUSH_BEGUN = re.compile(r"^fsync\(\d+<[^>]*/spool-[^>]*>")
_FLUSH_ENDED = re.compile(r"^<\.\.\. fsync resumed>.*= 0")
_SEND = re.compile(r"^(?:write|writev|sendto|sendmsg)\(\d+<TCP:\[127\.0\.0\.1:(?P<ours>\d+)->(?P<client>[^\]]+)\]>")


def answers_in(trace: str, port: int) -> tuple[int, int]:
    """(answers sent to clients of `port`, those whose last bytes left before a record for each had been flushed)."""
    flushed, flushing = 0, set[str]()
    flushed_at_last_send: dict[str, int] = {}
    for line in trace.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        thread, call = found["thread"], found["call"]
        if _FLUSH.match(call):
            flushed += 1
        elif _FLUSH_BEGUN.match(call):
            flushing.add(thread)
        elif thread in flushing and _FLUSH_ENDED.match(call):
            flushing.remove(thread)
            flushed += 1
        elif (send := _SEND.match(call)) and int(send["ours"]) == port:
            flushed_at_last_send[send["client"]] = flushed
    late = sum(count < number for number, count in enumerate(flushed_at_last_send.values(), 1))
    return len(flushed_at_last_send), late


def may_watch() -> str:
    """Why not, or ""."""
    return "" if shutil.which("strace") else "strace is not installed"


class Watched:
    """`async with Watched(pid, file)`: what a process asks the kernel for goes into `file`."""

    def __init__(self, pid: int, file: Path) -> None:
        self._pid, self._file = pid, file
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Watched:
        self._process = await asyncio.create_subprocess_exec(
            "strace", "-f", "-yy", "-s", "16", "-e", "trace=fsync,write,writev,sendto,sendmsg", "-o", str(self._file), "-p", str(self._pid),
            stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
        stderr = self._process.stderr
        if stderr is None or b"attached" not in (said := await stderr.readline()):
            raise RuntimeError(f"strace does not watch: {said.decode() if stderr else ''}")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)
            await self._process.communicate()
