"""Verified cascades over real sockets: what a client sees, what engines see, and what stays on record."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import msgspec
import pytest

from pointsman.core.price import TokenPrice
from pointsman.core.settings import CascadeSettings, HoldSettings, RouteSettings, TaskSettings, TierSettings
from pointsman.core.verdict import Rates
from pointsman.core.verifying import Logprobs, Measured
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.model_server import ModelServer
from pointsman.testing.patient_time import now
from pointsman.testing.router import RunningRouter
from pointsman.testing.verifications import BREAKS, HANGS, OnRungs, says

SMALL = days.Answer("The small one says hello to you.", model="m")
LARGE = days.Answer("The large one knows better.", model="m")
SLOWLY = days.Answer("The small one takes its time, word by word.", model="m", between=0.05)


def settings(small: str, large: str, *, route=None, engine="openai", **cascade):
    def pool(name, url, price):
        return a_pool(name, endpoints=(an_endpoint(f"{name}/0", url, price=price, engine=engine),))

    values = {"mode": "benefit", "hold": HoldSettings(4, 0.2)} | cascade
    own = {"pipeline": ("pinned:small",)} | (route or {})
    made = RouteSettings("auto", ladder=("small", "large"), default_tier="small", cascade=CascadeSettings(**values), **own)
    return a_settings(pool("small", small, TokenPrice(0.1, 0.2)), pool("large", large, TokenPrice(1.0, 2.0)), route=made)


class Scene:
    """A router in front of two engines; `verification` looks at the small one's answers."""

    def __init__(self, client, small_day, large_day, verification, **more):
        self._client, self._verification, self._more = client, verification, more
        self.small, self.large = ModelServer(small_day), ModelServer(large_day)

    async def __aenter__(self):
        await self.small.start()
        await self.large.start()
        self.router = RunningRouter(settings(self.small.url, self.large.url, **self._more))
        await self.router.__aenter__()
        self.router.service.gateway.graph.cascades.verifications = OnRungs({"small": self._verification})
        self.client = await self._client().__aenter__()
        return self

    async def __aexit__(self, *exc):
        await self.client.__aexit__(*exc)
        await self.router.__aexit__(*exc)
        await self.small.aclose()
        await self.large.aclose()

    async def ask(self, *, stream=False, **fields):
        return await self.client.chat(self.router.url, stream=stream, **fields)

    async def record(self):
        await self.router.at_rest()
        (record,) = self.router.records()
        assert self.router.leases == 0
        return record


async def closed(server, seconds=0.25):
    try:
        await server.wait_for(lambda: server.open_connections == 0, seconds)
    except TimeoutError:
        return False
    return True


async def straight(client, day, **fields):
    """What the engine itself would have answered, nobody asking for log-probabilities."""
    async with ModelServer(day) as server, client() as c:
        return await c.chat(server.url, model="m", **fields)


@pytest.mark.parametrize("stream", [False, True])
def test_an_accepted_answer_is_the_engines_own_byte_for_byte(client, stream):
    async def story():
        async with Scene(client, SMALL, LARGE, says(0.9)) as scene:
            heard = await scene.ask(stream=stream)
            asked = json.loads(scene.small.requests[0].body)
            assert asked["logprobs"] is True, "the verifier needs them"
            own = await straight(client, SMALL, stream=stream)
            assert heard.body == own.body
            assert not scene.large.requests
            record = await scene.record()
            assert [(check.attempt, check.tier, check.is_whole) for check in record.checks] == [(1, "small", not stream)]
            assert record.checks[0].features == {"scripted.word": 0.9}
            assert (record.routing_tier, record.original_tier, record.escalations) == ("small", "", ())
            assert heard.headers.get("x-route-hold") == ("4 tokens" if stream else None)

    asyncio.run(story())


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_asks_for_logprobs_gets_them(client, stream):
    async def story():
        async with Scene(client, SMALL, LARGE, says(0.9)) as scene:
            heard = await scene.ask(stream=stream, logprobs=True, top_logprobs=2)
            own = await straight(client, SMALL, stream=stream, logprobs=True, top_logprobs=2)
            assert b'"logprob":' in heard.body
            assert heard.body == own.body

    asyncio.run(story())


@pytest.mark.parametrize("mode", ["benefit", "threshold"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_weak_answer_climbs_and_nothing_of_it_is_shown(client, stream, mode):
    async def story():
        async with Scene(client, SLOWLY if stream else SMALL, LARGE, says(0.05), mode=mode) as scene:
            heard = await scene.ask(stream=stream)
            assert (heard.status, heard.text) == (200, LARGE.text)
            assert heard.body == (await straight(client, LARGE, stream=stream)).body
            assert not stream or await closed(scene.small)
            assert heard.headers["x-route-tier-name"] == "large"
            assert heard.headers["x-route-attempts"] == "2"
            assert "verifier" in heard.headers["x-route-reason"]
            record = await scene.record()
            assert [(a.tier, a.reason, a.outcome) for a in record.attempts] == [
                ("small", "chosen", "cancelled" if stream else "answered"), ("large", "verifier", "answered")]
            assert [(e.from_tier, e.to_tier, e.reason) for e in record.escalations] == [("small", "large", "verifier")]
            assert record.cost_nano_usd == sum(a.cost_nano_usd for a in record.attempts)
            assert record.attempts[0].cost_nano_usd > 0
            assert (record.routing_tier, record.original_tier) == ("large", "small")

    asyncio.run(story())


def test_a_broken_off_engine_is_free_again_within_250_ms(client):
    async def story():
        held_up = days.Answer("The large one is slow to begin.", first_token_after=1.0)
        async with Scene(client, SLOWLY, held_up, says(0.05)) as scene:
            asking = asyncio.create_task(scene.ask(stream=True))
            await scene.large.wait_for(lambda: scene.large.requests)
            assert await closed(scene.small)
            assert (await asking).text == held_up.text

    asyncio.run(story())


def test_verifiers_of_the_whole_answer_hold_the_whole_answer(client):
    async def story():
        verification = says(0.9, whole=True)
        async with Scene(client, SMALL, LARGE, verification) as scene:
            heard = await scene.ask(stream=True)
            assert heard.headers["x-route-hold"] == "answer"
            assert heard.body == (await straight(client, SMALL, stream=True)).body
            (answer,) = verification.seen
            assert (answer.is_whole, answer.text, answer.choices[0].finish_reason) == (True, SMALL.text, "stop")
            assert answer.choices[0].tokens

    asyncio.run(story())


def test_the_hold_bounds_what_an_accepted_answer_waits(client):
    async def story():
        async with Scene(client, SLOWLY, LARGE, says(0.9), hold=HoldSettings(1000, 0.2)) as scene:
            body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "stream": True}
            begun = now()
            async with aiohttp.ClientSession() as session, session.post(f"{scene.router.url}/chat/completions", json=body) as r:
                await r.content.readany()
                first = now() - begun
                await r.read()
            whole = now() - begun
            assert 0.19 <= first <= 0.35
            assert whole > 0.45
            record = await scene.record()
            assert record.ttft_s - record.attempts[0].ttft_s <= 0.25

    asyncio.run(story())


def test_comments_keep_the_response_alive_while_an_answer_is_held(client):
    async def story():
        async with Scene(client, SLOWLY, LARGE, says(0.9, whole=True), route={"open_after_s": 0.1}) as scene:
            heard = await scene.ask(stream=True)
            assert heard.body.startswith(b": keep-alive\n\n")
            assert heard.text == SLOWLY.text
            assert heard.is_done

    asyncio.run(story())


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_verification_that_breaks_fails_no_request(client, stream, whole):
    async def story():
        async with Scene(client, SMALL, LARGE, says(BREAKS, whole=whole)) as scene:
            heard = await scene.ask(stream=stream)
            assert (heard.status, heard.text) == (200, SMALL.text)
            record = await scene.record()
            assert [(check.score, check.error) for check in record.checks] == [(None, "verification_failed")]
            page = scene.router.service.metrics()[0].decode()
            assert 'pointsman_unjudged_total{reason="verification_failed",tier="small"} 1.0' in page

    asyncio.run(story())


def test_verification_that_hangs_leaves_time_to_act(client):
    async def story():
        async with Scene(client, SMALL, LARGE, says(HANGS), route={"deadline_s": 1.0}, on_abstain="climb") as scene:
            begun = now()
            heard = await scene.ask()
            assert now() - begun < 1.1
            assert (heard.status, heard.text) == (200, LARGE.text)
            assert (await scene.record()).checks[0].error == "verification_late"

    asyncio.run(story())


@pytest.mark.parametrize(("on_abstain", "text"), [("accept", SMALL.text), ("climb", LARGE.text)])
@pytest.mark.parametrize("stream", [False, True])
def test_what_nobody_can_judge_is_accepted_or_climbed_from_as_configured(client, stream, on_abstain, text):
    async def story():
        async with Scene(client, SMALL, LARGE, says(None), on_abstain=on_abstain) as scene:
            assert (await scene.ask(stream=stream)).text == text
            assert (await scene.record()).checks[0].score is None

    asyncio.run(story())


@pytest.mark.parametrize("stream", [False, True])
def test_a_weak_answer_beats_an_error_above(client, stream):
    async def story():
        async with Scene(client, SMALL, days.server_error(), says(0.05)) as scene:
            heard = await scene.ask(stream=stream)
            assert (heard.status, heard.text) == (200, SMALL.text)
            assert not stream or heard.is_done
            assert heard.headers["x-route-tier-name"] == "small"
            record = await scene.record()
            assert (record.outcome, record.routing_tier) == ("answered", "small")
            # A whole answer is still in hand; a stream that was broken off is asked for once more, and not judged again.
            assert len(scene.small.requests) == (2 if stream else 1)
            assert len(record.checks) == 1

    asyncio.run(story())


@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_that_refuses_to_tell_log_probabilities_still_answers(client, stream):
    async def story():
        refuses = days.bad_request("logprobs are not supported")
        async with Scene(client, refuses, LARGE, says(0.9)) as scene:
            scene.small.days = [refuses, SMALL]
            assert (await scene.ask(stream=stream)).text == SMALL.text
            assert (await scene.ask(stream=stream)).text == SMALL.text
            assert ["logprobs" in json.loads(seen.body) for seen in scene.small.requests] == [True, False, False]

    asyncio.run(story())


def test_a_verdict_that_could_change_nothing_is_not_asked_for(client):
    async def story():
        verification = says(0.05)
        verification.lowest_evidence = -0.05  # as good as a coin
        async with Scene(client, SMALL, LARGE, verification) as scene:
            heard = await scene.ask(stream=True)
            assert (heard.text, "x-route-hold" in heard.headers) == (SMALL.text, False)
            assert "logprobs" not in json.loads(scene.small.requests[0].body)
            assert not verification.seen

    asyncio.run(story())


def test_a_climb_beyond_the_money_is_not_made(client):
    async def story():
        async with Scene(client, SMALL, LARGE, says(0.05), max_usd=0.0000001) as scene:
            assert (await scene.ask()).text == SMALL.text
            assert not scene.large.requests

    asyncio.run(story())


@pytest.mark.parametrize("stream", [False, True])
def test_a_silent_small_model_is_overtaken_by_the_larger_one(client, stream):
    async def story():
        async with Scene(client, days.NoFirstToken() if stream else days.Hang(), LARGE, says(0.9), hedged_after_s=0.05) as scene:
            heard = await scene.ask(stream=stream)
            assert (heard.status, heard.text) == (200, LARGE.text)
            assert await closed(scene.small)
            record = await scene.record()
            assert [(a.tier, a.reason, a.outcome) for a in record.attempts] == [
                ("small", "chosen", "cancelled"), ("large", "hedge", "answered")]

    asyncio.run(story())


def test_a_quick_good_answer_cancels_the_larger_model_beside_it(client):
    async def story():
        late = days.Answer(SMALL.text, first_token_after=0.15)
        async with Scene(client, late, days.Hang(), says(0.9), hedged_after_s=0.05) as scene:
            heard = await scene.ask(stream=True)
            assert (heard.status, heard.text) == (200, SMALL.text)
            assert await closed(scene.large)
            record = await scene.record()
            assert {(a.tier, a.outcome) for a in record.attempts} == {("small", "answered"), ("large", "cancelled")}
            assert (record.routing_tier, record.escalations) == ("small", ())

    asyncio.run(story())


def test_a_doubtful_beginning_runs_on_beside_and_wins_when_it_turns_out_well(client):
    async def story():
        verification = says(0.05, 0.95)
        async with Scene(client, SLOWLY, days.NoFirstToken(), verification, hedged_after_s=5.0) as scene:
            heard = await scene.ask(stream=True)
            assert (heard.status, heard.text) == (200, SLOWLY.text)
            assert [answer.is_whole for answer in verification.seen] == [False, True]
            assert await closed(scene.large)
            record = await scene.record()
            assert [check.score for check in record.checks] == [pytest.approx(0.05), pytest.approx(0.95)]
            assert record.routing_tier == "small"

    asyncio.run(story())


def test_a_doubtful_beginning_loses_against_the_first_word_of_the_larger_model(client):
    async def story():
        async with Scene(client, SLOWLY, LARGE, says(0.05), hedged_after_s=5.0) as scene:
            heard = await scene.ask(stream=True)
            assert (heard.status, heard.text) == (200, LARGE.text)
            assert await closed(scene.small)
            assert (await scene.record()).routing_tier == "large"

    asyncio.run(story())


@pytest.mark.parametrize("hedged", [None, 0.05])
@pytest.mark.parametrize("words", [(HANGS,), (0.05,)], ids=["while it is verified", "while the larger one thinks"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_frees_every_engine(client, stream, words, hedged):
    async def story():
        async with Scene(client, SMALL, days.Hang(), says(*words, whole=True), hedged_after_s=hedged) as scene:
            asking = asyncio.create_task(scene.ask(stream=stream))
            await scene.small.wait_for(lambda: scene.small.requests)
            await asyncio.sleep(0.15)
            asking.cancel()
            begun = now()
            await scene.router.at_rest()
            assert now() - begun < 0.25
            assert await closed(scene.large)
            record = await scene.record()
            assert record.outcome == "cancelled"

    asyncio.run(story())


DEADLINE_S = 0.5


async def timed(scene, *, stream):
    """The answer, and by how much it came behind the deadline, less what this process itself was late in looking at its clock: tests share
    their processor with others."""
    loop, lateness = asyncio.get_running_loop(), [0.0]
    due = loop.time() + DEADLINE_S
    timer = loop.call_at(due, lambda: lateness.append(loop.time() - due))
    heard = await scene.ask(stream=stream)
    timer.cancel()
    return heard, loop.time() - due - lateness[-1]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("day", [days.Hang(), days.NoFirstToken(), days.StallAfter(1)], ids=["silent", "no token", "stalls"])
def test_by_the_deadline_there_is_an_answer_or_a_clear_error(client, stream, day):
    async def story():
        for first, second in ((SMALL, day), (day, day)):
            async with Scene(client, first, second, says(0.05), route={"deadline_s": DEADLINE_S}) as scene:
                late = []
                while not late or (min(late) > 0.1 and len(late) < 3):  # a machine that stood still once is no verdict on the code
                    heard, behind = await timed(scene, stream=stream)
                    late.append(behind)
                    assert heard.error or heard.text == SMALL.text
                    assert stream or first is day or heard.text == SMALL.text, "an answer in hand beats the deadline"
                assert min(late) <= 0.1, late
                await scene.router.at_rest()
                assert len(scene.router.records()) == len(late)
                assert scene.router.leases == 0

    asyncio.run(story())


def test_the_same_answer_is_believed_by_what_was_measured_on_its_kind_of_work(client):
    async def story():
        async with ModelServer(SMALL) as small, ModelServer(LARGE) as large:
            made = settings(small.url, large.url, route={"verify": (Logprobs(rates=Rates(0.02, 0.02), curve=((-9.0, 0.97), (0.0, 0.98))),)})
            tier = TierSettings("small", ("small",), by_task={"code": TaskSettings(verify={"logprobs": Measured(Rates(0.02, 0.02), {"bias": -4.0})})})
            async with RunningRouter(msgspec.structs.replace(made, tiers=made.tiers | {"small": tier})) as router, client() as c:
                def asks(words):
                    return c.chat(router.url, messages=[{"role": "user", "content": words}])

                assert (await asks("Good morning!")).text == SMALL.text
                assert (await asks("Write a Python function that sorts a list.")).text == LARGE.text

    asyncio.run(story())


def test_an_answer_in_anthropics_words_is_held_and_stripped_too(client):
    async def story():
        async with Scene(client, SMALL, LARGE, says(0.9)) as scene:
            body = {"model": "auto", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}], "stream": True}
            heard = await scene.client.post(f"{scene.router.url}/messages", body)
            assert heard.status == 200
            assert heard.headers["x-route-hold"] == "4 tokens"
            said = [json.loads(line[6:]) for line in heard.body.decode().split("\n") if line.startswith("data: ")]
            assert "".join(e["delta"].get("text", "") for e in said if e["type"] == "content_block_delta") == SMALL.text

    asyncio.run(story())


def test_completions_are_judged_as_chats_are(client):
    async def story():
        async with Scene(client, SMALL, LARGE, says(0.9)) as scene:
            heard = await scene.client.post(f"{scene.router.url}/completions", {"model": "auto", "prompt": "hi"})
            assert heard.json["choices"][0]["text"] == SMALL.text
            assert heard.json["choices"][0]["logprobs"] is None
            assert json.loads(scene.small.requests[0].body)["logprobs"] == 0

    asyncio.run(story())


def test_llamacpps_answers_have_no_log_probabilities_at_all_unless_asked(client):
    async def story():
        async with Scene(client, SMALL, LARGE, says(0.9), engine="llamacpp") as scene:
            assert b"logprobs" not in (await scene.ask()).body
            body = json.loads((await scene.ask(stream=False)).body)
            assert body["choices"][0]["message"]["content"] == SMALL.text

    asyncio.run(story())


def test_without_a_cascade_nobody_looks_and_nothing_is_held(client):
    async def story():
        async with ModelServer(SMALL) as small, ModelServer(LARGE) as large:
            off = settings(small.url, large.url)
            route = msgspec.structs.replace(off.routes["auto"], cascade=None)
            async with RunningRouter(msgspec.structs.replace(off, routes={"auto": route})) as router, client() as c:
                verification = says(0.05)
                router.service.gateway.graph.cascades.verifications = OnRungs({"small": verification})
                assert (await c.chat(router.url, stream=True)).text == SMALL.text
                assert not verification.seen
                assert not router.records()[0].checks

    asyncio.run(story())


def test_a_hard_question_is_tried_low_first_where_an_exact_verifier_looks(client):
    async def story():
        hard = "Prove step by step that the sum of the first n odd numbers is n squared, then analyse the complexity."
        async with Scene(client, SMALL, LARGE, says(0.98), route={"pipeline": ("heuristic",), "quality": 0.99}) as scene:
            heard = await scene.ask(prompt=hard)
            record = await scene.record()
            assert (heard.text, record.decision.tier, record.decision.promise is not None) == (SMALL.text, "small", True)
            assert "small is tried first" in record.decision.reason
            plain = scene.router.service.gateway.graph.cascades
            plain.verifications = OnRungs({})
            await scene.ask(prompt=hard)
            assert scene.router.records()[-1].decision.tier == "large"

    asyncio.run(story())
