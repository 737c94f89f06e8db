"""`server.workers: 2`: real processes, one port, killed and stopped in every way."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import openai
import pytest

from pointsman.core.request import Message
from pointsman.core.settings import RecordsSettings
from pointsman.pools.fleet import Fleet
from pointsman.records.journal import Journal
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_request, a_settings, an_endpoint
from pointsman.testing.model_server import ModelServer, ServerThread
from pointsman.testing.served import Served, offspring

ASK: Any = [{"role": "user", "content": "hi"}]
PARIS = "Paris is the capital of France."
CONFIG = """
server: {{port: 0, workers: 2}}
admin: {{port: 0, token: "file:token"}}
records: {{path: records/records.db}}
tiers:
  small:
    model: {model}
    capabilities: {{context: 8192}}
    health: {{eject_for: 60s}}
    endpoints: [{endpoints}]
"""
ENDPOINT = '{{url: "{url}", slots: 50, usd_per_million: {{input: 1, output: 2}}}}'


def config(*urls: str, model: str = "small-model") -> str:
    return CONFIG.format(model=model, endpoints=", ".join(ENDPOINT.format(url=url) for url in urls))


class Router(Served):
    """With its workers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "--no-watch", "--no-log-requests")

    def sdk(self, retries: int = 2) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"http://127.0.0.1:{self.port}/v1", api_key="x", max_retries=retries)

    def admin(self, path: str, method: str = "GET") -> Any:
        status, body = call(self.admin_port, method, path, {"authorization": "Bearer the-token"})
        assert status == 200, body
        return json.loads(body)

    def workers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.admin("/state")["workers"]
        return found

    def processes(self) -> list[int]:
        return [worker["process"] for worker in self.workers() if worker["is_serving"]]

    def counted(self, name: str) -> float:
        """A series of `/metrics`, all labels together."""
        _, page = call(self.port, "GET", "/metrics")
        rows = [line for line in page.decode().splitlines() if re.match(rf"{name}[ {{]", line)]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows)

    def until(self, holds: Callable[[], bool], timeout_s: float = 120.0) -> None:
        """Asks again and again: processes tell each other within a tick or two."""
        pause = threading.Event()
        for _ in range(int(timeout_s / 0.01)):
            if holds():
                return
            pause.wait(0.01)
        raise AssertionError(f"it never came: {self.workers()} {self.lines}")


def call(port: int, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def stored(folder: Path) -> list[Any]:
    journal = Journal(RecordsSettings(path=str(folder / "records" / "records.db")))
    try:
        assert journal.flush()
        return journal.recent(100_000)
    finally:
        journal.stop()


async def release(held: days.Paused) -> None:
    held.go.set()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("the-token\n")
    return tmp_path


@pytest.fixture
def engine() -> Iterator[ServerThread[ModelServer]]:
    with ServerThread(ModelServer()) as thread:
        yield thread


@pytest.fixture
def routed(folder: Path, engine: ServerThread[ModelServer]) -> Iterator[Router]:
    (folder / "router.yaml").write_text(config(engine.server.url))
    with Router(folder) as router:
        yield router


def on_both(router: Router, sdks: contextlib.ExitStack, ask: Callable[[openai.OpenAI], None]) -> int:
    """Asks on one connection after the other until each worker has two of them, and tells how many it took. On a machine with nothing else to
    do they are six, three for each; a worker that gets no time finds its share among later ones."""
    clients = 0

    def is_spread() -> bool:
        nonlocal clients
        ask(sdks.enter_context(router.sdk()))
        clients += 1
        return clients >= 6 and min(worker["connections"] for worker in router.workers()) >= 2

    router.until(is_spread)
    return clients


def test_both_serve_each_connection_finds_the_less_busy_and_all_is_counted_once(routed: Router) -> None:
    with contextlib.ExitStack() as sdks:
        def ask(sdk: openai.OpenAI) -> None:
            for _ in range(2):
                assert sdk.chat.completions.create(model="auto", messages=ASK).choices[0].message.content == PARIS

        clients = on_both(routed, sdks, ask)
        routed.until(lambda: sum(worker["connections"] for worker in routed.workers()) == clients)

    asked = 2 * clients
    routed.until(lambda: routed.counted("llm_router_requests_total") == asked)
    assert routed.counted("pointsman_request_duration_seconds_count") == asked
    assert routed.counted("pointsman_workers") == 2
    assert {worker["generation"] for worker in routed.workers()} == {1}
    status, body = call(routed.admin_port, "GET", "/metrics", {"authorization": "Bearer the-token"})
    assert status == 200
    assert b'llm_router_requests_total{escalated="false",model_id="small-model",original_tier="",routing_tier="small"} %d.0' % asked in body


def test_killing_workers_under_load_loses_no_answer_no_record_and_no_count(
        routed: Router, folder: Path, engine: ServerThread[ModelServer]) -> None:
    answered: list[str] = []
    stop = threading.Event()

    def load(_: int) -> None:
        with routed.sdk(retries=4) as sdk:  # as often as there are kills: a slow client may meet each of them
            while not stop.is_set():
                raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=ASK)
                assert raw.parse().choices[0].message.content == PARIS
                answered.append(raw.headers["x-route-record"])

    def kill(times: int) -> None:
        for number in range(times):
            goal = len(answered) + 100
            routed.until(lambda goal=goal: len(answered) >= goal)  # type: ignore[misc]
            routed.until(lambda: len(routed.processes()) == 2)
            os.kill(routed.processes()[number % 2], signal.SIGKILL)

    with ThreadPoolExecutor(7) as pool:
        loads = [pool.submit(load, number) for number in range(6)]
        try:
            pool.submit(kill, 4).result()
            goal = len(answered) + 100
            routed.until(lambda: len(answered) >= goal)
        finally:
            stop.set()
        for each in loads:
            each.result()  # an answer that was lost for good raises here

    routed.until(lambda: len(routed.processes()) == 2)
    assert routed.counted("pointsman_worker_restarts_total") == 4
    routed.until(lambda: all(worker["in_flight"] == 0 for worker in routed.workers()))
    records = stored(folder)
    assert set(answered) <= {record.id for record in records}
    assert len(records) == len({record.id for record in records})
    routed.until(lambda: routed.counted("llm_router_requests_total") == len(records))
    assert routed.counted("pointsman_request_duration_seconds_count") == len(records)
    assert len(records) <= len(engine.server.requests)  # what was cut by a kill was asked and has no record


def test_a_reload_reaches_everyone_and_a_bad_one_nobody(
        routed: Router, folder: Path, engine: ServerThread[ModelServer]) -> None:
    (folder / "router.yaml").write_text(config(engine.server.url, model="new-model"))
    done = routed.admin("/reload", "POST")
    assert done["workers"] == [{"worker": n, "generation": 2, "refused": ""} for n in range(2)]
    (folder / "router.yaml").write_text("tiers: {small: {modle: x}}")
    assert call(routed.admin_port, "POST", "/reload", {"authorization": "Bearer the-token"})[0] == 422

    for _ in range(6):  # each on a connection of its own
        with routed.sdk() as sdk:
            raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=ASK)
            assert raw.headers["x-route-model"] == "new-model"
    assert {worker["generation"] for worker in routed.workers()} == {2}


def test_a_signal_drains_all_and_nothing_is_left_behind(
        routed: Router, folder: Path, engine: ServerThread[ModelServer]) -> None:
    held = [days.Paused(), days.Paused()]
    engine.server.days = [*held]
    family = offspring(routed.process.pid)
    assert len(family) == 3  # two workers, and the process that they are forked from
    with routed.sdk(0) as one, routed.sdk(0) as two:
        streams = [iter(sdk.chat.completions.create(model="auto", messages=ASK, stream=True)) for sdk in (one, two)]
        said = [[next(stream)] for stream in streams]
        routed.until(lambda: sum(worker["in_flight"] for worker in routed.workers()) == 2)
        assert routed.admin("/state")["pools"]["small"]["endpoints"][0]["in_flight_elsewhere"] == 2
        routed.process.send_signal(signal.SIGTERM)
        routed.wait_for("draining: 2 request(s) under way")
        routed.until(lambda: call(routed.port, "GET", "/health/readiness")[0] == 503)
        for day in held:
            engine.run(release(day))
        for words, stream in zip(said, streams, strict=True):
            words += stream
            assert "".join(c.choices[0].delta.content or "" for c in words if c.choices) == PARIS

    assert routed.end() == 0
    assert [process for process in family if is_alive(process)] == []
    assert not any("Traceback" in line or "ERROR" in line for line in routed.lines)
    assert list((folder / "records" / "records.spool").iterdir()) == []
    assert len(stored(folder)) == 2


def test_a_second_signal_cuts_in_every_worker(routed: Router, engine: ServerThread[ModelServer], folder: Path) -> None:
    engine.server.days = [days.Paused(), days.Paused()]
    with routed.sdk(0) as one, routed.sdk(0) as two:
        streams = [sdk.chat.completions.create(model="auto", messages=ASK, stream=True) for sdk in (one, two)]
        for stream in streams:
            next(iter(stream))
        routed.until(lambda: sum(worker["in_flight"] for worker in routed.workers()) == 2)
        routed.process.send_signal(signal.SIGTERM)
        routed.wait_for("draining: 2 request(s) under way")
        routed.process.send_signal(signal.SIGTERM)
        for stream in streams:
            with pytest.raises(Exception, match=r".+"):  # whatever the SDK makes of it: never a quiet end
                list(stream)

    assert routed.end() == 0
    assert Counter(record.outcome for record in stored(folder)).total() == 2


def test_when_the_supervisor_is_killed_workers_end_what_they_have_and_leave(
        routed: Router, engine: ServerThread[ModelServer]) -> None:
    engine.server.days = [held := days.Paused(), days.Answer()]
    family = offspring(routed.process.pid)
    with routed.sdk(0) as sdk:
        stream = iter(sdk.chat.completions.create(model="auto", messages=ASK, stream=True))
        said = [next(stream)]
        routed.process.kill()
        routed.wait_for("the supervisor is gone")
        engine.run(release(held))
        said += stream

    assert "".join(c.choices[0].delta.content or "" for c in said if c.choices) == PARIS
    routed.end()
    pause = threading.Event()
    while any(map(is_alive, family)):
        pause.wait(0.01)


def test_a_worker_that_is_asked_to_go_alone_is_replaced_and_no_request_notices(
        routed: Router, engine: ServerThread[ModelServer]) -> None:
    engine.server.days = [held := days.Paused(), days.Answer()]
    with routed.sdk(0) as sdk:
        stream = iter(sdk.chat.completions.create(model="auto", messages=ASK, stream=True))
        said = [next(stream)]
        routed.until(lambda: sum(worker["in_flight"] for worker in routed.workers()) == 1)
        goes = next(worker["process"] for worker in routed.workers() if worker["in_flight"])
        os.kill(goes, signal.SIGTERM)
        for _ in range(6):
            with routed.sdk(0) as other:
                assert other.chat.completions.create(model="auto", messages=ASK).choices[0].message.content == PARIS
        engine.run(release(held))
        said += stream

    assert "".join(c.choices[0].delta.content or "" for c in said if c.choices) == PARIS
    routed.until(lambda: len(routed.processes()) == 2 and goes not in routed.processes())
    assert len(stored(routed.folder)) == 7
    routed.until(lambda: routed.counted("llm_router_requests_total") >= 7)
    assert routed.counted("llm_router_requests_total") == 7


def test_an_endpoint_that_one_worker_ejects_is_ejected_for_all(
        folder: Path, engine: ServerThread[ModelServer]) -> None:
    with ServerThread(ModelServer()) as other:
        other.server.days = [days.Reset()]
        (folder / "router.yaml").write_text(config(other.server.url, engine.server.url))
        with Router(folder) as router, router.sdk() as sdk:
            while len(other.server.requests) < 5:  # all on one connection: one worker meets them
                assert sdk.chat.completions.create(model="auto", messages=ASK).choices[0].message.content == PARIS
            router.until(lambda: router.admin("/state")["pools"]["small"]["ejected"] == 1)
            router.until(lambda: router.admin("/state")["tiers"]["small"]["failures"] == 5)
            met = len(other.server.requests)
            with contextlib.ExitStack() as more:
                for client in [more.enter_context(router.sdk(0)) for _ in range(4)]:
                    for _ in range(5):
                        client.chat.completions.create(model="auto", messages=ASK)
            assert len(other.server.requests) == met


def test_an_endpoint_limit_holds_over_all_workers(folder: Path, engine: ServerThread[ModelServer]) -> None:
    text = config(engine.server.url).replace("slots: 50", "max_in_flight: 4").replace("    health:", "    queue: {size: 0}\n    health:")
    (folder / "router.yaml").write_text(text)
    engine.server.days = [days.Paused() for _ in range(16)]
    with Router(folder) as router, contextlib.ExitStack() as sdks, ThreadPoolExecutor(16) as pool:
        clients = [sdks.enter_context(router.sdk(0)) for _ in range(16)]

        def ask(sdk: openai.OpenAI) -> Any:
            try:
                return sdk.chat.completions.create(model="auto", messages=ASK, stream=True)
            except openai.InternalServerError as full:
                return full.status_code

        heard = list(pool.map(ask, clients))

    # The one more is for two workers that look in the same microsecond; told every tenth of a second it would be twice the limit.
    assert len(engine.server.requests) in (4, 5)
    assert heard.count(503) == 16 - len(engine.server.requests)


def test_an_endpoint_that_the_operator_drains_is_drained_in_every_worker_old_and_new(
        folder: Path, engine: ServerThread[ModelServer]) -> None:
    with ServerThread(ModelServer()) as other:
        (folder / "router.yaml").write_text(config(other.server.url, engine.server.url))
        with Router(folder) as router:
            def ask(times: int) -> None:
                for _ in range(times):
                    with router.sdk() as sdk:
                        assert sdk.chat.completions.create(model="auto", messages=ASK).choices[0].message.content == PARIS

            status, said = call(router.admin_port, "POST", "/endpoints/small/0/drain", {"authorization": "Bearer the-token"})
            assert status == 200, said
            ask(8)
            assert other.server.requests == []
            os.kill(router.processes()[0], signal.SIGKILL)
            router.until(lambda: router.counted("pointsman_worker_restarts_total") == 1 and len(router.processes()) == 2)
            ask(8)
            assert other.server.requests == []
            assert list(router.admin("/state")["departures"]["leaving"]) == ["small/0"]


def test_a_worker_that_is_stuck_does_not_stop_the_others(routed: Router) -> None:
    stuck = routed.processes()[0]
    os.kill(stuck, signal.SIGSTOP)
    try:
        for _ in range(8):
            with routed.sdk(0) as sdk:
                assert sdk.chat.completions.create(model="auto", messages=ASK).choices[0].message.content == PARIS
        routed.until(lambda: routed.counted("llm_router_requests_total") == 8)
    finally:
        os.kill(stuck, signal.SIGCONT)


def test_what_one_worker_sent_where_the_other_knows(folder: Path) -> None:
    question: Any = [{"role": "user", "content": "Where is my parcel? " * 200}]
    token = {"authorization": "Bearer the-token"}
    with contextlib.ExitStack() as stack:
        engines = [stack.enter_context(ServerThread(ModelServer(days.Answer(str(at))))) for at in range(3)]
        text = config(*(engine.server.url for engine in engines)).replace("    model: small-model\n", "    model: small-model\n    balancer: prefix\n")
        (folder / "router.yaml").write_text(text)
        router = stack.enter_context(Router(folder))

        def asked() -> set[str]:
            """Who answers, whichever worker is asked."""
            said = set[str]()
            with contextlib.ExitStack() as sdks:
                on_both(router, sdks, lambda sdk: said.add(str(sdk.chat.completions.create(model="auto", messages=question).choices[0].message.content)))
            return said

        # Away while the question is asked first: else both workers would find its home by themselves.
        [by_hash] = asked_alone(engines, question)
        status, said = call(router.admin_port, "POST", f"/endpoints/small/{by_hash}/drain", token)
        assert status == 200, said
        with router.sdk() as sdk:
            home = str(sdk.chat.completions.create(model="auto", messages=question).choices[0].message.content)
        status, said = call(router.admin_port, "DELETE", f"/endpoints/small/{by_hash}/drain", token)
        assert status == 200, said
        router.until(lambda: router.admin("/state")["pools"]["small"]["healthy"] == 3)

        assert home != by_hash
        assert asked() == {home}


def asked_alone(engines: list[ServerThread[ModelServer]], question: Any) -> set[str]:
    """The endpoint that a balancer which knows nothing picks: the same in every process."""
    fleet = Fleet(a_settings(a_pool("small", endpoints=tuple(
        an_endpoint(f"small/{at}", engine.server.url, model="small-model") for at, engine in enumerate(engines)), balancer="prefix")))
    lease = fleet.lease("small", a_request(messages=tuple(Message(m["role"], m["content"]) for m in question)), (), 0.0, Random(1))
    return {lease.endpoint.id.rpartition("/")[2]}
