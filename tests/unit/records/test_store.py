from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pointsman.core.decision import Decision, StageView
from pointsman.core.record import Attempt, Escalation, Record
from pointsman.core.reply import Usage
from pointsman.errors import ConfigError
from pointsman.records.rows import RECORDS, row_of
from pointsman.records.store import Store


def a_record(id: str, at: float = 1_800_000_000.0, **overrides: Any) -> Record:
    attempt = Attempt(1, "small", "small", "small/0", "m", "chosen", 0.0, 0.5, 0.1, "answered", usage=Usage(100, 20, 5),
                      cost_nano_usd=17, cost_basis="gpu")
    values: dict[str, Any] = {
        "id": id, "at": at, "kind": "chat", "requested_model": "auto", "route": "auto", "tenant": "acme", "key": "app",
        "stream": True, "outcome": "answered", "status": 200, "duration_s": 0.5, "ttft_s": 0.1, "routing_tier": "small",
        "rung": 1, "pool": "small", "model_id": "small-model", "endpoint": "small/0",
        "decision": Decision("auto", "small", 1, "policy", "clears 0.8", 0.9, stages=(StageView("rules", "abstained", "", 1e-5),)),
        "attempts": (attempt,), "usage": Usage(100, 20, 5), "cost_nano_usd": 17, "cost_basis": "gpu",
    }
    return Record(**(values | overrides))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "kept" / "records.db")
    yield store
    store.close()


def keep(store: Store, *records: Record) -> int:
    return store.add([[row_of(msgspec.json.encode(r))] for r in records], file="spool-1-1.jsonl", position=7)


def test_a_record_comes_back_as_it_was(store: Store) -> None:
    record = a_record("a", original_tier="tiny", escalations=(Escalation("tiny", "small", "failed"),), prompt="hi", answer="ho")
    keep(store, record)

    assert store.get("a") == record
    assert store.get("b") is None


def test_the_columns_say_what_the_record_says(store: Store, tmp_path: Path) -> None:
    keep(store, a_record("a"))
    with sqlite3.connect(tmp_path / "kept" / "records.db") as db:
        db.row_factory = sqlite3.Row
        row = dict(db.execute("SELECT * FROM records").fetchone())
    db.close()
    row.pop("document")

    assert row == {
        "id": "a", "at": 1_800_000_000.0, "kind": "chat", "route": "auto", "tenant": "acme", "key": "app", "requested_model": "auto",
        "routing_tier": "small", "original_tier": "", "rung": 1, "pool": "small", "model_id": "small-model",
        "endpoint": "small/0", "decided_by": "policy", "reason": "clears 0.8", "outcome": "answered", "status": 200, "stream": 1,
        "duration_s": 0.5, "ttft_s": 0.1, "input_tokens": 100, "output_tokens": 20, "cached_tokens": 5, "cost_nano_usd": 17,
        "cost_basis": "gpu", "attempts": 1, "error": None, "simulated": 0, "prompt": None, "answer": None,
    }


def test_prompts_stand_in_one_place_only(store: Store, tmp_path: Path) -> None:
    keep(store, a_record("a", prompt="my secret question", answer="42"))
    with sqlite3.connect(tmp_path / "kept" / "records.db") as db:
        document, prompt = db.execute("SELECT document, prompt FROM records").fetchone()
    db.close()

    assert prompt == "my secret question"
    assert "secret question" not in document


def test_an_id_is_kept_once(store: Store) -> None:
    assert keep(store, a_record("a"), a_record("b")) == 2
    assert keep(store, a_record("b", status=500), a_record("c")) == 1
    assert [r.status for r in store.recent()] == [200, 200, 200]


def test_the_newest_come_first_and_can_be_narrowed(store: Store) -> None:
    keep(store, a_record("a", 1.0), a_record("b", 2.0, route="support"), a_record("c", 3.0), a_record("d", 4.0))

    assert [r.id for r in store.recent(2)] == ["d", "c"]
    assert [r.id for r in store.recent(before=3.0)] == ["b", "a"]
    assert [r.id for r in store.recent(route="auto", before=4.0)] == ["c", "a"]


def test_only_the_owner_may_read_the_database(store: Store, tmp_path: Path) -> None:
    keep(store, a_record("a"))

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "kept").iterdir()}
    assert modes["records.db"] == 0o600
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


def test_a_database_of_a_newer_version_is_left_alone(store: Store, tmp_path: Path) -> None:
    store.open()
    with sqlite3.connect(tmp_path / "kept" / "records.db") as db:
        db.execute("INSERT INTO schema_version VALUES (2)")
    db.close()

    with pytest.raises(ConfigError, match="has schema 2"):
        Store(tmp_path / "kept" / "records.db").open()


def test_rows_and_position_move_together(store: Store) -> None:
    broken = ("x",) * (len(RECORDS.columns) - 1)
    keep(store, a_record("a"))
    with pytest.raises(Exception, match="binding"):
        store.add([[row_of(msgspec.json.encode(a_record("b")))], [], [broken]], file="spool-1-1.jsonl", position=99)

    assert store.get("b") is None
    assert store.position("spool-1-1.jsonl") == 7
    store.forget("spool-1-1.jsonl")
    assert store.position("spool-1-1.jsonl") == 0


def test_an_unknown_field_of_a_newer_writer_is_no_obstacle() -> None:
    line = msgspec.json.encode(a_record("a"))
    assert row_of(b'{"new_field":{"deep":[1]},' + line[1:])[0] == "a"


@pytest.mark.parametrize("batch", [1, 2, 3, 10])
def test_records_with_prompts_come_oldest_first_whatever_the_batch(store: Store, batch: int) -> None:
    keep(store, a_record("b", at=2.0, prompt="two"), a_record("a", at=1.0, prompt="one"), a_record("x", at=1.5, prompt=None),
         a_record("d", at=2.0, prompt=""), a_record("c", at=2.0, prompt="three"))

    assert [(one.id, one.prompt) for one in store.with_prompts(batch)] == [("a", "one"), ("b", "two"), ("c", "three"), ("d", "")]


def test_records_of_the_usual_size_leave_little_of_the_file_empty(store: Store, tmp_path: Path) -> None:
    stage = StageView("heuristic", "refined", "looks middling: a coding task; ", 1e-5)
    records = [a_record(f"{i:032x}", decision=Decision("auto", "small", 1, "policy", "clears 0.8", 0.9, stages=(stage,) * 5)) for i in range(400)]
    lines = [msgspec.json.encode(record) for record in records]
    assert 2_000 < len(lines[0]) < 2_500
    store.add([[row_of(line) for line in lines]], file="spool-1-1.jsonl", position=7)
    store.close()
    assert (tmp_path / "kept" / "records.db").stat().st_size < 1.35 * sum(map(len, lines))
