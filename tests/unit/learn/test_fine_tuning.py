"""Labels as a fine-tuning set."""

import json
from math import nan

import pytest

pytest.importorskip("pyarrow")

from typer.testing import CliRunner

from pointsman.cli.main import app
from pointsman.learn.fine_tuning import class_of


def export(tmp_path, rows, *arguments):
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "set.jsonl"
    result = CliRunner().invoke(app, ["export", str(tmp_path / "labels.jsonl"), "--out", str(out), *arguments])
    return result, [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


TIERS = [{"text": f"Question number {i} about topic {i * 7}", "tier": ("small", "large")[i % 2]} for i in range(20)]


@pytest.mark.parametrize(("row", "place"), [
    ([1.0, 1.0, 1.0], 0), ([0.4, 0.5, 1.0], 1), ([0.0, 0.0, 0.0], 2), ([nan, 1.0, 1.0], None), ([0.0, nan, 1.0], None), ([1.0, nan, nan], 0)])
def test_the_class_is_the_cheapest_rung_that_is_good_enough_and_surely_so(row, place):
    assert class_of(row, 0.5) == place


def test_a_head_gets_text_and_label_and_a_split(tmp_path):
    result, rows = export(tmp_path, TIERS, "--held-out", "0.2")

    assert result.exit_code == 0, result.output
    assert rows[1].items() >= {"text": "Question number 1 about topic 7", "label": "large", "label_id": 1}.items()
    assert [row["split"] for row in rows].count("dev") == 4
    assert "20 rows (small 10, large 10)" in result.output
    assert "as the labels' names say" in result.output


def test_a_judge_gets_the_question_it_will_be_asked_and_the_right_digit(tmp_path):
    _, rows = export(tmp_path, TIERS, "--form", "judge")

    system, user, said = rows[1]["messages"]
    assert "You sort prompts by how hard" in system["content"]
    assert "Question number 1" in user["content"]
    assert user["content"].endswith("nothing else: 1 or 2.")
    assert said == {"role": "assistant", "content": "2"}


def test_what_a_harness_wrapped_around_the_words_is_left_out_and_long_texts_are_cut(tmp_path):
    rows = [{"text": "<system-reminder>no</system-reminder>" + "a" * 300, "tier": "small"}, {"text": "b", "tier": "large"}]
    _, written = export(tmp_path, rows, "--max-chars", "100")

    assert written[0]["text"] == "a" * 50 + "\n" + "a" * 50


def test_rows_that_nobody_can_decide_are_left_out_and_counted(tmp_path):
    rows = [{"prompt": "p1", "outcomes": {"qwen-7b": None, "llama-70b": 1}}, {"prompt": "p2", "outcomes": {"qwen-7b": 0, "llama-70b": 1}},
            {"prompt": "p3", "outcomes": {"qwen-7b": 1, "llama-70b": 0}}]
    result, written = export(tmp_path, rows)

    assert [row["label"] for row in written] == ["llama-70b", "qwen-7b"]
    assert "1 rows were left out" in result.output
    assert "sizes in their names" in result.output


def test_near_duplicates_stay_together_and_the_same_seed_gives_the_same_bytes(tmp_path):
    rows = [{"text": f"Where is my order number {i % 5}, please tell me now?", "tier": "small"} for i in range(20)] + TIERS
    _, first = export(tmp_path, rows, "--held-out", "0.5", "--form", "judge")
    _, second = export(tmp_path, rows, "--held-out", "0.5", "--form", "judge")

    assert first == second
    splits = {}
    for row in first:
        splits.setdefault(row["messages"][1]["content"].split("\n")[1], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())


@pytest.mark.parametrize(("rows", "why"), [([{"text": "x"}], "no shape that is known"), ([{"prompt": "p", "outcomes": {"a": 1}}], "one class")])
def test_what_cannot_be_is_one_sentence_and_exit_2(tmp_path, rows, why):
    result, written = export(tmp_path, rows)

    assert (result.exit_code, written) == (2, [])
    assert why in result.output
