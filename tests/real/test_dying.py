"""Real engines that die, that are told to stop, and answers that go on elsewhere.

What vLLM does: when its computing process is killed, running streams get `data: {"error": ...}` and then `data: [DONE]`, and
the server ends a second later. On SIGTERM `/health` stays 200, new requests get 503, and running streams stop without a byte.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import msgspec
import pytest
from client import Client, counted
from engine import Vllm
from fleet import a_fleet, a_pool, with_spot

from pointsman.testing.fault_proxy import FaultProxy, Toxics
from pointsman.testing.router import RunningRouter

STALL_S = 5.0
WORDS = LONGEST = 900
"""More than an engine says within the five seconds that it is given to stop, or while the others of `on_both` begin: beside other work
the first were over with 400 before the last had begun. The engines take 1,024 tokens."""
PATIENT = {"deadline_s": 240.0, "ttft_timeout_s": 120.0, "answer_timeout_s": 200.0, "stall_timeout_s": 120.0}
"""So that only what dies ends an answer, however busy the machine is."""


@pytest.fixture
def mortal(engines: dict[str, Vllm]) -> Iterator[Vllm]:
    """One that a test may kill."""
    with Vllm("--max-num-seqs", "8", "--shutdown-timeout", "5") as engine:
        yield engine


@pytest.fixture(scope="module")
def spare() -> Iterator[Vllm]:
    """Where answers go on, with seats and cache for all of `on_both` at once.

    Not `roomy`: short of cache, an engine sets its youngest answers aside until older ones have ended. Those are the ones that
    have just come over, and their silence looks like a stall.
    """
    with Vllm("--max-num-seqs", "16") as engine:
        yield engine


async def on_both(client: Client, router: RunningRouter, words: int = WORDS) -> dict[str, list]:
    """Four streams that can go on elsewhere, four that cannot and two plain requests, begun in turn so that each engine has half."""
    kinds = {"plain text": {"stream": True}, "log-probabilities": {"stream": True, "logprobs": True}, "unstreamed": {}}
    begun: dict[str, list] = {}
    for kind, fields in kinds.items():
        for _ in range(2 if kind == "unstreamed" else 4):
            answer, task = client.begin(router.url, max_tokens=words, **fields)
            begun.setdefault(kind, []).append((answer, task))
            if fields.get("stream"):
                await answer.has(5)
            else:
                await asyncio.sleep(0.2)
    return begun


def whole(answer, words: int = WORDS) -> bool:
    return answer.is_done and answer.error is None and answer.text == counted(words) and len(answer.ids) == 1


def honest_end(answer) -> bool:
    """One error frame at the end, no [DONE], and a beginning that was right."""
    last = answer.chunks[-1]
    return (not answer.is_done and bool(last.get("error")) and last["choices"][0]["finish_reason"] == "error"
            and counted(LONGEST).startswith(answer.text))


async def seen(client: Client, router: RunningRouter, calamity) -> dict[str, list]:
    """The answers of `on_both` when `calamity` strikes in the middle."""
    begun = await on_both(client, router)
    calamity()
    return {kind: list(await asyncio.gather(*(task for _, task in stories))) for kind, stories in begun.items()}


def account(answers: dict[str, list], router: RunningRouter) -> str:
    """Every answer and every record in a line, for the message of a test that fails."""
    lines = [f"{kind}: {shape(answer)}" for kind, several in answers.items() for answer in several]
    for record in router.records():
        attempts = ", ".join(f"{a.endpoint} {a.reason} {a.outcome} {a.error} {a.duration_s:.2f} s {a.usage}" for a in record.attempts)
        lines.append(f"record {record.id}: stream={record.stream} {record.outcome} {record.error} {record.usage} [{attempts}]")
    return "\n".join(lines)


def shape(answer) -> str:
    """How it ended, and where its text leaves the counting."""
    if answer.status != 200 or not answer.body:
        return f"status {answer.status} {answer.broke} {answer.body!r}"
    text, right = answer.text, counted(LONGEST)
    at = next((i for i, (ours, theirs) in enumerate(zip(text, right, strict=False)) if ours != theirs), len(text))
    gone = "" if at == len(text) else f", goes wrong after {text[max(0, at - 20):at]!r} with {text[at:at + 40]!r}"
    return (f"{len(text.split())} words to {text[-12:]!r}{gone}; {len(answer.events)} events, done={answer.is_done} error={answer.error} "
            f"broke={answer.broke!r} ids={len(answer.ids)} usage={answer.usage if answer.events else answer.json['usage']}")


def judge(answers: dict[str, list], router: RunningRouter) -> str:
    """No text lost or doubled, no error unless nothing else was possible; says what was seen."""
    saw = account(answers, router)
    assert all(whole(answer) for answer in answers["plain text"]), saw
    assert all(answer.usage["completion_tokens"] == WORDS for answer in answers["plain text"]), saw
    assert all(answer.usage["total_tokens"] == answer.usage["prompt_tokens"] + WORDS for answer in answers["plain text"]), saw
    assert all(answer.status == 200 and answer.text == counted(WORDS) for answer in answers["unstreamed"]), saw
    ended = [answer for answer in answers["log-probabilities"] if not whole(answer)]
    assert ended, saw
    assert all(honest_end(answer) for answer in ended), saw
    records = router.records()
    continued = [r for r in records if r.attempts[-1].reason == "continued"]
    retried = [r for r in records if not r.stream and len(r.attempts) > 1]
    assert continued, saw
    assert all(r.outcome == "answered" and r.usage.output_tokens == WORDS for r in continued), saw
    assert retried, saw
    assert {r.outcome for r in records} == {"answered", "failed"}, saw
    assert router.leases == 0, saw
    return (f"{len(continued)} streams went on elsewhere word for word, {len(retried)} plain asked again unseen, "
            f"{len(ended)} with log-probabilities ended with an error ({ended[0].error['code']})")


def two(one: Vllm, other: Vllm, **route):
    return a_fleet(with_spot(a_pool("small", one.url, other.url, balancer="round_robin")), **(PATIENT | route))


def test_an_engine_killed_in_the_middle_costs_nobody_an_answer_that_could_be_had(spare, mortal, measured):
    async def story():
        async with RunningRouter(two(mortal, spare), polls=True) as router, Client() as client:
            answers = await seen(client, router, mortal.kill_engine)
            told = judge(answers, router)
            after = [await client.chat(router.url) for _ in range(12)]
            assert {(answer.status, answer.text) for answer in after} == {(200, counted(20))}
            measured(f"engine process SIGKILLed: {told}; 12 requests afterwards all answered")

    asyncio.run(story())


def test_a_machine_that_vanishes_costs_nobody_an_answer_that_could_be_had(spare, mortal, measured):
    async def story():
        async with RunningRouter(two(mortal, spare), polls=True) as router, Client() as client:
            measured(f"server and engine SIGKILLed: {judge(await seen(client, router, mortal.kill), router)}")

    asyncio.run(story())


def test_an_engine_that_is_told_to_stop_stalls_its_streams_and_the_router_does_not_wait_for_ever(spare, mortal, measured):
    async def story():
        async with RunningRouter(two(mortal, spare, stall_timeout_s=STALL_S), polls=True) as router, Client() as client:
            begun = await on_both(client, router, LONGEST)
            mortal.ask_to_stop()
            told = time.monotonic()
            while await asyncio.to_thread(mortal.status, "/health") is None and time.monotonic() - told < 5:
                await asyncio.sleep(0.1)
            health = await asyncio.to_thread(mortal.status, "/health")
            direct = await client.chat(mortal.url, model="counting", max_tokens=1)
            new = [await client.chat(router.url) for _ in range(8)]
            assert {(answer.status, answer.text) for answer in new} == {(200, counted(20))}
            answers = {kind: list(await asyncio.gather(*(task for _, task in stories))) for kind, stories in begun.items()}
            took, saw = time.monotonic() - told, account(answers, router)
            assert all(whole(answer, LONGEST) for answer in answers["plain text"]), saw
            assert all(whole(answer, LONGEST) or honest_end(answer) for answer in answers["log-probabilities"]), saw
            assert all(answer.status == 200 and answer.text == counted(LONGEST) for answer in answers["unstreamed"]), saw
            assert router.leases == 0, saw
            continued = [r for r in router.records() if r.attempts[-1].reason == "continued"]
            assert continued, saw
            errors = {r.attempts[0].error for r in continued}
            ended = {answer.error["code"] for answer in answers["log-probabilities"] if answer.error}
            measured(f"after SIGTERM /health says {health}, a new request gets {direct.status or direct.broke}; 8 new requests answered elsewhere, "
                     f"{len(continued)} streams went on elsewhere ({', '.join(sorted(errors))}), others ended with {', '.join(sorted(ended))}; all over {took:.0f} s later")

    asyncio.run(story())


def test_alone_a_dying_engine_ends_its_stream_honestly_and_the_tier_above_takes_the_next(calm, mortal, measured):
    async def story():
        settings = a_fleet(a_pool("small", mortal.url), a_pool("large", calm.url), **PATIENT)
        async with RunningRouter(settings, polls=True) as router, Client() as client:
            answer, task = client.begin(router.url, stream=True, max_tokens=WORDS)
            plain = client.begin(router.url, max_tokens=WORDS)[1]
            await answer.has(20)
            mortal.kill_engine()
            killed = time.monotonic()
            await task
            took = time.monotonic() - killed
            saw = account({"stream": [answer], "unstreamed": [await plain]}, router)
            assert honest_end(answer), saw
            assert (await plain).text == counted(WORDS), saw
            next_one = await client.chat(router.url)
            assert (next_one.status, next_one.headers["x-route-tier-name"]) == (200, "large")
            record = next(r for r in router.records() if r.stream)
            assert (record.outcome, record.attempts[0].upstream_status) == ("failed", 500)
            measured(f"stream ended {took:.1f} s after the kill with {answer.error['code']}; the plain request and the next one answered by the tier above")

    asyncio.run(story())


@pytest.mark.parametrize("how", ["cut", "notice"])
def test_an_answer_goes_on_at_another_engine_word_for_word(calm, engines, measured, how):
    """The line is cut after so many bytes, or a notice comes that the machine leaves in half a second."""
    async def story():
        async with FaultProxy(calm.port, Toxics(reset=30_000) if how == "cut" else None) as line, Client() as client:
            pool = with_spot(a_pool("small", line.url, engines["narrow"].url, balancer="round_robin"))
            async with RunningRouter(a_fleet(pool, **PATIENT)) as router:
                for _ in range(2):  # round robin: one of the two begins at the one that goes
                    answer, task = client.begin(router.url, stream=True, max_tokens=900)
                    await answer.has(10)
                    if how == "notice":
                        said = await client._session.post(f"{router.admin}/admin/endpoints/small/0/drain", json={"deadline": 0.5},
                                                          headers={"authorization": "Bearer admin-token"})
                        assert said.status < 300
                    await task
                    assert whole(answer, 900), account({how: [answer]}, router)
                    assert answer.usage["completion_tokens"] == 900
                    assert answer.usage["total_tokens"] == answer.usage["prompt_tokens"] + 900
                moved = [r for r in router.records() if r.attempts[-1].reason == "continued"]
                assert moved
                assert {r.usage.output_tokens for r in moved} == {900}
                first = msgspec.to_builtins(moved[0].attempts[0])
                measured(f"{moved[0].attempts[0].endpoint} -> {moved[0].attempts[-1].endpoint} after {first['duration_s']:.1f} s, one id, usage sums")

    asyncio.run(story())
