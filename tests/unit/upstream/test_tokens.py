"""Asking an engine for the tokens of a prompt."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from pointsman.core.request import Kind
from pointsman.errors import BadAnswer, UpstreamFailed
from pointsman.testing.factories import a_request, an_endpoint
from pointsman.upstream.load_report.line import Said
from pointsman.upstream.tokens import Tokens, question


def test_the_question_is_what_decides_about_tokens_under_the_engines_name_for_the_model():
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "tools": [{"type": "function"}], "max_tokens": 5, "stream": True}
    asked = json.loads(question(an_endpoint(model="qwen"), a_request(body=json.dumps(body).encode())))
    assert asked == {"model": "qwen", "messages": body["messages"], "tools": body["tools"]}
    completion = a_request(kind=Kind.COMPLETION, body=b'{"prompt":"hi","messages":[]}')
    assert json.loads(question(an_endpoint(model="qwen"), completion)) == {"model": "qwen", "prompt": "hi"}


class OneAnswer:
    def __init__(self, status: int, body: bytes) -> None:
        self._said, self.urls = Said(status, body), []

    async def post(self, endpoint, url, body, until):
        self.urls.append(url)
        return self._said


def ask(status: int, body: bytes):
    line = OneAnswer(status, body)
    return asyncio.run(Tokens(line).of(an_endpoint(url="http://e:1/v1"), a_request(), 1.0)), line.urls


def test_tokens_come_from_beside_the_api():
    assert ask(200, msgspec.json.encode({"count": 2, "tokens": [5, 6], "max_model_len": 9})) == ((5, 6), ["http://e:1/tokenize"])


@pytest.mark.parametrize(("status", "body", "error"), [(404, b"", UpstreamFailed), (200, b"{}", BadAnswer), (200, b"<html>", BadAnswer)])
def test_who_tells_no_tokens_fails(status, body, error):
    with pytest.raises(error):
        ask(status, body)
