"""What a process has in memory once it serves, moved onto pages of 2 MiB.

Why? A request that comes after some idle milliseconds finds no translation of an address in the core, and it touches some thousand
places: code, classes, tables, automata. On a virtual machine each missing translation is looked up in two tables, one inside the
other. A few dozen large pages need a few dozen translations: bench/throughput, added latency at 100 requests/s.

Only memory that is nearly full is moved, so that the process does not grow. What comes later, such as automata that grow with what
they read, is looked for again after some seconds, and then ever more rarely. Where `server.huge_pages` is `off`, where an administrator
has turned huge pages off (`never`), where the kernel is older than Linux 6.1, and elsewhere, nothing happens. Nor in workers: they share what they were forked with, and a moved page is shared no more.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

HUGE = 2 << 20
"""Bytes of a huge page: x86-64, and arm64 with small pages of 4 KiB."""
SMALL = 4096
LEAST = 0.75
"""Share of a huge page that must be in memory already: at most a third is added to what is moved."""
MOST = 128
"""Huge pages moved, at most: 256 MiB, three times what a router has after its start. Moving one takes half a millisecond."""
FIRST_S, RAREST_S = 15.0, 3600.0
"""When it is looked again, twice as long after each time."""

_COLLAPSE = 25
"""MADV_COLLAPSE of `madvise(2)`: now, not when the kernel gets around to it."""
_ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
# Private memory with no file behind it: the heap, and what has no name.
_MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw-p [0-9a-f]+ 00:00 0 *(\[heap\])?$", re.MULTILINE)
_PRESENT = 0x80
"""In the last byte of an entry of `pagemap`: this small page is in memory."""

Move = Callable[[int, int], bool]
"""(address, bytes) -> it lies on huge pages now."""


async def keep_gathered(pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Gathers now and again, until it is cancelled or there is nothing to be had."""
    after_s = FIRST_S
    while await asyncio.to_thread(gather):
        await pause(after_s)
        after_s = min(2 * after_s, RAREST_S)


def gather() -> int:
    """Moves what this process has onto huge pages; returns how many it has now. Takes some ten milliseconds, next to nothing when all
    has been moved before: call it from a thread."""
    try:
        if os.sysconf("SC_PAGE_SIZE") != SMALL or "[never]" in _ENABLED.read_text():
            return 0
        maps = Path("/proc/self/maps").read_text()
        pages = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError):  # another system, or one that does not tell
        return 0
    try:
        return moved(maps, lambda address: os.pread(pages, HUGE // SMALL * 8, address // SMALL * 8), _collapse())
    except OSError:
        return 0
    finally:
        os.close(pages)


def moved(maps: str, entries: Callable[[int], bytes], move: Move) -> int:
    """Of the memory in `maps`, what is nearly full, moved; `entries` reads `pagemap` at an address."""
    count = 0
    for address in _candidates(maps):
        if is_full(entries(address)) and move(address, HUGE):
            count += 1
            if count == MOST:
                break
    return count


def is_full(entries: bytes) -> bool:
    """So much of a huge page is there that the rest may be added."""
    return sum(map(_PRESENT.__le__, entries[7::8])) >= LEAST * (HUGE // SMALL)


def _candidates(maps: str) -> Iterator[int]:
    """Addresses at which a huge page would lie wholly inside one mapping."""
    for found in _MAPPING.finditer(maps):
        first, last = int(found[1], 16), int(found[2], 16)
        yield from range((first + HUGE - 1) // HUGE * HUGE, last // HUGE * HUGE, HUGE)


def _collapse() -> Move:
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return lambda address, size: libc.madvise(address, size, _COLLAPSE) == 0
