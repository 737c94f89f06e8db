"""Sentence vectors on a thread of their own."""

import asyncio
import threading

import numpy as np
import pytest

from pointsman.classify.embedding import Embedding
from pointsman.classify.heads.predicted import Row
from pointsman.core.request import Message
from pointsman.gateway.consulting import StageBusy
from pointsman.gateway.sentences import SAVED_S, WAITING, Sentences, SentenceStage
from pointsman.testing.clock import ManualClock
from pointsman.testing.factories import a_request


class Embedder:
    """Embeds a text as its length, on whatever thread; waits for the gate when there is one."""

    name, dims, digest = "fake", 1, "d1"

    def __init__(self, gate=None, error=None, clock=None, costs=0.0):
        self.gate, self.error, self.clock, self.costs = gate, error, clock, costs
        self.batches, self.threads = [], set()

    def embed(self, texts):
        self.threads.add(threading.current_thread().name)
        self.batches.append(list(texts))
        if self.gate is not None:
            self.gate.wait(5)
        if self.clock is not None:
            self.clock.advance(self.costs)
        if self.error is not None:
            raise self.error
        return np.array([[len(text)] for text in texts], np.float32)


def sentences(embedder, clock=None, share=0.1):
    return Sentences(embedder, (clock or ManualClock()).now, share)


async def all_of(made, *texts):
    try:
        return await asyncio.gather(*(made.embed(text) for text in texts), return_exceptions=True)
    finally:
        made.close()


def test_vectors_come_from_another_thread_and_in_order():
    embedder = Embedder()

    vectors = asyncio.run(all_of(sentences(embedder), "a", "bb", "ccc"))

    assert [float(vector[0]) for vector in vectors] == [1, 2, 3]
    assert threading.current_thread().name not in embedder.threads


def test_those_that_wait_are_embedded_together():
    embedder = Embedder()

    asyncio.run(all_of(sentences(embedder), "a", "bb", "ccc", "dddd"))

    assert embedder.batches == [["a"], ["bb", "ccc", "dddd"]]


def test_a_failing_embedder_fails_its_texts_and_goes_on():
    embedder = Embedder(error=ValueError("no"))

    told = asyncio.run(all_of(sentences(embedder), "a", "b"))

    assert [str(error) for error in told] == ["no", "no"]


def test_the_line_is_short():
    async def crowd():
        gate = threading.Event()
        made = sentences(Embedder(gate))
        tasks = [asyncio.ensure_future(made.embed("x")) for _ in range(WAITING + 1)]
        await asyncio.sleep(0)
        with pytest.raises(StageBusy, match="too many wait"):
            await made.embed("y")
        gate.set()
        await asyncio.gather(*tasks)
        made.close()

    asyncio.run(crowd())


def test_who_has_left_is_not_embedded_any_more():
    async def leave():
        gate = threading.Event()
        embedder = Embedder(gate)
        made = sentences(embedder)
        first, second, third = (asyncio.ensure_future(made.embed(text)) for text in ("a", "b", "c"))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, third)
        made.close()
        return embedder.batches

    assert asyncio.run(leave()) == [["a"], ["c"]]


def test_over_time_the_thread_gets_its_share_and_no_more():
    clock = ManualClock()
    embedder = Embedder(clock=clock, costs=2 * SAVED_S)
    made = sentences(embedder, clock)

    async def use():
        await made.embed("a")  # the savings are gone
        with pytest.raises(StageBusy, match="used up"):
            await made.embed("b")
        clock.advance(10.0)
        await made.embed("c")
        made.close()

    asyncio.run(use())
    assert embedder.batches == [["a"], ["c"]]


def test_a_closed_one_turns_away_who_still_waits():
    async def swap():
        gate = threading.Event()
        made = sentences(Embedder(gate))
        first, second = (asyncio.ensure_future(made.embed(text)) for text in "ab")
        await asyncio.sleep(0)
        made.close()
        gate.set()
        return await asyncio.gather(first, second, return_exceptions=True)

    first, second = asyncio.run(swap())
    assert first.tolist() == [1.0]
    assert isinstance(second, StageBusy)


# -- the stage


class Scorer:
    models = ("a",)

    def row(self, query, sentence_vector=None):
        p = float(sentence_vector[0]) / 10
        return Row([p], [p], 1.0, False, None)


def a_stage(embedder):
    return SentenceStage(Embedding(Scorer(), {"small": ((0, 1.0),)}, is_generic=False), sentences(embedder), 0.01)


def test_the_stage_scores_with_the_vector_and_remembers_what_it_said():
    embedder = Embedder()
    stage = a_stage(embedder)

    async def twice():
        return [await stage.consult(a_request("seven ch"), None, None) for _ in range(2)]

    first, second = asyncio.run(twice())
    assert first.scores.by_tier["small"].p == pytest.approx(0.8)
    assert first is second
    assert len(embedder.batches) == 1


def test_the_stage_has_nothing_to_say_where_nobody_spoke():
    assert asyncio.run(a_stage(Embedder()).consult(a_request(messages=(Message("system", "x"),)), None, None)) is None
