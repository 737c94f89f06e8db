"""Commands in their cage, for real: what they can do, what they cannot, and what is left of them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from pointsman.core.verifying import CommandCheck
from pointsman.verification.sandbox import cage
from pointsman.verification.sandbox.keeper import Keeper, NoHelper, Ran

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is made of Linux namespaces")
WHY_NOT = cage.can_part(os.geteuid(), os.getegid()) if sys.platform == "linux" else "not Linux"
apart = pytest.mark.skipif(bool(WHY_NOT), reason=f"no namespaces here: {WHY_NOT}")
FILE = f"answer{os.getpid()}.py"
"""Told apart from those of tests that run beside these."""
CHECK = CommandCheck(run=("python3", FILE), file=FILE, memory_bytes=200_000_000, cpu_s=5)
WALL_S = 120.0


def in_keeper(story):
    async def run():
        keeper = Keeper()
        keeper.begin()
        await keeper.ready()
        try:
            return await story(keeper)
        finally:
            await keeper.aclose()
    return asyncio.run(run())


def ran(code: str, wall_s: float = WALL_S, check: CommandCheck = CHECK) -> Ran:
    return in_keeper(lambda keeper: keeper.run(check, code, wall_s))


def running(marker: str) -> list[int]:
    """Processes with these words on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if marker.encode() in words:
                found.append(int(entry.name))
    return found


async def none_running(marker: str) -> bool:
    for _ in range(6000):
        if not running(marker):
            return True
        await asyncio.sleep(0.01)
    return False


def test_the_exit_code_and_the_end_of_the_output_are_told():
    assert ran("print('x' * 5000); print('last'); raise SystemExit(3)") == Ran("exited", 3, ("x" * 5000 + "\nlast\n")[-2048:])


def test_output_of_any_kind_and_length_does_no_harm():
    done = ran("import os\nfor _ in range(40): os.write(1, os.urandom(100_000))")

    assert (done.end, done.code) == ("exited", 0)
    assert len(done.output) <= 2048


def test_a_command_that_is_not_there_is_not_held_against_the_answer():
    done = ran("", check=CommandCheck(run=("no-such-command",)))

    assert done.end == "broken"
    assert "no-such-command" in done.why


@pytest.mark.parametrize("code", ["import time; time.sleep(60)", "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass",
                                  "import signal, time\nfor s in range(1, 32):\n  try: signal.signal(s, signal.SIG_IGN)\n  except (OSError, ValueError): pass\ntime.sleep(60)"])
def test_what_does_not_end_is_ended(code: str):
    done = ran(code, wall_s=1.0)

    assert done.end == "wall"
    assert not running(FILE)


def test_a_fork_bomb_gets_no_further_than_its_limit():
    code = "import os\nn = 0\ntry:\n  while os.fork(): n += 1\nexcept OSError: print(n)\nelse: __import__('time').sleep(60)"

    done = ran(code)
    assert done.end == "exited"
    assert 0 < int(done.output) < CHECK.processes


def test_one_process_cannot_take_more_memory_than_all_may_have():
    done = ran("x = bytearray(300_000_000)")

    assert (done.end, done.code) == ("exited", 1)
    assert "MemoryError" in done.output


def test_several_processes_together_cannot_either():
    done = ran("import os, time\nfor _ in range(5):\n  if not os.fork(): x = b'x' * 90_000_000; time.sleep(60)\ntime.sleep(60)")

    assert done.end == "memory"


def test_processor_time_and_files_have_their_limits():
    check = CommandCheck(run=("python3", FILE), file=FILE, cpu_s=1, file_bytes=1_000_000, open_files=32)

    assert ran("while True: pass", check=check).code in (128 + signal.SIGXCPU, 128 + signal.SIGKILL)
    assert "File too large" in ran("open('big', 'wb').write(bytes(2_000_000))", check=check).output
    assert "Too many open files" in ran("files = [open('/dev/null') for _ in range(40)]", check=check).output


def test_the_environment_is_empty_but_for_what_programs_need(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    done = ran("import os; print(sorted(os.environ)); print(open('/proc/self/environ').read() if os.path.exists('/proc/self') else '')")

    assert "secret" not in done.output
    assert "'HOME', 'LANG', 'PATH', 'PYTHONDONTWRITEBYTECODE'" in done.output


@apart
def test_there_is_no_network():
    async def story(keeper):
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        code = (f"import socket\nfor kind, to in ((socket.SOCK_STREAM, ('127.0.0.1', {port})), (socket.SOCK_DGRAM, ('192.0.2.1', 53))):\n"
                "  try: socket.socket(socket.AF_INET, kind).connect(to); print('REACHED')\n  except OSError as error: print(error.errno)")
        async with server:
            return await keeper.run(CHECK, code, WALL_S)

    assert in_keeper(story).output.split() == ["101", "101"]


@apart
def test_only_the_systems_programs_and_the_own_directory_are_there(tmp_path):
    (tmp_path / "secret").write_text("secret")
    code = ("import os\nprint(sorted(os.listdir('/')), os.listdir('/work'), os.getuid(), os.getpid())\n"
            f"for path in ('/etc/shadow', {str(Path.home())!r}, '/home', {str(tmp_path)!r}, '/proc/1/environ', '/proc/1/cwd/etc'):\n"
            "  try: print('SEEN', path, os.listdir(path) if os.path.isdir(path) else open(path).read()[:9])\n  except OSError: pass\n"
            "for path in ('/usr/x', '/x', '/dev/x', '/etc/x', '/etc/passwd'):\n  try: open(path, 'a'); print('WRITTEN', path)\n  except OSError: pass")

    done = ran(code)
    assert set(eval(done.output.split("]")[0] + "]")) <= {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr", "work"}
    assert f"['{FILE}'] 1000" in done.output
    assert "SEEN" not in done.output
    assert "WRITTEN" not in done.output


@apart
def test_no_privilege_can_be_gained():
    code = ("import ctypes, os\nstatus = open('/proc/self/status').read() if os.path.exists('/proc/self') else 'CapEff:\\t0\\nNoNewPrivs:\\t1'\n"
            "print([line for line in status.splitlines() if line.startswith(('CapEff', 'CapBnd', 'NoNewPrivs'))])\n"
            "libc = ctypes.CDLL(None)\nprint(libc.unshare(0x10000000), libc.mount(b'x', b'/work', b'tmpfs', 0, None))\n"
            "try: os.setuid(0); print('ROOT')\nexcept OSError: pass\ntry: os.kill(1, 9)\nexcept OSError: pass")

    done = ran(code)
    assert "CapEff:\\t0000000000000000" in done.output
    assert "NoNewPrivs:\\t1" in done.output
    assert "-1 -1" in done.output
    assert "ROOT" not in done.output


@apart
def test_the_tests_lie_beside_the_answer_and_cannot_be_changed(tmp_path):
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_answer.py").write_text("import unittest, answer\nclass T(unittest.TestCase):\n  def test(self): self.assertEqual(answer.add(1, 2), 3)\n")
    for directory in (tmp_path, *tmp_path.parents):
        if directory != Path(tempfile.gettempdir()) and directory.is_relative_to(tempfile.gettempdir()):
            directory.chmod(0o755)  # started as root the helper is nobody
    check = CommandCheck(run=("python3", "-m", "unittest", "-q"), beside=str(tests))

    async def story(keeper):
        right = await keeper.run(check, "def add(a, b): return a + b", WALL_S)
        wrong = await keeper.run(check, "def add(a, b): return a - b", WALL_S)
        cheat = await keeper.run(check, "open('test_answer.py', 'w').write('')\n" "def add(a, b): return 3", WALL_S)
        return right, wrong, cheat

    right, wrong, cheat = in_keeper(story)
    assert (right.code, wrong.code) == (0, 1)
    assert "Read-only file system" in cheat.output


def test_nothing_is_left_behind():
    async def story(keeper):
        base = Path(keeper._base)
        await keeper.run(CHECK, "import os\nos.makedirs('a/b'); open('a/b/c', 'w').write('x'); os.chmod('a', 0)", WALL_S)
        await keeper.run(CHECK, "import os, time\nif not os.fork():\n  os.setsid()\n  if not os.fork(): time.sleep(60)", WALL_S)
        return base, list(base.iterdir()), await none_running(FILE)

    base, left, is_quiet = in_keeper(story)
    assert left == []
    assert is_quiet
    assert not base.exists()


def test_cancelling_a_check_ends_its_command():
    async def story(keeper):
        check = asyncio.create_task(keeper.run(CHECK, "import time; time.sleep(600)", WALL_S))
        while not running(FILE):
            await asyncio.sleep(0.01)
        check.cancel()
        await asyncio.gather(check, return_exceptions=True)
        return await none_running(FILE), await keeper.run(CHECK, "print(1)", WALL_S)

    is_quiet, next_one = in_keeper(story)
    assert is_quiet
    assert next_one.output == "1\n"


def test_a_helper_that_is_killed_takes_its_checks_along_and_is_replaced():
    async def story(keeper):
        check = asyncio.create_task(keeper.run(CHECK, "import time; time.sleep(600)", WALL_S))
        while not running(FILE):
            await asyncio.sleep(0.01)
        os.kill(keeper.pid, signal.SIGKILL)
        failed, = await asyncio.gather(check, return_exceptions=True)
        with pytest.raises(NoHelper):
            await keeper.run(CHECK, "print(1)", WALL_S)
        is_quiet = await none_running(FILE)
        while not keeper.is_up:
            await asyncio.sleep(0.01)
        return failed, is_quiet, await keeper.run(CHECK, "print(1)", WALL_S), keeper.starts

    failed, is_quiet, next_one, starts = in_keeper(story)
    assert isinstance(failed, NoHelper)
    assert is_quiet or WHY_NOT
    assert (next_one.output, starts) == ("1\n", 2)


def test_a_router_that_is_killed_leaves_nothing():
    """Its socket closes, whatever happened to it."""
    async def story(keeper):
        base = Path(keeper._base)
        check = asyncio.create_task(keeper.run(CHECK, "import time; time.sleep(600)", WALL_S))
        while not running(FILE):
            await asyncio.sleep(0.01)
        keeper._link.shutdown(socket.SHUT_RDWR)
        await asyncio.gather(check, return_exceptions=True)
        return await none_running(FILE), base

    is_quiet, base = in_keeper(story)
    assert is_quiet
    assert not base.exists()


def test_checks_run_beside_each_other():
    async def story(keeper):
        checks = [asyncio.create_task(keeper.run(CHECK, "import time; time.sleep(600)", WALL_S)) for _ in range(4)]
        while (seen := len(running(FILE))) < 4 and not any(check.done() for check in checks):
            await asyncio.sleep(0.01)
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)
        return seen

    assert in_keeper(story) >= 4


def test_without_namespaces_the_limits_and_the_clock_still_hold(monkeypatch, tmp_path):
    """The helper's own choice, taken away from it."""
    monkeypatch.setattr("pointsman.verification.sandbox.keeper._CODE", (
        "import sys; from pointsman.verification.sandbox import cage, warden; cage.can_part = lambda *a: 'taken away'; "
        "warden.main(int(sys.argv[1]), sys.argv[2])"))

    async def story(keeper):
        assert (keeper.isolation, keeper.why_not) == ("none", "taken away")
        ok = await keeper.run(CHECK, "print(1)", WALL_S)
        long = await keeper.run(CHECK, "import os, time\nif not os.fork(): os.setsid()\ntime.sleep(60)", 0.5)
        big = await keeper.run(CHECK, "x = bytearray(300_000_000)", WALL_S)
        return ok, long, big, await none_running(FILE), list(Path(keeper._base).iterdir())

    ok, long, big, is_quiet, left = in_keeper(story)
    assert ok == Ran("exited", 0, "1\n")
    assert long.end == "wall"
    assert "MemoryError" in big.output
    assert is_quiet
    assert left == []
