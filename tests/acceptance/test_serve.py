"""`pointsman serve` as an operator meets it: a process, a file, signals, a port."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from pointsman.core.settings import RecordsSettings
from pointsman.records.journal import Journal
from pointsman.testing import days
from pointsman.testing.model_server import ModelServer, ServerThread
from pointsman.testing.served import Served

ASK = [{"role": "user", "content": "hi"}]
PARIS = "Paris is the capital of France."


class Router(Served):
    """With the client that a user has, and an operator's."""

    def sdk(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"http://127.0.0.1:{self.port}/v1", api_key="x", max_retries=0)

    def get(self, path: str) -> Answered:
        return call(self.port, "GET", path)

    def admin(self, path: str, method: str = "GET", token: str = "the-token", **headers: str) -> Answered:
        return call(self.admin_port, method, path, {"authorization": f"Bearer {token}"} | headers)


@dataclass
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(port: int, method: str, path: str, headers: dict[str, str] | None = None) -> Answered:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, headers=headers or {})
        reply = connection.getresponse()
        return Answered(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
    finally:
        connection.close()


def config(url: str, *, model: str = "small-model", port: int = 0) -> str:
    return f"""
server: {{port: {port}}}
admin: {{port: 0, token: "file:token"}}
records: {{path: records/records.db}}
tiers:
  small:
    model: {model}
    capabilities: {{context: 8192}}
    endpoints: [{{url: "{url}", usd_per_million: {{input: 1, output: 2}}}}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("the-token\n")
    return tmp_path


@pytest.fixture
def engine():
    with ServerThread(ModelServer()) as thread:
        yield thread


@pytest.fixture
def routed(folder, engine):
    """A running router before one engine."""
    (folder / "router.yaml").write_text(config(engine.server.url))
    with Router(folder) as router:
        yield router


async def release(held: days.Paused) -> None:
    held.go.set()


def test_it_serves_says_so_and_is_ready(routed, folder):
    with routed.sdk() as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=ASK)

    assert raw.parse().choices[0].message.content == PARIS
    ready = routed.get("/health/readiness")
    assert (ready.status, ready.json["status"], ready.json["missing_pools"]) == (200, "ready", [])
    assert routed.get("/health/liveness").status == routed.get("/health/liveliness").status == 200
    routed.signal(signal.SIGTERM)
    assert routed.end() == 0
    (line,) = (folder / "requests.log").read_text().splitlines()
    assert json.loads(line)["id"] == raw.headers["x-route-record"]


def test_a_bad_file_starts_nothing_and_every_problem_is_listed(folder):
    (folder / "router.yaml").write_text("""
server: {prot: 1}
tiers:
  small: {model: m, endpoints: [{url: "ftp://x"}]}
routes:
  auto: {ladder: [smal], quality: 7}
""")
    router = Router(folder)

    assert router.end() == 1
    said = "\n".join(router.lines)
    for where in ("router.yaml:2: server.prot", "router.yaml:4: tiers.small.endpoints[0].url",
                  "router.yaml:6: routes.auto.ladder[0]", "router.yaml:6: routes.auto.quality"):
        assert where in said
    assert "did you mean 'small'?" in said
    assert "4 problem(s); nothing was started" in said
    assert not (folder / "records").exists()


def test_a_missing_file_is_one_sentence(folder):
    router = Router(folder)

    assert router.end() == 1
    assert "router.yaml" in router.lines[0]
    assert not any("Traceback" in line for line in router.lines)


def test_a_port_that_is_taken_is_one_sentence(folder, engine):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        (folder / "router.yaml").write_text(config(engine.server.url, port=port))
        router = Router(folder)
        assert router.end() == 1

    (line,) = [line for line in router.lines if line]
    assert f"cannot listen on 127.0.0.1:{port}" in line
    assert "server.port" in line


def test_a_reload_is_used_at_once_and_running_streams_end_on_the_old_graph(routed, folder, engine):
    held = days.Paused()
    engine.server.days = [held, days.Answer()]
    with routed.sdk() as sdk, ServerThread(ModelServer(days.Answer("The new one."))) as other:
        stream = iter(sdk.chat.completions.create(model="auto", messages=ASK, stream=True))
        said = [next(stream)]
        (folder / "router.yaml").write_text(config(other.server.url, model="new-model"))
        routed.signal(signal.SIGHUP)
        routed.wait_for("configuration reloaded, generation 2")

        raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=ASK)
        assert (raw.parse().choices[0].message.content, raw.headers["x-route-model"]) == ("The new one.", "new-model")
        assert [m.id for m in sdk.models.list()] == ["auto", "small", "new-model"]
        engine.run(release(held))
        said += stream

    assert "".join(c.choices[0].delta.content or "" for c in said) == PARIS
    assert len(engine.server.requests) == 1


def test_a_bad_reload_keeps_the_old_one_and_says_why(routed, folder):
    (folder / "router.yaml").write_text("tiers: {small: {modle: x}}")
    routed.signal(signal.SIGHUP)
    routed.wait_for("the new configuration is not used; the old one stays")
    routed.wait_for("tiers.small.modle")

    with routed.sdk() as sdk:
        assert sdk.chat.completions.create(model="auto", messages=ASK).choices[0].message.content == PARIS
    assert routed.admin("/state").json["generation"] == 1


def test_a_signal_drains_and_what_runs_ends_well(routed, engine):
    held = days.Paused()
    engine.server.days = [held]
    with routed.sdk() as sdk:
        stream = iter(sdk.chat.completions.create(model="auto", messages=ASK, stream=True))
        said = [next(stream)]
        routed.signal(signal.SIGTERM)
        routed.wait_for("draining: 1 request(s) under way")

        for _ in range(300):  # a load balancer asks again and again
            ready = routed.get("/health/readiness")
            assert (ready.status, ready.json["status"]) == (503, "draining")
        with routed.sdk() as late, pytest.raises(openai.InternalServerError) as caught:
            late.chat.completions.create(model="auto", messages=ASK)
        assert (caught.value.status_code, caught.value.code) == (503, "draining")
        assert "retry-after" in caught.value.response.headers

        engine.run(release(held))
        said += stream

    assert "".join(c.choices[0].delta.content or "" for c in said) == PARIS
    assert routed.end() == 0
    assert len(engine.server.requests) == 1


def test_a_second_signal_cuts_and_the_cut_is_on_record(routed, engine, folder):
    engine.server.days = [days.Paused()]
    with routed.sdk() as sdk:
        stream = sdk.chat.completions.create(model="auto", messages=ASK, stream=True)
        events = iter(stream)
        next(events)
        routed.signal(signal.SIGTERM)
        routed.wait_for("draining: 1 request(s) under way")
        routed.signal(signal.SIGTERM)
        with pytest.raises(Exception, match=r".+"):  # whatever the SDK makes of it: never a quiet end
            list(events)

    assert routed.end() == 0
    assert not any("Traceback" in line for line in routed.lines)
    (record,) = records_of(folder)
    assert record.id == stream.response.headers["x-route-record"]
    assert record.outcome in ("cancelled", "failed")


def records_of(folder: Path) -> list[Any]:
    journal = Journal(RecordsSettings(path=str(folder / "records" / "records.db")))
    try:
        assert journal.flush()
        return journal.recent(100_000)
    finally:
        journal.stop()


def test_kill_9_under_load_loses_no_answered_request(routed, folder):
    answered: list[str] = []
    enough = threading.Event()

    def load(number: int) -> None:
        with routed.sdk() as sdk:
            while True:
                try:
                    if number % 2:
                        raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=ASK)
                        answered.append(raw.headers["x-route-record"])
                    else:
                        stream = sdk.chat.completions.create(model="auto", messages=ASK, stream=True)
                        if list(stream)[-1].choices[0].finish_reason == "stop":
                            answered.append(stream.response.headers["x-route-record"])
                except openai.APIConnectionError:
                    return
                except Exception as broken:  # a stream cut by the kill: httpx2's own errors
                    if "peer closed" in str(broken) or "incomplete" in str(broken):
                        return
                    raise
                if len(answered) >= 200:
                    enough.set()

    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(load, number) for number in range(4)]
        assert enough.wait(120)
        routed.process.kill()
        for load_ in loads:
            load_.result()

    with Router(folder) as again:  # the next start imports what the killed one left
        for name in (answered[0], answered[-1]):
            assert again.admin(f"/records/{name}").json["id"] == name
        again.signal(signal.SIGTERM)
        assert again.end() == 0
    stored = records_of(folder)
    assert set(answered) <= {r.id for r in stored if r.outcome == "answered"}
    assert len(stored) == len({r.id for r in stored})


# -- admin


def test_a_generated_token_is_for_its_owner_only(folder, engine):
    text = config(engine.server.url).replace('token: "file:token"', "token_file: admin.token")
    (folder / "router.yaml").write_text(text)
    with Router(folder) as router:
        file = folder / "records" / "admin.token"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        token = file.read_text().strip()
        assert router.admin("/state", token=token).status == 200
        assert router.admin("/state", token=token + "x").status == 401


def test_admin_shows_state_and_records(routed):
    with routed.sdk() as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=ASK)
    state = routed.admin("/state").json
    record = routed.admin(f"/records/{raw.headers['x-route-record']}").json

    assert (state["generation"], state["draining"], list(state["pools"])) == (1, False, ["small"])
    assert (record["outcome"], record["model_id"], record["attempts"][0]["endpoint"]) == ("answered", "small-model", "small/0")
    missing = routed.admin("/records/0123")
    assert (missing.status, missing.json["error"]["code"]) == (404, "record_not_found")


def test_admin_reloads_and_reports_problems(routed, folder, engine):
    (folder / "router.yaml").write_text(config(engine.server.url, model="renamed"))
    good = routed.admin("/reload", "POST")
    (folder / "router.yaml").write_text("tiers: {}")
    bad = routed.admin("/reload", "POST")

    assert (good.status, good.json["generation"]) == (200, 2)
    assert bad.status == 422
    assert any("tiers" in problem for problem in bad.json["problems"])
    assert routed.admin("/state").json["generation"] == 2


def test_a_router_that_the_admin_drains_is_not_ready_and_refuses(routed):
    assert routed.admin("/drain", "POST").json == {"draining": True}

    assert routed.get("/health/readiness").status == 503
    with routed.sdk() as sdk, pytest.raises(openai.InternalServerError, match="draining"):
        sdk.chat.completions.create(model="auto", messages=ASK)


def test_admin_needs_its_token_and_its_own_host(routed):
    for path in ("/state", "/records/x", "/metrics"):
        assert routed.admin(path, token="guess").status == 401
        assert call(routed.admin_port, "GET", path).status == 401
        assert routed.admin(path, host="evil.example").status == 421
    assert routed.get("/state").status == 404  # never on the clients' port
