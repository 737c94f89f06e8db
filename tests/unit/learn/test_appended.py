"""What is put behind prompts in training."""

import sys
from pathlib import Path

import numpy as np
import pytest

from pointsman.learn.appended import KINDS, SAID, appended


def test_every_kind_appends_something():
    rng = np.random.default_rng(0)

    assert all(appended("Why?", kind, rng).startswith("Why?") and len(appended("Why?", kind, rng)) > 6 for kind in range(KINDS))


def test_the_same_seed_appends_the_same():
    first, second = ([appended("Why?", kind, np.random.default_rng(3)) for kind in range(2 * KINDS)] for _ in range(2))

    assert first == second


def test_no_fit_sees_what_robustness_is_measured_with(monkeypatch):
    folder = Path(__file__).parents[3] / "bench" / "robustness"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "changes", raising=False)
    changes = pytest.importorskip("changes")

    said = {text for texts in SAID.values() for text in texts}

    assert not said & set(changes.TRIGGERS)
