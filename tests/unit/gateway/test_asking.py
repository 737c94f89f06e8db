"""Questions of our own to the fleet's models."""

from __future__ import annotations

import asyncio
from random import Random

import msgspec
import pytest

from pointsman.core.price import TokenPrice
from pointsman.core.reply import Heard
from pointsman.core.request import Caller
from pointsman.errors import ConnectFailed, ConnectionLost, Forbidden, NoEndpoint, UpstreamError, UpstreamFailed
from pointsman.gateway.asking import Asking, asked
from pointsman.pools.fleet import Fleet
from pointsman.testing.clock import ManualClock
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.upstream import Play, ScriptedUpstream

BODY = b'{"messages":[{"role":"user","content":"ok?"}],"max_tokens":4}'


class Scene:
    def __init__(self, play: Play | None = None, caller: Caller | None = None) -> None:
        pool = a_pool("judge", endpoints=(an_endpoint("judge/0", price=TokenPrice(1.0, 2.0)),))
        self.fleet, self.upstream = Fleet(a_settings(pool)), ScriptedUpstream([play or Play()])
        self.asks = Asking(self.upstream, self.fleet, ManualClock(), Random(1), caller or Caller())

    def ask(self, pool: str = "judge") -> Heard:
        return asyncio.run(self.asks(pool, BODY, until=9.0))


def test_an_answer_comes_with_its_endpoint_and_its_price():
    scene = Scene()

    heard = scene.ask()
    assert (heard.endpoint, heard.cost_nano_usd) == ("judge/0", 10 * 1000 + 5 * 2000)
    assert scene.fleet.in_flight == 0


def test_what_fails_is_told_and_gives_the_endpoint_back():
    scene = Scene(Play(error=ConnectionLost("gone")))

    with pytest.raises(ConnectionLost) as raised:
        scene.ask()
    assert raised.value.endpoint == "judge/0"
    assert scene.fleet.in_flight == 0


@pytest.mark.parametrize(("error", "is_paid"), [
    (ConnectionLost("gone"), True), (ConnectionLost("gone", upstream_status=200), True),
    (UpstreamFailed("no", upstream_status=500), False), (ConnectFailed("refused", sent=False), False),
])
def test_a_question_that_was_cut_short_is_paid_for_and_one_that_was_refused_is_not(error, is_paid):
    scene = Scene(Play(error=error))

    with pytest.raises(UpstreamError):
        scene.ask()
    (question,) = scene.asks.questions
    assert bool(question.cost_nano_usd) is is_paid
    assert question.cost_nano_usd is not None


def test_a_client_that_leaves_gives_the_endpoint_back():
    scene = Scene(Play(waits=True))

    async def story() -> None:
        task = asyncio.create_task(scene.asks("judge", BODY, until=9.0))
        while not scene.upstream.calls:
            await asyncio.sleep(0)
        assert scene.fleet.in_flight == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
    assert scene.fleet.in_flight == 0


def test_a_pool_that_the_caller_may_not_reach_gets_nothing_of_the_request():
    scene = Scene(caller=Caller("k", pools=frozenset({"small"})))

    with pytest.raises(Forbidden, match="may not reach pool 'judge'"):
        scene.ask()
    assert scene.upstream.calls == []


def test_a_pool_that_is_gone_is_no_endpoint():
    with pytest.raises(NoEndpoint):
        Scene().ask("gone")


@pytest.mark.parametrize("body", [BODY, b'{"model":"x","messages":[]}', b'{"messages":[{"role":"user","content":[{"type":"text"}]}]}'])
def test_the_endpoints_own_name_of_the_model_fits_in(body: bytes):
    request = asked(body, Caller("k"))
    span = request.spans["model"]

    named = request.body[: span.start] + b'"m"' + request.body[span.end :]
    assert msgspec.json.decode(named) == msgspec.json.decode(body) | {"model": "m"}
    assert request.caller.name == "k"
