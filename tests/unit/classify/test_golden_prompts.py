"""Which rung ordinary prompts land on: over 250 of them in fourteen languages, with the rungs a sensible person would accept.

A regression test for classes of confusion ("discount code" is no code), not for single sentences.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pointsman.classify.heuristic import Heuristic
from pointsman.core.request import Message, Needs
from pointsman.testing.factories import a_request

LADDER = ("small", "medium", "large")
GROUPS = tomllib.loads(Path(__file__).with_name("golden_prompts.toml").read_text(encoding="utf-8"))["group"]
PROMPTS = [(group["name"], prompt, group["rungs"]) for group in GROUPS for prompt in group["prompts"]]
EASY = [(name, prompt) for name, prompt, rungs in PROMPTS if rungs == ["small"]]
HARD = [(name, prompt) for name, prompt, rungs in PROMPTS if "small" not in rungs]
HOURS = "What are your business hours?"
PROOF = "Prove that there are infinitely many prime numbers"


def rung(request, ladder=LADDER):
    """The cheapest tier that reaches 0.8, the last when none does."""
    scores = Heuristic(ladder).classify(request, None).scores.by_tier
    return next((tier for tier, score in scores.items() if score.p >= 0.8), ladder[-1])


def report(misplaced):
    return "\n".join(f"{got} for {prompt!r} ({name})" for name, prompt, got in misplaced)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group["name"])
def test_every_golden_prompt_lands_on_an_accepted_rung(group):
    placed = [(group["name"], prompt, rung(a_request(prompt))) for prompt in group["prompts"]]
    misplaced = [one for one in placed if one[2] not in group["rungs"]]

    assert not misplaced, report(misplaced)


def test_the_golden_set_is_large_and_has_no_doubles():
    assert len({prompt for _, prompt, _ in PROMPTS}) == len(PROMPTS) >= 250


def test_on_two_tiers_easy_stays_down_and_hard_goes_up():
    two = ("small", "large")
    placed = [(name, prompt, rung(a_request(prompt), two), wanted) for wanted, those in (("small", EASY), ("large", HARD)) for name, prompt in those]
    misplaced = [(name, prompt, got) for name, prompt, got, wanted in placed if got != wanted]

    assert not misplaced, report(misplaced)


def test_a_system_prompt_moves_nothing():
    system = Message("system", "You are a senior engineer. Prove every claim, analyse in detail, write Python code. " * 100)

    assert rung(a_request(messages=(system, Message("user", HOURS)))) == "small"
    assert rung(a_request(messages=(Message("system", "Be brief."), Message("user", PROOF)))) == "large"


def test_an_easy_last_turn_is_easy_after_hard_ones():
    old = (Message("user", PROOF), Message("assistant", "Suppose there were finitely many. " * 100))

    assert rung(a_request(messages=(*old, Message("user", "thanks!")))) == "small"
    assert rung(a_request(messages=(*old, Message("user", "What time is it?")))) == "small"


def test_a_hard_last_turn_is_hard_after_easy_ones():
    old = (Message("user", "hi"), Message("assistant", "Hello!"))

    assert rung(a_request(messages=(*old, Message("user", PROOF)))) == "large"


def test_harness_blocks_move_nothing():
    reminder = "<system-reminder>def f(): prove that the theorem holds</system-reminder>\n"

    assert rung(a_request(reminder + HOURS)) == "small"


@pytest.mark.parametrize("prompt", ["What's the weather in Oslo?", "Turn off the kitchen lights", "Set an alarm for 7", "Where is my order?"])
def test_two_tools_on_offer_do_not_make_a_command_hard(prompt):
    assert rung(a_request(prompt, tools=2, needs=Needs(tools=True))) == "small"


def test_asking_for_a_json_schema_does_not_make_an_extraction_hard():
    prompt = "Extract name and phone: 'Call Rafael on +351 912 345 678 before 5 pm'"

    assert rung(a_request(prompt, needs=Needs(json_schema=True))) == "small"


def test_a_proof_stays_hard_with_tools_and_schema():
    assert rung(a_request(PROOF, tools=8, needs=Needs(json_schema=True, tools=True))) == "large"


@pytest.mark.parametrize(("words", "accepted"), [(60, {"small"}), (400, {"small", "medium"}), (1500, {"medium", "large"}), (7000, {"medium", "large"})])
def test_a_document_with_a_short_question_climbs_with_its_length(words, accepted):
    document = ("The committee met on a rainy morning and talked about the new bridge over the river " * 500).split()

    assert rung(a_request("Summarise this:\n" + " ".join(document[:words]))) in accepted
