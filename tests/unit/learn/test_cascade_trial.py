"""From a file to a comparison, and to settings."""

import json

import pytest

np = pytest.importorskip("numpy")

from pointsman.errors import DataRefused  # noqa: E402
from pointsman.learn.cascade_trial import Wishes, evaluated, fitted, ladder_of  # noqa: E402

BOTH, ROUTING = "routing + cascade", "routing alone"


def judged(folder, rows=120, error=0.05, *, features=False, seed=0):
    """A small model that is right half of the time, a large one nearly always."""
    draw = np.random.default_rng(seed)
    path = folder / "judged.jsonl"
    with path.open("w") as file:
        for query in range(rows):
            for tier, right, usd in (("small", 0.5, 1.0), ("large", 0.95, 10.0)):
                good = bool(draw.random() < right)
                said = 0.95 if good != bool(draw.random() < error) else 0.05
                row = {"query": query, "task": "sql" if query % 2 else "chat", "tier": tier, "quality": good, "usd": usd, "seconds": usd / 5}
                told = {"features": {"mean": said - 1, "min": -2.0}} if features else {"verified": said}
                file.write(json.dumps({**row, **told}) + "\n")
    return path


def test_recorded_verdicts_are_replayed(tmp_path):
    found = evaluated(judged(tmp_path))

    assert (found.rows, found.tiers) == (120, ("small", "large"))
    assert found.gap(BOTH, ROUTING).verdict == "better"


def test_a_stated_error_takes_their_place(tmp_path):
    found = evaluated(judged(tmp_path), Wishes(error=0.5))

    assert found.gap(BOTH, ROUTING).verdict == "not to be told apart"
    assert any("50%" in note for note in found.notes)


def test_log_probabilities_are_weighed_by_weights_that_had_not_seen_them(tmp_path):
    rungs, notes = ladder_of(judged(tmp_path, features=True), Wishes())

    assert rungs.is_judged[0].tolist() == [True, False]
    assert any("had not seen it" in note for note in notes)


def test_labels_of_any_shape_will_do_with_a_simulated_verifier(tmp_path):
    path = tmp_path / "labels.jsonl"
    draw = np.random.default_rng(2)
    path.write_text("".join(json.dumps({"prompt": f"question {n} about {n * 31 % 97}", "outcomes": {
        "small": float(draw.random() < 0.5), "large": float(draw.random() < 0.9)}}) + "\n" for n in range(80)))

    assert evaluated(path, Wishes(error=0.05, prices="small=1,large=10")).rows == 80
    with pytest.raises(DataRefused, match="--verifier-error"):
        evaluated(path)


def test_a_large_file_is_sampled_and_says_so(tmp_path):
    found = evaluated(judged(tmp_path), Wishes(most=50))

    assert found.rows == 50
    assert any("50 of 120" in note for note in found.notes)


def test_too_few_queries_compare_nothing(tmp_path):
    with pytest.raises(DataRefused, match="at least 40"):
        evaluated(judged(tmp_path, rows=20))


def test_error_rates_and_thresholds_are_told_per_tier_and_task(tmp_path):
    found = fitted(judged(tmp_path))

    assert [(one.tier, one.task) for one in found.reliances] == [("small", ""), ("small", "chat"), ("small", "sql")]
    assert found.rates["small"].misses < 0.2
    assert 0 < found.reliances[0].accept_at <= 0.95


def test_one_task_alone_can_be_calibrated(tmp_path):
    assert fitted(judged(tmp_path), task="sql").rows == 60
    with pytest.raises(DataRefused, match="chat, sql"):
        fitted(judged(tmp_path), task="poems")


def test_weights_of_log_probabilities_are_fitted_from_those_that_are_there(tmp_path):
    found = fitted(judged(tmp_path, features=True))

    assert set(found.weights["small"]) == {"bias", "mean", "min"}
    assert found.weights["small"]["mean"] > 0


def test_a_file_without_verdicts_calibrates_nothing(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"prompt": "Hi", "tier": "small"}\n')
    with pytest.raises(DataRefused, match="what was made of answers"):
        fitted(path)
