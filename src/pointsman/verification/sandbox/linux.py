"""The calls to the Linux kernel that Python 3.11 has no names for."""

from __future__ import annotations

import ctypes
import os
from typing import Final

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
APART: Final = CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
"""A user, processes, a network and a host name of one's own. Mounts come later, in the first process inside: whoever watches
it should go on seeing all processes."""

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC, MS_PRIVATE, MS_RELATIME = 1024, 2048, 4096, 16384, 1 << 18, 1 << 21
MNT_DETACH = 2
_PDEATHSIG, _DUMPABLE, _CAPBSET_DROP, _SUBREAPER, _NO_NEW_PRIVS = 1, 4, 24, 36, 38
_SIGKILL = 9
_LAST_CAP = 63


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    _checked(_libc().unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    _checked(_libc().mount(source.encode(), target.encode(), None if kind is None else kind.encode(),
                           ctypes.c_ulong(flags), None if data is None else data.encode()), f"mount {target}")


def unmount(target: str) -> None:
    _checked(_libc().umount2(target.encode(), MNT_DETACH), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    _checked(_libc().pivot_root(new.encode(), old.encode()), "pivot_root")


def bind_read_only(source: str, target: str) -> None:
    """`source` at `target`, without what is mounted below it, not to be written, no devices, no set-uid."""
    mount(source, target, None, MS_BIND)
    # What the mount forbids already must be forbidden again, or the kernel takes it for an attempt to allow it.
    held = os.statvfs(target).f_flag
    kept = {os.ST_NOEXEC: MS_NOEXEC, os.ST_NOATIME: MS_NOATIME, os.ST_NODIRATIME: MS_NODIRATIME, os.ST_RELATIME: MS_RELATIME}
    flags = sum(flag for told, flag in kept.items() if held & told)
    mount("none", target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | flags)


def dies_with_parent() -> None:
    _checked(_libc().prctl(_PDEATHSIG, _SIGKILL, 0, 0, 0), "prctl")


def is_dumpable() -> None:
    """After a change of user `/proc/self` belongs to root unless this is said; its maps could not be written."""
    _checked(_libc().prctl(_DUMPABLE, 1, 0, 0, 0), "prctl")


def adopts_orphans() -> None:
    """Descendants whose parents end become children of this process instead of init's."""
    _checked(_libc().prctl(_SUBREAPER, 1, 0, 0, 0), "prctl")


def gains_nothing() -> None:
    """Neither this process nor what it executes ever gets a privilege that it has not."""
    libc = _libc()
    for capability in range(_LAST_CAP + 1):
        if libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # beyond the last that this kernel knows, or not ours to drop: then exec drops them
    _checked(libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
