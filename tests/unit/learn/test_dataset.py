"""Labels in rows: tiers, categories, outcomes, answers, preferences; and which is which."""

import gzip
import json
import math

import pytest

pa = pytest.importorskip("pyarrow")

import pyarrow.parquet as pq  # noqa: E402

from pointsman.errors import DataRefused  # noqa: E402
from pointsman.learn.dataset import read_dataset  # noqa: E402


def lines(tmp_path, *rows, name="data.jsonl"):
    path = tmp_path / name
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", "utf-8")
    return path


def test_a_tier_is_the_smallest_that_is_good_enough(tmp_path):
    found = read_dataset(lines(tmp_path, {"text": "hi", "tier": "small"}, {"text": "prove it", "tier": "large"}, {"text": "sum up", "tier": "medium"}))

    assert found.shape == "tiers"
    assert found.table.models == ("small", "medium", "large")
    assert found.table.quality.tolist() == [[1, 1, 1], [0, 0, 1], [0, 1, 1]]


@pytest.mark.parametrize("names", [("tier-1", "tier-2", "tier-3"), ("1", "2", "3"), ("simple", "medium", "complex"), ("haiku", "sonnet", "opus")])
def test_names_that_say_their_order_need_no_ladder(tmp_path, names):
    rows = [{"prompt": name, "label": name} for name in reversed(names)]

    assert read_dataset(lines(tmp_path, *rows)).table.models == names


def test_numbers_are_tiers(tmp_path):
    assert read_dataset(lines(tmp_path, {"text": "a", "tier": 2}, {"text": "b", "tier": 1})).table.models == ("1", "2")


def test_other_names_need_a_ladder(tmp_path):
    path = lines(tmp_path, {"text": "a", "tier": "qwen"}, {"text": "b", "tier": "llama"})

    with pytest.raises(DataRefused, match="llama,qwen do not say which is the cheaper: add --ladder"):
        read_dataset(path)
    assert read_dataset(path, ladder=["qwen", "llama"]).table.models == ("qwen", "llama")
    with pytest.raises(DataRefused, match="not on the ladder"):
        read_dataset(path, ladder=["qwen"])


def test_categories_say_nothing_about_each_other(tmp_path):
    found = read_dataset(lines(tmp_path, {"text": "a", "category": "billing"}, {"text": "b", "category": "code"}), "categories")

    assert found.table.quality.tolist() == [[1, 0], [0, 1]]


def test_the_last_user_message_is_the_prompt(tmp_path):
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "first"}, {"role": "assistant", "content": "yes"},
                {"role": "user", "content": [{"type": "text", "text": "second"}, {"type": "image_url", "image_url": {}}]}]

    assert read_dataset(lines(tmp_path, {"messages": messages, "tier": "small"}, {"text": "b", "tier": "large"})).table.prompts == ["second", "b"]


def test_outcomes_by_model(tmp_path):
    found = read_dataset(lines(tmp_path, {"prompt": "a", "outcomes": {"x": 0, "y": True}, "id": 7}, {"prompt": "b", "outcomes": {"y": 0.5, "z": None}}))

    assert found.shape == "outcomes"
    assert found.table.models == ("x", "y", "z")
    assert found.table.quality[0, :2].tolist() == [0.0, 1.0]
    assert found.table.quality[1, 1] == 0.5
    assert math.isnan(found.table.quality[1, 2])
    assert found.table.query_id == ["7", "1"]


def test_an_outcome_outside_is_refused_with_its_line(tmp_path):
    with pytest.raises(DataRefused, match=r"line 2: the outcome of 'x' is 3, outside \[0, 1\]"):
        read_dataset(lines(tmp_path, {"prompt": "a", "outcomes": {"x": 1}}, {"prompt": "b", "outcomes": {"x": 3}}))


def test_one_row_per_answer_is_gathered_by_prompt(tmp_path):
    found = read_dataset(lines(tmp_path, {"prompt": "a", "model": "x", "score": 1}, {"prompt": "a", "model": "y", "score": 0},
                               {"prompt": "a", "model": "x", "score": 0}, {"prompt": "b", "model": "y", "score": 1}))

    assert found.shape == "answers"
    assert found.table.prompts == ["a", "b"]
    assert found.table.quality[0].tolist() == [0.5, 0.0]
    assert "averaged" in found.notes[0]


@pytest.mark.parametrize(("winner", "expected"), [
    ("model_a", [1, 0]), ("b", [0, 1]), ("tie", [1, 1]), ("tie (bothbad)", [0, 0]), ("x", [1, 0]), ("y", [0, 1]),
])
def test_a_preference_says_who_was_good_enough(tmp_path, winner, expected):
    found = read_dataset(lines(tmp_path, {"prompt": "a", "model_a": "x", "model_b": "y", "winner": winner}))

    assert found.shape == "preferences"
    assert found.table.quality.tolist() == [expected]


def test_other_shapes_of_preferences(tmp_path):
    flags = {"model_a": "x", "model_b": "y", "winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0}
    assert read_dataset(lines(tmp_path, {"prompt": "a", **flags})).table.quality.tolist() == [[0, 1]]
    assert read_dataset(lines(tmp_path, {"prompt": "a", "chosen_model": "x", "rejected_model": "y"})).table.quality.tolist() == [[1, 0]]


def test_a_verdict_that_nobody_understands_is_refused(tmp_path):
    with pytest.raises(DataRefused, match="line 1: the winner is 'blue'"):
        read_dataset(lines(tmp_path, {"prompt": "a", "model_a": "x", "model_b": "y", "winner": "blue"}))


def test_csv_and_parquet_hold_the_other_shapes_too(tmp_path):
    (tmp_path / "t.csv").write_text("text,tier\nhi,small\n\"prove, it\",large\n")
    pq.write_table(pa.table({"prompt": ["a", "b"], "label": [1, 2]}), tmp_path / "t.parquet")
    pq.write_table(pa.table({"prompt": ["a", "a"], "model": ["x", "y"], "score": [0.5, 1.0]}), tmp_path / "long.parquet")

    assert read_dataset(tmp_path / "t.csv").table.prompts == ["hi", "prove, it"]
    assert read_dataset(tmp_path / "t.parquet").table.models == ("1", "2")
    assert read_dataset(tmp_path / "long.parquet").table.quality.tolist() == [[0.5, 1.0]]


def test_gzip_and_arrays_of_objects_are_read(tmp_path):
    rows = [{"text": "a", "tier": "small"}, {"text": "b", "tier": "large"}]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    (tmp_path / "a.json").write_text(json.dumps(rows))

    assert read_dataset(tmp_path / "a.jsonl.gz").table.prompts == read_dataset(tmp_path / "a.json").table.prompts == ["a", "b"]


@pytest.mark.parametrize(("content", "said"), [
    ("", "no rows"), ("\n\n", "no rows"), ("nonsense", "line 1 is no JSON object"), ('{"text": "a", "tier": "small"}\n[1]', "line 2 is no JSON object"),
    ('{"a": 1}', "no shape that is known"), ('{"tier": "small"}', "line 1 has no prompt"), ('{"text": "a", "tier": "small"}\n{"text": "b"}', "line 2 has no label"),
    ("[1, 2]", "object 1 is no JSON object"), ("[", "no JSON array"),
])
def test_what_cannot_be_read_is_said_with_its_place(tmp_path, content, said):
    (tmp_path / "a.jsonl").write_text(content)

    with pytest.raises(DataRefused, match=said):
        read_dataset(tmp_path / "a.jsonl")


def test_split_group_time_and_weight_come_along(tmp_path):
    found = read_dataset(lines(tmp_path, {"text": "a", "tier": "small", "split": "train", "session": "s", "at": "2026-01-01T00:00:00+00:00", "weight": 1},
                               {"text": "b", "tier": "large", "split": "dev", "session": "s", "at": 1767225600, "weight": 3})).table

    assert found.split == ["train", "dev"]
    assert found.group[0] == found.group[1]
    assert found.at.tolist() == [1767225600.0] * 2
    assert found.weight.tolist() == [0.5, 1.5]


def test_among_keeps_the_models_that_both_know_in_that_order(tmp_path):
    path = lines(tmp_path, {"prompt": "a", "outcomes": {"x": 0, "y": 1, "z": 1}})

    assert read_dataset(path, among=["z", "q", "x"]).table.models == ("z", "x")
    with pytest.raises(DataRefused, match="outcomes of x, y, z; the artifact knows q"):
        read_dataset(path, among=["q"])


def test_labels_that_contradict_each_other_are_counted(tmp_path):
    path = lines(tmp_path, {"text": "a", "tier": "small"}, {"text": "a", "tier": "large"}, {"text": "b", "tier": "small"}, {"text": "b", "tier": "small"})

    assert read_dataset(path).notes == ("2 rows repeat a prompt; their outcomes were averaged, and 1 prompts had some that contradict each other",)


def test_a_prompt_on_both_sides_of_the_split_is_trained_on_and_measures_nothing(tmp_path):
    path = lines(tmp_path, {"text": "a", "tier": "small", "split": "dev"}, {"text": "a", "tier": "small", "split": "train"},
                 {"text": "b", "tier": "large", "split": "dev"})
    found = read_dataset(path)

    assert found.table.split == ["train", "dev"]
    assert "must not share" in found.notes[1]
