"""Baselines on the same labels and rows."""

from types import SimpleNamespace

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from pointsman.learn import rivals  # noqa: E402
from pointsman.learn.rivals import expectations  # noqa: E402
from pointsman.learn.table import OutcomeTable  # noqa: E402


def a_fit(prompts, quality, train, rest=(), calibrating=None, task=None):
    """What a fit shows of itself, without the fitting. Vectors tell apart what begins with another letter."""
    rows = len(prompts)
    table = OutcomeTable([str(n) for n in range(rows)], prompts, ("a",), np.array(quality, dtype=float)[:, None], task=task)
    vectors = np.array([[1.0, 0.0] if prompt.startswith("a") else [0.0, 1.0] for prompt in prompts], dtype=np.float32)
    train, rest = np.array(train), np.array(rest, dtype=int)
    return SimpleNamespace(table=table, models=1, seed=0, train=train, rest=rest, calibrating=train if calibrating is None else np.array(calibrating),
                           has_sentence=False, reading=SimpleNamespace(static=vectors[train]), other=SimpleNamespace(static=vectors[rest]))


def kinds(rows):
    return [f"{'alpha' if n % 2 else 'beta'} number {n}" for n in range(rows)], [n % 2 for n in range(rows)]


def test_all_learn_what_is_plain():
    prompts, quality = kinds(100)
    found = expectations(a_fit(prompts, quality, range(100), task=["easy" if good else "hard" for good in quality]))

    assert set(found) == {"task table", "k nearest neighbours", "words, ridge"}
    for said in found.values():
        assert said.shape == (100, 1)
        assert said[1::2, 0].mean() > said[::2, 0].mean() + 0.5


def test_where_tasks_have_no_names_the_kind_of_work_is_told_from_the_prompt():
    prompts = ["Write a Python function `def add(a, b):` that adds" if n % 2 else "What time is it?" for n in range(40)]
    found = expectations(a_fit([f"{prompt} {n}" for n, prompt in enumerate(prompts)], [n % 2 for n in range(40)], range(40)))["task table"][:, 0]

    assert found[1::2].min() > found[::2].max()


def test_of_very_many_rows_words_are_learned_from_a_sample(monkeypatch):
    monkeypatch.setattr(rivals, "MOST_FOR_WORDS", 30)
    prompts, quality = kinds(300)
    found = expectations(a_fit(prompts, quality, range(300)))["words, ridge"][:, 0]

    assert found[1::2].mean() > found[::2].mean() + 0.3


def test_no_row_is_predicted_from_its_own_group():
    # Each text is asked twice and labelled at random: only who has seen the other copy could know.
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 60)
    prompts = [f"b {number * 7919} {number * 104729}" for number in range(60) for _ in range(2)]
    found = expectations(a_fit(prompts, np.repeat(labels, 2), range(120)))["words, ridge"][:, 0]

    # Below zero: what is left out lowers or raises the mean of what is left.
    assert np.corrcoef(found, np.repeat(labels, 2))[0, 1] < 0.1


def test_rows_set_aside_are_predicted_from_the_rest():
    prompts, quality = kinds(100)
    set_aside = expectations(a_fit(prompts, quality, range(60), rest=range(60, 100), calibrating=range(60, 100)))
    within = expectations(a_fit(prompts, quality, range(100), calibrating=range(80, 100)))

    assert {len(said) for said in set_aside.values()} == {40}
    assert {len(said) for said in within.values()} == {20}
    assert set_aside["words, ridge"][1, 0] > 0.5 > set_aside["words, ridge"][0, 0]


def test_prompts_without_a_word_get_the_mean():
    found = expectations(a_fit(["?"] * 30 + ["!"] * 10, [1.0] * 40, range(30), rest=range(30, 40), calibrating=range(30, 40)))

    assert found["words, ridge"][:, 0].tolist() == [1.0] * 10
