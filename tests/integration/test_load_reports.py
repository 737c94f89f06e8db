"""Load reports over real sockets: scripted engines, the simulator, a real llama.cpp."""

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from pointsman.core.fleet import LoadReport
from pointsman.errors import AnswerTimeout, BadAnswer, ConnectFailed, CredentialRefused, UpstreamFailed
from pointsman.testing.factories import an_endpoint
from pointsman.testing.llamacpp import MODEL, LlamaCpp
from pointsman.testing.simulator import Simulator
from pointsman.testing.wire import Connection, Seen, WireServer
from pointsman.upstream.load_report.line import MAX_BYTES
from pointsman.upstream.load_report.reader import HttpLoadReader

MODELS = json.dumps({"object": "list", "data": [{"id": "m", "owned_by": "vllm", "max_model_len": 4096}]}).encode()
METRICS = (b'vllm:num_requests_running{engine="0"} 3\nvllm:num_requests_waiting{engine="0"} 1\n'
           b'vllm:kv_cache_usage_perc{engine="0"} 0.25\nvllm:prompt_tokens_total{engine="0"} 9\n')


class Engine:
    """A server of fixed answers: path -> body, or (status, body)."""

    def __init__(self, **answers: object) -> None:
        self.answers: dict[str, object] = {"/v1/models": MODELS, "/metrics": METRICS, "/version": b'{"version":"0.32.0"}',
                                           "/health": b""} | {f"/{k.replace('__', '/')}": v for k, v in answers.items()}
        self.seen: list[Seen] = []
        self.wire = WireServer(self._serve)

    async def _serve(self, seen: Seen, connection: Connection) -> None:
        self.seen.append(seen)
        self.wire.changed()
        answer = self.answers.get(seen.path.split("?")[0], (404, b'{"detail":"Not Found"}'))
        if answer is None:
            await asyncio.get_running_loop().create_future()
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        headers = (("location", "http://127.0.0.1:9/metrics"),) if 300 <= status < 400 else ()
        connection.reply(status, body, content_type="text/plain", headers=headers)

    @property
    def url(self) -> str:
        return f"http://{self.wire.host}:{self.wire.port}/v1"

    def paths(self) -> list[str]:
        return [seen.path for seen in self.seen]

    async def __aenter__(self) -> "Engine":
        await self.wire.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.wire.aclose()


def told(story: Callable[[HttpLoadReader], Coroutine[Any, Any, None]]) -> None:
    async def play() -> None:
        reader = HttpLoadReader()
        try:
            await story(reader)
        finally:
            await reader.aclose()

    asyncio.run(play())


async def read(reader: HttpLoadReader, url: str, *, wait_s: float = 5.0, **fields: object) -> LoadReport:
    endpoint = an_endpoint("p/0", url, **({"model": "m"} | fields))
    return await reader.read(endpoint, asyncio.get_running_loop().time() + wait_s)


def test_an_engine_is_recognised_and_read_over_one_connection():
    async def story(reader: HttpLoadReader) -> None:
        async with Engine() as engine:
            report = await read(reader, engine.url)
            await read(reader, engine.url)

            assert (report.engine, report.version, report.context, report.models) == ("vllm", "0.32.0", 4096, ("m",))
            assert (report.running, report.waiting, report.kv_usage, report.progress) == (3, 1, 0.25, 9)
            assert engine.paths() == ["/v1/models", "/version", "/health", "/metrics", "/is_sleeping", "/health", "/metrics"]
            assert engine.wire.opened_total == 1

    told(story)


def test_a_path_that_is_not_there_makes_its_figures_unknown():
    async def story(reader: HttpLoadReader) -> None:
        async with Engine(metrics=(404, b"")) as engine:
            report = await read(reader, engine.url)

            assert (report.running, report.waiting, report.kv_usage) == (None, None, None)
            assert report.engine == "vllm"

    told(story)


def test_a_metrics_url_elsewhere_is_asked_without_our_key():
    async def story(reader: HttpLoadReader) -> None:
        async with Engine(metrics=(404, b"")) as engine, Engine() as sidecar:
            metrics_url = sidecar.url.replace("/v1", "/metrics")
            report = await read(reader, engine.url, api_key="s3cret", metrics_url=metrics_url)

            assert report.running == 3
            assert engine.seen[0].header("authorization") == "Bearer s3cret"
            assert sidecar.paths() == ["/metrics"]
            assert sidecar.seen[0].header("authorization") is None

    told(story)


def test_redirects_are_not_followed():
    async def story(reader: HttpLoadReader) -> None:
        async with Engine(metrics=(302, b"")) as engine:
            assert (await read(reader, engine.url)).running is None

    told(story)


def test_a_page_that_is_too_large_is_refused_before_it_is_all_read():
    async def story(reader: HttpLoadReader) -> None:
        async with Engine(metrics=METRICS * (MAX_BYTES // len(METRICS) + 2)) as engine:
            with pytest.raises(BadAnswer, match="more than"):
                await read(reader, engine.url)
            await engine.wire.wait_for(lambda: not engine.wire.connections)

    told(story)


def test_a_silent_engine_is_given_up_at_the_deadline_and_its_socket_closed():
    async def story(reader: HttpLoadReader) -> None:
        async with Engine(metrics=None) as engine:
            with pytest.raises(AnswerTimeout):
                await read(reader, engine.url, wait_s=0.1)
            await engine.wire.wait_for(lambda: not engine.wire.connections)

    told(story)


def test_a_cancelled_poll_leaves_no_socket():
    async def story(reader: HttpLoadReader) -> None:
        async with Engine(metrics=None) as engine:
            task = asyncio.get_running_loop().create_task(read(reader, engine.url))
            await engine.wire.wait_for(lambda: "/metrics" in engine.paths())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await engine.wire.wait_for(lambda: not engine.wire.connections)

    told(story)


def test_its_own_health_answer_and_its_refusals_are_told_apart():
    async def story(reader: HttpLoadReader) -> None:
        async with Engine(health=(503, b"")) as engine:
            with pytest.raises(UpstreamFailed, match="/health with 503"):
                await read(reader, engine.url)
        async with Engine(v1__models=(401, b'{"error":"Unauthorized"}')) as engine:
            with pytest.raises(CredentialRefused):
                await read(reader, engine.url)
            gone = engine.url
        with pytest.raises(ConnectFailed):
            await read(reader, gone)

    told(story)


def test_another_engine_after_a_failure_is_recognised_anew():
    async def story(reader: HttpLoadReader) -> None:
        async with Engine() as engine:
            await read(reader, engine.url)
            engine.answers["/health"] = (503, b"")
            with pytest.raises(UpstreamFailed):
                await read(reader, engine.url)
            engine.answers = {"/v1/models": MODELS.replace(b"vllm", b"sglang"),
                              "/v1/loads": b'{"version":"0.5.23","loads":[{"num_running_reqs":7,"num_waiting_reqs":0}]}'}
            report = await read(reader, engine.url)

            assert (report.engine, report.version, report.running) == ("sglang", "0.5.23", 7)

    told(story)


def test_sglang_is_never_asked_for_its_health_and_falls_back_to_what_it_has():
    async def story(reader: HttpLoadReader) -> None:
        async with Engine(v1__models=MODELS.replace(b"vllm", b"sglang"), metrics=b"sglang:num_running_reqs 4\n") as engine:
            assert (await read(reader, engine.url)).running == 4
            assert "/health" not in engine.paths()
            asked = len(engine.paths())
            await read(reader, engine.url)
            assert engine.paths()[asked:] == ["/metrics"]

    told(story)


def test_an_endpoint_that_is_not_polled_is_asked_for_its_models_alone():
    async def story(reader: HttpLoadReader) -> None:
        async with Engine() as engine:
            report = await read(reader, engine.url, poll="off")

            assert engine.paths() == ["/v1/models"]
            assert (report.context, report.running) == (4096, None)

    told(story)


def test_a_wrong_engine_in_the_configuration_is_warned_about_once(caplog):
    async def story(reader: HttpLoadReader) -> None:
        async with Engine() as engine:
            for _ in range(3):
                assert (await read(reader, engine.url, engine="sglang")).engine == "vllm"
                reader.forget(())

    with caplog.at_level(logging.WARNING):
        told(story)
    assert [record.message for record in caplog.records if "turns out to be vllm" in record.message] == [
        "endpoint p/0 is configured as sglang and turns out to be vllm; its load is read as that of vllm: correct `engine`"]


def test_the_simulator_is_read_as_vllm():
    async def story(reader: HttpLoadReader) -> None:
        async with Simulator("small", "Qwen2.5-7B", "RTX 4090") as engine:
            report = await read(reader, engine.url, model=engine.model.name)

            assert (report.engine, report.running, report.waiting, report.is_awake) == ("vllm", 0, 0, True)
            assert report.models == (engine.model.name,)

    told(story)


def test_a_real_llama_cpp_tells_its_slots_and_that_it_is_gone():
    async def story(reader: HttpLoadReader) -> None:
        with LlamaCpp(slots=2) as engine:
            report = await read(reader, engine.url, model=MODEL)
            assert (report.engine, report.slots, report.running, report.waiting, report.kv_usage) == ("llamacpp", 2, 0, 0, None)
            assert (report.models, report.context) == ((MODEL,), 1024)
            url = engine.url
        with pytest.raises(ConnectFailed):
            await read(reader, url, model=MODEL)

    told(story)


def test_a_report_survives_the_way_to_another_process():
    async def story(reader: HttpLoadReader) -> None:
        async with Engine() as engine:
            report = await read(reader, engine.url)
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(report), type=LoadReport) == report

    told(story)
