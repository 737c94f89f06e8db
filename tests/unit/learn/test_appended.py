"""What is put behind prompts in training."""

import sys
from pathlib import Path

import numpy as np
import pytest

from pointsman.classify.courtesy import bared
from pointsman.learn.appended import BEFORE, KINDS, SAID, appended


def test_every_kind_appends_something_and_the_last_puts_it_before():
    rng = np.random.default_rng(0)
    made = [appended("Why?", kind, rng) for kind in range(KINDS)]

    assert all(text.startswith("Why?") and len(text) > 6 for text in made[:-1])
    assert made[-1].endswith("Why?")
    assert len(made[-1]) > 6


def test_what_stands_before_is_nothing_that_is_set_aside_anyway():
    assert all(bared(f"{text} How many are there?") == f"{text} How many are there?" for text in BEFORE)


def test_the_same_seed_appends_the_same():
    first, second = ([appended("Why?", kind, np.random.default_rng(3)) for kind in range(2 * KINDS)] for _ in range(2))

    assert first == second


def test_no_fit_sees_what_robustness_is_measured_with(monkeypatch):
    folder = Path(__file__).parents[3] / "bench" / "robustness"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "changes", raising=False)
    changes = pytest.importorskip("changes")

    said = {text for texts in SAID.values() for text in texts} | set(BEFORE)
    measured = [*changes.TRIGGERS, *(text for texts in changes.NEW_TRIGGERS.values() for text in texts),
                *(text.replace("{}", "").strip() for texts in (changes.TEMPLATES, *changes.NEW_TEMPLATES.values()) for text in texts)]

    assert not said & set(measured)
