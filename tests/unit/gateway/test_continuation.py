"""A stream whose endpoint goes away in the middle, through the gateway: one answer, or one honest end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest

from pointsman import errors
from pointsman.core.clock import SystemClock
from pointsman.core.fleet import EndpointSpec, LoadReport
from pointsman.core.reply import Batch, Reply, Usage
from pointsman.core.request import ChatRequest, Limits, Message, Native, Span
from pointsman.core.scan import members
from pointsman.core.settings import HealthSettings, RouteSettings
from pointsman.gateway.continuation import MAX_BYTES, Told, is_plain, may_continue
from pointsman.gateway.gateway import Gateway
from pointsman.testing.factories import a_pool, a_request, a_settings, an_endpoint
from pointsman.testing.ports import HeardPort, ListSink
from pointsman.wiring import build_graph

ROUTE = RouteSettings("auto", ladder=("small", "large"), default_tier="small", pipeline=("pinned:small",), deadline_s=5.0)
WORDS = ["One", " two", " three", " four", " five", " six"]


def spot(id: str, **overrides: Any) -> EndpointSpec:
    return an_endpoint(id, f"http://127.0.0.1:{id[-1]}/v1", engine="vllm", spot=True, **overrides)


SETTINGS = a_settings(
    a_pool("small", endpoints=(spot("small/0"), spot("small/1"))), a_pool("large", endpoints=(spot("large/0"),)), route=ROUTE)


def event(**fields: Any) -> bytes:
    return msgspec.json.encode({"id": "chatcmpl-first", "object": "chat.completion.chunk", "model": "m"} | fields)


def word(text: str, id: str) -> bytes:
    return event(id=id, choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}])


class Teller:
    """An upstream that tells WORDS, and goes on from what an unfinished assistant message says.

    `dies`: endpoint -> after how many words, and how. `on_word` is called before each word.
    """

    def __init__(self, dies: dict[str, tuple[int, errors.UpstreamError]], on_word=None) -> None:
        self.dies, self.on_word = dies, on_word or (lambda endpoint, nth: None)
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        self.open_streams = 0

    async def stream(self, endpoint: EndpointSpec, request: ChatRequest, body: Sequence[bytes], *, until: float) -> Telling:
        asked = msgspec.json.decode(b"".join(body))
        self.bodies.append((endpoint.id, asked))
        self.open_streams += 1
        return Telling(self, endpoint.id, asked)

    async def ask(self, *args: Any, **more: Any) -> Reply:
        raise NotImplementedError

    async def aclose(self) -> None: ...


class Telling:
    def __init__(self, teller: Teller, endpoint: str, asked: dict[str, Any]) -> None:
        self.teller, self.endpoint, self.is_open = teller, endpoint, True
        last = asked["messages"][-1]
        so_far = last["content"] if last["role"] == "assistant" else ""
        told = next(n for n in range(len(WORDS) + 1) if "".join(WORDS[:n]) == so_far)
        self.id = f"chatcmpl-{endpoint}"
        self.words, self.nth = WORDS[told:][: asked.get("max_tokens", 99)], 0
        self.usage = Usage(10 + told, len(self.words))
        self.todo = [event(id=self.id, choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}]),
                     *(word(text, self.id) for text in self.words),
                     event(id=self.id, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
                     event(id=self.id, choices=[], usage={"prompt_tokens": self.usage.input_tokens,
                                                          "completion_tokens": self.usage.output_tokens, "total_tokens": 99})]

    @property
    def reply(self) -> Reply:
        return Reply(usage=self.usage if not self.todo else None, finish_reasons=("stop",), output_chars=self.nth * 4)

    async def next(self, until: float) -> Batch | None:
        await asyncio.sleep(0)
        after, error = self.teller.dies.get(self.endpoint, (99, errors.ConnectionLost("")))
        if self.nth > after:
            raise error
        if not self.todo:
            self.close()
            return None
        self.teller.on_word(self.endpoint, self.nth)
        self.nth += 1
        return Batch([self.todo.pop(0)], self.nth > 1)

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self.teller.open_streams -= 1


def told(teller: Teller, settings=SETTINGS, **request: Any):
    """The gateway, the port and the record after one streamed request."""
    async def story():
        sink, port = ListSink(), HeardPort()
        gateway = Gateway(build_graph(settings), teller, sink, SystemClock(), Random(1))
        teller.gateway = gateway
        await gateway.handle(a_request(stream=True, include_usage=True, **request), port)
        assert (teller.open_streams, gateway.graph.fleet.in_flight) == (0, 0)
        (record,) = sink.records
        return gateway, port, record

    return asyncio.run(story())


def text_of(port: HeardPort) -> str:
    events = [msgspec.json.decode(data) for data in port.events_heard]
    return "".join(choice["delta"].get("content") or "" for e in events for choice in e["choices"])


def lost(after: int, *endpoints: str) -> dict[str, tuple[int, errors.UpstreamError]]:
    return {endpoint: (after, errors.ConnectionLost("the machine is gone")) for endpoint in endpoints}


def first_of(teller_dies, **request):
    """Whichever of the two endpoints is asked first dies after three events."""
    teller = Teller({})
    dead: list[str] = []

    def on_word(endpoint, nth):
        if not dead and nth == 2:
            dead.append(endpoint)
            teller.dies = teller_dies(endpoint)

    teller.on_word = on_word
    return teller, told(teller, **request)


def test_the_answer_goes_on_where_it_broke_off_under_the_same_id():
    _teller, (gateway, port, record) = first_of(lambda e: lost(2, e))

    assert port.error is None
    assert text_of(port) == "One two three four five six"
    ids = {msgspec.json.decode(data)["id"] for data in port.events_heard}
    assert len(ids) == 1
    assert port.said.count("begin") == 1
    assert [(a.reason, a.outcome, a.error) for a in record.attempts] == [
        ("chosen", "failed", "upstream_connection_lost"), ("continued", "answered", None)]
    assert {a.pool for a in record.attempts} == {"small"}
    assert gateway.departures.outcomes["continued"] == 1


def test_the_next_endpoint_is_told_to_go_on_and_how_much_is_left():
    request = {"model": "auto", "max_tokens": 5, "messages": [{"role": "user", "content": "count"}]}
    body = msgspec.json.encode(request)
    fields, end = members(body)
    teller, (_, port, _) = first_of(lambda e: lost(2, e), body=body, max_tokens=5, fields_end=end,
                                    spans={f.key: Span(f.start, f.end) for f in fields})

    first, second = (asked for _, asked in teller.bodies)
    assert first["max_tokens"] == 5
    assert second["messages"] == [*first["messages"], {"role": "assistant", "content": "One two"}]
    assert (second["continue_final_message"], second["add_generation_prompt"], second["max_tokens"]) == (True, False, 3)
    assert text_of(port) == "One two three four five"


def test_usage_is_that_of_one_answer():
    _, (_, port, record) = first_of(lambda e: lost(2, e))

    usage = [e["usage"] for data in port.events_heard if (e := msgspec.json.decode(data)).get("usage")]
    assert [(u["prompt_tokens"], u["completion_tokens"], u["total_tokens"]) for u in usage] == [(10, 6, 16)]
    assert record.usage == Usage(10, 6)


def test_a_notice_moves_the_answer_before_the_machine_is_gone():
    teller = Teller({})
    told_of: list[str] = []

    def on_word(endpoint, nth):
        if nth == 2 and not told_of:
            told_of.append(endpoint)
            teller.gateway.departures.announce(endpoint, teller.gateway._clock.now(), 0.0, "spot")

    teller.on_word = on_word
    _, port, record = told(teller)

    assert text_of(port) == "One two three four five six"
    assert len({a.endpoint for a in record.attempts}) == 2
    assert port.error is None


def test_an_answer_that_ends_within_the_notice_stays_where_it_is():
    teller = Teller({}, lambda endpoint, nth: nth or teller.gateway.departures.announce(
        endpoint, teller.gateway._clock.now(), 120.0, "spot"))
    gateway, port, record = told(teller)

    assert len(record.attempts) == 1
    assert text_of(port) == "One two three four five six"
    assert gateway.departures.outcomes == {"drained": 1, "continued": 0, "failed": 0}


def both_leave(teller: Teller, after_words: int) -> Teller:
    """Notices for the whole pool that are over at once, in the middle of the answer."""
    def on_word(endpoint, nth):
        if nth == after_words:
            gateway, now = teller.gateway, teller.gateway._clock.now()
            for id_ in ("small/0", "small/1"):
                gateway.graph.fleet.pools["small"].drain(id_)
                gateway.departures.announce(id_, now, 0.0, "spot")

    teller.on_word = on_word
    return teller


def test_an_answer_with_nobody_to_go_on_with_it_stays_where_it_is_beyond_the_notice():
    gateway, port, record = told(both_leave(Teller({}), 2))

    assert port.error is None
    assert text_of(port) == "One two three four five six"
    assert [(a.reason, a.outcome, a.error) for a in record.attempts] == [("chosen", "answered", None)]
    assert gateway.departures.outcomes == {"drained": 1, "continued": 0, "failed": 0}


def test_no_wait_is_cut_short_by_a_notice_when_nobody_can_go_on():
    waits: list[float] = []

    class Patient(Telling):
        async def next(self, until: float) -> Batch | None:
            waits.append(until)
            return await super().next(until)

    class PatientTeller(Teller):
        async def stream(self, endpoint, request, body, *, until):
            self.open_streams += 1
            return Patient(self, endpoint.id, msgspec.json.decode(b"".join(body)))

    teller = both_leave(PatientTeller({}), 2)
    gateway, port, _ = told(teller)

    assert port.error is None
    assert min(waits[3:]) > gateway.departures.leaves_at("small/0") + 1


def test_what_broke_the_answer_is_said_when_nobody_can_go_on():
    gateway, port, record = told(both_leave(Teller(lost(4, "small/0", "small/1")), 2))

    assert isinstance(port.error, errors.ConnectionLost)
    assert [(a.outcome, a.error) for a in record.attempts] == [("failed", "upstream_connection_lost")]
    assert record.error == "upstream_connection_lost"
    assert gateway.departures.outcomes == {"drained": 0, "continued": 0, "failed": 1}


def test_a_client_that_wants_no_further_attempt_keeps_its_answer_where_it_is():
    """Its answer would end at the notice, for the sake of an attempt that it does not allow."""
    teller = Teller({})
    told_of: list[str] = []

    def on_word(endpoint, nth):
        if nth == 2 and not told_of:
            told_of.append(endpoint)
            teller.gateway.departures.announce(endpoint, teller.gateway._clock.now(), 0.0, "spot")

    teller.on_word = on_word
    _, port, record = told(teller, limits=Limits(max_sent=1))

    assert (port.error, text_of(port)) == (None, "One two three four five six")
    assert len(record.attempts) == 1


def test_with_nobody_left_of_the_same_model_the_end_is_honest():
    teller = Teller(lost(2, "small/0", "small/1"))
    gateway, port, record = told(teller)

    assert port.error is not None
    assert port.endings == 1
    assert record.outcome == "failed"
    assert "large" not in {a.pool for a in record.attempts}
    assert gateway.departures.outcomes["failed"] == 1


@pytest.mark.parametrize("fields", [{"tools": []}, {"response_format": {"type": "json_object"}}, {"logprobs": True}])
def test_what_is_more_than_text_is_not_continued(fields):
    body = msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": "x"}], **fields})
    found, end = members(body)
    _, (_, port, record) = first_of(lambda e: lost(2, e), body=body, fields_end=end,
                                    spans={f.key: Span(f.start, f.end) for f in found})

    assert isinstance(port.error, errors.ConnectionLost)
    assert len(record.attempts) == 1


def test_hidden_reasoning_and_tool_calls_end_what_could_be_continued():
    for delta in ({"reasoning_content": "hm"}, {"tool_calls": [{"index": 0}]}, {"refusal": "no"}):
        heard = Told("small")
        heard.hear([word("One", "x"), event(choices=[{"index": 0, "delta": delta}])])
        assert not heard.is_sound


def test_only_engines_that_can_go_on_and_only_where_the_route_wants_it_keep_the_text():
    request, steady = a_request(stream=True), an_endpoint(engine="vllm")

    assert may_continue(request, spot("small/0"), "vllm")
    assert may_continue(request, steady, "vllm")
    assert may_continue(request, spot("small/0"), "vllm", "spot")
    assert not may_continue(request, steady, "vllm", "spot")
    assert not may_continue(request, spot("small/0"), "vllm", "never")
    assert not may_continue(request, an_endpoint(engine="openai", spot=True), "openai")
    assert not may_continue(a_request(stream=False), spot("small/0"), "vllm")
    assert not may_continue(a_request(stream=True, native=Native("messages", b"{}", Span(0, 0), 1)), spot("small/0"), "vllm")
    assert not may_continue(a_request(stream=True, choices=2), spot("small/0"), "vllm")


def counted(text: str, prompt: int, output: int) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text}}], usage={"prompt_tokens": prompt, "completion_tokens": output})


def spliced_for(heard: Told, *, include_usage: bool, options: dict[str, Any], engine: str = "vllm") -> dict[str, Any]:
    body = msgspec.json.encode({"model": "m", "messages": [], "max_tokens": 9, "stream_options": options})
    return msgspec.json.decode(heard.counting(a_request(stream=True, include_usage=include_usage), body, engine))["stream_options"]


def test_running_counts_are_asked_for_where_the_engine_has_them():
    usage = {"include_usage": True}
    counts = usage | {"continuous_usage_stats": True}

    assert spliced_for(Told("small"), include_usage=True, options=usage) == counts
    assert spliced_for(Told("small"), include_usage=True, options=usage, engine="llamacpp") == usage
    no_thanks = usage | {"continuous_usage_stats": False}
    assert spliced_for(Told("small"), include_usage=True, options=no_thanks) == no_thanks


def test_a_client_that_asked_for_usage_alone_sees_no_running_counts():
    heard, mine, theirs = Told("small"), Told("small"), counted(" two", 10, 2)
    spliced_for(heard, include_usage=True, options={"include_usage": True})
    spliced_for(mine, include_usage=True, options={"include_usage": True, "continuous_usage_stats": True})
    last = event(choices=[], usage={"prompt_tokens": 10, "completion_tokens": 2})

    seen = [msgspec.json.decode(data) for data in heard.hear([theirs, last])]
    assert [("usage" in e, e["choices"] == []) for e in seen] == [(False, False), (True, True)]
    assert mine.hear([theirs, last]) == [theirs, last]
    heard.hand_over(Usage(10, 2))
    assert [b'"usage"' in data for data in heard.adapted([theirs, last])] == [False, True]


def test_an_event_of_several_tokens_counts_as_several():
    """A busy vLLM says two words in one event: whoever counts events would let the next one say too much."""
    heard = Told("small")
    spliced_for(heard, include_usage=True, options={"include_usage": True})
    heard.hear([word("One two", "x"), word(" three", "x")])
    heard.hand_over(Usage(10, 3))
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "count"}], "max_tokens": 9})

    assert msgspec.json.decode(heard.body(body, "vllm"))["max_tokens"] == 6
    heard.hear([word(" four five", "y")])
    heard.hand_over(Usage(13, 2))
    assert msgspec.json.decode(heard.body(body, "vllm"))["max_tokens"] == 4
    (last,) = heard.adapted([event(choices=[], usage={"prompt_tokens": 16, "completion_tokens": 4, "total_tokens": 20})])
    assert msgspec.json.decode(last)["usage"] == {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19}
    assert heard.usage(Usage(16, 4)) == Usage(10, 9)


def test_an_answer_does_not_go_on_in_the_pool_of_the_attempt_before_it():
    """The first attempt failed; the second one is of another model, of which there is only one endpoint."""
    settings = a_settings(a_pool("small", endpoints=(spot("small/0"),)),
                          a_pool("large", endpoints=(an_endpoint("large/0", engine="vllm"),)), route=ROUTE)
    teller = Teller(lost(-1, "small/0") | lost(3, "large/0"))
    gateway, port, record = told(teller, settings)

    assert [endpoint for endpoint, _ in teller.bodies] == ["small/0", "large/0"]
    assert isinstance(port.error, errors.ConnectionLost)
    assert (record.outcome, gateway.departures.outcomes["continued"]) == ("failed", 0)


def undeclared(id: str, **overrides: Any) -> EndpointSpec:
    return an_endpoint(id, f"http://127.0.0.1:{id[-1]}/v1", engine="openai", **overrides)


UNDECLARED = a_settings(
    a_pool("small", endpoints=(undeclared("small/0", spot=True), undeclared("small/1", spot=True))), a_pool("large", endpoints=(spot("large/0"),)), route=ROUTE)


def found_as(engines: dict[str, str]):
    """Once the answer is under way, polls have recognised the endpoints; the first of them to talk dies."""
    teller = Teller({})
    dead: list[str] = []

    def on_word(endpoint, nth):
        if not dead and nth == 2:
            dead.append(endpoint)
            teller.dies = lost(2, endpoint)

    teller.on_word = on_word

    async def story():
        sink, port = ListSink(), HeardPort()
        graph = build_graph(UNDECLARED)
        for endpoint in graph.fleet.pools["small"].endpoints:
            endpoint.vitals.observe(LoadReport(None, None, None, 0.0, engine=engines[endpoint.id]))
        gateway = Gateway(graph, teller, sink, SystemClock(), Random(1))
        await gateway.handle(a_request(stream=True, include_usage=True), port)
        return port

    return teller, asyncio.run(story())


def test_an_engine_that_was_recognised_need_not_be_declared():
    teller, port = found_as({"small/0": "vllm", "small/1": "sglang"})

    assert port.error is None
    assert text_of(port) == "One two three four five six"
    assert teller.bodies[1][1]["continue_final_message"] is True


def test_who_would_begin_anew_is_not_asked_to_go_on():
    for engines in (("", ""), ("vllm", "tgi"), ("tgi", "vllm"), ("vllm", "")):
        teller, port = found_as(dict(zip(("small/0", "small/1"), engines, strict=True)))
        assert isinstance(port.error, errors.ConnectionLost)
        assert len(teller.bodies) == 1


# ---------------------------------------------------------------------------------------------------------
# A break that nobody announced, of endpoints that are not spot


def steady(id: str) -> EndpointSpec:
    return an_endpoint(id, f"http://127.0.0.1:{id[-1]}/v1", engine="vllm")


def settings_of(count: int, route: RouteSettings = ROUTE):
    return a_settings(a_pool("small", endpoints=tuple(steady(f"small/{n}") for n in range(count))),
                      a_pool("large", endpoints=(steady("large/0"),)), route=route)


def after_three(how: Exception, *, count: int = 2, breaks: int = 1, route: RouteSettings = ROUTE, **request):
    """The first `breaks` endpoints that talk break off, each after two events of its own."""
    teller, dead = Teller({}), list[str]()

    def on_word(endpoint, nth):
        if nth == 2 and len(dead) < breaks and endpoint not in dead:
            dead.append(endpoint)
            teller.dies |= {endpoint: (2, how)}

    teller.on_word = on_word
    return teller, told(teller, settings_of(count, route), **request)


LOST = errors.ConnectionLost("reset by peer")


@pytest.mark.parametrize("how", [
    LOST, errors.StreamStalled("silence"), errors.BadAnswer("it ended without finish_reason"), errors.UpstreamFailed("EngineDeadError")])
def test_an_endpoint_that_breaks_off_without_a_word_is_followed_by_another(how):
    _, (gateway, port, record) = after_three(how)

    assert (port.error, text_of(port)) == (None, "One two three four five six")
    assert [(a.reason, a.outcome, a.error) for a in record.attempts] == [("chosen", "failed", how.code), ("continued", "answered", None)]
    assert (record.outcome, record.usage) == ("answered", Usage(10, 6))
    assert record.attempts[0].usage is None, "what it had counted nobody knows"
    assert gateway.departures.outcomes["continued"] == 0, "nobody departed"


@pytest.mark.parametrize("how", [errors.RequestRefused("too long"), errors.CredentialRefused("401"), errors.RateLimited("429")])
def test_what_an_engine_says_against_the_request_is_not_taken_to_another(how):
    _, (_, port, record) = after_three(how)

    assert type(port.error) is type(how)
    assert len(record.attempts) == 1


def test_an_error_about_the_requests_own_pictures_is_not_taken_to_another():
    theirs = errors.UpstreamFailed("image input is not supported")
    theirs.sick = False
    _, (_, _, record) = after_three(theirs)

    assert len(record.attempts) == 1


def test_a_prompt_that_breaks_every_engine_is_taken_to_one_more_and_no_further():
    _, (_, port, record) = after_three(LOST, count=4, breaks=4)

    assert [a.reason for a in record.attempts] == ["chosen", "continued"]
    assert isinstance(port.error, errors.ConnectionLost)
    assert (port.endings, record.outcome) == (1, "failed")


def test_the_endpoint_that_broke_off_is_blamed():
    _, (gateway, _, record) = after_three(LOST)
    (broken,) = (e for e in gateway.graph.fleet.pools["small"].endpoints if e.id == record.attempts[0].endpoint)

    assert broken.vitals.health.in_a_row == 1


def test_who_refuses_to_go_on_does_not_hide_what_broke_the_answer():
    class Refusing(Teller):
        async def stream(self, endpoint, request, body, *, until):
            if self.bodies:
                raise errors.RequestRefused("prefill is incompatible with thinking")
            return await super().stream(endpoint, request, body, until=until)

    teller = Refusing(lost(2, "small/0", "small/1"))
    _, port, record = told(teller, settings_of(2))

    assert isinstance(port.error, errors.ConnectionLost)
    assert [a.error for a in record.attempts] == ["upstream_connection_lost", "invalid_request"]


def test_a_refused_connection_is_followed_by_the_next_endpoint():
    class OneIsDown(Teller):
        async def stream(self, endpoint, request, body, *, until):
            if len(self.bodies) == 1 and not down:
                down.append(endpoint.id)
                raise errors.ConnectFailed("refused", sent=False)
            return await super().stream(endpoint, request, body, until=until)

    down: list[str] = []
    teller = OneIsDown({})
    teller.on_word = lambda endpoint, nth: teller.dies.update(lost(2, endpoint)) if nth == 2 and not teller.dies else None
    _, port, record = told(teller, settings_of(3))

    assert (port.error, text_of(port)) == (None, "One two three four five six")
    assert [a.outcome for a in record.attempts] == ["failed", "rejected", "answered"]


@pytest.mark.parametrize(("which", "attempts"), [("always", 2), ("spot", 1), ("never", 1)])
def test_the_route_says_which_streams_go_on(which, attempts):
    _, (_, _, record) = after_three(LOST, route=msgspec.structs.replace(ROUTE, continue_streams=which))

    assert len(record.attempts) == attempts


def limited(max_tokens: int) -> dict[str, Any]:
    body = msgspec.json.encode({"model": "auto", "max_tokens": max_tokens, "messages": [{"role": "user", "content": "count"}]})
    fields, end = members(body)
    return {"body": body, "max_tokens": max_tokens, "fields_end": end, "spans": {f.key: Span(f.start, f.end) for f in fields}}


def test_an_answer_that_was_as_long_as_it_may_be_lacks_only_its_end():
    teller, (_, port, record) = after_three(LOST, **limited(2))
    last = msgspec.json.decode(port.events_heard[-1])

    assert len(teller.bodies) == 1
    assert (port.error, text_of(port)) == (None, "One two")
    assert (last["id"], last["choices"]) == ("chatcmpl-" + record.attempts[0].endpoint, [{"index": 0, "delta": {}, "finish_reason": "length"}])
    assert (record.outcome, [a.outcome for a in record.attempts]) == ("answered", ["failed"])
    assert record.usage is None, "nobody has counted the prompt"


def test_the_last_words_tell_the_usage_where_the_engine_has_counted():
    heard = Told("small")
    heard.hear([word("One", "x"), word(" two", "x")])
    request, counted = a_request(stream=True, include_usage=True, max_tokens=2), Usage(10, 2)

    assert heard.is_used_up(request, counted)
    assert msgspec.json.decode(heard.last_words(request, counted)[1])["usage"] == {
        "prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}


def continued_from(text: str, *, engine: str = "vllm", **fields: Any) -> tuple[Told, dict[str, Any]]:
    heard = Told("small")
    heard.hear([word(text, "x")])
    heard.hand_over(None)
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "count"}]} | fields)
    return heard, msgspec.json.decode(heard.body(body, engine))


def said_next(heard: Told, *texts: str) -> str:
    events = heard.adapted([word(text, "y") for text in texts])
    return "".join(msgspec.json.decode(data)["choices"][0]["delta"]["content"] for data in events)


def test_white_space_at_the_end_is_said_again_and_not_told_twice():
    heard, asked = continued_from("One.\n\n")
    assert asked["messages"][-1] == {"role": "assistant", "content": "One."}
    assert said_next(heard, "\n", "\n", "Two.", "\n") == "Two.\n"

    heard, _ = continued_from("One.\n")
    assert said_next(heard, "\n\nTwo.") == "\nTwo."
    heard, _ = continued_from("One.\n")
    assert said_next(heard, " Two.", "\n") == " Two.\n"


def test_an_answer_of_white_space_only_begins_anew():
    heard, asked = continued_from("\n")
    assert (len(asked["messages"]), "continue_final_message" in asked) == (1, False)
    assert said_next(heard, "\n", "One") == "One"


def test_what_must_at_least_be_said_counts_what_was_told():
    assert continued_from("One", min_tokens=5)[1]["min_tokens"] == 4
    assert continued_from("One", min_tokens=1, max_tokens=None)[1]["min_tokens"] == 0


def test_later_events_look_like_the_first_one():
    heard = Told("small")
    heard.hear([event(created=7, choices=[{"index": 0, "delta": {"content": "One"}}])])
    heard.hand_over(None)
    heard.body(msgspec.json.encode({"messages": []}), "vllm")
    (data,) = heard.adapted([event(id="other", model="other", created=9, choices=[{"index": 0, "delta": {"role": "assistant", "content": " two"}}])])

    assert msgspec.json.decode(data) == {"id": "chatcmpl-first", "object": "chat.completion.chunk", "created": 7, "model": "m",
                                         "choices": [{"index": 0, "delta": {"content": " two"}}]}


@pytest.mark.parametrize("text", ["<think>hm", "so be it</think> One"])
def test_thoughts_that_are_told_as_text_are_not_gone_on_with(text):
    heard = Told("small")
    heard.hear([word(text, "x")])
    assert not heard.is_of(a_request(stream=True))


def test_a_conversation_that_ends_in_words_of_the_assistant_is_not_gone_on_with():
    body = msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "One"}]})
    request = a_request(stream=True, body=body, messages=(Message("user", "x"), Message("assistant", "One")))
    assert not is_plain(request)


def test_an_answer_of_unheard_of_length_is_not_kept():
    heard = Told("small")
    heard.hear([word("x" * MAX_BYTES, "x")])
    assert heard.is_sound
    heard.hear([word("x", "x")])
    assert (heard.is_sound, heard.text) == (False, "")


@pytest.mark.parametrize("texts", [
    ("One", " two", " three"), ("One", ' "two"', " three"), ("One", "\\", "n"), ("Zürich", " 東京", "🙂"), ("One", "", " two"), ("\n", "\n", "One"),
    ('","x":"', '"}', "x"), ('"content":"', "x", "y")])
def test_what_was_said_is_read_as_the_client_reads_it(texts):
    heard = Told("small")
    heard.hear([word(text, "x") for text in texts])

    assert (heard.text, heard.said(None)) == ("".join(texts), sum(map(bool, texts)))


def test_an_event_with_more_than_text_is_seen_behind_many_that_were_alike():
    for delta, finish in (({"content": "x", "tool_calls": [{}]}, None), ({"content": "x"}, "stop"), ({"reasoning": "x"}, None)):
        heard = Told("small")
        heard.hear([word("One", "x"), word(" two", "x"), word(" three", "x")])
        heard.hear([event(id="x", choices=[{"index": 0, "delta": delta, "finish_reason": finish}])])
        assert not heard.is_sound


def test_an_answer_that_is_finished_is_not_gone_on_with():
    heard = Told("small")
    heard.hear([word("One", "x"), event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])])
    assert not heard.is_of(a_request(stream=True))


def test_when_every_stream_breaks_the_budget_keeps_the_continuations_few():
    async def story():
        teller = Teller(lost(2, "small/0", "small/1", "small/2"))
        settings = a_settings(a_pool("small", endpoints=tuple(steady(f"small/{n}") for n in range(3)), health=HealthSettings(eject_after=100_000)),
                              route=msgspec.structs.replace(ROUTE, ladder=("small",)))
        gateway = Gateway(build_graph(settings), teller, ListSink(), SystemClock(), Random(1))
        for _ in range(10):  # many at a time: some begin while others break
            await asyncio.gather(*(late(gateway, n) for n in range(20)))
        return len(teller.bodies)

    async def late(gateway, turns):
        for _ in range(turns):
            await asyncio.sleep(0)
        await gateway.handle(a_request(stream=True), HeardPort())

    assert asyncio.run(story()) <= 200 * 1.2 + 3


def test_an_endpoint_that_has_answered_whole_since_its_break_may_go_on_with_others_streams_for_nothing():
    async def story():
        teller = Teller({})
        gateway = Gateway(build_graph(settings_of(2)), teller, ListSink(), SystemClock(), Random(1))
        for dies in (lost(2, "small/0", "small/1"), {}, {}, {}, {}, {}, {}):
            teller.dies = dies
            await gateway.handle(a_request(stream=True), HeardPort())
            if dies:
                assert set(gateway._means.budget._broke) == {"small/0", "small/1"}
        return gateway._means.budget._broke

    assert asyncio.run(story()) == {}
