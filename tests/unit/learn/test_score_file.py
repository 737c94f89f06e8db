"""Prompts in, scores out, whatever the file is."""

import json
import os

import pytest

np = pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

import pyarrow.parquet as pq  # noqa: E402

from pointsman.errors import DataRefused  # noqa: E402
from pointsman.learn.score_file import score_file  # noqa: E402
from pointsman.learn.training import Wishes, train  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    rows = [{"prompt": f"question {n} about {'proofs' if n % 2 else 'parcels'} and {n * 7}", "outcomes": {"small": n % 2, "large": 1}} for n in range(20)]
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    train(folder / "labels.jsonl", folder / "made", Wishes(embedder="static"))
    return folder / "made"


def scored(made, source, out):
    return score_file(source, out, made), pq.read_table(out)


def test_json_lines_are_scored_and_their_names_kept(made, tmp_path):
    (tmp_path / "q.jsonl").write_text('{"query_id": 7, "prompt": "a"}\n{"query_id": 3, "messages": [{"role": "user", "content": "b"}]}\n')
    done, table = scored(made, tmp_path / "q.jsonl", tmp_path / "s.parquet")

    assert table["query_id"].to_pylist() == [7, 3]
    assert table.column_names == ["query_id", "small", "large"]
    assert (done.rows, done.note) == (2, "")


@pytest.mark.parametrize(("ids", "expected"), [(["a", 1], ["a", "1"]), ([10**30, 1], [str(10**30), "1"]), ([True, 1], ["True", "1"])])
def test_names_that_are_no_whole_numbers_are_text(made, tmp_path, ids, expected):
    (tmp_path / "q.jsonl").write_text("\n".join(json.dumps({"query_id": id_, "prompt": "x"}) for id_ in ids))

    assert scored(made, tmp_path / "q.jsonl", tmp_path / "s.parquet")[1]["query_id"].to_pylist() == expected


def test_lines_without_names_are_numbered_and_that_is_said(made, tmp_path):
    (tmp_path / "q.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    done, table = scored(made, tmp_path / "q.jsonl", tmp_path / "s.parquet")

    assert table["query_id"].to_pylist() == [0, 1]
    assert "numbered from 0" in done.note


def test_a_table_without_names_is_refused(made, tmp_path):
    (tmp_path / "q.csv").write_text("prompt\na\n")

    with pytest.raises(DataRefused, match="no column 'query_id'"):
        score_file(tmp_path / "q.csv", tmp_path / "s.parquet", made)


def test_no_rows_are_a_table_of_no_rows(made, tmp_path):
    pq.write_table(pa.table({"query_id": pa.array([], pa.string()), "prompt": pa.array([], pa.string())}), tmp_path / "q.parquet")

    assert scored(made, tmp_path / "q.parquet", tmp_path / "s.parquet")[1].schema.names == ["query_id", "small", "large"]


@pytest.mark.parametrize(("out", "said"), [("s.jsonl", "of Parquet or"), (".", "of Parquet or"), ("nowhere/s.parquet", "there is no folder")])
def test_a_place_for_no_scores_is_refused_before_anything_is_read(made, tmp_path, out, said):
    with pytest.raises(DataRefused, match=said):
        score_file(tmp_path / "not there.parquet", tmp_path / out, made)


def test_what_is_no_file_is_written_to_and_not_replaced(made, tmp_path):
    pq.write_table(pa.table({"query_id": ["a"], "prompt": ["x"]}), tmp_path / "q.parquet")
    os.symlink(os.devnull, tmp_path / "s.csv")

    score_file(tmp_path / "q.parquet", tmp_path / "s.csv", made)

    assert (tmp_path / "s.csv").is_symlink()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["q.parquet", "s.csv"]


def test_an_embedder_that_the_artifact_does_not_know_is_said(made, tmp_path):
    pq.write_table(pa.table({"query_id": ["a"], "prompt": ["x"]}), tmp_path / "q.parquet")

    assert "static scores only" in score_file(tmp_path / "q.parquet", tmp_path / "s.parquet", made, embedder="l6").note
