"""How many processors this process may use: `server.workers: auto`."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = QUOTA) -> int:
    """The cores we are allowed on, or what a container's CPU quota comes to, whichever is less. At least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        most, period = quota.read_text().split()[:2]
        limited = int(most) // int(period)
    except (OSError, ValueError):  # no such file, or "max": no quota
        return max(1, allowed)
    return max(1, min(allowed, limited))
