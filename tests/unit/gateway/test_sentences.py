"""Sentence vectors on a thread of their own."""

import asyncio
import threading

import numpy as np
import pytest

from pointsman.classify.embedding import Embedding
from pointsman.classify.heads.predicted import Row
from pointsman.core.decision import Decision, Refine, Scores, StageView, TierScore
from pointsman.core.request import Message
from pointsman.gateway.consulting import StageBusy
from pointsman.gateway.sentences import AGAIN_S, TOO_OFTEN, TOO_SLOW, USUAL_S, WAITING, Sentences, SentenceStage
from pointsman.gateway.spare import IS_BUSY, USED_UP
from pointsman.testing.clock import ManualClock
from pointsman.testing.factories import a_request


class Embedder:
    """Embeds a text as its length, on whatever thread; waits for the gate when there is one."""

    name, dims, digest = "fake", 1, "d1"

    def __init__(self, gate=None, error=None):
        self.gate, self.error = gate, error
        self.texts, self.threads = [], set()

    def embed(self, texts):
        self.threads.add(threading.current_thread().name)
        self.texts += texts
        if self.gate is not None:
            self.gate.wait(60)
        if self.error is not None:
            raise self.error
        return np.array([[len(text)] for text in texts], np.float32)


class Purse:
    """Refuses what it is told to, and notes what was spent."""

    def __init__(self, why=""):
        self.why, self.spent = why, []

    def refusal(self):
        return self.why

    def spend(self, seconds):
        self.spent.append(seconds)


def sentences(embedder, purse=None, clock=None, patience_s=1.0, **more):
    return Sentences(embedder, (clock or ManualClock()).now, 0.1, patience_s, spare=purse or Purse(), **more)


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


def test_those_that_wait_go_together_and_each_is_handed_on_when_it_is_there():
    gates = {"a": threading.Event(), "bb": threading.Event()}

    class Slow(Embedder):
        def embed(self, texts):
            gates[texts[0]].wait(60)
            return super().embed(texts)

    async def two():
        embedder = Slow()
        made = sentences(embedder)
        first, second = (asyncio.ensure_future(made.embed(text)) for text in gates)
        await asyncio.sleep(0)
        gates["a"].set()
        assert float((await first)[0]) == 1
        assert not second.done()
        gates["bb"].set()
        assert float((await second)[0]) == 2
        made.close()
        return embedder

    assert len(asyncio.run(two()).threads) == 1


def test_a_failing_embedder_fails_its_texts_and_goes_on():
    embedder = Embedder(error=ValueError("no"))

    told = asyncio.run(all_of(sentences(embedder), "a", "b"))

    assert [str(error) for error in told] == ["no", "no"]


@pytest.mark.parametrize(("patience_s", "fit"), [(100.0, WAITING + 1), (2.5 * USUAL_S, 2), (0.1 * USUAL_S, 1)])
def test_the_line_is_as_long_as_a_decision_waits(patience_s, fit):
    async def crowd():
        gate = threading.Event()
        made = sentences(Embedder(gate), patience_s=patience_s)
        tasks = []
        while not made.refusal():
            tasks.append(asyncio.ensure_future(made.embed("x")))
            await asyncio.sleep(0)
        with pytest.raises(StageBusy, match="too many wait") as busy:
            await made.embed("y")
        gate.set()
        await asyncio.gather(*tasks)
        made.close()
        return len(tasks), busy.value.result

    assert asyncio.run(crowd()) == (fit, "busy")


def test_where_vectors_come_too_late_one_is_tried_now_and_then():
    clock = ManualClock()

    class Embedding(Embedder):
        costs = 1.5

        def embed(self, texts):
            clock.advance(self.costs * 5 * USUAL_S)
            return super().embed(texts)

    async def use():
        embedder = Embedding()
        made = sentences(embedder, clock=clock, patience_s=5 * USUAL_S)
        tried = 0
        while not made.refusal():
            await made.embed("x")
            tried += 1
        assert made.refusal() == TOO_SLOW
        assert 2 < tried < 20
        embedder.costs = 0.1
        for _ in range(4):
            clock.advance(AGAIN_S)
            await made.embed("x")
        assert made.refusal() == ""
        made.close()

    asyncio.run(use())


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
        return embedder.texts

    assert asyncio.run(leave()) == ["a", "c"]


@pytest.mark.parametrize(("why", "result"), [(USED_UP, "share"), (IS_BUSY, "busy")])
def test_nothing_is_begun_that_the_purse_refuses(why, result):
    embedder = Embedder()
    made = sentences(embedder, Purse(why))

    with pytest.raises(StageBusy, match=why) as busy:
        asyncio.run(made.embed("a"))
    made.close()
    assert (busy.value.result, embedder.texts) == (result, [])


def test_the_purse_pays_for_the_time_that_the_thread_ran():
    purse, ran = Purse(), iter([1.0, 1.25])

    asyncio.run(all_of(sentences(Embedder(), purse, cpu=lambda: next(ran)), "a"))

    assert purse.spent == [0.25]


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

    def text(self, query):
        return query.text

    def row(self, query, sentence_vector=None):
        p = float(sentence_vector[0]) / 10
        return Row([p], [p], 1.0, False, None)


def a_stage(embedder, purse=None, share=1.0):
    """One that has seen three requests."""
    stage = SentenceStage(Embedding(Scorer(), {"small": ((0, 1.0),)}, is_generic=False), sentences(embedder, purse), 0.01, 0.02, share)
    for _ in range(3):
        stage.saw()
    return stage


def scored(p=0.5):
    return Refine(Scores({"small": TierScore(p, p)}, True), "said so")


def a_decision(said, margin=0.0):
    return Decision("auto", "small", 1, "policy", "so", 0.5, margin=margin, stages=(StageView("embedding", "refined", "so", 0.0, said.scores),))


def test_the_stage_scores_with_the_vector_and_remembers_what_it_said():
    embedder = Embedder()
    stage = a_stage(embedder)

    async def twice():
        return [await stage.consult(a_request("seven ch"), None, None) for _ in range(2)]

    first, second = asyncio.run(twice())
    assert first.scores.by_tier["small"].p == pytest.approx(0.8)
    assert first is second
    assert embedder.texts == ["seven ch"]


def test_a_stage_without_room_says_so_before_it_is_asked():
    purse = Purse()
    stage = a_stage(Embedder(), purse)
    assert stage.refusal(a_decision(scored())) is None

    purse.why = USED_UP
    refused = stage.refusal(a_decision(scored()))
    assert (refused.stage, refused.outcome, refused.reason, refused.result) == ("sentence", "abstained", USED_UP, "share")


def test_what_is_remembered_needs_no_room():
    purse, said = Purse(), scored()
    stage = a_stage(Embedder(), purse)
    first = asyncio.run(stage.consult(a_request("seven ch"), said, None))

    purse.why = IS_BUSY
    assert stage.refusal(a_decision(said)) is None
    assert asyncio.run(stage.consult(a_request("seven ch"), said, None)) is first
    assert stage.refusal(a_decision(scored())).reason == IS_BUSY


@pytest.mark.parametrize(("margin", "wants"), [(None, False), (0.0, True), (0.019, True), (0.02, False)])
def test_only_a_score_within_the_band_is_asked_about(margin, wants):
    stage = a_stage(Embedder())

    assert stage.wants(a_decision(scored(), margin)) is wants
    assert stage.not_asked == "no score within 0.02 of its bar, where a sentence vector may move it across"


def test_what_is_unlike_anything_labelled_is_asked_about_where_no_score_is():
    stage = a_stage(Embedder())
    stage.band = 0.0

    assert stage.wants(a_decision(scored(), 0.0))


def test_when_its_share_of_requests_is_used_up_nobody_is_asked_but_what_is_known_is_said():
    stage, said = a_stage(Embedder(), share=0.03), scored()
    first = asyncio.run(stage.consult(a_request("seven ch"), said, None))

    refused = stage.refusal(a_decision(scored()))
    assert (refused.outcome, refused.reason, refused.result) == ("abstained", TOO_OFTEN, "share")
    with pytest.raises(StageBusy, match="as many of the last hundred"):
        asyncio.run(stage.consult(a_request("another"), scored(), None))
    assert stage.refusal(a_decision(said)) is None
    assert asyncio.run(stage.consult(a_request("seven ch"), said, None)) is first
    for _ in range(40):
        stage.saw()
    assert stage.refusal(a_decision(scored())) is None


def test_the_very_first_request_may_be_asked_about():
    stage = SentenceStage(Embedding(Scorer(), {"small": ((0, 1.0),)}, is_generic=False), sentences(Embedder()), 0.01)

    assert stage.refusal(a_decision(scored())) is None


def test_the_stage_has_nothing_to_say_where_nobody_spoke():
    assert asyncio.run(a_stage(Embedder()).consult(a_request(messages=(Message("system", "x"),)), None, None)) is None
