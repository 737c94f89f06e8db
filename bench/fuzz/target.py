"""The router under fire: a process of its own on free ports, with its files in a folder that goes with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the bench folders are no packages

from processes import die_with_parent

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
_TICK = os.sysconf("SC_CLK_TCK")


class Target:
    """`pointsman serve` with the configuration given; dies with this process."""

    def __init__(self, folder: Path, config: str, port: int) -> None:
        self.folder, self.port = folder, port
        (folder / "router.yaml").write_text(config)
        self._log = (folder / "router.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the router has not been started")
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> None:
        """Starts the process and waits for nothing."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pointsman", "serve", "-c", "router.yaml", "--no-log-requests", "--log-level", "warning"],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True,
            preexec_fn=die_with_parent)

    def start(self) -> None:
        """Returns once the router answers. RuntimeError with its log when it does not."""
        self.spawn()
        until = time.monotonic() + READY_TIMEOUT_S
        while self.is_alive and time.monotonic() < until:
            with contextlib.suppress(OSError, urllib.error.URLError), \
                    urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/liveness", timeout=1):
                return
            time.sleep(0.02)
        raise RuntimeError(f"the router did not start:\n{self.log()[-2000:]}")

    def log(self) -> str:
        return (self.folder / "router.log").read_text(errors="replace")

    def cpu_s(self) -> float:
        """CPU seconds so far, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def rss_mb(self) -> float:
        return self._status("VmRSS") / 1024

    def threads(self) -> int:
        return self._status("Threads")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise RuntimeError(f"/proc does not tell {name}")

    def fds(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def stop(self) -> int | None:
        """SIGTERM, then SIGKILL; the exit code, None = it had to be killed."""
        process = self._process
        if process is None:
            return None
        code = None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(STOP_TIMEOUT_S)
            if process.poll() is None:
                process.kill()
                process.wait()
        self._log.close()
        return code
