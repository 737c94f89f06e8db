"""An embedder behind /v1/embeddings: trained beside it, served beside it, and left when it is late, ill or another."""

from __future__ import annotations

import asyncio
import hashlib
import json

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from pointsman.artifact import read
from pointsman.classify.embedders.remote import PROBES, vectors_of
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.scorer import Scorer
from pointsman.config.load import load_text
from pointsman.errors import ConfigError, DataRefused
from pointsman.learn.scoring import score
from pointsman.learn.training import Wishes, train
from pointsman.testing.json_service import JsonService, a_json, http
from pointsman.testing.scene import Scene

HARD, EASY = "Prove lemma 3 about the integral.", "What are the opening hours of shop 7?"


def embeds(body, salt=""):
    """A model of twelve numbers that knows a proof when it sees one."""
    data = []
    for index, text in enumerate(body["input"]):
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256((salt + text).encode()).digest()[:8]))
        row = rng.normal(size=12) * 0.2
        row[("Prove" in text) + 2 * bool(salt)] += 3.0
        data.append({"object": "embedding", "index": index, "embedding": row.tolist()})
    return a_json({"object": "list", "model": body["model"], "data": data[::-1], "usage": {"prompt_tokens": 1, "total_tokens": 1}})


def labels(path):
    rows = [{"text": f"Prove lemma {i} about the integral of f{i}." if i % 2 else f"What are the opening hours of shop {i}?",
             "tier": "large" if i % 2 else "small"} for i in range(60)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """Trained beside the service, with its address forgotten: it is only the name and what it says that count."""
    place = tmp_path_factory.mktemp("remote")

    async def story():
        async with JsonService(embeds, "/v1/embeddings") as service:
            url = f"http://127.0.0.1:{service.port}/v1"
            trained = await asyncio.to_thread(train, labels(place / "labels.jsonl"), place / "artifact", Wishes(embedder=f"{url}#mini"))
            assert trained.embedder == "remote:mini"
            assert all(len(posted.body["input"]) <= 32 for posted in service.posted)
            assert {posted.body["model"] for posted in service.posted} == {"mini"}

    asyncio.run(story())
    return place / "artifact"


def configuration(path, port, more="", sentence="remote", quality=0.5):
    tiers = "".join(f"  {name}: {{model: {name}-model, endpoints: [{{url: \"http://127.0.0.1:9/v1\", usd_per_million: {{input: {usd}, output: {usd}}}}}]}}\n"
                    for name, usd in (("small", 1), ("large", 10)))
    remote = f"remote: {{url: \"http://127.0.0.1:{port}/v1\", model: mini, deadline: 250ms{more}}}"
    return load_text(f"classifier: {{artifact: \"{path}\", sentence: {sentence}, sentence_share: 1, {remote}}}\ntiers:\n{tiers}"
                     f"routes:\n  auto: {{pipeline: [embedding], quality_of: absolute, quality: {quality}}}\n")


def near(path, prompt):
    """A target that the static score of the small tier misses by a hair, so that a sentence vector is asked for."""
    return float(Scorer.load(read(path)).score_one(Query.of_prompt(prompt)).lower[0][0]) + 1e-4


class Embedded(Scene):
    def __init__(self, client, artifact, answer=embeds, prompt=HARD, more="", port=None):
        self.artifact, self.prompt, self._more, self._port = artifact, prompt, more, port
        self.service = JsonService(answer, "/v1/embeddings")
        super().__init__(client, self.service)

    def settings(self):
        return configuration(self.artifact, self._port or self.service.port, self._more, quality=near(self.artifact, self.prompt))

    async def decided(self, prompt=None):
        heard = await self.client.post(f"{self.router.url}/route", {"model": "auto", "messages": [{"role": "user", "content": prompt or self.prompt}]}, {})
        assert heard.status == 200, heard.body
        return next(view for view in heard.json["stages"] if view["stage"] == "sentence")


def test_an_open_decision_asks_it_and_scores_as_offline(client, artifact):
    async def story():
        async with Embedded(client, artifact) as scene:
            first, second = await scene.decided(), await scene.decided()
            assert (first["outcome"], first["result"], second["result"]) == ("refined", "answered", "remembered")
            assert [posted.body["input"] for posted in scene.service.posted] == [*([text] for text in PROBES), [HARD]]
            return first["scores"]["by_tier"]["small"]["p"]

    vector = vectors_of(embeds({"input": [HARD], "model": "m"}).split(b"\r\n\r\n", 1)[1], 1)
    offline = Scorer.load(read(artifact)).score_one(Query.of_prompt(HARD), vector[0])
    assert asyncio.run(story()) == offline.p[0][0]


@pytest.mark.parametrize(("answer", "result"), [
    (None, "slow"), (b"", "down"), (http(500, b"{}"), "down"), (http(401, b"{}"), "down"), (http(429, b"{}"), "busy"), (http(302, b""), "down"),
    (http(200, b"<html>"), "garbage"), (a_json({"data": []}), "garbage"), (a_json({"data": [{"embedding": [0.0]}] * 3}), "garbage"),
    (a_json({"data": [{"embedding": ["1"]}] * 3}), "garbage"), (lambda body: embeds(body, salt="another"), "refused"),
    (lambda body: a_json({"data": [{"embedding": [1.0, 2.0]} for _ in body["input"]]}), "refused"),
])
def test_whatever_happens_to_it_the_static_scores_decide_and_it_is_counted(client, artifact, answer, result):
    async def story():
        async with Embedded(client, artifact, answer) as scene:
            said = await scene.decided()
            assert said["outcome"] in ("abstained", "failed", "late")
            assert said["result"] == result, said
            assert said["duration_s"] < 0.25 + 0.2
            page = (await scene.client.get(f"{scene.router.root}/metrics")).body.decode()
            assert f'pointsman_stage_questions_total{{result="{result}",route="auto",stage="sentence"}} 1.0' in page

    asyncio.run(story())


def test_one_that_is_not_there_is_left_alone_after_a_while(client, artifact):
    async def story():
        async with Embedded(client, artifact, port=9) as scene:
            return [(await scene.decided())["result"] for _ in range(7)]

    assert asyncio.run(story()) == ["down"] * 4 + ["resting"] * 3  # the first failure was that of the probes, at the start


def test_what_is_known_survives_a_reload(client, artifact):
    async def story():
        async with Embedded(client, artifact) as scene:
            await scene.decided()
            await scene.router.service.reload()
            await scene.decided()
            return [posted.body["input"] for posted in scene.service.posted]

    assert asyncio.run(story()) == [*([text] for text in PROBES), [HARD]]


@pytest.mark.parametrize(("more", "sentence", "message"), [
    (", dims: 6", "remote", "trained with dims None"), (", max_chars: 100", "remote", "trained with max_chars 4000"),
    ("", "l6", "prompts go nowhere unasked")])
def test_other_settings_than_it_was_trained_with_are_refused(artifact, more, sentence, message):
    from pointsman.wiring import build_graph

    with pytest.raises(ConfigError, match=message):
        build_graph(configuration(artifact, 9, more, sentence))


def test_without_leave_prompts_go_nowhere(artifact):
    from pointsman.wiring import build_graph

    learned = build_graph(configuration(artifact, 9, sentence="auto")).learned
    assert learned.sentences is None
    assert "prompts go nowhere unasked" in learned.classifier.why_no_sentence


def test_files_are_scored_beside_it_and_never_beside_another(artifact):
    async def story(answer, name="mini"):
        async with JsonService(answer, "/v1/embeddings") as service:
            return await asyncio.to_thread(score, read(artifact), [HARD, EASY], embedder=f"http://127.0.0.1:{service.port}/v1#{name}")

    found = asyncio.run(story(embeds))
    assert found.embedder == "remote:mini"
    assert found.predicted.p[0, 0] < 0.5 < found.predicted.p[1, 0]
    static = score(read(artifact), [HARD])
    assert (static.embedder, "mini elsewhere" in static.note) == ("static", True)
    with pytest.raises(DataRefused, match="is not the embedder"):
        asyncio.run(story(lambda body: embeds(body, salt="another")))
    with pytest.raises(DataRefused, match="model was mini, here it is maxi"):
        asyncio.run(story(embeds, "maxi"))
