"""Whatever a client asked and a model said: no verifier raises, and every score is between 0 and 1."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.cascade.verifiers.agreement import agreement
from pointsman.cascade.verifiers.json_schema import JsonSchemaVerifier
from pointsman.cascade.verifiers.judgement import judgement, question
from pointsman.cascade.verifiers.logprobs import LogprobsVerifier
from pointsman.cascade.verifiers.schema import Schema, Uncheckable
from pointsman.cascade.verifiers.tool_calls import ToolCallsVerifier
from pointsman.cascade.verifiers.well_formed import WellFormedVerifier
from pointsman.core.answer import Answer, Listener, answer_of
from pointsman.core.reply import Reply
from pointsman.core.verdict import Rates, Verdict, probability
from pointsman.core.verifying import Judged, Logprobs
from pointsman.testing.factories import a_request
from pointsman.verification.command_check import Ran, code_in, verdict_of
from pointsman.verification.panel import combined

WORDS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
                  st.sampled_from(["stop", "length", "tool_calls", "A", "yes", "{}", "[", '{"a":1}', "</think>", -9999.0, "error: x", "```\nx\n```"]))
KEYS = st.sampled_from(["choices", "message", "content", "tool_calls", "function", "name", "arguments", "finish_reason", "logprobs", "token",
                        "logprob", "top_logprobs", "text", "type", "tools", "response_format", "json_schema", "schema", "parameters", "messages",
                        "role", "delta", "index", "output", "refusal", "reasoning_content", "properties", "required", "$ref", "anyOf", "enum",
                        "token_logprobs", "tokens", "additionalProperties", "pattern", "items", "minimum", "uniqueItems"])
JSON = st.recursive(WORDS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25)
CHOICE = st.fixed_dictionaries({"message": st.fixed_dictionaries({"content": JSON}, optional={"tool_calls": JSON, "reasoning_content": WORDS})},
                               optional={"logprobs": st.fixed_dictionaries({"content": JSON}), "finish_reason": WORDS})
BODIES = st.one_of(st.binary(max_size=200), JSON.map(lambda value: _encoded(value)),
                   st.lists(CHOICE, max_size=3).map(lambda choices: _encoded({"choices": choices})))
VERIFIERS = (WellFormedVerifier(), JsonSchemaVerifier(), ToolCallsVerifier(), LogprobsVerifier(),
             LogprobsVerifier(Logprobs(signal="entropy", alternatives=5, weights={"mean": 1.0, "bias": 0.5})))


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


def heard(events: list[bytes], dialect: str = "chat", *, is_whole: bool = True) -> Answer:
    listener = Listener(dialect)
    listener.hear(events)
    return listener.answer(is_whole=is_whole)


def is_sound(verdict: Verdict) -> bool:
    return verdict.score is None or 0.0 <= verdict.score <= 1.0


@settings(max_examples=150, deadline=None)
@given(asked=BODIES, said=BODIES, dialect=st.sampled_from(["chat", "messages", "responses"]), prompt=st.text(max_size=60))
def test_any_request_and_any_answer_give_a_score_or_an_abstention(asked: bytes, said: bytes, dialect: str, prompt: str):
    request = a_request(prompt, body=asked)
    answers = [answer_of(Reply(said, dialect=dialect)), heard([said, asked], dialect), heard([said], dialect, is_whole=False)]

    for answer in answers:
        verdicts = [verifier.verify(request, answer) for verifier in VERIFIERS]
        assert all(map(is_sound, verdicts))
        found = combined([(str(at), Rates(0.1, 0.1), verdict, 0.0) for at, verdict in enumerate(verdicts)])
        assert found.score is None or 0.0 <= found.score <= 1.0
        assert 0.0 <= probability(found.evidence) <= 1.0
        assert is_sound(agreement(answer, answers))


@settings(max_examples=100, deadline=None)
@given(said=BODIES, form=st.sampled_from(["logprobs", "enum", "word"]), how=st.sampled_from(["model", "p_true", "self_report"]))
def test_any_reply_of_a_judge_is_a_score_or_garbage(said: bytes, form: str, how: str):
    verdict = judgement(Judged(how=how, form=form), answer_of(Reply(said)))

    assert is_sound(verdict)
    assert verdict.score is not None or verdict.fault == "garbage"


@settings(max_examples=100, deadline=None)
@given(prompt=st.text(max_size=3000), said=st.text(max_size=3000), seed=st.integers(0, 99))
def test_no_words_end_the_marks_around_them(prompt: str, said: str, seed: int):
    body = question(Judged(), a_request(prompt), answer_of(Reply(_encoded({"choices": [{"message": {"content": said}}]}))), Random(seed))
    mark = f"{Random(seed).getrandbits(64):016x}"
    user = msgspec.json.decode(body)["messages"][1]["content"]

    assert user.count(f"<</answer {mark}>>") == user.count(f"<</question {mark}>>") == 1


@settings(max_examples=200, deadline=None)
@given(schema=JSON, value=JSON)
def test_any_schema_and_any_value_end(schema: Any, value: Any):
    try:
        said = Schema(schema).objection(value)
    except Uncheckable:
        return
    assert said is None or said


@settings(max_examples=100, deadline=None)
@given(end=st.sampled_from(["exited", "wall", "memory", "broken", "?"]), code=st.integers(0, 255), output=st.text(max_size=300))
def test_any_end_of_a_command_is_a_score_or_an_abstention(end: str, code: int, output: str):
    assert is_sound(verdict_of(Ran(end, code, output)))


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet="`~ \na", max_size=200))
def test_code_is_part_of_the_text(text: str):
    assert all(line in text for line in code_in(text).split("\n"))


@pytest.mark.parametrize("text", ["`" * 100_000, "```\n" * 30_000, "<think>" * 20_000, "I'm sorry " * 20_000, "{" * 100_000, "<<" * 50_000,
                                  "the answer is " * 10_000, "1," * 60_000, "~~~" + " " * 100_000, "error:" + " " * 100_000])
def test_hostile_texts_cost_little(text: str):
    """A bound on work by counting would be better than a clock; every pattern here is bounded or anchored."""
    body = _encoded({"choices": [{"message": {"content": text}}]})
    answer = answer_of(Reply(body))
    request = a_request(text, body=_encoded({"messages": [{"role": "tool", "content": text}], "tools": [{"function": {"name": "f"}}]}))

    for verifier in VERIFIERS:
        assert is_sound(verifier.verify(request, answer))
    assert is_sound(agreement(answer, [answer]))
    assert isinstance(answer, Answer)
    question(Judged(), request, answer, Random(1))
    code_in(text)
