"""Tables as spreadsheets and scripts write them."""

import gzip

import pytest

pa = pytest.importorskip("pyarrow")

from pointsman.errors import DataRefused  # noqa: E402
from pointsman.learn.readers.columns import read_file  # noqa: E402


def read(tmp_path, data, name="t.csv"):
    (tmp_path / name).write_bytes(data)
    return read_file(tmp_path / name).to_pydict()


@pytest.mark.parametrize(("ids", "expected"), [
    (("7", "8"), [7, 8]), (("007", "8"), ["007", "8"]), (("1.50", "2"), ["1.50", "2"]), (("a", "8"), ["a", "8"]), (("", "2"), [None, 2]),
])
def test_names_of_rows_stay_what_they_were(tmp_path, ids, expected):
    assert read(tmp_path, f"query_id,prompt\n{ids[0]},x\n{ids[1]},y\n".encode())["query_id"] == expected


@pytest.mark.parametrize("data", [
    b"query_id;prompt;m\r\n1;caf\xc3\xa9, please;0.5\r\n",
    b"query_id\tprompt\tm\n1\tcaf\xc3\xa9, please\t0.5\n",
    b'\xef\xbb\xbfquery_id,prompt,m\n1,"caf\xc3\xa9, please",0.5\n',
    'query_id\tprompt\tm\n1\tcafé, please\t0.5\n'.encode("utf-16"),
], ids=["semicolons", "tabs", "mark", "UTF-16"])
def test_what_spreadsheets_write_is_read(tmp_path, data):
    assert read(tmp_path, data) == {"query_id": [1], "prompt": ["café, please"], "m": [0.5]}


def test_a_comma_in_the_first_line_parts_columns_whatever_else_is_in_it(tmp_path):
    assert list(read(tmp_path, b"query_id,prompt,a;b\n1,x,0.5\n")) == ["query_id", "prompt", "a;b"]


def test_gzipped_tables_are_read(tmp_path):
    assert read(tmp_path, gzip.compress(b"query_id,prompt\n7,x\n"), "t.csv.gz") == {"query_id": [7], "prompt": ["x"]}


@pytest.mark.parametrize("data", [b"", b"query_id,prompt\n7,x\n", gzip.compress(b"query_id,prompt\n7,x\n", mtime=0)[:-6]],
                         ids=["empty", "plain", "cut"])
def test_a_damaged_archive_is_refused_in_a_sentence(tmp_path, data):
    with pytest.raises(DataRefused, match="cannot be read"):
        read(tmp_path, data, "t.csv.gz")
