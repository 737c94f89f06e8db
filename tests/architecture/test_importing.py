"""Importing a module defines names and nothing else: starting things is for whoever calls `start`."""

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import pointsman

OPTIONAL = {"sklearn", "pyarrow", "xllamacpp"}
"""Libraries of the offline half and of test engines: a module that needs them may be absent here."""

WATCH = """
import importlib, json, logging, os, signal, sys, threading, warnings
import numpy  # sets variables of its own while it loads: not our doing, as with
try:
    import sklearn
except ModuleNotFoundError:
    pass

FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.spawn", "os.posix_spawn", "os.mkdir", "os.remove",
             "os.rename", "os.rmdir", "os.chmod", "os.putenv", "os.unsetenv", "_thread.start_new_thread", "shutil.",
             "tempfile.", "sqlite3.connect", "urllib.Request")
name, seen = sys.argv[1], []

def hook(event, args):
    if event == "open" and is_write(args):
        seen.append(f"open for writing: {args[0]!r}")
    elif event.startswith(FORBIDDEN):
        seen.append(f"{event} {args!r}"[:200])

def is_write(args):
    mode, flags = args[1], args[2]
    if isinstance(mode, str):
        return any(c in mode for c in "wax+")
    return isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) != 0

def world():
    return {
        "environment": dict(os.environ), "threads": threading.active_count(), "directory": os.getcwd(),
        "handlers": [repr(h) for h in logging.getLogger().handlers], "level": logging.getLogger().level,
        "signals": [repr(signal.getsignal(s)) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)],
    }

before = world()
sys.addaudithook(hook)
try:
    importlib.import_module(name)
    missing = None
except ModuleNotFoundError as exc:
    missing = exc.name
found = list(seen)
after = world()
found += [f"{key} changed" for key in before if before[key] != after[key]]
print(json.dumps({"found": found, "missing": missing}))
"""


def all_modules():
    names = [info.name for info in pkgutil.walk_packages(pointsman.__path__, "pointsman.")]
    return sorted(name for name in names if name != "pointsman.__main__")


ROOMS = sorted({name.split(".")[1] for name in all_modules()})


@pytest.mark.parametrize("room", ROOMS)
def test_importing_a_room_leaves_the_world_alone(room, tmp_path):
    names = [name for name in all_modules() if name.split(".")[1] == room]
    # One process per room: the order within it is that of the alphabet, which is as good as any.
    loader = tmp_path / "whole_room.py"
    loader.write_text("".join(f"import {name}\n" for name in names if not is_optional(name)))
    answers = imported_file(loader, tmp_path)

    assert answers["missing"] is None
    assert answers["found"] == []


def is_optional(name):
    """A module that needs a library of `OPTIONAL`, which need not be installed."""
    path = Path(pointsman.__file__).parent.joinpath(*name.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.exists():
        return False  # compiled
    words = file.read_text("utf-8")
    return any(f"import {library}" in words or f"from {library}" in words for library in OPTIONAL)


def imported_file(file, tmp_path):
    script = tmp_path / "watch.py"
    script.write_text(WATCH)
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, str(script), file.stem], env=environment, cwd=tmp_path, capture_output=True,
                          text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("line", "complaint"), [
    ("import socket; socket.socket().close()", "socket."),
    ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "threads changed"),
    ("open('left-behind', 'w').close()", "open for writing"),
    ("import os; os.environ['LEFT'] = 'behind'", "environment changed"),
    ("import subprocess; subprocess.run(['true'])", "subprocess."),
    ("import logging; logging.basicConfig()", "handlers changed"),
])
def test_the_watch_sees_what_it_should(line, complaint, tmp_path):
    (tmp_path / "guilty.py").write_text(line + "\n")

    found = imported_file(tmp_path / "guilty.py", tmp_path)["found"]

    assert any(complaint in said for said in found), found
