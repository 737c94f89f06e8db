"""`/v1/responses` over real sockets: the ordinary path's promises hold in this API's words."""

from __future__ import annotations

import asyncio
import json

import pytest

from pointsman.config.load import load_text
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter

GOOD = "Paris is the capital of France."
ROUTED = """
tiers:
  small: {{model: small-model, endpoints: [{{url: "{small}", gpu: {{type: RTX 4090, usd_per_hour: 0.51, tokens_per_s: 1000}}}}]}}
  large: {{model: large-model, endpoints: [{{url: "{large}", usd_per_million: {{input: 0.88, output: 0.88}}}}]}}
routes:
  auto:
    ladder: [small, large]
    ttft_timeout: 400ms
    stall_timeout: 300ms
    answer_timeout: 400ms
    open_after: {open_after}
    pipeline: [rules, "pinned:small"]
    rules: [{{when: {{regex: "(?i)prove"}}, tier: large, reason: proofs}}, {{when: {{path: "^/v1/responses$", regex: "(?i)by this way"}}, tier: large, reason: way}}]
"""


def routed(small, large, open_after="15s"):
    return RunningRouter(load_text(ROUTED.format(small=small.url, large=large.url, open_after=open_after)))


def body(text="hi", **fields):
    return {"model": "auto", "input": text} | fields


def events_of(heard):
    """The events of a stream; keep-alive comments are none."""
    frames = [frame for frame in heard.body.decode().split("\n\n") if frame and not frame.startswith(":")]
    found = [json.loads(frame.split("\n", 1)[1].removeprefix("data: ")) for frame in frames]
    assert [frame.split("\n")[0] for frame in frames] == [f"event: {event['type']}" for event in found]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def text_of(response):
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


async def settled(router):
    for _ in range(200):
        if router.leases == 0 and router.service.gateway.in_flight == 0:
            break
        await asyncio.sleep(0.01)
    assert (router.leases, router.service.gateway.in_flight) == (0, 0)


def test_the_route_is_chosen_by_what_the_user_says_and_told_in_the_headers(client):
    async def story():
        async with (ModelServer() as small, ModelServer(days.Answer("By contradiction.")) as large,
                    routed(small, large) as router, client() as c):
            easy = await c.post(f"{router.url}/responses", body(), {"x-request-id": "mine-1"})
            hard = await c.post(f"{router.url}/responses", body("Prove it.", instructions="Do not prove anything."))
            assert (easy.headers["x-route-tier-name"], hard.headers["x-route-tier-name"]) == ("small", "large")
            assert (text_of(easy.json), text_of(hard.json)) == (GOOD, "By contradiction.")
            assert easy.headers["x-request-id"] == "mine-1"
            assert easy.json["id"] == f"resp_{easy.headers['x-route-record']}"
            first, second = router.records()
            assert (first.id, first.kind, first.outcome, first.usage.output_tokens) == (
                easy.headers["x-route-record"], "chat", "answered", easy.json["usage"]["output_tokens"])
            assert int(first.at) == easy.json["created_at"]
            assert second.decision.reason == "proofs"
            assert small.requests[0].path == "/v1/chat/completions"

    asyncio.run(story())


def test_a_stream_tells_its_cost_and_its_headers(client):
    async def story():
        async with (ModelServer(days.Answer(GOOD, usage_tokens=(500, 200), cached_tokens=400)) as small, ModelServer() as large,
                    routed(small, large) as router, client() as c):
            heard = await c.post(f"{router.url}/responses", body(stream=True))
            events = events_of(heard)
            (record,) = router.records()
            last = events[-1]["response"]
            assert heard.headers["content-type"].startswith("text/event-stream")
            assert (heard.headers["x-route-tier"], last["status"], text_of(last)) == ("1", "completed", GOOD)
            assert (last["usage"]["total_tokens"], last["usage"]["input_tokens_details"]["cached_tokens"]) == (700, 400)
            assert round(last["usage"]["cost_usd"] * 1e9) == record.cost_nano_usd > 0
            assert b"[DONE]" not in heard.body

    asyncio.run(story())


def test_rules_see_the_path_that_was_called(client):
    async def story():
        async with (ModelServer() as small, ModelServer() as large,
                    routed(small, large) as router, client() as c):
            heard = await c.post(f"{router.url}/responses", body("By this way."))
            assert (heard.headers["x-route-tier-name"], heard.headers["x-route-reason"]) == ("large", "way")
            assert (await c.chat(router.url, "By this way.")).headers["x-route-tier-name"] == "small"

    asyncio.run(story())


# A few of each kind; the whole ladder is tested with chats, which travel the same way.
BEFORE = {"refused": days.Refuse, "500": days.server_error, "no first token": days.NoFirstToken, "html": days.bad_gateway,
          "error in 200": days.ErrorIn200}
DURING = {"cut": lambda: days.CutAfter(3, "fin"), "reset": lambda: days.CutAfter(3, "rst"), "stall": lambda: days.StallAfter(3),
          "error in band": lambda: days.InBandError(3), "no finish": lambda: days.EndWithoutFinish(done=True)}


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("fault", BEFORE)
def test_a_fault_before_the_answer_is_hidden(client, fault, stream):
    async def story():
        async with (ModelServer(BEFORE[fault]()) as bad, ModelServer(days.Answer(GOOD)) as good,
                    routed(bad, good) as router, client() as c):
            heard = await c.post(f"{router.url}/responses", body(stream=stream))
            response = events_of(heard)[-1]["response"] if stream else heard.json
            assert (heard.status, response["status"], text_of(response)) == (200, "completed", GOOD)
            await settled(router)
            (record,) = router.records()
            assert (record.outcome, record.routing_tier, record.original_tier) == ("answered", "large", "small")

    asyncio.run(story())


@pytest.mark.parametrize("fault", DURING)
def test_a_stream_that_breaks_ends_in_one_failed_response(client, fault):
    async def story():
        async with (ModelServer(DURING[fault]()) as bad, ModelServer(days.Answer(GOOD)) as good,
                    routed(bad, good) as router, client() as c):
            heard = await c.post(f"{router.url}/responses", body(stream=True))
            events = events_of(heard)
            (record,) = router.records()
            last = events[-1]
            assert (heard.status, last["type"], last["response"]["status"]) == (200, "response.failed", "failed")
            assert set(last["response"]["error"]) >= {"message", "type", "code", "record_id"}
            assert (record.outcome, record.id, record.error) == (
                "failed", last["response"]["error"]["record_id"], last["response"]["error"]["code"])
            assert not {"response.completed", "response.output_item.done"} & {event["type"] for event in events}
            assert "error" not in last, "the SDKs would raise on that in the middle of their loop"
            assert not good.requests
            await settled(router)

    asyncio.run(story())


def test_a_stream_opened_early_and_failed_late_is_still_a_response(client):
    async def story():
        async with (ModelServer(days.NoFirstToken()) as small, ModelServer(days.NoFirstToken()) as large,
                    routed(small, large, open_after="50ms") as router, client() as c):
            heard = await c.post(f"{router.url}/responses", body(stream=True))
            events = events_of(heard)
            assert (heard.status, heard.headers["x-route-tier"]) == (200, "pending")
            assert heard.body.startswith(b": keep-alive\n\n")
            assert [event["type"] for event in events] == ["response.created", "response.in_progress", "response.failed"]
            assert events[-1]["response"]["error"]["type"] == "timeout_error"
            await settled(router)

    asyncio.run(story())


def test_a_stream_opened_early_is_answered_in_full(client):
    async def story():
        async with (ModelServer(days.Answer(GOOD, first_token_after=0.15)) as small, ModelServer() as large,
                    routed(small, large, open_after="50ms") as router, client() as c):
            events = events_of(await c.post(f"{router.url}/responses", body(stream=True)))
            assert text_of(events[-1]["response"]) == GOOD

    asyncio.run(story())


def test_an_engine_that_answers_a_stream_in_one_piece_is_streamed(client):
    async def story():
        async with (ModelServer(days.JsonForStream(days.Answer(GOOD))) as small, ModelServer() as large,
                    routed(small, large) as router, client() as c):
            events = events_of(await c.post(f"{router.url}/responses", body(stream=True)))
            assert text_of(events[-1]["response"]) == GOOD
            assert events[-1]["response"]["usage"]["output_tokens"] > 0

    asyncio.run(story())


def test_a_client_that_leaves_cancels_what_runs(client):
    async def story():
        async with ModelServer(days.StallAfter(2)) as server:
            settings = a_settings(a_pool("small", server.url))
            async with RunningRouter(settings) as router:
                reader, writer = await asyncio.open_connection("127.0.0.1", router.service.port)
                sent = json.dumps(body(stream=True)).encode()
                writer.write(b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                             b"Content-Length: %d\r\n\r\n" % len(sent) + sent)
                await reader.readuntil(b"response.output_text.delta")
                writer.close()
                await server.wait_for(lambda: server.open_connections == 0, 0.5)
                await settled(router)
                assert [record.outcome for record in router.records()] == ["cancelled"]

    asyncio.run(story())


@pytest.mark.parametrize(("fields", "param", "code"), [
    ({"previous_response_id": "resp_1"}, "previous_response_id", "unsupported_field"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_field"),
    ({"input": [{"role": "user"}]}, "input[0].content", "malformed_body"),
    ({"model": 3}, "model", "malformed_body"),
    ({"api_base": "http://elsewhere"}, "api_base", "unsupported_field"),
    ({"model": "nothing-like-it"}, "model", "model_not_found"),
])
def test_a_refusal_has_a_path_a_sentence_and_a_record(client, fields, param, code):
    async def story():
        async with (ModelServer() as server,
                    RunningRouter(a_settings(a_pool("small", server.url))) as router, client() as c):
            heard = await c.post(f"{router.url}/responses", body() | fields)
            (record,) = router.records()
            assert heard.status == (404 if code == "model_not_found" else 400)
            assert (heard.error["param"], heard.error["code"], heard.error["record_id"]) == (param, code, record.id)
            assert heard.headers["x-should-retry"] == "false"
            assert not server.requests

    asyncio.run(story())


def test_what_an_engine_objects_to_comes_through(client):
    async def story():
        async with (ModelServer(days.bad_request("temperature must be in [0, 2], got 5.0.")) as server,
                    RunningRouter(a_settings(a_pool("small", server.url))) as router, client() as c):
            for stream in (False, True):
                heard = await c.post(f"{router.url}/responses", body(stream=stream, temperature=5))
                assert (heard.status, heard.error["message"]) == (400, "temperature must be in [0, 2], got 5.0.")

    asyncio.run(story())


# -- a coding agent at work: requests shaped as the Codex CLI sends them

SHELL = {"type": "function", "name": "shell", "description": "Runs a command", "strict": False, "parameters": {
    "type": "object", "properties": {"command": {"type": "array", "items": {"type": "string"}}}, "required": ["command"],
    "additionalProperties": False}}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files", "format": {
    "type": "grammar", "syntax": "lark", "definition": "start: begin_patch hunk+ end_patch"}}
GITHUB = {"type": "namespace", "name": "mcp__github__", "description": "Issues", "tools": [
    {"type": "function", "name": "read_issue", "parameters": {"type": "object"}, "strict": False}]}
PREFIX = [
    {"type": "message", "role": "developer", "content": [
        {"type": "input_text", "text": "<permissions instructions>Commands run in a sandbox.</permissions instructions>"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text":
        "<environment_context>\n  <cwd>/repo/prove-it</cwd>\n  <shell>bash</shell>\n</environment_context>"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Why does the date test fail?"}]},
]


def turn(items):
    return {
        "model": "auto", "instructions": "You are a coding agent running in a terminal.", "input": items,
        "tools": [SHELL, PATCH, GITHUB], "tool_choice": "auto", "parallel_tool_calls": True, "store": False, "stream": True,
        "reasoning": {"effort": "medium", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
        "text": {"verbosity": "low"}, "prompt_cache_key": "0199-session", "client_metadata": {"originator": "terminal"}}


def test_a_coding_agents_session(client):
    async def story():
        said = [
            days.Answer(tool_calls=(("shell", '{"command":["cat","test_date.py"]}'), ("mcp__github__read_issue", '{"number":7}'))),
            days.Answer(tool_calls=(("apply_patch", json.dumps({"input": "*** Begin Patch\n-a\n+b\n*** End Patch"})),)),
            days.Answer("Fixed: the test assumed UTC."),
        ]
        async with (ModelServer(*said) as small, ModelServer() as large,
                    routed(small, large) as router, client() as c):
            items = list(PREFIX)
            calls = []
            for _ in said:
                heard = await c.post(f"{router.url}/responses", turn(items), {"authorization": "Bearer sk-x"})
                events = events_of(heard)
                assert (heard.status, events[-1]["type"]) == (200, "response.completed")
                assert heard.headers["x-route-tier-name"] == "small", "its folder is no reason to climb"
                # As the agent does: what is done is acted on, and all of it goes into the next request.
                done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
                items += [{"type": "reasoning", "summary": [], "encrypted_content": "opaque"}, *done]
                for item in done:
                    if item["type"] in ("function_call", "custom_tool_call"):
                        calls.append(item)
                        items.append({"type": f"{item['type']}_output", "call_id": item["call_id"], "output": "exit code 0"})
            assert [(call["type"], call["name"], call.get("namespace")) for call in calls] == [
                ("function_call", "shell", None), ("function_call", "read_issue", "mcp__github__"),
                ("custom_tool_call", "apply_patch", None)]
            assert calls[2]["input"].startswith("*** Begin Patch\n")
            assert text_of({"output": done}) == "Fixed: the test assumed UTC."

            last = json.loads(small.requests[-1].body)
            assert [m["role"] for m in last["messages"]] == [
                "system", "user", "user", "assistant", "tool", "tool", "assistant", "tool"]
            assert [call["id"] for call in last["messages"][3]["tool_calls"]] == [
                m["tool_call_id"] for m in last["messages"][4:6]]
            assert [tool["function"]["name"] for tool in last["tools"]] == ["shell", "apply_patch", "mcp__github__read_issue"]
            assert (last["reasoning_effort"], last["verbosity"], last["parallel_tool_calls"], last["prompt_cache_key"]) == (
                "medium", "low", True, "0199-session")
            assert not {"store", "include", "reasoning", "client_metadata", "input", "instructions", "text"} & set(last)
            assert [record.tools for record in router.records()] == [3, 3, 3]

    asyncio.run(story())
