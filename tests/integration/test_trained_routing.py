"""A trained classifier in service: the same numbers as offline, over real sockets, through reloads and late embedders."""

from __future__ import annotations

import asyncio
import threading

import msgspec
import numpy as np
import pytest

from pointsman import artifact
from pointsman.artifact import read
from pointsman.classify.embedders import sentence as sentences
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.scorer import Scorer
from pointsman.config.load import load_text
from pointsman.learn.fit import fit
from pointsman.learn.table import OutcomeTable
from pointsman.testing import days
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter

TOKEN = {"authorization": "Bearer admin-token"}
PROMPTS = ("What are the opening hours of shop 7?", "Prove lemma 3 about the integral.", "", "证明 2 的平方根是无理数", "x" * 40_000,
           "\u0000\u200b?", "Hello")


class FakeEmbedder:
    """Says whether a text wants a proof, in eight numbers. `gate`: it waits there."""

    name, dims = "fake-sentence", 8

    def __init__(self, digest="d1", gate=None):
        self.digest, self.gate = digest, gate

    def embed(self, texts):
        if self.gate is not None:
            self.gate.wait(60)
        rows = np.zeros((len(texts), 8), np.float32)
        for row, text in zip(rows, texts, strict=True):
            row["Prove" in text] = 1.0
            row[2 + len(text) % 6] = 0.2
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def trained(path, *, flipped=False, embedder=None):
    """An artifact of sixty prompts: the small model answers the easy half (`flipped`: the hard one)."""
    prompts, quality = [], []
    for i in range(60):
        is_hard = i % 2 == 1
        prompts.append(f"Prove lemma {i} about the integral of f{i}." if is_hard else f"What are the opening hours of shop {i}?")
        quality.append([float(is_hard == flipped), 1.0])
    table = OutcomeTable([str(i) for i in range(60)], prompts, ("small", "large"), np.array(quality))
    return artifact.write(fit(table, seed=1, sentence=embedder, progress=lambda stage, done: None), path)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A static artifact."""
    return trained(tmp_path_factory.mktemp("plain") / "artifact").path


@pytest.fixture(scope="module")
def flipped(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("flipped") / "artifact", flipped=True).path


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """One with a sentence stack as well."""
    return trained(tmp_path_factory.mktemp("both") / "artifact", embedder=FakeEmbedder()).path


def configuration(path, urls=("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1"), route=", quality: 0.5", classifier=""):
    prices = ("{input: 0.1, output: 0.1}", "{input: 10, output: 30}")
    tiers = "".join(f"  {name}: {{model: {name}-model, endpoints: [{{url: \"{url}\", usd_per_million: {price}}}]}}\n"
                    for name, url, price in zip(("small", "large"), urls, prices, strict=True))
    return load_text(f"classifier: {{artifact: \"{path}\"{classifier}}}\ntiers:\n{tiers}"
                     f"routes:\n  auto: {{pipeline: [rules, heuristic, embedding]{route}}}\n")


async def decided(client, router, prompt, model="auto"):
    async with client() as c:
        return await c.post(f"{router.url}/route", {"model": model, "messages": [{"role": "user", "content": prompt}]}, {})


def view(decision, stage):
    return next(view for view in decision["stages"] if view["stage"] == stage)


def test_scores_over_http_are_those_of_the_artifact_offline(client, plain):
    async def over_http():
        async with RunningRouter(configuration(plain)) as router:
            return [(await decided(client, router, prompt)).json for prompt in PROMPTS]

    scorer = Scorer.load(read(plain))
    for prompt, decision in zip(PROMPTS, asyncio.run(over_http()), strict=True):
        said = view(decision, "embedding")
        if not prompt:
            assert (said["outcome"], decision["decided_by"]) == ("abstained", "default")
            continue
        offline = scorer.score_one(Query.of_prompt(prompt))
        served = said["scores"]["by_tier"]
        assert [served[tier]["p"] for tier in ("small", "large")] == offline.p[0].tolist()
        assert [served[tier]["lower"] for tier in ("small", "large")] == offline.lower[0].tolist()
        assert said["scores"]["is_foreign"] == bool(offline.is_foreign[0])


def test_labels_decide_and_the_table_of_candidates_shows_it(client, plain):
    async def ask():
        async with RunningRouter(configuration(plain, route=", quality: 0.5")) as router:
            return [(await decided(client, router, prompt)).json for prompt in PROMPTS[:2]]

    easy, hard = asyncio.run(ask())
    assert (easy["tier"], easy["decided_by"], easy["calibrated"]) == ("small", "policy", True)
    assert (hard["tier"], hard["decided_by"]) == ("large", "policy")
    assert [(row["tier"], row["clears"]) for row in hard["candidates"]] == [("small", False), ("large", True)]
    assert hard["candidates"][0]["usd"] < hard["candidates"][1]["usd"]


def test_names_carry_wishes_and_wrong_ones_are_told(client, plain):
    async def ask():
        async with RunningRouter(configuration(plain)) as router:
            return [await decided(client, router, PROMPTS[1], model) for model in (
                "auto", "auto:cheap", "auto@0", "auto:best", "auto@1.5", "auto@x", "auto:magic")]

    plain_one, cheap, anything, best, *wrong = asyncio.run(ask())
    assert [answer.json["tier"] for answer in (plain_one, anything, best)] == ["large", "small", "large"]
    assert cheap.json["candidates"][0]["needs"] < plain_one.json["candidates"][0]["needs"]
    assert [answer.status for answer in wrong] == [400, 400, 404]
    assert "a probability from 0 to 1" in wrong[0].json["error"]["message"]


def test_a_reload_takes_up_a_changed_artifact_and_keeps_the_old_one_when_it_is_bad(client, plain, flipped, tmp_path):
    async def through_reloads():
        tiers = []
        async with RunningRouter(configuration(plain)) as router, client() as c:
            for path in (plain, flipped, tmp_path / "missing", plain):
                router.next_settings = msgspec.structs.replace(
                    router.next_settings, classifier=msgspec.structs.replace(router.next_settings.classifier, artifact=str(path)))
                done = await c.post(f"{router.admin}/reload", {}, TOKEN)
                tiers.append((done.status, (await decided(client, router, PROMPTS[0])).json["tier"], done.body))
        return tiers

    told = asyncio.run(through_reloads())
    assert [(status, tier) for status, tier, _ in told] == [(200, "small"), (200, "large"), (422, "large"), (200, "small")]
    assert b"there is no such directory" in told[2][2]


def test_an_artifact_of_another_version_names_both(plain, tmp_path):
    manifest = msgspec.json.decode((plain / "manifest.json").read_bytes())
    manifest["features"]["structural"] = "of-the-future"
    for file in plain.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "manifest.json").write_bytes(msgspec.json.encode(manifest))

    from pointsman.errors import ConfigError
    from pointsman.wiring import build_graph

    with pytest.raises(ConfigError, match=r"classifier\.artifact: .*of-the-future.*this Pointsman has"):
        build_graph(configuration(tmp_path))


# -- the sentence stage


def near_the_bar(path, **classifier):
    """A configuration whose bar lies where the small tier's bound is for a hard prompt: every decision on it is open."""
    lower = Scorer.load(read(path)).score_one(Query.of_prompt(PROMPTS[1])).lower[0, 0]
    more = "".join(f", {key}: {value}" for key, value in {"sentence_share": 1, **classifier}.items())
    return configuration(path, route=f", quality: {min(1.0, lower + 0.00001):.6f}, quality_of: absolute", classifier=more)


def served_with(monkeypatch, embedder):
    monkeypatch.setattr(sentences, "load_sentence", lambda name: embedder)


def test_an_open_decision_asks_for_a_sentence_vector_and_scores_as_offline(client, both, monkeypatch):
    served_with(monkeypatch, FakeEmbedder())

    async def ask():
        async with RunningRouter(near_the_bar(both, sentence_deadline="5s")) as router:
            return [(await decided(client, router, prompt)).json for prompt in PROMPTS[:2]], (await router.service.page())[0].decode()

    (closed, opened), page = asyncio.run(ask())
    offline = Scorer.load(read(both)).score_one(Query.of_prompt(PROMPTS[1]), FakeEmbedder().embed([PROMPTS[1]])[0])
    said = view(opened, "sentence")
    assert said["outcome"] == "refined"
    assert [score["p"] for score in said["scores"]["by_tier"].values()] == offline.p[0].tolist()
    assert view(closed, "sentence")["outcome"] == "skipped"
    assert 'pointsman_stage_results_total{outcome="refined",route="auto",stage="sentence"} 1.0' in page
    assert 'pointsman_stage_results_total{outcome="skipped",route="auto",stage="sentence"} 1.0' in page


def test_a_late_embedder_abstains_and_a_chat_is_answered_all_the_same(client, both, monkeypatch):
    gate = threading.Event()
    embedder = FakeEmbedder()
    served_with(monkeypatch, embedder)

    async def ask():
        engine = ModelServer(days.Answer("fine"))
        await engine.start()
        settings = near_the_bar(both, sentence_deadline="2ms")
        settings = msgspec.structs.replace(settings, pools={name: msgspec.structs.replace(pool, endpoints=tuple(
            msgspec.structs.replace(endpoint, url=engine.url) for endpoint in pool.endpoints)) for name, pool in settings.pools.items()})
        async with RunningRouter(settings) as router, client() as c:
            embedder.gate = gate
            answer = await c.post(f"{router.url}/chat/completions",
                                  {"model": "auto", "messages": [{"role": "user", "content": PROMPTS[1]}]}, {})
            gate.set()
            records = router.records()
        await engine.aclose()
        return answer, records[-1]

    answer, record = asyncio.run(ask())
    assert answer.status == 200
    assert [(said.stage, said.outcome) for said in record.decision.stages][-1] == ("sentence", "late")
    assert record.decision.decided_by == "policy"


@pytest.mark.parametrize(("setting", "message"), [
    ("l6", r"classifier\.sentence: 'l6' cannot serve: .*fake-sentence d1, here is fake-sentence d2"), ("auto", None)])
def test_an_embedder_that_the_artifact_was_not_trained_beside_does_not_serve(both, monkeypatch, setting, message):
    from pointsman.errors import ConfigError
    from pointsman.wiring import build_graph

    served_with(monkeypatch, FakeEmbedder("d2"))
    settings = configuration(both, classifier=f", sentence: {setting}")
    if message is None:
        assert build_graph(settings).learned.sentences is None
        return
    with pytest.raises(ConfigError, match=message):
        build_graph(settings)


# -- conversations


def test_a_pinned_conversation_goes_up_and_never_down(client, plain):
    async def talk():
        engine = ModelServer(days.Answer("fine"))
        await engine.start()
        settings = configuration(plain, (engine.url, engine.url), route=", session: pin, quality: 0.5")
        turns, tiers = [], []
        async with RunningRouter(settings) as router, client() as c:
            for prompt in (PROMPTS[0], PROMPTS[1], "What are the opening hours of shop 9?"):
                turns.append({"role": "user", "content": prompt})
                answer = await c.post(f"{router.url}/chat/completions", {"model": "auto", "messages": turns}, {})
                turns.append({"role": "assistant", "content": "fine"})
                tiers.append((answer.headers["x-route-tier-name"], answer.headers["x-route-decided-by"]))
            fresh = await c.post(f"{router.url}/chat/completions", {"model": "auto", "messages": turns[-2:-1]}, {})
        await engine.aclose()
        return tiers, fresh.headers["x-route-tier-name"]

    tiers, fresh = asyncio.run(talk())
    assert tiers == [("small", "policy"), ("large", "policy"), ("large", "session")]
    assert fresh == "small"


def test_a_named_session_keeps_its_tier_although_the_client_rewrites_its_turns(client, plain):
    async def talk():
        engine = ModelServer(days.Answer("fine"))
        await engine.start()
        settings = configuration(plain, (engine.url, engine.url), route=", session: pin, quality: 0.5")
        hard, easy = {"role": "user", "content": PROMPTS[1]}, {"role": "user", "content": PROMPTS[0]}
        summary = {"role": "assistant", "content": "(summary)"}
        async with RunningRouter(settings) as router, client() as c:
            await c.post(f"{router.url}/chat/completions", {"model": "auto", "messages": [hard]}, {"x-session-id": "s-1"})
            answers = [await c.post(f"{router.url}/chat/completions", {"model": "auto", "messages": [hard, summary, easy]}, {"x-session-id": name})
                       for name in ("s-1", "s-2")]
        await engine.aclose()
        return [answer.headers["x-route-tier-name"] for answer in answers]

    assert asyncio.run(talk()) == ["large", "small"]
