"""A real vLLM in a process of its own, with its log kept and a few questions that tests ask it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from home import HOME, MODEL, PYTHON

NAME = "counting"
"""What the engine calls its model."""
START_TIMEOUT_S = 480.0
"""Thirty seconds on an idle machine; a busy one takes its time."""
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
_ONE_CORE = {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "1"}
# Without it the first request for log-probabilities waits half a minute for a C++ compiler.
_NO_COMPILING = {"TORCH_COMPILE_DISABLE": "1"}
_PORTS = iter(range(21_000 + os.getpid() % 8_000, 32_000))
_KEPT = ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


class Vllm:
    """`with Vllm("--max-num-seqs", "4") as engine: engine.url`. Takes half a minute to start.

    A block of the KV cache is 128 tokens on CPUs, so `--num-gpu-blocks-override 12` leaves room for 1,536.
    """

    def __init__(self, *flags: str, port: int | None = None) -> None:
        self._flags = flags
        self.port = port or free_port()
        self.log = HOME / "logs" / f"vllm-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.started_in_s = 0.0

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Base URL of a client, including `/v1`."""
        return f"{self.root}/v1"

    def begin(self) -> Self:
        """Starts it without waiting. Several that begin together share the half minute."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        env = {name: value for name, value in os.environ.items() if name in _KEPT}
        # A cache and a home of its own: it writes into both.
        env |= _OFFLINE | _ONE_CORE | _NO_COMPILING | {"HOME": str(HOME / "cache"), "VLLM_CACHE_ROOT": str(HOME / "cache")}
        # The console script looks for a package called vllm, which the CPU build is not.
        command = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", MODEL, "--served-model-name", NAME, "--host", "127.0.0.1",
                   "--port", self.port, "--dtype", "bfloat16", "--max-model-len", "1024", "--enforce-eager", *self._flags]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen([str(part) for part in command], cwd=self.log.parent, env=env, stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        return self

    def wait(self) -> Self:
        """Until it serves. Raises RuntimeError with the end of its log when it does not come up."""
        begun = time.monotonic()
        while not self.is_up():
            if self.process.poll() is not None or time.monotonic() - begun > START_TIMEOUT_S:
                said = self.log.read_text("utf-8", "replace").splitlines()[-12:]
                self.close()
                raise RuntimeError("vLLM did not come up:\n" + "\n".join(said))
            time.sleep(0.25)
        self.started_in_s = time.monotonic() - begun
        return self

    def __enter__(self) -> Self:
        return self.begin().wait()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("vLLM has not been started")
        return self._process

    def close(self) -> None:
        """Ends the server and its engine process. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        for pid in {process.pid, *_descendants(process.pid)}:
            _kill(pid, signal.SIGKILL)
        process.wait()

    def engine_pids(self) -> list[int]:
        """The processes that compute; the server in front of them is another."""
        return _descendants(self.process.pid)

    def kill_engine(self) -> None:
        """What an out-of-memory killer does: the computing process dies, the server in front lives on for a moment."""
        for pid in self.engine_pids():
            _kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """Server and engine at once: the machine is gone."""
        for pid in (self.process.pid, *self.engine_pids()):
            _kill(pid, signal.SIGKILL)

    def ask_to_stop(self) -> None:
        """SIGTERM, as an orchestrator does it."""
        _kill(self.process.pid, signal.SIGTERM)

    def is_up(self) -> bool:
        return self.status("/health") == 200

    def status(self, path: str) -> int | None:
        """The status of a GET; None = nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.root}{path}", timeout=10) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def metric(self, name: str) -> float:
        """The sum over its series. Raises urllib's URLError."""
        with urllib.request.urlopen(f"{self.root}/metrics", timeout=30) as reply:
            lines = reply.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))

    def running(self) -> int:
        return int(self.metric("vllm:num_requests_running"))

    def waiting(self) -> int:
        """In its queue, or set aside for want of cache."""
        return int(self.metric("vllm:num_requests_waiting"))

    def version(self) -> str:
        with urllib.request.urlopen(f"{self.root}/version", timeout=30) as reply:
            said: dict[str, Any] = json.loads(reply.read())
        return str(said["version"])

    def __repr__(self) -> str:
        return f"<Vllm {self.url} {' '.join(self._flags)}>"


class Load:
    """`streams` answers that run at an engine directly, as somebody else's traffic. Ends when it is left."""

    def __init__(self, engine: Vllm, streams: int, *, max_tokens: int = 900, prompt: str = "Count, please.") -> None:
        body = {"model": NAME, "stream": True, "max_tokens": max_tokens, "ignore_eos": True, "temperature": 0,
                "messages": [{"role": "user", "content": prompt}]}
        self._request = urllib.request.Request(f"{engine.url}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
        self._leaves = threading.Event()
        self._threads = [threading.Thread(target=self._stream, daemon=True) for _ in range(streams)]

    def _stream(self) -> None:
        while not self._leaves.is_set():
            try:
                with urllib.request.urlopen(self._request, timeout=60) as reply:
                    while not self._leaves.is_set() and reply.readline():
                        pass
            except OSError:
                self._leaves.wait(0.2)  # refused or cut: that is what some tests are about

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaves.set()
        for thread in self._threads:
            thread.join(60)


def free_port() -> int:
    """Below the range the kernel hands out for connections: an engine binds it twenty seconds later."""
    for port in _PORTS:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)):
                return port
    raise RuntimeError("no free port")


def _descendants(pid: int) -> list[int]:
    """From /proc: all children, and theirs."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in file.read_text().split()]
        except OSError:  # it ended as we looked
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found


def _kill(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)
