"""Records as labels: what verifiers said."""

import sqlite3

import msgspec
import pytest

pytest.importorskip("pyarrow")

from pointsman.core.record import Check, Escalation, Record
from pointsman.errors import DataRefused
from pointsman.learn.dataset import read_dataset
from pointsman.learn.readers.recorded import verdicts_of
from pointsman.records.rows import row_of
from pointsman.records.store import Store


def a_record(id, prompt="Where is my order?", **overrides):
    values = {"id": id, "at": 1_800_000_000.0, "kind": "chat", "requested_model": "auto", "route": "auto", "tenant": "", "key": "", "stream": False,
              "outcome": "answered", "status": 200, "duration_s": 1.0, "ttft_s": 0.1, "routing_tier": "small", "prompt": prompt, "messages": 1}
    return Record(**(values | overrides))


def a_check(tier, score, *, is_whole=True):
    return Check(attempt=1, tier=tier, score=score, evidence=0.0, is_whole=is_whole, duration_s=0.01)


def climbed(id, **overrides):
    return a_record(id, routing_tier="large", original_tier="small", escalations=(Escalation("small", "large", "verifier"),), **overrides)


def test_a_verifiers_climb_says_who_was_good_enough():
    assert verdicts_of(climbed("1")) == {"small": 0.0, "large": 1.0}
    assert verdicts_of(climbed("1", outcome="failed")) == {"small": 0.0}


def test_a_whole_answers_score_is_its_tiers_outcome():
    assert verdicts_of(a_record("1", checks=(a_check("small", 0.9),))) == {"small": 0.9}
    assert verdicts_of(climbed("1", checks=(a_check("small", 0.2), a_check("large", 0.7)))) == {"small": 0.2, "large": 0.7}


@pytest.mark.parametrize("record", [
    a_record("1"), a_record("1", checks=(a_check("small", None),)), a_record("1", checks=(a_check("small", 0.9, is_whole=False),)),
    a_record("1", escalations=(Escalation("small", "large", "saturated"),)),
])
def test_what_nobody_looked_at_says_nothing(record):
    assert verdicts_of(record) == {}


def stored(tmp_path, *records):
    store = Store(tmp_path / "records.db")
    store.add([[row_of(msgspec.json.encode(record)) for record in records]], file="f", position=1)
    store.close()
    return tmp_path / "records.db"


def spooled(tmp_path, *records):
    place = tmp_path / "records.spool"
    place.mkdir()
    lines = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
    (place / "spool-1-1.jsonl").write_bytes(lines + b'{"torn": ')
    return place


@pytest.mark.parametrize("kept", [stored, spooled, lambda *given: spooled(*given) / "spool-1-1.jsonl"], ids=["store", "spool", "file"])
def test_records_are_read_wherever_they_are(tmp_path, kept):
    records = [climbed("1", prompt="prove it"), a_record("2", checks=(a_check("small", 0.75),)), a_record("3"), climbed("4", prompt=None)]

    found = read_dataset(kept(tmp_path, *records))

    assert found.shape == "records"
    assert found.table.models == ("small", "large")
    assert found.table.query_id == ["1", "2"]
    assert found.table.prompts == ["prove it", "Where is my order?"]
    assert found.table.quality[0].tolist() == [0.0, 1.0]
    assert found.table.quality[1, 0] == 0.75
    assert found.table.at.tolist() == [1_800_000_000.0] * 2


def test_the_turn_that_was_classified_is_learned_from_and_not_the_whole_conversation(tmp_path):
    prompt = "You are Ann.\n\nhi\n\nhello\n\nprove it"
    told = climbed("1", prompt=prompt, messages=4, subject=(25, 33))
    older = climbed("2", prompt=prompt, messages=4)

    found = read_dataset(spooled(tmp_path, told, older))

    assert found.table.prompts == ["prove it", prompt]
    assert any(note.startswith("1 of them are conversations of an older version") for note in found.notes)


def test_a_ladder_orders_the_tiers(tmp_path):
    assert read_dataset(stored(tmp_path, climbed("1")), ladder=["large", "small"]).table.models == ("large", "small")


def test_conversations_are_told(tmp_path):
    assert any("conversations" in note for note in read_dataset(stored(tmp_path, climbed("1", messages=3))).notes)


@pytest.mark.parametrize(("records", "said"), [
    ((), "no records"), ((climbed("1", prompt=None),), "no records|none of its"), ((a_record("1"),), "no verifier looked at an answer"),
])
def test_records_that_teach_nothing_say_what_to_change(tmp_path, records, said):
    with pytest.raises(DataRefused, match=said):
        read_dataset(stored(tmp_path, *records))


def test_somebody_elses_database_is_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE things (x)")
    before = path.read_bytes()

    with pytest.raises(DataRefused, match="no records of Pointsman"):
        read_dataset(path)
    assert path.read_bytes() == before
