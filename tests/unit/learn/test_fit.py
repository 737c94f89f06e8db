"""From a table to an artifact."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from pointsman.artifact import Artifact
from pointsman.classify.embedders.static import shipped_static
from pointsman.classify.heads import surface
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.scorer import Scorer
from pointsman.learn import fit as fitting
from pointsman.learn import rivals, stack
from pointsman.learn.fit import fit
from pointsman.learn.table import OutcomeTable

WORDS = ["order", "refund", "proof", "integral", "poem", "weather", "router", "planet", "invoice", "theorem"]


def table(rows: int = 80, **more) -> OutcomeTable:
    rng = np.random.default_rng(rows)
    prompts = [" ".join(rng.choice(WORDS, rng.integers(3, 12))) for _ in range(rows)]
    hard = np.array([("proof" in prompt) or ("theorem" in prompt) for prompt in prompts])
    small = np.where(hard, rng.random(rows) < 0.2, rng.random(rows) < 0.9).astype(float)
    return OutcomeTable([str(row) for row in range(rows)], prompts, ("small", "large"), np.column_stack([small, np.ones(rows) * 0.9]), **more)


def drafted(one: OutcomeTable, seed: int = 1):
    return fit(one, seed=seed, sentence=None, progress=lambda stage, done: None)


def test_the_same_table_and_seed_give_the_same_numbers():
    first, second = drafted(table()), drafted(table())

    assert first.manifest == second.manifest
    assert {name: array.tobytes() for name, array in first.arrays.items()} == {name: array.tobytes() for name, array in second.arrays.items()}


def test_without_a_sentence_embedder_there_is_one_stack():
    draft = drafted(table())

    assert list(draft.manifest["stacks"]) == ["static"]
    assert draft.manifest["features"]["sentence"] is None
    assert not any(name.startswith(("full.", "sentence.")) for name in draft.arrays)


def test_dev_rows_calibrate_and_are_not_fitted():
    split = ["train"] * 60 + ["dev"] * 20
    draft = drafted(table(split=split))
    changed = table(split=split)
    changed.quality[60:] = 1.0 - changed.quality[60:]
    other = drafted(changed)

    assert draft.manifest["training"]["rows"] == 60
    assert draft.manifest["training"]["calibration_rows"] == 20
    assert np.array_equal(draft.arrays["static.ngrams.weights"], other.arrays["static.ngrams.weights"])
    assert not np.array_equal(draft.arrays["static.curves"], other.arrays["static.curves"])


def test_progress_never_goes_back():
    seen: list[float] = []
    fit(table(), seed=1, sentence=None, progress=lambda stage, done: seen.append(done))

    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_many_rows_are_solved_another_way_to_the_same_end(monkeypatch):
    exact = drafted(table(300))
    monkeypatch.setattr(stack, "MOST_ROWS", 100)
    monkeypatch.setattr(fitting, "MOST_ROWS", 100)
    quick = drafted(table(300))

    # The mean over models: how far their differences are believed is told by other rows where there are many.
    for name in ("static.surface.weights", "static.kinds.weights", "static.static.near.weights"):
        one, other = (draft.arrays[name].mean(axis=1) for draft in (exact, quick))
        assert np.abs(one - other).max() < 0.05 * np.abs(one).max()


def test_rows_that_are_turned_in_portions_give_the_same(monkeypatch):
    whole = drafted(table(90))
    monkeypatch.setattr(fitting, "PORTION", 16)
    parts = drafted(table(90))

    for name, array in whole.arrays.items():
        assert np.allclose(array, parts.arrays[name], atol=1e-3), name


def test_before_any_label_says_otherwise_what_is_harder_is_answered_worse():
    rng = np.random.default_rng(0)
    told = table(100)
    told.quality[:, 0] = rng.permutation(told.quality[:, 0])
    sure, unsure = (fitting.Fit(told, [Query.of_prompt(prompt) for prompt in told.prompts], fitting.shipped_static().embed(told.prompts), None, 1,
                                presumed=presumed).draft({}, lambda stage, done: None) for presumed in (longer_is_harder(), 0.0 * longer_is_harder()))

    at = surface.NAMES.index("words")
    assert sure.arrays["static.surface.weights"][at, 0] < unsure.arrays["static.surface.weights"][at, 0]


def longer_is_harder():
    return np.array([float(name == "words") for name in surface.NAMES])


def test_arrays_are_plain_finite_numbers():
    for array in drafted(table()).arrays.values():
        assert array.dtype.kind in "fi"
        assert np.isfinite(array).all()


def test_the_rows_that_calibrate_are_named():
    watched = fitting.Fit(table(), [fitting.Query.of_prompt(prompt) for prompt in table().prompts],
                          fitting.shipped_static().embed(table().prompts), None, 1)
    watched.draft({}, lambda stage, done: None)

    assert len(watched.calibrating) == len(watched.held_out["static"]) == 80


def test_an_artifact_carries_what_it_expected_before_it_saw_the_labels():
    watched = fitting.Fit(table(), [fitting.Query.of_prompt(prompt) for prompt in table().prompts],
                          fitting.shipped_static().embed(table().prompts), None, 1)
    rows = watched.draft({}, lambda stage, done: None).arrays["static.rehearsal"]
    models = len(table().models)

    assert rows.shape == (80, 2 * models)
    assert np.allclose(rows[:, models:], table().quality)
    assert np.corrcoef(rows[:, 0], watched.held_out["static"][:, 0])[0, 1] > 0.99


def test_what_is_appended_in_training_moves_scores_less(monkeypatch):
    def moved() -> float:
        draft = drafted(table(200))
        scorer = Scorer(Artifact(draft.manifest, draft.arrays, "", Path()), shipped_static())
        plain, longer = (scorer.score([Query.of_prompt(prompt + end) for prompt in table(40).prompts]).p for end in ("", " g = lambda t: t**3 - 2*t + 1"))
        return float(np.abs(longer - plain).mean())

    told = moved()
    monkeypatch.setattr(fitting, "CHANGES", 1)

    assert told < 0.8 * moved()


class Lengths:
    """A sentence embedder of two numbers, which remembers what it was shown."""

    name, digest = "lengths", "d"

    def __init__(self):
        self.shown = []

    def embed(self, texts):
        self.shown += texts
        return np.array([[len(text) % 7 + 1.0, 1.0] / np.hypot(len(text) % 7 + 1.0, 1.0) for text in texts], dtype=np.float32)


def test_sentence_vectors_are_made_of_what_is_read_and_of_changed_rows_too(monkeypatch):
    monkeypatch.setattr(fitting, "CHANGES", 9)
    sentence = Lengths()
    prompts = [f"What is the sum of {at} and two, my friend? Use the best model." for at in range(60)]
    rows = replace(table(60), prompts=prompts)
    fitting.fit(rows, seed=1, sentence=sentence, progress=lambda step, share: None)

    assert sentence.shown[:60] == [f"What is the sum of {at} and two, my friend?" for at in range(60)]
    assert len(sentence.shown) == 69


def test_models_run_on_few_of_many_rows_are_judged_on_all_of_them(monkeypatch):
    monkeypatch.setattr(stack, "MOST_ROWS", 100)
    monkeypatch.setattr(fitting, "MOST_ROWS", 100)
    one = table(160)
    one.quality[::2, 0] = one.quality[1::2, 1] = np.nan  # each was run where the other was not
    made = fitting.Fit(one, [Query.of_prompt(prompt) for prompt in one.prompts], shipped_static().embed(one.prompts), None, 1)

    made.draft({}, lambda stage, done: None)

    assert made.calibrating.tolist() == list(range(160))
    assert made.held_out["static"].shape == (160, 2)
    assert rivals.expectations(made)["k nearest neighbours"].shape == (160, 2)
