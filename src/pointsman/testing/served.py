"""`pointsman serve` as a process of its own, for tests of what a process does: signals, reloads, workers, ends.

    with Served(folder) as router:  # which has a router.yaml with `server.port` and `admin.port` 0
        router.wait_for("configuration reloaded")
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final, Self

SERVING: Final = re.compile(r"serving on http://127\.0\.0\.1:(\d+)/v1, admin on port (\d+)")
PATIENCE_S: Final = 120.0
"""What may take a second takes minutes where others have the processor."""


class Served:
    """A router under test. What it says on standard error is kept line by line."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.port = self.admin_port = 0
        self._heard = threading.Condition()
        with (folder / "requests.log").open("w") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own program, arguments of a test
                [sys.executable, "-m", "pointsman", "serve", "-c", "router.yaml", *options], cwd=folder, text=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.PIPE, env=os.environ | {"COLUMNS": "500", "NO_COLOR": "1"})
        self._listening = threading.Thread(target=self._listen)
        self._listening.start()

    def __enter__(self) -> Self:
        try:
            found = SERVING.search(self.wait_for("serving on "))
            if found is None:
                raise AssertionError(self.lines)
        except BaseException:
            self.__exit__()
            raise
        self.port, self.admin_port = int(found[1]), int(found[2])
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever a test has left of it, its workers too."""
        for process in (self.process.pid, *offspring(self.process.pid)):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.end()

    def wait_for(self, words: str, *, times: int = 1, timeout_s: float = PATIENCE_S) -> str:
        """The first line that has these words, once so many lines have them."""
        with self._heard:
            if not self._heard.wait_for(lambda: sum(words in line for line in self.lines) >= times, timeout_s):
                raise AssertionError(f"no {words!r} in {self.lines}")
            return next(line for line in self.lines if words in line)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Waits for the end; returns the exit code."""
        code = self.process.wait(PATIENCE_S)
        self._listening.join()
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code

    def _listen(self) -> None:
        for line in self.process.stderr or ():
            with self._heard:
                self.lines.append(line.rstrip())
                self._heard.notify_all()

    def __repr__(self) -> str:
        return f"<Served :{self.port} [process {self.process.pid}, {len(self.lines)} lines]>"


def offspring(process: int) -> list[int]:
    """Children of a process, and theirs."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(file.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended while we looked
            continue
        if parent == process:
            found.append(int(file.parent.name))
    return found + [deeper for child in found for deeper in offspring(child)]
