"""Answers that somebody looked at, from a file."""

import json

import pytest

np = pytest.importorskip("numpy")

from pointsman.errors import DataRefused  # noqa: E402
from pointsman.learn.judged_answers import is_judged, read  # noqa: E402


def a_file(folder, *rows):
    path = folder / "judged.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(query="1", tier="small", quality=1, **values):
    return {"query": query, "tier": tier, "quality": quality, "verified": 0.7, **values}


def test_a_row_per_query_and_tier_becomes_a_ladder_cheapest_first(tmp_path):
    path = a_file(tmp_path, row(tier="large", usd=5.0, quality=True, verified=None), row(usd=1.0, quality=0.5, seconds=2.0, task="sql", prompt="Hi"))
    found = read(path)

    assert is_judged(path)
    assert found.tiers == ("small", "large")
    assert found.quality.tolist() == [[0.5, 1.0]]
    assert found.usd.tolist() == [[1.0, 5.0]]
    assert found.score[0, 0] == 0.7
    assert np.isnan(found.score[0, 1]), "null is an abstention"
    assert (found.prompts, found.task) == (("Hi",), ("sql",))


def test_a_query_that_a_tier_did_not_answer_is_left_out_and_told(tmp_path):
    found = read(a_file(tmp_path, row(), row(tier="large"), row("2")), ladder=["small", "large"])

    assert len(found) == 1
    assert "1 queries are left out" in found.notes[0]


def test_without_prices_they_are_guessed_and_without_seconds_none_are_told(tmp_path):
    found = read(a_file(tmp_path, row(), row(tier="large")), ladder=["small", "large"])

    assert found.usd[0, 1] > found.usd[0, 0]
    assert any("prices" in note for note in found.notes)
    assert any("times" in note for note in found.notes)


def test_features_are_read_as_records_have_them(tmp_path):
    found = read(a_file(tmp_path, row(features={"logprobs.mean": -0.5, "min": -2, "odd": "x"}), row(tier="large")), ladder=["small", "large"])

    assert found.has_features
    assert found.features[0][0] == {"mean": -0.5, "min": -2.0}


def test_what_a_router_expected_is_kept_when_all_rows_tell(tmp_path):
    assert read(a_file(tmp_path, row(p=0.4), row(tier="large", p=0.8)), ladder=["small", "large"]).p.tolist() == [[0.4, 0.8]]
    assert read(a_file(tmp_path, row(p=0.4), row(tier="large")), ladder=["small", "large"]).p is None


@pytest.mark.parametrize(("rows", "words"), [
    ([row()], "at least two tiers"),
    ([row(), row(tier="large", quality=7)], "from 0 to 1"),
    ([row(), row(tier="large", quality="good")], "not a number"),
    ([{"tier": "small", "quality": 1, "verified": 1}], "has no 'query'"),
])
def test_what_cannot_be_read_is_refused_in_words(tmp_path, rows, words):
    with pytest.raises(DataRefused, match=words):
        read(a_file(tmp_path, *rows))


def test_an_unknown_tier_on_the_ladder_is_named(tmp_path):
    with pytest.raises(DataRefused, match="'huge' has no answers"):
        read(a_file(tmp_path, row(), row(tier="large")), ladder=["small", "huge"])


def test_other_shapes_are_not_taken_for_it(tmp_path):
    assert not is_judged(a_file(tmp_path, {"prompt": "Hi", "tier": "small"}))
    assert not is_judged(tmp_path)
