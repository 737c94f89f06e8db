"""Processes that a bench starts: each in a group of its own, dead when this one is; and what they use.

What /proc does not tell is None, never 0.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

STOP_TIMEOUT_S = 5.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """In a new process: it is killed when the one that started it ends, however that ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """A loopback port nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Processes:
    """Everything this run started; `stop_all` leaves nothing behind."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, argv: Sequence[str | Path], *, core: int | None, log: Path, cwd: Path | None = None,
              env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Starts `argv` pinned to `core` (None = unpinned), output to `log`."""
        def prepare() -> None:
            die_with_parent()
            if core is not None:
                os.sched_setaffinity(0, {core})

        with log.open("ab") as output:
            process = subprocess.Popen([str(part) for part in argv], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                       cwd=cwd, env=env, start_new_session=True, preexec_fn=prepare)
        self._running.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """SIGTERM to the group, SIGKILL when it has not ended in time."""
        for sign, patience in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, STOP_TIMEOUT_S)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)   # children that outlived their parent
        if process in self._running:
            self._running.remove(process)

    def stop_all(self) -> None:
        for process in list(self._running):
            self.stop(process)


def tree(pid: int) -> list[int]:
    """`pid` and its descendants, as /proc tells now."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += parents.get(member, [])
    return found


def rss_bytes(pid: int | None) -> int | None:
    """Resident memory of the process and its children; None when unknown. Shared pages count once per process."""
    if pid is None:
        return None
    total = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{member}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1]) * 1024
    return total or None


def cpu_s(pid: int | None) -> float | None:
    """CPU seconds the process and its children have used (user and system); None when unknown."""
    if pid is None:
        return None
    ticks, known = 0, False
    for member in tree(pid):
        with contextlib.suppress(OSError, IndexError):
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
            known = True
    return ticks / os.sysconf("SC_CLK_TCK") if known else None


def core_busy_s(core: int | None) -> float | None:
    """CPU seconds that all processes together have used on one core (user, nice, system); None when unpinned."""
    for line in Path("/proc/stat").read_text().splitlines() if core is not None else ():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            return sum(map(int, ticks[:3])) / os.sysconf("SC_CLK_TCK")
    return None
