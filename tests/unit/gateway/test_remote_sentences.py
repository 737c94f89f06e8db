"""The way to an embedder elsewhere."""

import asyncio

import msgspec
import numpy as np
import pytest

from pointsman.classify.embedders.remote import PROBES, probed, vectors_of
from pointsman.core.breaker import FAILURES
from pointsman.core.settings import RemoteEmbedderSettings
from pointsman.errors import AnswerTimeout, ConnectFailed, RateLimited
from pointsman.gateway.consulting import StageBusy, StageSilent
from pointsman.gateway.remote_sentences import WAITING, RemoteSentences

SETTINGS = RemoteEmbedderSettings("http://127.0.0.1:9/v1", "m")


def answer(texts, flip=1.0):
    return msgspec.json.encode({"data": [{"embedding": [flip, float(len(text))], "index": at} for at, text in enumerate(texts)]})


ELSEWHERE = probed("m", vectors_of(answer(PROBES), 2), None, 4000)
ONE_BY_ONE = [[text] for text in PROBES]


class Posts:
    """Embeds a text as its length; `said` may be an exception to raise. `gate`: it waits there."""

    def __init__(self, said=None, gate=None, flip=1.0):
        self.said, self.gate, self.flip, self.asked, self.untils = said, gate, flip, [], []

    async def __call__(self, endpoint, suffix, body, *, until, most):
        assert suffix == "/embeddings"
        self.asked.append(msgspec.json.decode(body)["input"])
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.said, Exception):
            raise self.said
        return answer(self.asked[-1], self.flip) if self.said is None else self.said


def made(posts, **settings):
    return RemoteSentences(ELSEWHERE, msgspec.structs.replace(SETTINGS, **settings), posts)


def own(asked):
    """Without the probes."""
    return [batch for batch in asked if batch not in ONE_BY_ONE]


def test_the_probes_go_first_once_and_the_texts_after_them():
    async def story():
        posts = Posts()
        sentences = made(posts)
        vector = await sentences.embed("abc")
        assert float(vector[1] / vector[0]) == pytest.approx(3.0)
        await sentences.embed("abcd")
        assert posts.asked == [*ONE_BY_ONE, ["abc"], ["abcd"]]

    asyncio.run(story())


def test_after_a_beginning_no_request_waits_for_the_probes():
    async def story():
        posts = Posts()
        sentences = made(posts)
        sentences.begin()
        while not sentences._is_trusted:
            await asyncio.sleep(0)
        posts.gate = asyncio.Event()
        sentences._probe_at = 0.0  # ten minutes later: they go beside the traffic
        waiting = asyncio.create_task(sentences.embed("abc"))
        for _ in range(4):
            await asyncio.sleep(0)
        assert posts.asked == [*ONE_BY_ONE, ONE_BY_ONE[0], ["abc"]]
        posts.gate.set()
        await waiting

    asyncio.run(story())


def test_texts_that_wait_go_together_and_no_more_questions_than_allowed_are_under_way():
    async def story():
        gate = asyncio.Event()
        posts = Posts(gate=gate)
        sentences = made(posts, max_in_flight=1, together=3)
        sentences._is_trusted, sentences._probe_at = True, float("inf")
        waiting = [asyncio.create_task(sentences.embed("x" * n)) for n in range(1, 6)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(posts.asked) == 1
        gate.set()
        vectors = await asyncio.gather(*waiting)
        assert [round(float(v[1] / v[0])) for v in vectors] == [1, 2, 3, 4, 5]
        assert [len(batch) for batch in posts.asked] == [1, 3, 1]

    asyncio.run(story())


def test_one_whose_vectors_wander_is_asked_for_one_text_at_a_time():
    async def story():
        posts = Posts()
        sentences = RemoteSentences(msgspec.structs.replace(ELSEWHERE, alone=True), SETTINGS, posts)
        await asyncio.gather(*(sentences.embed("x" * n) for n in range(1, 5)))
        assert [len(batch) for batch in own(posts.asked)] == [1, 1, 1, 1]

    asyncio.run(story())


def test_a_text_that_is_known_is_not_sent_again():
    async def story():
        posts = Posts()
        sentences = made(posts)
        first, second = await sentences.embed("abc"), await sentences.embed("abc")
        assert np.array_equal(first, second)
        assert own(posts.asked) == [["abc"]]

    asyncio.run(story())


def test_another_model_is_refused_and_not_asked_again_for_a_while():
    async def story():
        posts = Posts(flip=-100.0)
        sentences = made(posts)
        for _ in range(2):
            with pytest.raises(StageSilent, match="another vector") as caught:
                await sentences.embed("abc")
            assert caught.value.result == "refused"
        assert posts.asked == ONE_BY_ONE

    asyncio.run(story())


@pytest.mark.parametrize(("said", "result", "outcome"), [
    (ConnectFailed("gone"), "down", "failed"), (AnswerTimeout("late"), "slow", "late"), (RateLimited("full"), "busy", "abstained"),
    (b"<html>", "garbage", "abstained")])
def test_trouble_is_told_by_its_kind_and_rests_the_breaker(said, result, outcome):
    async def story():
        sentences = made(Posts(said))
        for _ in range(FAILURES):
            with pytest.raises(StageSilent) as caught:
                await sentences.embed("abc")
            assert (caught.value.result, caught.value.outcome) == (result, outcome)
        with pytest.raises(StageBusy) as caught:
            await sentences.embed("abc")
        assert caught.value.result == "resting"

    asyncio.run(story())


def test_a_vector_that_is_late_for_one_request_is_there_for_the_next_and_lateness_counts():
    async def story():
        gate = asyncio.Event()
        posts = Posts(gate=gate)
        sentences = made(posts, deadline_s=1e-9)
        sentences._is_trusted, sentences._probe_at = True, float("inf")
        waiting = asyncio.create_task(sentences.embed("abc"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        gate.set()
        while not sentences._known:
            await asyncio.sleep(0)
        assert (await sentences.embed("abc")).shape == (2,)
        assert "1 failed in a row" in repr(sentences)
        assert len(posts.asked) == 1

    asyncio.run(story())


def test_a_full_line_and_a_closed_one_let_nobody_in():
    async def story():
        sentences = made(Posts(gate=asyncio.Event()), max_in_flight=1, together=1)
        sentences._is_trusted, sentences._probe_at = True, float("inf")
        waiting = [asyncio.create_task(sentences.embed(f"text {n}")) for n in range(WAITING + 1)]
        await asyncio.sleep(0)
        with pytest.raises(StageBusy, match="too many wait"):
            await sentences.embed("one more")
        sentences.close()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(one, StageBusy) for one in ended)
        with pytest.raises(StageBusy, match="another configuration"):
            await sentences.embed("one more")

    asyncio.run(story())


def test_where_nobody_may_be_asked_it_says_whom_it_would_have_asked():
    with pytest.raises(StageBusy, match=r"127\.0\.0\.1:9/v1 would be asked") as caught:
        asyncio.run(made(None).embed("abc"))
    assert caught.value.result == "nobody"
