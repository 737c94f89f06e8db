"""Scores from wording: monotone, worded, and about right on clear cases."""

import pytest

from pointsman.classify.features import NAMES
from pointsman.classify.heuristic import Heuristic, Table, shipped_table
from pointsman.core.decision import Refine
from pointsman.core.request import Message
from pointsman.testing.factories import a_request

LADDER = ("small", "medium", "large")
CODE = "```python\n" + "\n".join(f"async def handler_{i}(request):\n    return await db.get({i})" for i in range(40)) + "\n```"


def rung(prompt, quality=0.8):
    """The place of the cheapest tier that clears the target, the last when none does."""
    said = Heuristic(LADDER).classify(a_request(prompt), None)
    p = [score.p for score in said.scores.by_tier.values()]
    return next((index for index, value in enumerate(p) if value >= quality), 2)


@pytest.mark.parametrize("prompt", [
    "What are your business hours?", "Where is my order 1234567?", "I bought a first class fare and want a refund",
    "How much import duty do I pay on a watch?", "Is this jacket waterproof?", "Who wrote Hamlet?", "thanks!",
    "Translate 'good morning' into French", "你们的营业时间是几点？", "¿Dónde está mi pedido?",
    "Extract the name and date from: John met Ann on 5 May 2021.",
])
def test_ordinary_short_requests_stay_on_the_first_rung(prompt):
    assert rung(prompt) == 0


@pytest.mark.parametrize("prompt", [
    "Prove that sqrt(2) is irrational step by step", "证明根号2是无理数，一步一步写出来",
    "Why does this deadlock? Find the bug and fix it.\n" + CODE + "\nTraceback (most recent call last):\nTimeoutError",
    "Implement a thread-safe LRU cache in Rust with O(1) operations and explain the memory model",
])
def test_proofs_and_hard_code_go_to_the_last_rung(prompt):
    assert rung(prompt) == 2


@pytest.mark.parametrize("prompt", ["Compare and contrast REST and GraphQL for a mobile backend, with trade-offs", CODE])
def test_analysis_and_code_leave_the_first_rung(prompt):
    assert rung(prompt) >= 1


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_scores_never_fall_along_a_ladder_of_any_length(size):
    said = Heuristic([f"t{i}" for i in range(size)]).classify(a_request("Prove that 2 is prime"), None)
    p = [score.p for score in said.scores.by_tier.values()]

    assert list(said.scores.by_tier) == [f"t{i}" for i in range(size)]
    assert p == sorted(p)


def test_the_ends_of_a_longer_ladder_score_as_the_ends_of_a_short_one():
    short = Heuristic(("a", "b")).classify(a_request("hello"), None).scores.by_tier
    long = Heuristic(("a", "x", "y", "b")).classify(a_request("hello"), None).scores.by_tier

    assert (short["a"], short["b"]) == (long["a"], long["b"])


def test_scores_say_that_they_are_not_calibrated():
    said = Heuristic(LADDER).classify(a_request("hello"), None)

    assert isinstance(said, Refine)
    assert said.scores.calibrated is False
    assert said.scores.by_tier["small"].evidence == shipped_table().evidence > 10_000


def test_it_abstains_without_user_text():
    assert Heuristic(LADDER).classify(a_request(messages=(Message("system", "Be kind."),)), None) is None


def test_the_reason_names_the_strongest_signs():
    assert Heuristic(LADDER).classify(a_request("Prove that 2 is prime"), None).reason.startswith("looks hard: a proof")
    assert "an everyday matter" in Heuristic(LADDER).classify(a_request("Where is my order?"), None).reason


def test_difficulty_is_the_weighted_sum():
    table = Table(weights={"proof": 2.0}, bias=-1.0, places=(0.0, 1.0), offsets=(0.0, 1.0), evidence=1)
    said = Heuristic(("a", "b"), table).classify(a_request("Prove that it holds"), None)

    assert said.scores.by_tier["a"].p == pytest.approx(1 / (1 + 2.718281828 ** 1.0))
    assert said.scores.by_tier["b"].p == pytest.approx(0.5)


def test_the_shipped_table_knows_every_feature():
    assert set(shipped_table().weights) == set(NAMES)
    assert list(shipped_table().offsets) == sorted(shipped_table().offsets)
