"""One check in a cage: what runs inside sees the system's programs read only, its own directory, and nothing else.

With namespaces: its own users, processes, mounts, host name and a network without interfaces; a root made of a tmpfs that
vanishes with it; no capability, none to be gained, no further namespaces. Without (`apart=False`) only limits remain: the
same user, the same files, the same network as the router's.

Imports only the standard library: this runs in a process with an empty environment that should be small.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from pointsman.verification.sandbox import linux

SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/alternatives", "/etc/ld.so.cache",
                 "/etc/ld.so.conf", "/etc/ld.so.conf.d")
"""What a program needs to start, of which nothing is anybody's secret."""
DEVICES: Final = ("null", "zero", "random", "urandom")
INSIDE: Final = 1000
"""User and group inside. Not 0: then executing a program drops every capability."""
WORK: Final = "/work"
ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": WORK, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
"""All of it. Nothing of the router's environment, where the credentials are."""
STACK: Final = 8 * 1024 * 1024


def part(user: int, group: int) -> None:
    """Namespaces of its own, in which `user` outside is `INSIDE`. The next child is their first process. Raises OSError."""
    linux.unshare(linux.APART)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/gid_map", f"{INSIDE} {group} 1")
    _write("/proc/self/uid_map", f"{INSIDE} {user} 1")


def furnish(root: str, check: Mapping[str, Any]) -> None:
    """Makes the file system of the check on the directory `root`, and moves into it. Raises OSError."""
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    own = linux.MS_NOSUID | linux.MS_NODEV
    linux.mount("tmpfs", root, "tmpfs", own, "size=1m,mode=0755")
    for path in dict.fromkeys((*SYSTEM, *check["reads"])):
        _lay(path, root + path)
    for directory in ("/dev", "/proc", "/old", WORK, "/etc"):
        os.makedirs(root + directory, exist_ok=True)
    for device in DEVICES:
        _lay(f"/dev/{device}", f"{root}/dev/{device}", device=True)
    _write(f"{root}/etc/passwd", f"check:x:{INSIDE}:{INSIDE}::{WORK}:/bin/sh\n")
    with contextlib.suppress(OSError):  # not in containers that hide parts of /proc: then there is none
        linux.mount("proc", root + "/proc", "proc", own | linux.MS_NOEXEC)
    linux.mount("tmpfs", root + WORK, "tmpfs", own, f"size={4 * int(check['file_bytes'])},mode=0700,nr_inodes=4096")
    os.symlink(WORK, root + "/tmp")  # noqa: S108  inside, of its own
    if check["beside"]:
        for entry in os.scandir(check["beside"]):
            _lay(entry.path, f"{root}{WORK}/{entry.name}")
    with contextlib.suppress(OSError):  # a second fence only: what is inside may make no further namespaces
        _write("/proc/sys/user/max_user_namespaces", "0")
    socket.sethostname("check")
    os.chdir(root)
    linux.pivot_root(".", "old")
    os.chdir("/")
    linux.unmount("/old")
    os.rmdir("/old")
    linux.mount("none", "/", None, linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | own)


def furnish_plainly(work: str, check: Mapping[str, Any]) -> None:
    """Without namespaces: the tests are copied into the directory."""
    if check["beside"]:
        shutil.copytree(check["beside"], work, dirs_exist_ok=True, symlinks=True)


def limit(check: Mapping[str, Any]) -> None:
    """On every process of the check; `processes` on all of them together."""
    cpu = max(1, round(float(check["cpu_s"])))
    for kind, soft, hard in (
        (resource.RLIMIT_CPU, cpu, cpu + 1), (resource.RLIMIT_AS, check["memory_bytes"], check["memory_bytes"]),
        (resource.RLIMIT_FSIZE, check["file_bytes"], check["file_bytes"]), (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, check["open_files"], check["open_files"]), (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_NPROC, check["processes"], check["processes"]), (resource.RLIMIT_MSGQUEUE, 0, 0),
        (resource.RLIMIT_STACK, STACK, STACK),
    ):
        _, most = resource.getrlimit(kind)
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(kind, (int(soft), int(hard)))


def execute(check: Mapping[str, Any], work: str, out: int, told: int) -> NoReturn:
    """Becomes the operator's command, in `work`, with `out` for its output. On `told` goes why, if it cannot."""
    try:
        os.setsid()
        os.chdir(work)
        _write(check["file"], check["text"], mode=0o600)
        nothing = os.open("/dev/null", os.O_RDONLY)
        for mine, its in ((nothing, 0), (out, 1), (out, 2)):
            os.dup2(mine, its)
        os.dup2(told, 3)
        os.set_inheritable(3, False)
        os.closerange(4, 65536)
        for number in range(1, signal.NSIG):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        limit(check)
        linux.gains_nothing()
        environment = ENVIRONMENT if work == WORK else {**ENVIRONMENT, "HOME": work}
        os.execvpe(check["run"][0], check["run"], environment)  # noqa: S606  the operator's own words, no shell
    except BaseException as exc:  # noqa: BLE001  nobody above could say what went wrong
        _say(3 if _is_open(3) else told, f"cannot run {str(check['run'][0])[:80]!r}: {exc}")
    os._exit(127)


def tend(check: Mapping[str, Any], root: str, out: int, told: int) -> NoReturn:
    """The first process inside: furnishes, starts the command, buries the dead, and ends as the command ended.

    Why is it not the command itself? The first process of a namespace ignores signals that it does not handle, and has
    everybody's orphans to bury: programs are not written for that.
    """
    code = 125
    try:
        linux.dies_with_parent()
        furnish(root, check)
        child = os.fork()
        if child == 0:
            execute(check, WORK, out, told)
        os.close(out)
        while True:
            pid, status = os.wait()
            if pid == child:
                code = exit_code(status)
                break
    except BaseException as exc:  # noqa: BLE001  nobody above could say what went wrong
        _say(told, f"the sandbox could not be made: {exc}")
    os._exit(code)


def exit_code(status: int) -> int:
    """Of `wait`: the exit code, or 128 and the signal, as shells have it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def lend(check: Mapping[str, Any], work: str, out: int, told: int) -> NoReturn:
    """Without namespaces: limits, and a directory."""
    try:
        linux.dies_with_parent()
        furnish_plainly(work, check)
    except BaseException as exc:  # noqa: BLE001  nobody above could say what went wrong
        _say(told, f"the directory could not be made: {exc}")
        os._exit(125)
    execute(check, work, out, told)


def fork(run: Callable[[], NoReturn]) -> int:
    """A child that does only this. Its end is `_exit`: nothing of the parent's is flushed twice."""
    child = os.fork()
    if child == 0:
        try:
            run()
        finally:
            os._exit(126)
    return child


def can_part(user: int, group: int) -> str:
    """Why namespaces cannot be had here; "" = they can."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            part(user, group)
            inner = os.fork()
            if inner == 0:
                linux.unshare(linux.CLONE_NEWNS)
                linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
                os._exit(0)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]))
        except BaseException as exc:  # noqa: BLE001  it is the answer
            _say(write, str(exc))
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read(200).decode("utf-8", "replace")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "" if code == 0 else said or f"namespaces cannot be made (exit code {code})"


def _lay(path: str, at: str, *, device: bool = False) -> None:
    """`path` of the system at `at`: a link as the link that it is, all else as a view that cannot be written to."""
    if os.path.islink(path):
        os.makedirs(os.path.dirname(at), exist_ok=True)
        os.symlink(os.readlink(path), at)
    elif os.path.isdir(path):
        os.makedirs(at, exist_ok=True)
        linux.bind_read_only(path, at)
    elif os.path.exists(path):
        os.makedirs(os.path.dirname(at), exist_ok=True)
        _write(at, "")
        if device:
            linux.mount(path, at, None, linux.MS_BIND)
        else:
            linux.bind_read_only(path, at)


def _write(path: str, text: str, mode: int = 0o644) -> None:
    flags = os.O_WRONLY | (0 if path.startswith("/proc/") else os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW)
    file = os.open(path, flags, mode)
    try:
        data = text.encode("utf-8", "replace")
        while data:
            data = data[os.write(file, data) :]
    finally:
        os.close(file)


def _say(file: int, text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(file, text.encode("utf-8", "replace")[:400])


def _is_open(file: int) -> bool:
    try:
        os.fstat(file)
    except OSError:
        return False
    return True
