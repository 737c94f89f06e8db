"""Before and around the fit."""

from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("scipy")
pytest.importorskip("pyarrow")

from pointsman.errors import DataRefused  # noqa: E402
from pointsman.learn.dataset import Dataset  # noqa: E402
from pointsman.learn.table import OutcomeTable  # noqa: E402
from pointsman.learn.training import filled, prepared  # noqa: E402


def dataset(quality, prompts=None, shape="matrix", **more):
    quality = np.array(quality, dtype=float)
    rows = len(quality)
    prompts = prompts or [f"question number {n} about the thing called {n * 7919}" for n in range(rows)]
    models = tuple("abcdef"[: quality.shape[1]])
    return Dataset(Path("data"), shape, OutcomeTable([str(n) for n in range(rows)], prompts, models, quality, **more))


def mixed(rows):
    return [[n % 2, (n // 2) % 2] for n in range(rows)]


def test_near_duplicates_are_groups_where_nobody_named_any():
    text = "the very same and rather long question about a thing that is asked twice"
    table, _ = prepared(dataset(mixed(20), [text, text.upper()] + [f"other {n}" for n in range(18)]))

    assert table.group[0] == table.group[1]
    assert len(set(table.group)) == 19


def test_named_groups_are_kept():
    assert prepared(dataset(mixed(20), group=["x"] * 10 + ["y"] * 10))[0].group == ["x"] * 10 + ["y"] * 10


def test_rows_without_outcomes_and_of_other_splits_are_left_alone():
    quality = mixed(40)
    quality[0] = [np.nan, np.nan]
    table, findings = prepared(dataset(quality, split=["train"] * 30 + ["dev"] * 5 + ["public_test"] * 5))

    assert table.query_id == [str(n) for n in range(1, 35)]
    assert [one.text for one in findings if one.code == "other_splits"] == ["5 rows of other splits than train and dev are left alone"]


def test_a_split_without_dev_is_no_split():
    assert prepared(dataset(mixed(20), split=["train"] * 20))[0].split is None


def test_problems_end_it():
    with pytest.raises(DataRefused, match="9 rows to learn from"):
        prepared(dataset(mixed(9)))
    with pytest.raises(DataRefused, match="same label"):
        prepared(dataset([[0, 1]] * 50, shape="tiers"))


def test_a_model_that_was_never_run_is_as_good_as_the_others_are():
    found = filled(dataset([[1.0, 0.0, np.nan], [1.0, 1.0, np.nan], [np.nan, 0.0, np.nan]]).table)

    assert found.quality[:, 2].tolist() == [0.5, 1.0, 0.0]
    assert np.isnan(found.quality[2, 0])


def test_a_table_that_is_full_stays_as_it_is():
    table = dataset(mixed(4)).table

    assert filled(table) is table
