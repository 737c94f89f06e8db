"""JSON lines as Python, PowerShell and editors write them."""

import json
import math

import pytest

pytest.importorskip("pyarrow")

from pointsman.errors import DataRefused
from pointsman.learn.readers.lines import read


def rows(tmp_path, data, name="a.jsonl"):
    (tmp_path / name).write_bytes(data)
    return [line.row for line in read(tmp_path / name)]


def test_nan_as_python_writes_it_is_null(tmp_path):
    assert rows(tmp_path, json.dumps({"outcomes": {"a": math.nan, "b": 1}}).encode()) == [{"outcomes": {"a": None, "b": 1}}]
    assert rows(tmp_path, json.dumps([{"a": math.nan}]).encode()) == [{"a": None}]


def test_infinity_stays_what_it_is_and_is_refused_where_it_is_read(tmp_path):
    assert rows(tmp_path, b'{"a": -Infinity}') == [{"a": -math.inf}]


def test_half_an_emoji_is_one_letter_that_cannot_be_read(tmp_path):
    assert rows(tmp_path, rb'{"text": "a\ud83d b"}') == [{"text": "a\ufffd b"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("content", ['{"a": "é"}\r\n{"a": "三"}\r\n', '[{"a": "é"}, {"a": "三"}]'])
def test_a_mark_at_the_beginning_is_no_line(tmp_path, encoding, content):
    assert rows(tmp_path, content.encode(encoding)) == [{"a": "é"}, {"a": "三"}]


@pytest.mark.parametrize(("data", "said"), [
    (b"PK\x03\x04rest", "spreadsheet"), (b"\x1f\x8brest", "gzipped: name it so"), (b"ab\0cd", "no text"),
    (b'{"a": 1}\n{"a": "caf\xe9"}', "line 2 is not written in UTF-8"), (b'{"a": 1}\n{"a": nan}', "line 2 is no JSON object"),
    (b"[{}, 3]", "object 2 is no JSON object"), (b'{"a": ' + b"[" * 100_000, "line 1 is no JSON object"),
])
def test_what_is_no_json_is_refused_for_what_it_is(tmp_path, data, said):
    with pytest.raises(DataRefused, match=said):
        rows(tmp_path, data)
