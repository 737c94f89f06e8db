"""Answers that follow from the request's id."""

from __future__ import annotations

import json

from pointsman.testing import fault_answers as answers
from pointsman.testing.fault_steps import Asked, Complete


def test_an_id_has_one_text_and_others_have_others():
    assert answers.text_of("a") == answers.text_of("a")
    assert len({answers.text_of(str(i)) for i in range(100)}) == 100


def test_the_pieces_of_a_stream_are_the_text_of_the_plain_answer():
    streamed = [json.loads(e[6:]) for e in answers.text_events("a")]
    plain = json.loads(answers.completion("a"))

    assert "".join(e["choices"][0]["delta"]["content"] for e in streamed) == plain["choices"][0]["message"]["content"]


def test_what_was_asked_is_read_from_the_body():
    body = json.dumps({"stream": True, "stream_options": {"include_usage": True}, "messages": [{"content": answers.prompt_of("x.1")}]}).encode()

    assert answers.asked_of(body, 3, 2) == Asked("x.1", True, True, 3, 2)


def test_half_a_body_still_names_its_request():
    assert answers.asked_of(b'{"messages":[{"content":"id=x.1; ple', 1, 1).id == "x.1"


def test_usage_comes_only_when_it_was_asked_for():
    assert b"usage" not in b"".join(answers.events(Asked("a", stream=True)))
    assert b"usage" in b"".join(answers.events(Asked("a", stream=True, include_usage=True)))


def test_a_right_answer_bills_as_many_tokens_as_its_usage_says():
    for stream in (True, False):
        steps = answers.right(Asked("a", stream=stream))
        assert sum(getattr(step, "tokens", 0) for step in steps) == answers.usage_of("a")["completion_tokens"]
        assert isinstance(steps[-1], Complete)


def test_an_answer_that_is_continued_is_the_same_text_in_two_parts():
    whole = answers.text_of("r1")
    for cut in range(1, len(answers.pieces_of("r1"))):
        told = "".join(answers.pieces_of("r1")[:cut]).rstrip()
        assert told + "".join(answers.rest_of(Asked("r1", stream=True, told=told))) == whole
