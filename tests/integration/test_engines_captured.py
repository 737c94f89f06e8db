"""How real engines behave, one test for each thing that was found by running them, from what they sent.

Captured from vLLM 0.32, SGLang 0.5.23, llama.cpp (xllamacpp 2026.10) and llama-cpp-python 0.3.36; here their bytes meet the whole
router over sockets. What a capture cannot show is in `tests/real`.

| what was found | test |
|---|---|
| vLLM: queue full, SGLang: queue full: 503 without Retry-After | a_full_queue_goes_to_the_sibling..., a_full_queue_alone... |
| vLLM: engine killed: error, then `[DONE]`, in a 200 | an_engine_killed_in_the_middle_ends_honestly..., ...before_the_first_word_is_retried_unseen |
| vLLM: SIGTERM: `/health` 200, new requests 503, streams stall | a_stream_that_stalls_after_sigterm..., a_draining_engine_refuses... |
| vLLM: client gone, its success counter does not move | what_an_aborted_request_leaves_in_the_counters... (and tests/real/test_leaving) |
| vLLM: unknown model 404; missing model, odd role 200 | the_status_matrix, an_answer_to_whatever_was_asked..., the_model_is_always_named |
| vLLM: unknown fields and the old `guided_choice` are ignored | fields_that_an_engine_ignores_reach_it_as_they_were |
| vLLM: max_tokens 0, temperature 5, top_logprobs 50: 400 | the_engines_own_reason_reaches_the_client |
| vLLM: log-probabilities under a constraint, -9999.0; extra keys | answers_pass_with_every_key_they_have |
| vLLM: X-Request-Id becomes the answer's id | the_request_id_is_ours_whatever_an_engine_makes_of_it |
| vLLM: overflow judged by characters, `param: input_text` | the_engines_own_reason_reaches_the_client |
| vLLM: 401 with `error` a string | a_refused_credential_is_ours_in_any_dialect |
| vLLM: no `vllm:` line with --disable-log-stats; several series | unit: load_report/test_vllm |
| SGLang: errors are not wrapped | the_engines_own_reason_reaches_the_client |
| SGLang: array body 500 in plain text | the_status_matrix |
| SGLang, llama.cpp: any model name is answered | an_answer_to_whatever_was_asked... |
| SGLang: only /v1/responses refuses an unknown name | a_name_that_only_one_of_its_apis_refuses_is_no_missing_api |
| SGLang: /health generates; gauges lag, /v1/loads does not | sglang_is_asked_for_its_loads... (and unit: load_report/test_sglang) |
| SGLang: SIGTERM drains, new connections hang | an_engine_that_accepts_and_never_answers..., a_stream_that_drains_to_its_end... |
| SGLang: `reasoning_content: null` first, finish_reason in an empty delta | the_first_word_is_the_first_content... |
| llama.cpp: `max_tokens` -1 runs to the end of the context | an_answer_that_ran_to_the_end_of_the_context_is_charged |
| llama.cpp: empty messages are answered | the_status_matrix |
| llama.cpp: image 500 | an_image_that_a_model_cannot_see_is_no_sickness |
| llama.cpp: overflow 400 with `n_prompt_tokens` | the_engines_own_reason_reaches_the_client |
| llama.cpp: usage with `timings`, first delta null | the_first_word_is_the_first_content..., answers_pass_with_every_key... |
| llama.cpp: no KV figure; /metrics may be off | unit: load_report/test_llamacpp |
| llama.cpp: log-probabilities with a grammar are of the free choice | answers_pass_with_every_key_they_have |
| the status matrix over four engines | the_status_matrix |
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pointsman.core.settings import RouteSettings
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.router import RunningRouter
from pointsman.testing.wire import Connection, Seen, WireServer, chunk, head
from pointsman.upstream.load_report.reader import HttpLoadReader

CAPTURES = Path(__file__).parents[1] / "fixtures" / "engines"
HANGS = "hangs"
"""As a capture's name: the connection stays open and nothing is said."""


def captured(name: str) -> tuple[int, str, bytes]:
    """Status, content type and body of a capture. Of some only the body was kept, of some streams the tail."""
    text = (CAPTURES / f"{name}.txt").read_bytes()
    if text.startswith(b"{"):
        return 200, "application/json", text
    if b"<<< " not in text:
        events = [line for line in text.split(b"\n\n") if line.startswith(b"data: ")]
        return 200, "text/event-stream", b"".join(event.strip() + b"\n\n" for event in events)
    head, _, body = text.partition(b"<<< ")[2].partition(b"\n\n")
    status, _, headers = head.decode().partition("\n")
    types = [line.partition(":")[2].strip() for line in headers.splitlines() if line.lower().startswith("content-type:")]
    return int(status), (types or ["text/plain"])[0], body


class Engine:
    """Answers each POST with the next of its captures, the last one again and again; its models are those of its kind."""

    def __init__(self, *script: str, stalls: bool = False) -> None:
        self.script, self.stalls = list(script), stalls
        """`stalls`: a stream is not ended after its last event."""
        self.seen: list[Seen] = []
        self.wire = WireServer(self._serve)

    async def _serve(self, seen: Seen, connection: Connection) -> None:
        if seen.method == "GET":
            connection.reply(404, b'{"detail":"Not Found"}', content_type="application/json")
            return
        self.seen.append(seen)
        name = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if name == HANGS:
            await asyncio.get_running_loop().create_future()
        status, kind, body = captured(name)
        if "event-stream" in kind:
            await self._stream(connection, body)
        else:
            connection.reply(status, body, content_type=kind)

    async def _stream(self, connection: Connection, body: bytes) -> None:
        connection.write(head(200, (("content-type", "text/event-stream"), ("transfer-encoding", "chunked"))))
        for event in body.split(b"\n\n"):
            if event.strip():
                connection.write(chunk(event + b"\n\n"))
        if self.stalls:
            await asyncio.get_running_loop().create_future()
        connection.write(chunk(b""))

    @property
    def url(self) -> str:
        return f"http://{self.wire.host}:{self.wire.port}/v1"

    async def __aenter__(self) -> Engine:
        await self.wire.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.wire.aclose()


RIGHT = "vllm_chat"
RIGHT_STREAM = "vllm_chat_stream"
SHORT = {"ttft_timeout_s": 0.3, "stall_timeout_s": 0.3, "answer_timeout_s": 0.3}
"""For engines that say nothing: nobody wants to wait a minute in a test."""


def one_pool(*engines: Engine, spot: bool = False, **route: Any) -> Any:
    """Round robin over the engines, the first one first."""
    specs = tuple(an_endpoint(f"small/{i}", engine.url, engine="vllm", spot=spot) for i, engine in enumerate(engines))
    values = {"ladder": ("small",), "default_tier": "small", "pipeline": ("pinned:small",)} | route
    return a_settings(a_pool("small", endpoints=specs, balancer="round_robin"), route=RouteSettings("auto", **values))


def told(client: Any, *engines: Engine, requests: int = 1, spot: bool = False, route: dict[str, Any] | None = None,
         **fields: Any) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """Answers, records and the first endpoint's state after `requests` chats, one after the other."""
    async def story() -> tuple[list[Any], list[Any], dict[str, Any]]:
        for engine in engines:
            await engine.wire.listen()
        try:
            async with RunningRouter(one_pool(*engines, spot=spot, **(route or {}))) as router, client() as c:
                answers = [await c.chat(router.url, **fields) for _ in range(requests)]
                assert router.leases == 0
                return answers, router.records(), router.service.state()["pools"]["small"]["endpoints"][0]
        finally:
            for engine in engines:
                await engine.wire.aclose()

    return asyncio.run(story())


def data_of(name: str) -> list[str]:
    """The events of a captured stream."""
    return [event.decode().removeprefix("data: ") for event in captured(name)[2].split(b"\n\n") if event.strip()]


# -- full, dying, stopping


@pytest.mark.parametrize("name", ["vllm_err_queue_full", "sglang_err_queue_full"])
def test_a_full_queue_goes_to_the_sibling_and_is_no_sickness(client, name):
    full, other = Engine(name), Engine(RIGHT)
    answers, records, endpoint = told(client, full, other, requests=12)

    assert {answer.status for answer in answers} == {200}
    assert full.seen
    assert "retry-after" not in (CAPTURES / f"{name}.txt").read_text().lower()
    assert endpoint["state"] == "healthy"
    assert {attempt.error for record in records for attempt in record.attempts} == {None, "upstream_overloaded"}


@pytest.mark.parametrize("name", ["vllm_err_queue_full", "sglang_err_queue_full"])
def test_a_full_queue_alone_says_when_to_come_back(client, name):
    (answer,), _, endpoint = told(client, Engine(name))

    assert answer.status == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert endpoint["state"] == "healthy"


@pytest.mark.parametrize("name", ["vllm_err_queue_full", "sglang_err_queue_full"])
def test_a_full_queue_climbs_as_saturated(client, name):
    async def story():
        async with Engine(name) as full, Engine(RIGHT) as larger, client() as c:
            pools = (a_pool("small", full.url), a_pool("large", larger.url))
            route = RouteSettings("auto", ladder=("small", "large"), default_tier="small", pipeline=("pinned:small",))
            async with RunningRouter(a_settings(*pools, route=route)) as router:
                assert (await c.chat(router.url)).status == 200
                (record,) = router.records()
                assert [step.reason for step in record.escalations] == ["saturated"]
                assert (record.routing_tier, record.original_tier) == ("large", "small")

    asyncio.run(story())


def test_a_draining_engine_refuses_and_another_answers(client):
    """vLLM after SIGTERM: its /health still says 200, so only the refusal tells."""
    leaving, other = Engine("vllm_during_drain"), Engine(RIGHT)
    answers, _, endpoint = told(client, leaving, other, requests=6)

    assert {answer.status for answer in answers} == {200}
    assert endpoint["state"] == "healthy"


def test_an_engine_killed_in_the_middle_ends_honestly_though_it_said_done(client):
    assert data_of("vllm_killed_midstream_tail")[-1] == "[DONE]"
    (answer,), (record,), _ = told(client, Engine("vllm_killed_midstream_tail"), stream=True)

    assert answer.status == 200
    assert answer.text == " on"
    assert not answer.is_done
    assert answer.error is not None
    assert answer.chunks[-1]["choices"][0]["finish_reason"] == "error"
    assert (record.outcome, record.attempts[0].upstream_status) == ("failed", 500)


def test_an_engine_killed_before_the_first_word_is_retried_unseen(client, tmp_path, monkeypatch):
    """The capture without its words: the error and the [DONE] are all that came."""
    (tmp_path / "dead.txt").write_text("\n\n".join((CAPTURES / "vllm_killed_midstream_tail.txt").read_text().split("\n\n")[2:]))
    (tmp_path / f"{RIGHT_STREAM}.txt").write_bytes((CAPTURES / f"{RIGHT_STREAM}.txt").read_bytes())
    monkeypatch.setitem(globals(), "CAPTURES", tmp_path)
    (answer,), (record,), _ = told(client, Engine("dead"), Engine(RIGHT_STREAM), stream=True)

    assert answer.is_done
    assert answer.error is None
    assert [attempt.reason for attempt in record.attempts] == ["chosen", "retry"]


def test_a_killed_engines_answer_goes_on_elsewhere_when_its_machine_is_a_spot_one(client):
    """The other one is given what was told, and the client sees one stream."""
    killed, other = Engine("vllm_killed_midstream_tail"), Engine(RIGHT_STREAM)
    (answer,), (record,), _ = told(client, killed, other, stream=True, spot=True)

    rest = [json.loads(data) for data in data_of(RIGHT_STREAM)[:-1]]
    assert answer.is_done
    assert answer.text == " on" + "".join(c["choices"][0]["delta"].get("content") or "" for c in rest if c["choices"])
    assert len({chunk["id"] for chunk in answer.chunks}) == 1
    assert [attempt.reason for attempt in record.attempts] == ["chosen", "continued"]
    asked = json.loads(other.seen[0].body)
    assert asked["messages"][-1] == {"role": "assistant", "content": " on"}
    assert (asked["continue_final_message"], asked["add_generation_prompt"]) == (True, False)


def test_a_stream_that_stalls_after_sigterm_ends_with_an_error_and_its_socket_is_closed(client):
    stalled = Engine("vllm_sigterm_midstream_tail", stalls=True)
    (answer,), (record,), _ = told(client, stalled, stream=True, route=SHORT)

    assert not answer.is_done
    assert answer.error is not None
    assert answer.text.endswith("lf It")
    assert record.outcome == "failed"
    assert stalled.seen[0].closed_by == "client"


def test_a_stream_that_drains_to_its_end_is_an_answer(client):
    """SGLang lets what runs finish after SIGTERM: two minutes later the stream ends as any other."""
    (answer,), (record,), _ = told(client, Engine("sglang_sigterm_midstream_tail"), stream=True)

    assert answer.is_done
    assert record.outcome == "answered"


@pytest.mark.parametrize("stream", [True, False])
def test_an_engine_that_accepts_and_never_answers_is_left_for_another(client, stream):
    """SGLang after SIGTERM takes new connections and says nothing."""
    silent, other = Engine(HANGS), Engine(RIGHT_STREAM if stream else RIGHT)
    (answer,), (record,), _ = told(client, silent, other, stream=stream, route=SHORT)

    assert answer.status == 200
    assert [attempt.endpoint for attempt in record.attempts] == ["small/0", "small/1"]


# -- what engines say to a wrong request


@pytest.mark.parametrize("name", [
    "vllm_err_too_long", "vllm_err_max_tokens_zero", "vllm_err_temp_high", "vllm_err_top_logprobs_big", "vllm_err_empty_messages",
    "vllm_chat_image", "sglang_err_too_long", "sglang_err_empty_messages", "sglang_err_bad_role", "llamacpp_err_too_long",
    "llamacpppython_err_too_long",
])
def test_the_engines_own_reason_reaches_the_client_once_and_in_one_shape(client, name):
    status, _, body = captured(name)
    said = json.loads(body)
    said = said.get("error", said)
    engine, other = Engine(name), Engine(RIGHT)
    (answer,), (record,), endpoint = told(client, engine, other)

    assert answer.status == status == 400
    for key in {"message", "type", "param", "code", "n_prompt_tokens", "n_ctx"} & set(said):
        assert answer.error[key] == said[key]
    assert "object" not in answer.error
    assert (len(record.attempts), other.seen) == (1, [])
    assert endpoint["state"] == "healthy"


MATRIX = {
    "err_bad_model": (404, 200, 200, 200), "err_bad_json": (400, 400, 400, 500), "err_json_array": (400, 500, 400, 500),
    "err_no_messages": (400, 400, 400, 200), "err_empty_messages": (400, 400, 200, 200), "err_too_long": (400, 400, 400, 400),
    "err_temp_high": (400, 200, 200, 200), "err_bad_role": (200, 400, 200, 500), "chat_json_schema": (200, 200, 200, 500),
    "messages": (200, 200, 200, 404), "tokenize": (200, 200, 200, 404),
}
ENGINES = ("vllm", "sglang", "llamacpp", "llamacpppython")
NO_CHATS = ("messages", "tokenize")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", MATRIX)
def test_the_status_matrix(client, engine, name):
    """The same wrong request, four engines: what each says, and what a client of the router sees when another engine could answer.

    A 400 is the client's, at once; a 404 or a 500 is the engine's own matter, and the other one is asked; a 200 is an answer.
    """
    capture = f"{engine}_{name}"
    status = MATRIX[name][ENGINES.index(engine)]
    assert captured(capture)[0] == status
    if name in NO_CHATS and status == 200:
        return  # answers in other APIs: what becomes of those is the native dialects' test
    first, other = Engine(capture), Engine(RIGHT)
    (answer,), (record,), _ = told(client, first, other)

    assert answer.status == (400 if status == 400 else 200)
    assert len(record.attempts) == (1 if status in (200, 400) else 2)
    assert len(other.seen) == len(record.attempts) - 1


@pytest.mark.parametrize("name", ["vllm_err_auth_bad", "sglang_err_auth_bad"])
def test_a_refused_credential_is_ours_in_any_dialect(client, name):
    (answer,), (record,), _ = told(client, Engine(name))

    assert answer.status in (502, 503)
    assert answer.error["upstream_status"] == 401
    assert isinstance(answer.error["message"], str)
    assert "Unauthorized" not in answer.body.decode()
    assert record.attempts[0].error == "upstream_credential_refused"


def test_an_image_that_a_model_cannot_see_is_no_sickness(client):
    """llama.cpp says 500 to a picture. Another endpoint may do better, but nobody's pictures may put this one out of service."""
    blind, other = Engine("llamacpp_chat_image"), Engine(RIGHT)
    answers, _, endpoint = told(client, blind, other, requests=24)

    assert {answer.status for answer in answers} == {200}
    assert len(blind.seen) >= 6
    assert endpoint["state"] == "healthy"


# -- what engines let pass


@pytest.mark.parametrize("name", ["sglang_err_bad_model", "llamacpp_err_bad_model", "vllm_err_bad_role", "vllm_err_no_model"])
def test_an_answer_to_whatever_was_asked_is_recorded_under_our_name_of_the_model(client, name):
    """Engines that echo any name prove nothing by it."""
    (answer,), (record,), _ = told(client, Engine(name))

    assert answer.body == captured(name)[2]
    assert (record.model_id, record.attempts[0].model) == ("small-model", "test-model")
    assert record.usage.input_tokens == answer.json["usage"]["prompt_tokens"]


@pytest.mark.parametrize(("path", "name"), [("responses", "sglang_err_responses_bad"), ("messages", "sglang_err_messages_bad")])
def test_a_name_that_only_one_of_its_apis_refuses_is_no_missing_api(client, path, name):
    """SGLang echoes any name in chats and messages, and refuses it in responses: the next endpoint is asked in the same API."""
    async def story():
        async with Engine(name) as first, Engine("sglang_" + path) as other, client() as c:
            specs = tuple(an_endpoint(f"small/{i}", e.url, engine="sglang", dialects=("chat", path)) for i, e in enumerate((first, other)))
            route = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",))
            async with RunningRouter(a_settings(a_pool("small", endpoints=specs, balancer="round_robin"), route=route)) as router:
                body = {"model": "auto", "max_tokens": 8, "messages": [{"role": "user", "content": "x"}]}
                answer = await c.post(f"{router.url}/{path}", {"model": "auto", "input": "x"} if path == "responses" else body)
                assert answer.status == 200
                (record,) = router.records()
                assert {seen.path for seen in first.seen + other.seen} == {f"/v1/{path}"}
                assert len(record.attempts) == (2 if path == "responses" else 1)

    asyncio.run(story())


def test_the_model_is_always_named_and_the_request_id_is_ours_whatever_an_engine_makes_of_it(client):
    """vLLM builds the answer's id from X-Request-Id: its body passes, our own id is in the headers."""
    engine = Engine("vllm_chat_xreqid")
    (answer,), (record,), _ = told(client, engine)

    assert json.loads(engine.seen[0].body)["model"] == "test-model"
    assert answer.json["id"] == "chatcmpl-my-req-123"
    assert answer.headers["x-route-record"] == record.id


@pytest.mark.parametrize(("name", "fields"), [
    ("vllm_chat_guided_choice_old", {"guided_choice": ["1", "2", "3"]}), ("vllm_chat_unknown_field", {"foo_bar": 1}),
    ("sglang_chat_guided_choice", {"structured_outputs": {"choice": ["1", "2", "3"]}}), ("llamacpp_err_max_tokens_neg", {"foo_bar": 1}),
])
def test_fields_that_an_engine_ignores_reach_it_as_they_were(client, name, fields):
    engine = Engine(name)
    (answer,), _, _ = told(client, engine, **fields)

    sent = json.loads(engine.seen[0].body)
    assert {key: sent[key] for key in fields} == fields
    assert answer.body == captured(name)[2]


@pytest.mark.parametrize("name", [
    "vllm_chat_logprobs", "vllm_chat_guided_regex_logprobs", "llamacpp_chat_guided_regex_logprobs", "sglang_chat_json_schema",
    "llamacpp_chat_json_schema", "vllm_chat_json_schema",
])
def test_answers_pass_with_every_key_they_have(client, name):
    """Log-probabilities of a constrained (vLLM, -9999.0 for what was masked) or a free choice (llama.cpp); `timings`, `token_ids`."""
    (answer,), (record,), _ = told(client, Engine(name))

    assert answer.body == captured(name)[2]
    assert record.usage is not None


@pytest.mark.parametrize("name", ["vllm_chat_logprobs_stream", "sglang_chat_logprobs_stream", "llamacpp_chat_stream"])
def test_events_pass_with_every_key_they_have(client, name):
    (answer,), _, _ = told(client, Engine(name), stream=True)

    assert answer.events == data_of(name)


def test_an_answer_that_ran_to_the_end_of_the_context_is_charged(client):
    """llama.cpp takes `max_tokens: -1` as "all there is": the bill is by what it counted."""
    (answer,), (record,), _ = told(client, Engine("llamacpp_err_max_tokens_neg"))

    assert record.usage.output_tokens == answer.json["usage"]["completion_tokens"] > 800
    assert record.cost_nano_usd > 0


@pytest.mark.parametrize(("name", "silent"), [("sglang_chat_stream", 1), ("llamacpp_chat_stream", 1), ("vllm_chat_stream", 1)])
def test_the_first_word_is_the_first_content_and_no_null_or_empty_delta(client, name, silent, tmp_path, monkeypatch):
    """An engine that hangs after its first, empty chunk has said nothing yet: another one is asked."""
    capture = (CAPTURES / f"{name}.txt").read_bytes()
    head_, _, body = capture.partition(b"\n\n")
    (tmp_path / "hung.txt").write_bytes(head_ + b"\n\n" + b"\n\n".join(body.split(b"\n\n")[:silent]))
    (tmp_path / "whole.txt").write_bytes(capture)
    monkeypatch.setitem(globals(), "CAPTURES", tmp_path)
    (answer,), (record,), _ = told(client, Engine("hung", stalls=True), Engine("whole"), stream=True, route=SHORT)

    assert answer.is_done
    assert answer.events == data_of("whole")
    assert [attempt.ttft_s is None for attempt in record.attempts] == [True, False]


# -- what engines say about themselves


def test_what_an_aborted_request_leaves_in_the_counters_is_not_read():
    """vLLM's `request_success_total{finished_reason="abort"}` stays 0 when clients leave."""
    from pointsman.upstream.load_report import vllm

    page = (CAPTURES / "vllm_metrics_loaded.txt").read_bytes()
    lines = [line for line in page.splitlines(keepends=True) if not line.startswith(b"vllm:request_success_total")]
    assert len(lines) < len(page.splitlines())
    assert vllm.parse({vllm.METRICS: page}) == vllm.parse({vllm.METRICS: b"".join(lines)})


def test_sglang_is_asked_for_its_loads_and_never_for_its_health():
    asked: list[str] = []

    async def serve(seen: Seen, connection: Connection) -> None:
        asked.append(seen.path)
        names = {"/v1/models": "sglang_models", "/v1/loads?include=core": "sglang_get_v1_loads"}
        if seen.path in names:
            status, kind, body = captured(names[seen.path])
            connection.reply(status, body, content_type=kind)
        else:
            connection.reply(404, b"")

    async def story() -> None:
        wire, reader = WireServer(serve), HttpLoadReader()
        await wire.listen()
        try:
            endpoint = an_endpoint("p/0", f"http://{wire.host}:{wire.port}/v1", model="smollm2")
            report = await reader.read(endpoint, asyncio.get_running_loop().time() + 5)
            assert (report.engine, report.version, report.running, report.waiting, report.slots) == ("sglang", "0.5.23", 0, 0, 4)
            assert not [path for path in asked if "health" in path]
        finally:
            await reader.aclose()
            await wire.aclose()

    asyncio.run(story())


def test_every_row_of_the_table_above_has_its_test():
    """The table is for people; this keeps it true."""
    names = [name for name in globals() if name.startswith("test_")]
    rows = [line.split("|")[2] for line in (__doc__ or "").splitlines() if line.startswith("| ") and "what was found" not in line]
    missing = [part for row in rows for part in _named(row) if not any(part in name for name in names)]

    assert missing == []


def _named(row: str) -> Sequence[str]:
    """The parts of test names in a row; what is elsewhere is left out."""
    parts = [part.strip(" .,") for part in row.split("(")[0].split(",")]
    return [part for part in parts if part and not part.startswith(("unit", "and", "tests/"))]
