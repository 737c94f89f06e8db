"""The other routers in the throughput bench: pinned, on loopback, and missing with a sentence. Nothing is installed or started."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest

BENCH = Path(__file__).resolve().parents[3] / "bench"
PINS = BENCH.parent / "requirements" / "rivals"


def _module(path: str, **needs: ModuleType) -> ModuleType:
    """A module of a bench folder, which is no package: under a name of its own; what it imports by bare name is handed in."""
    full = "bench_rivals_" + Path(path).stem
    spec = importlib.util.spec_from_file_location(full, BENCH / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.dict(sys.modules, {full: module, **needs}), patch.object(sys, "path", list(sys.path)):
        spec.loader.exec_module(module)
        imported = {name: one for name, one in sys.modules.items() if name not in needs}
    sys.modules.update(imported)  # `patch.dict` forgets them, and what is imported twice has classes of its own
    sys.modules[full] = module
    return module


environment = _module("environment.py")
contestants = _module("throughput/contestants.py")
rivals = _module("throughput/rivals.py", contestants=contestants, environment=environment)
NAMES = [rival.name for rival in rivals.RIVALS]


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been installed."""
    asked: list[str] = []

    def python(home: Path, pins: Path) -> Path:
        asked.append(pins.stem)
        return home / "bin" / "python"

    def node(home: Path, pins: Path, node: Path) -> Path:
        asked.append(pins.name)
        return home

    monkeypatch.setattr(rivals, "python_environment", python)
    monkeypatch.setattr(rivals, "node_environment", node)
    monkeypatch.setattr(rivals, "node_of", lambda python: python.with_name("node"))
    return asked


def test_all_are_set_up_when_none_is_named(tmp_path: Path, installs: list[str]) -> None:
    found, missing = rivals.rivals([], tmp_path, 9000)

    assert [contestant.name for contestant in found] == ["vllm-router", "sglang-router", "litellm", "portkey"]
    assert missing == []
    assert installs == ["vllm-router", "sglang-router", "litellm", "node", "npm-portkey"]


def test_only_those_asked_for_are_installed(tmp_path: Path, installs: list[str]) -> None:
    found, _ = rivals.rivals(["pointsman", "vllm-router"], tmp_path, 9000)

    assert [contestant.name for contestant in found] == ["vllm-router"]
    assert installs == ["vllm-router"]


def test_one_that_cannot_be_installed_is_missing_with_a_sentence_and_the_others_run(
        tmp_path: Path, installs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(home: Path, pins: Path) -> Path:
        if pins.stem == "litellm":
            raise environment.NotInstalled("litellm", "no matching distribution")
        return home / "bin" / "python"

    monkeypatch.setattr(rivals, "python_environment", refuse)

    found, missing = rivals.rivals([], tmp_path, 9000)

    assert [contestant.name for contestant in found] == ["vllm-router", "sglang-router", "portkey"]
    assert missing == ["litellm 1.106.2 could not be set up: no matching distribution"]


@pytest.mark.parametrize("name", NAMES)
def test_every_rival_listens_on_loopback_and_calls_nobody_but_the_upstream(
        name: str, tmp_path: Path, installs: list[str]) -> None:
    (contestant,), _ = rivals.rivals([name], tmp_path, 9000)
    folder = tmp_path / "run"
    folder.mkdir()

    command = contestant.launch(folder, 4100)

    told = " ".join(map(str, command.argv)) + "".join(file.read_text() for file in folder.iterdir()) + (contestant.header or "")
    assert "127.0.0.1" in told
    assert "0.0.0.0" not in told
    assert "127.0.0.1:9000" in told
    assert "4100" in told
    assert "{home}" not in told


@pytest.mark.parametrize("name", ["litellm", "portkey"])
def test_no_key_of_the_person_who_runs_the_bench_reaches_a_gateway(
        name: str, tmp_path: Path, installs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-real-one")
    (contestant,), _ = rivals.rivals([name], tmp_path, 9000)

    assert "OPENAI_API_KEY" not in contestant.launch(tmp_path, 4100).env


@pytest.mark.parametrize("rival", rivals.RIVALS, ids=NAMES)
def test_the_version_that_the_report_tells_is_the_one_that_is_pinned(rival: Any) -> None:
    if rival.is_of_node:
        pinned = list(json.loads((PINS / f"npm-{rival.name}" / "package.json").read_text())["dependencies"].values())
        assert pinned == [rival.version]
    else:
        assert f"\n{rival.name}=={rival.version} " in (PINS / f"{rival.name}.txt").read_text().replace("[proxy]", "")


# ---- readiness ------------------------------------------------------------------------------------------------------


class Gateway(BaseHTTPRequestHandler):
    """Says that it is well, and answers plain chat requests only."""

    def do_GET(self) -> None:
        self._say(200, b"{}")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._say(*((500, b"Something went wrong") if asked["stream"] else (200, b'{"choices": []}')))

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def gateway_port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_gateway_that_is_well_but_cannot_stream_did_not_start(gateway_port: int, tmp_path: Path) -> None:
    contestant = contestants.Contestant("it", "router", port=gateway_port, is_asked_first=True, ready_timeout_s=0.05)

    with pytest.raises(contestants.DidNotStart, match=r"no streamed answer \(500 Something went wrong\)"):
        contestants.wait_ready(contestant, tmp_path / "log")


def test_one_that_is_not_asked_first_is_ready_when_it_says_so(gateway_port: int, tmp_path: Path) -> None:
    contestants.wait_ready(contestants.Contestant("it", "proxy", port=gateway_port), tmp_path / "log")
