"""The first five minutes of somebody new: a bare directory, and whatever models there are. Only loopback is asked."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from pointsman.testing.model_server import ModelServer, ServerThread
from pointsman.testing.simulator import Simulator

SERVING = re.compile(r"serving on http://127\.0\.0\.1:(\d+)/v1, admin on port (\d+)")
SECRET = "sk-very-secret"
KEPT = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")


def environment(**more: str) -> dict[str, str]:
    """A new user's: no key and no setting of whoever runs the tests."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | more


class Command:
    """A `pointsman` under test in a bare directory. Keeps what it says, both streams together."""

    def __init__(self, folder: Path, *arguments: str, environ: dict[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self._heard = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pointsman", *arguments], cwd=folder, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment() if environ is None else environ)
        self._listening = threading.Thread(target=self._listen)
        self._listening.start()

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            with self._heard:
                self.lines.append(line.rstrip())
                self._heard.notify_all()

    def wait_for(self, words: str) -> str:
        with self._heard:
            if not self._heard.wait_for(lambda: any(words in line for line in self.lines), 120):
                raise AssertionError(f"no {words!r} in {self.lines}")
            return next(line for line in self.lines if words in line)

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def port(self) -> int:
        found = SERVING.search(self.wait_for("serving on "))
        if found is None:
            raise AssertionError(self.lines)
        return int(found[1])

    def end(self) -> int:
        code = self.process.wait(120)
        self._listening.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


@contextlib.contextmanager
def serving(folder: Path, *arguments: str, environ: dict[str, str] | None = None) -> Iterator[Command]:
    command = Command(folder, "serve", "--port", "0", *arguments, environ=environ)
    try:
        yield command
    finally:
        command.process.kill()
        command.end()


def ask(port: int, model: str = "auto") -> tuple[str | None, str]:
    """The answer's text, and the model that gave it."""
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_retries=0) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model=model, messages=[{"role": "user", "content": "Capital of France?"}])
        return raw.parse().choices[0].message.content, raw.headers["x-route-model"]


@pytest.fixture
def engine() -> Iterator[ModelServer]:
    with ServerThread(ModelServer(model="acme-chat")) as thread:
        yield thread.server


def test_only_a_key_and_a_base_url_end_in_an_answer(tmp_path: Path, engine: ModelServer) -> None:
    environ = environment(OPENAI_API_KEY=SECRET, OPENAI_BASE_URL=engine.url)
    with serving(tmp_path, "--usual-ports", "", environ=environ) as command:
        assert ask(command.port()) == ("Paris is the capital of France.", "acme-chat")

    assert engine.requests[0].header("authorization") == f"Bearer {SECRET}"
    assert "with $OPENAI_API_KEY" in command.said
    assert "routing needs two" in command.said
    assert SECRET not in command.said
    assert not (tmp_path / "pointsman.yaml").exists()


def test_only_local_servers_become_a_ladder_that_is_explained(tmp_path: Path) -> None:
    ollama = ServerThread(ModelServer(model="llama3.2:3b", max_model_len=None))
    with ollama, ServerThread(Simulator("large", "meta-llama/Llama-3.3-70B-Instruct", "H100", time_scale=100)) as vllm:
        ports = f"{ollama.server.port},{vllm.server.port}"
        with serving(tmp_path, "--usual-ports", ports) as command:
            port = command.port()
            assert ask(port)[1] == "llama3.2:3b"  # an easy question
            assert ask(port, "large")[1] == "meta-llama/Llama-3.3-70B-Instruct"

    for words in ("3 B parameters by its name; the smallest", "70 B parameters by its name; the largest", "pointsman serve --write"):
        assert words in command.said
    assert "\x1b" not in command.said
    assert not any(box in command.said for box in "│┃━─╭")


def test_a_server_elsewhere_is_found_with_probe_and_an_answer_is_routed(tmp_path: Path, engine: ModelServer) -> None:
    with serving(tmp_path, "--usual-ports", "", "--probe", f"localhost:{engine.port}") as command:
        assert ask(command.port())[0] == "Paris is the capital of France."


def test_with_nothing_it_exits_with_what_to_do(tmp_path: Path) -> None:
    command = Command(tmp_path, "serve", "--usual-ports", "")

    assert command.end() == 1
    assert command.lines[0] == "nothing to route to: no model server answers here, and no provider's key is set."
    for words in ("export OPENAI_API_KEY", "`ollama serve`", "`vllm serve MODEL`", "`llama-server -m FILE.gguf`", "`pointsman demo`",
                  "`pointsman init`", "$OPENAI_API_KEY, $ANTHROPIC_API_KEY", "--probe host:port"):
        assert words in command.said
    assert "Traceback" not in command.said
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_litellms_that_lies_there_is_pointed_at(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model_list:\n- model_name: a\n  litellm_params: {model: openai/a}\n")
    (tmp_path / "litellm.yaml").write_text("unrelated: true\n")
    command = Command(tmp_path, "serve", "--usual-ports", "")

    assert command.end() == 1
    assert "`pointsman import litellm config.yaml --output pointsman.yaml`" in command.said

    named = Command(tmp_path, "serve", "--config", "config.yaml")
    assert named.end() == 1
    assert "`pointsman import litellm config.yaml --output pointsman.yaml` makes one of it" in named.said


def test_init_with_nothing_does_not_send_to_itself(tmp_path: Path) -> None:
    command = Command(tmp_path, "init", "--yes", "--usual-ports", "")

    assert command.end() == 1
    assert "run `pointsman init` again" in command.said
    assert "`pointsman init --probe host:port`" in command.said
    assert "`pointsman init`, which asks" not in command.said


def test_an_address_that_was_named_and_is_silent_is_told(tmp_path: Path) -> None:
    command = Command(tmp_path, "serve", "--usual-ports", "", environ=environment(
        OPENAI_API_KEY=SECRET, OPENAI_BASE_URL="http://127.0.0.1:9/v1"))

    assert command.end() == 1
    assert "OPENAI_BASE_URL at http://127.0.0.1:9/v1 with $OPENAI_API_KEY cannot be reached" in command.said
    assert SECRET not in command.said


def test_a_refused_key_is_named_and_the_others_serve(tmp_path: Path, engine: ModelServer) -> None:
    with ServerThread(Simulator("small", "Qwen/Qwen2.5-7B-Instruct", "RTX 4090", api_key="another")) as locked:
        environ = environment(OPENAI_API_KEY=SECRET, OPENAI_BASE_URL=locked.server.url)
        with serving(tmp_path, "--usual-ports", str(engine.port), environ=environ) as command:
            assert ask(command.port())[1] == "acme-chat"

    assert "refuses the key in $OPENAI_API_KEY (status 401)" in command.said
    assert SECRET not in command.said


def test_the_written_file_is_sound_and_is_what_serves(tmp_path: Path, engine: ModelServer) -> None:
    environ = environment(OPENAI_API_KEY=SECRET, OPENAI_BASE_URL=engine.url)
    with serving(tmp_path, "--usual-ports", "", "--write", environ=environ) as command:
        assert ask(command.port())[0] == "Paris is the capital of France."
    text = (tmp_path / "pointsman.yaml").read_text()
    checked = Command(tmp_path, "check", "--live", environ=environ)

    assert SECRET not in text + command.said
    assert checked.end() == 0, checked.said
    assert "1 of 1 endpoints answer and list their model" in checked.said
    with serving(tmp_path, "--usual-ports", "", environ=environ) as again:
        assert ask(again.port())[1] == "acme-chat"
    assert "Found" not in again.said


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path, engine: ModelServer) -> None:
    (tmp_path / "pointsman.yaml").write_text("mine")
    command = Command(tmp_path, "serve", "--write", "--usual-ports", str(engine.port))

    assert command.end() == 1
    assert "pointsman.yaml is there already" in command.said
    assert (tmp_path / "pointsman.yaml").read_text() == "mine"


def test_an_open_host_without_client_keys_is_refused(tmp_path: Path, engine: ModelServer) -> None:
    command = Command(tmp_path, "serve", "--host", "0.0.0.0", "--usual-ports", str(engine.port))

    assert command.end() == 1
    assert "no client keys" in command.said


def test_a_reload_looks_again_and_reads_the_file_once_there_is_one(tmp_path: Path, engine: ModelServer) -> None:
    with ServerThread(ModelServer(model="qwen2.5:32b")) as later:
        port_later = later.server.port
        later.run(later.server.stop_listening())
        with serving(tmp_path, "--usual-ports", f"{engine.port},{port_later}") as command:
            port = command.port()
            later.run(later.server.start_listening())
            command.process.send_signal(signal.SIGHUP)
            command.wait_for("configuration reloaded, generation 2")
            assert ask(port, "qwen2.5:32b")[1] == "qwen2.5:32b"

            written = Command(tmp_path, "init", "--yes", "--usual-ports", str(port_later))
            assert written.end() == 0, written.said
            command.process.send_signal(signal.SIGHUP)
            command.wait_for("configuration reloaded, generation 3")
            assert models(port) == ["auto", "only", "qwen2.5:32b"]


def models(port: int) -> list[str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/v1/models")
        return [card["id"] for card in json.loads(connection.getresponse().read())["data"]]
    finally:
        connection.close()
