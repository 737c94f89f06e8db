"""An operator's own service: what it is sent, and how its word is read."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from pointsman.core.answer import Answer, Choice, ToolCall
from pointsman.core.fleet import EndpointSpec
from pointsman.core.reply import Heard
from pointsman.core.verdict import Verdict
from pointsman.core.verifying import HttpCheck
from pointsman.testing.factories import a_request
from pointsman.verification.http_check import HttpVerifier, told

ANSWER = Answer((Choice("4", finish_reason="stop", tool_calls=(ToolCall("f", "{}"),)),))


async def nobody(pool: str, body: bytes, *, until: float) -> Heard:
    raise AssertionError("nobody is asked here")


def checked(said: bytes) -> tuple[Verdict, list[tuple[EndpointSpec, str, Any]]]:
    sent: list[tuple[EndpointSpec, str, Any]] = []

    async def posts(endpoint: EndpointSpec, suffix: str, body: bytes, *, until: float) -> bytes:
        sent.append((endpoint, suffix, msgspec.json.decode(body)))
        return said

    verifier = HttpVerifier(HttpCheck("http://check.test/v", token="t"), posts)
    return asyncio.run(verifier.consult(a_request("2+2?"), ANSWER, nobody, pool="small", until=9.0)), sent


def test_request_and_answer_are_posted_as_json():
    verdict, sent = checked(b'{"score":0.7,"reason":"looks right"}')

    assert (verdict.score, verdict.reason, verdict.is_graded) == (0.7, "looks right", True)
    (endpoint, suffix, body), = sent
    assert (endpoint.url, endpoint.api_key, suffix) == ("http://check.test/v", "t", "")
    assert body == {"version": 1, "pool": "small", "request": {"model": "auto", "messages": [{"role": "user", "text": "2+2?", "cut": False}], "tools": 0},
                    "answer": {"text": "4", "cut": False, "refusal": "", "finish_reason": "stop", "tool_calls": [{"name": "f", "arguments": "{}"}]}}


@pytest.mark.parametrize("said", [b"", b" ", b'{"score":null}', b"{}"])
def test_it_may_abstain(said: bytes):
    verdict, _ = checked(said)

    assert (verdict.score, verdict.fault) == (None, "")


@pytest.mark.parametrize("said", [b"<html>", b"[]", b'{"score":"high"}', b'{"score":1.1}', b'{"score":-1}', b"\xff", b"[" * 60_000, b'{"score":1e999}'])
def test_anything_else_is_garbage(said: bytes):
    verdict, _ = checked(said)

    assert (verdict.score, verdict.fault) == (None, "garbage")


def test_it_may_reject_outright():
    assert checked(b'{"score":0,"is_hard":true}')[0].is_hard


def test_of_long_conversations_the_latest_is_sent():
    body = told(a_request("x" * 1000), Answer((Choice("y" * 1000),)), "small", 600)

    assert len(body["request"]["messages"][0]["text"]) == len(body["answer"]["text"]) == 600
    assert body["answer"]["cut"]
