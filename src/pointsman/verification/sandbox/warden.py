"""The helper: a small process, started before any request, that runs checks in cages and tells how they ended.

It has an empty environment and one descriptor, a socket to the router; started as root it becomes nobody first. What it
is told to run comes from the configuration; what a request brings is only ever the text of a file. For each check it forks
a minder, which waits with a clock in its hand; when the socket closes, everything under it ends.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time
from typing import Any, Final, NamedTuple, NoReturn

from pointsman.verification.sandbox import cage, linux
from pointsman.verification.sandbox.frames import BadFrame, Frames, framed

NOBODY: Final = 65534
OUTPUT_KEPT: Final = 2048
"""Bytes of the end of a command's output: a score, or the last line of a failure."""
LOOK_S: Final = 0.05
"""How often the memory of all processes of a check is added up."""
ORPHANS_S: Final = 2.0
"""How long processes that multiply while they are being ended are run after."""
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class _Minder(NamedTuple):
    """Of one check."""

    check: int
    pid: int
    directory: str
    said: bytearray


class Warden:
    """Its loop. One thread, no waiting but for the socket and the minders' pipes."""

    def __init__(self, link: socket.socket, base: str) -> None:
        self._link, self._base = link, base
        self._frames = Frames()
        self._selector = selectors.DefaultSelector()
        # Pipe -> what has been said on it so far, by whom.
        self._minders: dict[int, _Minder] = {}
        self.why_not = cage.can_part(os.geteuid(), os.getegid())
        """Why there are no namespaces; "" = there are."""

    def run(self) -> None:
        """Until the socket closes."""
        self._tell({"hello": 1, "isolation": "none" if self.why_not else "namespaces", "why": self.why_not})
        self._selector.register(self._link, selectors.EVENT_READ)
        try:
            while True:
                for key, _ in self._selector.select():
                    if key.fileobj is self._link:
                        data = self._link.recv(65536)
                        if not data:
                            return
                        for message in self._frames.feed(data):
                            self._told(message)
                    else:
                        self._heard(key.fd)
        finally:
            for minder in self._minders.values():
                _kill(minder.pid)
            _end_orphans(frozenset())

    def _told(self, message: dict[str, Any]) -> None:
        if "cancel" in message:
            for minder in self._minders.values():
                if minder.check == message["cancel"]:
                    _kill(minder.pid)
            return
        directory = tempfile.mkdtemp(prefix="check-", dir=self._base)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            _mind(message, directory, write, apart=not self.why_not)
        os.close(write)
        self._minders[read] = _Minder(message["id"], pid, directory, bytearray())
        self._selector.register(read, selectors.EVENT_READ)

    def _heard(self, pipe: int) -> None:
        minder = self._minders[pipe]
        data = os.read(pipe, 65536)
        minder.said.extend(data)
        if data:
            return
        self._selector.unregister(pipe)
        os.close(pipe)
        del self._minders[pipe]
        os.waitpid(minder.pid, 0)
        _end_orphans(frozenset(other.pid for other in self._minders.values()))
        _remove(minder.directory)
        message = {"end": "broken", "code": 0, "output": "", "why": "its minder died"}
        with contextlib.suppress(BadFrame):
            message = next(Frames().feed(bytes(minder.said)), message)
        self._tell(message | {"id": minder.check})

    def _tell(self, message: dict[str, Any]) -> None:
        self._link.sendall(framed(message))


def _mind(check: dict[str, Any], directory: str, told: int, *, apart: bool) -> NoReturn:
    """Runs one check to its end, by force if need be, and says on `told` how it ended."""
    try:
        linux.dies_with_parent()
        os.closerange(3, told)
        os.closerange(told + 1, 1024)
        os.write(told, framed(_run(check, directory, apart=apart)))
    except BaseException as exc:  # noqa: BLE001  the helper tells that this check is broken
        with contextlib.suppress(OSError):
            os.write(told, framed({"end": "broken", "code": 0, "output": "", "why": str(exc)[:200]}))
    finally:
        os._exit(0)


def _run(check: dict[str, Any], directory: str, *, apart: bool) -> dict[str, Any]:
    user, group = os.geteuid(), os.getegid()
    out_read, out_write = os.pipe()
    why_read, why_write = os.pipe()
    if apart:
        cage.part(user, group)
        linux.dies_with_parent()
        first = cage.fork(lambda: cage.tend(check, directory, out_write, why_write))
    else:
        linux.adopts_orphans()
        # Without a user namespace the kernel counts everything that this user runs.
        check = check | {"processes": int(check["processes"]) + _tasks_of(user)}
        first = cage.fork(lambda: cage.lend(check, directory, out_write, why_write))
    os.close(out_write)
    os.close(why_write)
    end, output, why, code = _watch(first, out_read, why_read, float(check["wall_s"]), int(check["memory_bytes"]))
    if not apart:
        _end_orphans(frozenset())
    if why:
        end = "broken"
    return {"end": end, "code": code, "output": output, "why": why}


def _watch(first: int, out: int, told: int, wall_s: float, memory_bytes: int) -> tuple[str, str, str, int]:
    """How it ended (`exited`, `wall`, `memory`), the end of its output, why it could not run, and its exit code."""
    deadline = time.monotonic() + wall_s
    tail, why = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(out, selectors.EVENT_READ, tail)
        selector.register(told, selectors.EVENT_READ, why)
        while True:
            pid, status = os.waitpid(first, os.WNOHANG)
            if pid:
                for file, kept in ((out, tail), (told, why)):
                    _drain(file, kept)
                return "exited", _text(tail), _text(why), cage.exit_code(status)
            left = deadline - time.monotonic()
            end = "wall" if left <= 0 else "memory" if _resident(first) > memory_bytes else ""
            if end:
                _kill(first)
                os.waitpid(first, 0)
                return end, _text(tail), _text(why), 0
            for key, _ in selector.select(min(LOOK_S, left)):
                data = os.read(key.fd, 65536)
                if data:
                    _keep(key.data, data)
                else:
                    selector.unregister(key.fd)
            if not selector.get_map():
                time.sleep(min(LOOK_S / 10, max(0.0, left)))


def _drain(file: int, kept: bytearray) -> None:
    os.set_blocking(file, False)
    with contextlib.suppress(BlockingIOError):
        for _ in range(64):  # orphans may hold the pipe open and go on writing
            data = os.read(file, 65536)
            if not data:
                return
            _keep(kept, data)


def _keep(kept: bytearray, data: bytes) -> None:
    kept += data
    del kept[:-OUTPUT_KEPT]


def _resident(pid: int) -> int:
    """Bytes of memory that a process and all its descendants have in use."""
    total, waiting = 0, [pid]
    for _ in range(4096):
        if not waiting:
            break
        pid = waiting.pop()
        with contextlib.suppress(OSError, ValueError, IndexError):  # it may have ended meanwhile
            with open(f"/proc/{pid}/statm", "rb") as file:
                pages = file.read().split()
            total += (int(pages[1]) - int(pages[2])) * PAGE
            with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
                waiting += map(int, file.read().split())
    return total


def _tasks_of(user: int) -> int:
    """Processes and threads that a user has on this machine now."""
    total = 0
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it may have ended meanwhile
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:
                with open(f"/proc/{name}/stat", "rb") as file:
                    total += int(file.read().rpartition(b")")[2].split()[17])
    return total


def _end_orphans(but: frozenset[int]) -> None:
    """What a check left running is a child of ours once its parents have ended: all children but these are ended."""
    until = time.monotonic() + ORPHANS_S
    while time.monotonic() < until and (orphans := set(_children()) - but):
        for child in orphans:
            _kill(child)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except (OSError, ValueError):
        return []


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _remove(directory: str) -> None:
    """Also directories that were made unreadable."""
    for where, names, _ in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                os.chmod(os.path.join(where, name), 0o700, follow_symlinks=False)
    shutil.rmtree(directory, ignore_errors=True)


def _text(data: bytearray) -> str:
    return data.decode("utf-8", "replace")


def _become_nobody() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        linux.is_dumpable()


def main(descriptor: int, base: str) -> None:
    """`base`: the directory in which those of the checks are made."""
    os.umask(0o077)
    _become_nobody()
    linux.adopts_orphans()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a Ctrl-C at the terminal drains the router; we end with it
    with contextlib.suppress(OSError, BadFrame):
        Warden(socket.socket(fileno=descriptor), base).run()
    _remove(base)  # the router may have been killed, and then nobody else does
    sys.exit(0)
