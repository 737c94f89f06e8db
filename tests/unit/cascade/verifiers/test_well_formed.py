"""Empty, refused, cut off, stuck, or in another language."""

from __future__ import annotations

import pytest

from pointsman.cascade.verifiers.well_formed import WellFormedVerifier, is_loop, is_refusal
from pointsman.core.answer import Answer, Choice, ToolCall
from pointsman.core.verdict import Verdict
from pointsman.core.verifying import WellFormed
from pointsman.testing.factories import a_request

ENGLISH = "Please explain to me in a few sentences how the engine of a car turns fuel into motion, and what the gears are for."


def said(choice: Choice, *, prompt: str = "How are you?", settings: WellFormed | None = None, is_whole: bool = True, **request: object) -> Verdict:
    return WellFormedVerifier(settings).verify(a_request(prompt, **request), Answer((choice,), is_whole))


def test_a_good_answer_passes():
    assert said(Choice("Fine, thank you.", finish_reason="stop")).score == 1.0


@pytest.mark.parametrize(("choice", "reason"), [
    (Choice("", finish_reason="stop"), "empty"), (Choice(" \n", finish_reason="stop"), "empty"),
    (Choice("", "a long thought", finish_reason="stop"), "thoughts without an answer"),
    (Choice("The answer is", finish_reason="length"), "cut off"),
    (Choice("x", finish_reason="content_filter"), "it ended with 'content_filter'"),
    (Choice("", refusal="I can't.", finish_reason="stop"), "a refusal"),
    (Choice("I'm sorry, but I can't help with that.", finish_reason="stop"), "a refusal"),
    (Choice("na na " * 60, finish_reason="stop"), "it repeats itself"),
])
def test_what_is_no_answer_is_rejected(choice: Choice, reason: str):
    verdict = said(choice)

    assert (verdict.score, verdict.is_hard, verdict.reason) == (0.0, True, reason)


def test_no_choice_at_all_is_no_answer():
    assert WellFormedVerifier().verify(a_request(), Answer()).score == 0.0


def test_a_tool_call_needs_no_text():
    assert said(Choice(tool_calls=(ToolCall("get", "{}"),), finish_reason="tool_calls")).score == 1.0


def test_a_limit_of_the_clients_own_is_not_held_against_the_answer():
    assert said(Choice("The answer is", finish_reason="length"), max_tokens=3).score == 1.0


def test_one_bad_choice_of_several_is_enough():
    answer = Answer((Choice("Fine.", finish_reason="stop"), Choice("", finish_reason="stop")))

    assert WellFormedVerifier().verify(a_request(), answer).score == 0.0


def test_of_a_beginning_only_what_shows_already_counts():
    assert said(Choice("I"), is_whole=False).score == 1.0
    assert said(Choice(""), is_whole=False).score == 1.0
    assert said(Choice("I cannot help with"), is_whole=False).score == 0.0
    assert WellFormedVerifier().verify(a_request(), Answer(is_whole=False)).score is None


@pytest.mark.parametrize("text", [
    "I'm sorry, but I can't assist with that request.", "I’m unable to provide that.", "Sorry, I cannot do this.",
    "As an AI language model, I don't have opinions.", "I can't help you with this.", "Unfortunately, I am not able to browse.",
    "Es tut mir leid, das kann ich nicht.", "Ich kann dir dabei leider nicht helfen.", "Je suis désolé, mais je ne peux pas.",
    "Lo siento, pero no puedo ayudar.", "抱歉,我无法回答。", "К сожалению, я не могу помочь.", "**I cannot help** with that.",
])
def test_refusals_are_recognised(text: str):
    assert is_refusal(text)


@pytest.mark.parametrize("text", [
    "I can help you with that.", "I can't believe how easy it is: just add flour.", "Sorry to hear that! Here is what to do.",
    "The function raises an error: `I cannot help`.", "I'm sorry for your loss." * 40, "Unfortunately, the train was late. Take the next one.",
    "", "I will write it down.", "No, I cannot is not how it is spelt.",
])
def test_answers_are_not_taken_for_refusals(text: str):
    assert not is_refusal(text)


@pytest.mark.parametrize("text", ["the same " * 40, "A long way. " + "and then another " * 12, "1, 2, 3, " + "7" * 200, "x = 1\ny = 2\n" * 20])
def test_loops_are_found(text: str):
    assert is_loop(text)


@pytest.mark.parametrize("text", [
    "", "short short short", "=" * 500, "| --- | --- |\n" * 3, "-" * 400, " \n" * 400, "the same " * 40 + "but in the end something else that goes on for a while",
    "\n".join(f"{n}. item number {n} costs {n * 7} dollars" for n in range(40)),
])
def test_tables_and_rules_and_lists_are_none(text: str):
    assert not is_loop(text)


def test_another_language_counts_against_it_but_is_not_the_end():
    verdict = said(Choice("Der Motor verbrennt den Kraftstoff und die Kolben bewegen sich, und das Getriebe ist für die Räder nicht "
                          "das, was es für den Motor ist, mit dem es auch verbunden wird.", finish_reason="stop"), prompt=ENGLISH)

    assert verdict.score == pytest.approx(0.15)
    assert not verdict.is_hard


def test_each_look_can_be_turned_off():
    lenient = WellFormed(refusals=False, repetition=False, language=False, truncation=False)

    for choice in (Choice("I cannot help.", finish_reason="stop"), Choice("na " * 200, finish_reason="stop"),
                   Choice("я" * 90, finish_reason="stop"), Choice("half", finish_reason="length")):
        assert said(choice, prompt=ENGLISH, settings=lenient).score == 1.0
