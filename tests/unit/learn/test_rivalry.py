"""From which rows baselines learn, and that this is said."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from pointsman.errors import DataRefused  # noqa: E402
from pointsman.learn import rivalry as module  # noqa: E402
from pointsman.learn.measured import Measured  # noqa: E402
from pointsman.learn.rivalry import rivalry  # noqa: E402
from pointsman.learn.scoring import Scored  # noqa: E402
from pointsman.learn.table import OutcomeTable  # noqa: E402

DATA = Path("new.parquet")
ARTIFACT = SimpleNamespace(manifest={"models": ["small"], "training": {"rows": 70}})


@pytest.fixture(autouse=True)
def _letters(monkeypatch):
    """Vectors tell apart what begins with another letter."""
    monkeypatch.setattr(module, "vectors_of", lambda artifact, prompts, **more: vectors(prompts))


def vectors(prompts):
    return np.array([[1.0, 0.0] if prompt.startswith("a") else [0.0, 1.0] for prompt in prompts], dtype=np.float32)


def kinds(rows, start=0, *, turned=False, **more):
    prompts = [f"{'alpha' if n % 2 else 'beta'} number {n}" for n in range(start, start + rows)]
    quality = [float((n % 2) != turned) for n in range(start, start + rows)]
    return OutcomeTable([str(n) for n in range(rows)], prompts, ("small",), np.array(quality)[:, None], group=prompts, **more)


def measured(table, train=None):
    return Measured(table, Scored(("small",), None, "static", vectors=vectors(table.prompts)), (0,), (), train=train)


def by_first_letter(found):
    """How much higher each baseline puts what begins with an a."""
    return {name: p[1::2, 0].mean() - p[::2, 0].mean() for name, p in found.expectations.items()}


def test_rows_of_split_train_teach_the_baselines():
    found = rivalry(ARTIFACT, measured(kinds(40), train=kinds(60, 100, turned=True)), data=DATA)

    assert by_first_letter(found)["k nearest neighbours"] < -0.5
    assert by_first_letter(found)["words, ridge"] < -0.5
    assert found.rows == 60
    assert "60 rows (split 'train' of new.parquet); ours was fitted on 70" in found.told


def test_without_other_rows_each_is_predicted_from_the_rest_and_that_is_said():
    found = rivalry(ARTIFACT, measured(kinds(50)), data=DATA)

    assert by_first_letter(found)["k nearest neighbours"] > 0.5
    assert "from the rows measured here" in found.told
    assert "--trained-on" in found.told


def test_a_file_that_is_named_teaches_but_for_the_rows_that_are_measured(tmp_path):
    place = tmp_path / "labels.jsonl"
    table = kinds(60, 20, turned=True)
    place.write_text("".join(json.dumps({"prompt": prompt, "outcomes": {"small": good}}) + "\n" for prompt, good in zip(table.prompts, table.quality[:, 0].tolist(), strict=True)))
    found = rivalry(ARTIFACT, measured(kinds(40)), place, data=DATA)

    assert by_first_letter(found)["words, ridge"] < -0.5
    assert "40 rows (labels.jsonl), without 20 that are measured here" in found.told


def test_a_file_that_holds_nothing_else_is_refused(tmp_path):
    place = tmp_path / "labels.jsonl"
    place.write_text("".join(json.dumps({"prompt": prompt, "outcomes": {"small": 1}}) + "\n" for prompt in kinds(40).prompts))

    with pytest.raises(DataRefused, match="fewer than 20"):
        rivalry(ARTIFACT, measured(kinds(40)), place, data=DATA)


def test_too_few_rows_teach_nobody():
    found = rivalry(ARTIFACT, measured(kinds(12)), data=DATA)

    assert found.expectations == {}
    assert "too few" in found.told


def test_tasks_have_the_names_of_the_data_where_both_sides_have_them():
    names = [str(n % 3) for n in range(60)]
    named = rivalry(ARTIFACT, measured(kinds(60, task=names), train=kinds(60, 100, task=names)), data=DATA)
    alone = rivalry(ARTIFACT, measured(kinds(60, task=names), train=kinds(60, 100)), data=DATA)

    assert "as the data names them (3)" in named.told
    assert "told from the prompt" in alone.told
