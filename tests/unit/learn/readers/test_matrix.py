"""The contract of matrices, clause by clause."""

import datetime

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")

import pyarrow.parquet as pq  # noqa: E402

from pointsman.errors import DataRefused  # noqa: E402
from pointsman.learn.dataset import read_dataset  # noqa: E402

NAN = float("nan")


def written(tmp_path, columns, name="m.parquet"):
    pq.write_table(pa.table(columns), tmp_path / name)
    return tmp_path / name


def plain(**columns):
    return {"query_id": ["a", "b", "c"], "prompt": ["one", "two", "three"], "small": [0.0, 1.0, 0.5], "large": [1.0, 1.0, NAN]} | columns


def test_floating_point_columns_are_models_in_the_files_order(tmp_path):
    found = read_dataset(written(tmp_path, plain(domain=["x", "y", "z"], contaminated=[True, False, True], length=[3, 4, 5])))

    assert found.shape == "matrix"
    assert found.table.models == ("small", "large")
    assert found.table.query_id == ["a", "b", "c"]
    assert found.table.quality[:2].tolist() == [[0.0, 1.0], [1.0, 1.0]]
    assert np.isnan(found.table.quality[2, 1])


@pytest.mark.parametrize("name", ["cost", "weight", "fold", "query_id", "group", "split"])
def test_reserved_columns_are_never_models_even_when_floating_point(tmp_path, name):
    values = ["train", "train", "train"] if name == "split" else [1.0, 1.0, 1.0]
    found = read_dataset(written(tmp_path, plain() | {name: values}))

    assert found.table.models == ("small", "large")


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()], ids=str)
def test_every_width_of_floating_point_is_a_model(tmp_path, kind):
    found = read_dataset(written(tmp_path, plain(small=pa.array(np.array([0.0, 1.0, 0.5], kind.to_pandas_dtype()), kind))))

    assert found.table.models == ("small", "large")
    assert found.table.quality[:, 0].tolist() == [0.0, 1.0, 0.5]


def test_named_models_come_in_the_order_named(tmp_path):
    found = read_dataset(written(tmp_path, plain()), models=["large", "small"])

    assert found.table.models == ("large", "small")
    assert found.table.quality[0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("name", "said"), [
    ("nobody", "no such column"), ("cost", "reserved"), ("prompt", "reserved"), ("length", "int64"), ("flag", "bool"), ("domain", "string"),
])
def test_a_name_that_is_no_model_is_refused(tmp_path, name, said):
    path = written(tmp_path, plain(length=[1, 0, 1], flag=[True, False, True], domain=["x", "y", "z"], cost=[0.1, 0.2, 0.3]))

    with pytest.raises(DataRefused, match=said) as caught:
        read_dataset(path, models=["small", name])
    assert name in str(caught.value)


@pytest.mark.parametrize("value", [1.5, -0.001, float("inf"), float("-inf"), 1.0000001])
def test_a_value_outside_is_refused_with_column_and_row(tmp_path, value):
    with pytest.raises(DataRefused, match=r"column 'small', row 1 .*query_id 'b'.*outside \[0, 1\]"):
        read_dataset(written(tmp_path, plain(small=[0.0, value, 0.5])))


def test_a_value_outside_in_a_column_that_is_not_named_is_nobodys_business(tmp_path):
    assert read_dataset(written(tmp_path, plain(seconds=[3.5, 4.0, 12.0])), models=["small"]).table.models == ("small",)


def test_null_is_not_run_like_nan(tmp_path):
    found = read_dataset(written(tmp_path, plain(small=pa.array([None, 1.0, 0.5], pa.float64()))))

    assert np.isnan(found.table.quality[0, 0])


def test_a_column_of_nothing_but_nan_is_still_a_model(tmp_path):
    assert read_dataset(written(tmp_path, plain(spare=[NAN, NAN, NAN]))).table.models == ("small", "large", "spare")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.string_view(), pa.binary()], ids=str)
def test_prompts_of_every_encoding_are_text(tmp_path, kind):
    values = pa.array(["naïve", None, "三"], pa.string())
    column = pa.array([b"na\xc3\xafve", None, "三".encode()], kind) if pa.types.is_binary(kind) else values.cast(kind)

    assert read_dataset(written(tmp_path, plain(prompt=column))).table.prompts == ["naïve", "", "三"]


def test_bytes_that_are_no_text_are_replaced(tmp_path):
    found = read_dataset(written(tmp_path, plain(prompt=pa.array([b"\xff\xfe", b"ok", b""], pa.binary()))))

    assert found.table.prompts == ["\ufffd\ufffd", "ok", ""]


def test_a_prompt_that_is_no_text_is_refused(tmp_path):
    with pytest.raises(DataRefused, match="column 'prompt' holds int64, not text"):
        read_dataset(written(tmp_path, plain(prompt=[1, 2, 3])))


def test_a_matrix_without_a_prompt_is_refused(tmp_path):
    with pytest.raises(DataRefused, match="no column 'prompt'; there are 'query_id', 'small'"):
        read_dataset(written(tmp_path, {"query_id": ["a"], "small": [1.0]}))


def test_the_usual_other_names_of_a_prompt_are_understood(tmp_path):
    columns = plain()
    found = read_dataset(written(tmp_path, {"question": columns.pop("prompt"), **columns}))

    assert found.table.prompts == ["one", "two", "three"]


@pytest.mark.parametrize("ids", [[7, 8, 9], [1.5, 2.5, 3.5], [datetime.date(2026, 1, 1)] * 3], ids=str)
def test_ids_of_any_type_name_rows(tmp_path, ids):
    assert read_dataset(written(tmp_path, plain(query_id=ids))).table.query_id == [str(id_) for id_ in ids]


def test_rows_without_ids_are_numbered_and_that_is_said(tmp_path):
    columns = plain()
    del columns["query_id"]
    found = read_dataset(written(tmp_path, columns))

    assert found.table.query_id == ["0", "1", "2"]
    assert "query_id" in found.notes[0]


def test_split_says_train_and_dev_and_keeps_other_names(tmp_path):
    assert read_dataset(written(tmp_path, plain(split=["train", "dev", "public_test"]))).table.split == ["train", "dev", "public_test"]
    assert read_dataset(written(tmp_path, plain(split=["Train", "validation", None]))).table.split == ["train", "dev", ""]


def test_rows_of_a_group_stay_together_and_null_is_a_group_of_its_own(tmp_path):
    group = read_dataset(written(tmp_path, plain(group=pa.array([1, None, 1], pa.int64())))).table.group

    assert group[0] == group[2] != group[1]


def test_weights_have_a_mean_of_one(tmp_path):
    assert read_dataset(written(tmp_path, plain(weight=[1, 2, 3]))).table.weight.tolist() == [0.5, 1.0, 1.5]


@pytest.mark.parametrize("weight", [[1.0, -1.0, 1.0], [1.0, NAN, 1.0], [0.0, 0.0, 0.0]])
def test_weights_that_are_none_are_refused(tmp_path, weight):
    with pytest.raises(DataRefused, match="weight"):
        read_dataset(written(tmp_path, plain(weight=weight)))


def test_a_timestamp_tells_when_and_a_number_of_that_name_is_a_model(tmp_path):
    moments = pa.array([1, 2, 3], pa.timestamp("s")).cast(pa.timestamp("ns"))

    assert read_dataset(written(tmp_path, plain(at=moments))).table.at.tolist() == [1.0, 2.0, 3.0]
    assert read_dataset(written(tmp_path, plain(at=[0.5, 0.5, 0.5]))).table.models == ("small", "large", "at")


def test_without_models_the_integers_are_pointed_at(tmp_path):
    path = written(tmp_path, {"query_id": ["a"], "prompt": ["one"], "right": [1]})

    with pytest.raises(DataRefused, match="no model to learn about; 'right' holds integers: cast it to float64"):
        read_dataset(path)


def test_zero_rows_are_a_table_of_zero_rows(tmp_path):
    columns = {"query_id": pa.array([], pa.string()), "prompt": pa.array([], pa.string()), "small": pa.array([], pa.float64())}

    assert len(read_dataset(written(tmp_path, columns)).table) == 0


def test_csv_knows_floating_point_by_the_point(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text('query_id,prompt,small,large,flag\n1,"a, b\nc",0.0,1.0,1\n2,,1.0,,0\n')

    found = read_dataset(path)

    assert found.table.models == ("small", "large")
    assert found.table.prompts == ["a, b\nc", ""]
    assert np.isnan(found.table.quality[1, 1])
    assert read_dataset(path, models=["flag"]).table.quality[:, 0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("content", [b"", b"PAR1garbage", b"PAR1"])
def test_what_is_no_parquet_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "m.parquet").write_bytes(content)

    with pytest.raises(DataRefused, match=r"m\.parquet"):
        read_dataset(tmp_path / "m.parquet")


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(DataRefused, match="No such file"):
        read_dataset(tmp_path / "m.parquet")


def test_the_index_of_pandas_is_no_model(tmp_path):
    path = written(tmp_path, plain(__index_level_0__=[0.0, 1.0, 2.0]))

    assert read_dataset(path).table.models == ("small", "large")


@pytest.mark.parametrize(("column", "is_said"), [
    ([True, False, True], True), ([1, 0, None], True), (pa.array([0.0, 1.0, 1.0]).cast(pa.decimal128(5, 2)), True), ([17, 20, 3], False), (["a", "b", "c"], False),
], ids=["bool", "int", "decimal", "counts", "text"])
def test_what_may_have_been_meant_as_a_model_is_said(tmp_path, column, is_said):
    notes = read_dataset(written(tmp_path, plain(extra=column))).notes

    assert any("'extra'" in note and "cast to float64" in note for note in notes) == is_said


def test_named_models_leave_nothing_to_say(tmp_path):
    assert read_dataset(written(tmp_path, plain(extra=[1, 0, 1])), models=["small"]).notes == ()


def test_a_name_that_returns_is_said(tmp_path):
    assert read_dataset(written(tmp_path, plain(query_id=["a", "a", "a"]))).notes == (
        "2 rows have the query_id of another row: each counts as a row of its own",)


def test_weights_that_are_no_numbers_are_said(tmp_path):
    assert "every row counts the same" in read_dataset(written(tmp_path, plain(weight=["x", "y", "z"]))).notes[0]


@pytest.mark.parametrize("models", [None, ["small", "large"]])
def test_a_word_among_the_numbers_of_a_csv_is_refused_and_no_column_lost(tmp_path, models):
    path = tmp_path / "m.csv"
    path.write_text("query_id,prompt,small,large\n1,x,0.0,1.0\n2,y,1.0,oops\n3,z,0.5,\n4,z,0.5,0.5\n")

    with pytest.raises(DataRefused, match=r"column 'large', row 1 .*query_id '2'.*'oops' is no number in \[0, 1\]; leave the cell empty"):
        read_dataset(path, models=models)


def test_a_header_alone_holds_no_rows(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("query_id,prompt,small\n")

    with pytest.raises(DataRefused, match="no rows"):
        read_dataset(path)
