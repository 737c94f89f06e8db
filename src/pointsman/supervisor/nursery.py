"""A process that is there to be forked: workers come out of it ready, in a few milliseconds.

Why not start a fresh interpreter for each worker? Importing the router takes three quarters of a second of CPU and 75 MB;
a fork shares both. A worker that is killed is back before a client has retried. Why not fork the supervisor itself? By
then it runs an event loop, threads and an open database, none of which survive a fork. So this process is forked first,
while nothing runs, and does nothing but wait: it imports no more, opens no file and starts no thread.

When the supervisor is gone, however that came, the nursery waits for the workers to end (they read the end of their link
and finish what they have), ends those that do not, and leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from pointsman.errors import PointsmanError

Work = Callable[[int, socket.socket], int]
"""What a worker does: its seat and its end of the link in, its exit code out."""

_ORDER = struct.Struct("!i")
_WORD = struct.Struct("!ciii")
_BORN, _DIED = b"b", b"d"
LAST_WAIT_S = 130.0
"""How long orphaned workers may finish what they have: their own grace and a little."""
_log = logging.getLogger(__name__)


class NurseryGone(PointsmanError):
    """No worker can be started any more."""

    def __str__(self) -> str:
        return "the process that workers are forked from is gone; those that run go on, a restart of the router brings it back"


class Nursery:
    """The supervisor's hold on it. `open` before there is an event loop, `attach` within one."""

    def __init__(self, control: socket.socket, pid: int) -> None:
        self._control, self.pid = control, pid
        self._buffer = b""
        self._on_died: Callable[[int, int, int], None] = lambda seat, pid, status: None
        self._births: dict[int, asyncio.Future[int]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_gone = False

    @classmethod
    def open(cls, work: Work) -> Nursery:
        """Forks it. Raises RuntimeError when threads run already: a fork would leave their locks behind."""
        if threading.active_count() != 1:
            raise RuntimeError(f"threads run already: {[thread.name for thread in threading.enumerate()]}")
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            _tend(theirs, work)
        theirs.close()
        ours.setblocking(False)
        return cls(ours, pid)

    def attach(self, on_died: Callable[[int, int, int], None]) -> None:
        """`on_died` hears (seat, process, wait status) of every worker that ended."""
        self._on_died = on_died
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._control.fileno(), self._read)

    async def bear(self, seat: int) -> tuple[int, socket.socket]:
        """A new worker: its process id and our end of its link. Raises NurseryGone."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                born: asyncio.Future[int] = asyncio.get_running_loop().create_future()
                self._births[seat] = born
                if self.is_gone:
                    raise NurseryGone
                try:
                    socket.send_fds(self._control, [_ORDER.pack(seat)], [theirs.fileno()])
                except OSError as exc:
                    raise NurseryGone from exc
            return await born, ours
        except BaseException:  # whatever it is, no descriptor stays
            ours.close()
            raise

    def _read(self) -> None:
        try:
            data = self._control.recv(4096)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        self._buffer += data
        while len(self._buffer) >= _WORD.size:
            kind, seat, pid, status = _WORD.unpack_from(self._buffer)
            self._buffer = self._buffer[_WORD.size:]
            if kind == _DIED:
                self._on_died(seat, pid, status)
                continue
            born = self._births.pop(seat, None)
            if born is not None and not born.done():
                born.set_result(pid)

    def _lost(self) -> None:
        self.is_gone = True
        if self._loop is not None:
            self._loop.remove_reader(self._control.fileno())
        for born in self._births.values():
            if not born.done():
                born.set_exception(NurseryGone())
        self._births.clear()

    def close(self) -> None:
        """Lets it go; it leaves once its last worker has ended. Idempotent."""
        if self._control.fileno() >= 0:
            if self._loop is not None:
                self._loop.remove_reader(self._control.fileno())
            self._control.close()
            self.is_gone = True

    def wait(self) -> None:
        """Returns when it has left. Call `close` before."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


# ---------------------------------------------------------------------------------------------------------
# Inside the nursery: no event loop, no threads, as little as possible.


def _tend(control: socket.socket, work: Work) -> NoReturn:
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # they mean the supervisor, which tells the workers
        gc.collect()
        gc.freeze()  # the collector would touch, and thereby copy, every page that is shared
        _Tender(control, work).run()
        code = 0
    except BaseException:  # noqa: BLE001  this process must never run on into the code of the one it was forked from
        _log.exception("the nursery of workers has failed")
    finally:
        os._exit(code)


class _Tender:
    def __init__(self, control: socket.socket, work: Work) -> None:
        self._control, self._work = control, work
        self._children: dict[int, int] = {}
        self._bell, self._ringer = os.pipe()
        for end in (self._bell, self._ringer):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._ringer, warn_on_full_buffer=False)

    def run(self) -> None:
        while True:
            ready, _, _ = select.select([self._control.fileno(), self._bell], [], [])
            if self._bell in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._bell, 4096)
                self._bury()
            if self._control.fileno() in ready and not self._order():
                break
        self._control.close()
        self._last_wait()

    def _order(self) -> bool:
        """One worker wanted. False: the supervisor is gone."""
        try:
            data, fds, _, _ = socket.recv_fds(self._control, _ORDER.size, 1)
        except OSError:
            return False
        if len(data) < _ORDER.size or not fds:
            return False
        (seat,) = _ORDER.unpack(data)
        pid = os.fork()
        if pid == 0:
            self._be_worker(seat, socket.socket(fileno=fds[0]))
        os.close(fds[0])
        self._children[pid] = seat
        self._say(_BORN, seat, pid, 0)
        return True

    def _be_worker(self, seat: int, link: socket.socket) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            os.close(self._bell)
            os.close(self._ringer)
            code = self._work(seat, link)
        except BaseException:  # noqa: BLE001  whatever it is, it ends here and not in the nursery
            _log.exception("worker %d has failed", seat)
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _bury(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._say(_DIED, self._children.pop(pid, -1), pid, status)

    def _say(self, kind: bytes, seat: int, pid: int, status: int) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more: the next read says so
            self._control.sendall(_WORD.pack(kind, seat, pid, status))

    def _last_wait(self) -> None:
        until = time.monotonic() + LAST_WAIT_S
        while self._children and time.monotonic() < until:
            self._bury()
            select.select([self._bell], [], [], 0.1)
            with contextlib.suppress(BlockingIOError):
                os.read(self._bell, 4096)
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
