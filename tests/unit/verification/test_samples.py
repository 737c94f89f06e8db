"""The same question again, several times."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from pointsman.core.answer import Answer, Choice
from pointsman.core.reply import Heard, Reply
from pointsman.core.request import ChatRequest, Kind, Span
from pointsman.core.verdict import Verdict
from pointsman.core.verifying import Agreement
from pointsman.errors import ConnectFailed, Forbidden
from pointsman.testing.factories import a_request
from pointsman.verification.samples import Samples, resampled

PROSE = "It was a long and winding road, and nobody knew where it would lead in the end, least of all the two who walked it."


def sampled(*said: str | Exception, answer: str = "42", request: ChatRequest | None = None) -> tuple[Verdict, int]:
    left, asked = list(said), 0

    async def asks(pool: str, body: bytes, *, until: float) -> Heard:
        nonlocal asked
        asked += 1
        word = left.pop(0)
        if isinstance(word, Exception):
            raise word
        return Heard(Reply(msgspec.json.encode({"choices": [{"message": {"content": word}}]})), "small/0", 10)

    samples = Samples(Agreement(samples=max(1, len(said))))
    verdict = asyncio.run(samples.consult(request or a_request(), Answer((Choice(answer),)), asks, pool="small", until=9.0))
    return verdict, asked


def test_samples_that_agree_speak_for_the_answer():
    verdict, asked = sampled("42", "The answer is 42.")

    assert (verdict.score, verdict.cost_nano_usd, asked) == (0.75, 20, 2)


def test_samples_that_failed_are_left_out():
    assert sampled("42", ConnectFailed("no", sent=False))[0].score == pytest.approx(2 / 3)


def test_when_all_fail_their_failure_is_told():
    with pytest.raises(ConnectFailed):
        sampled(ConnectFailed("no", sent=False))
    with pytest.raises(Forbidden):
        sampled("42", Forbidden("no"))


def test_prose_is_not_sampled():
    assert sampled("x", answer=PROSE) == (Verdict(), 0)
    assert sampled("x", request=a_request(kind=Kind.COMPLETION)) == (Verdict(), 0)


def test_a_sample_is_the_clients_request_plain_alone_and_by_chance():
    body = b'{"model":"auto","stream":true,"stream_options":{},"n":3,"seed":1,"logprobs":true,"fallbacks":["x"],"messages":[],"temperature":0}'
    at = body.index(b'"fallbacks"')
    request = a_request(body=body, cuts=(Span(at, body.index(b'"messages"')),))

    assert msgspec.json.decode(resampled(request, 0.7)) == {"model": "auto", "messages": [], "temperature": 0.7}
