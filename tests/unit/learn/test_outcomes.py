"""Reading outcome tables."""

import math

import pytest

np = pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")

import pyarrow.parquet as pq  # noqa: E402

from pointsman.learn.outcomes import FAMILIES, SMALL, Sample, outcome_sample  # noqa: E402

SOURCE = "routerbench"
LARGE = FAMILIES[SOURCE][2]


def written(tmp_path, *rows):
    base = {"split": "train", "overlaps_public_test": False, LARGE: 1.0, **dict.fromkeys(SMALL[SOURCE], 1.0)}
    pq.write_table(pa.Table.from_pylist([base | row for row in rows]), tmp_path / f"{SOURCE}.parquet")
    return outcome_sample(tmp_path, SOURCE)


def test_need_is_what_the_large_model_adds(tmp_path):
    first, second = SMALL[SOURCE]
    sample = written(tmp_path, {"prompt": "a", first: 0.0, second: 0.5}, {"prompt": "b", LARGE: 0.0}, {"prompt": "c", first: math.nan, second: 0.2})

    assert sample.need == pytest.approx([0.75, 0.0, 0.8])


def test_only_train_rows_outside_public_tests_are_read(tmp_path):
    sample = written(tmp_path, {"prompt": "a"}, {"prompt": "b", "split": "dev"}, {"prompt": "c", "overlaps_public_test": True},
                     {"prompt": "d", LARGE: math.nan})

    assert len(sample.need) == 1


def test_quantiles_are_weighted():
    sample = Sample("s", np.zeros((3, 1)), np.zeros(3), np.array([8.0, 1.0, 1.0]))

    assert sample.quantile(np.array([5.0, 7.0, 6.0]), 0.9) == pytest.approx(6.0)
