"""Pointsman's own records as labels: what verifiers said of the answers.

A verifier's score of a whole answer is that tier's outcome. A tier that was climbed from because its answer was turned down was
not good enough, and the answer that such a climb ended with is taken to be. Nothing else says anything: an answer is not
good because it was sent.

What is learned from is what serving reads: the turn that was classified, where the record says which that is. Older records do not;
of those the whole conversation is taken, and a note says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from pointsman.core.record import Record
from pointsman.errors import DataRefused
from pointsman.learn.readers.gathering import Gathering
from pointsman.learn.readers.lines import Line
from pointsman.records.spool import PATTERN
from pointsman.records.store import Store

SQLITE = b"SQLite format 3\x00"


def is_store(path: Path) -> bool:
    """A SQLite file with our table in it."""
    try:
        with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as db:
            return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'records'").fetchone() is not None
    except sqlite3.Error:
        return False


def records_of(path: Path) -> Iterator[Record]:
    """Records of a store, a spool directory or one spool file. Lines that are no record are skipped, as the importer does."""
    if path.is_dir():
        for file in sorted(path.glob(PATTERN)):
            yield from _spooled(file)
    elif path.suffix == ".jsonl":
        yield from _spooled(path)
    elif is_store(path):
        store = Store(path)
        try:
            yield from store.with_prompts()
        finally:
            store.close()
    else:
        raise DataRefused(str(path), "there are no records of Pointsman in it: they are a store (records.db), a spool, or one of its files (.jsonl)")


def read(path: Path, records: Iterable[Record] | None = None) -> tuple[Gathering, list[str]]:
    """The queries with what verifiers said of each tier, and what should be said about them."""
    gathering = Gathering(path)
    seen = kept = conversations = 0
    for record in records_of(path) if records is None else records:
        seen += 1
        if record.prompt is None or record.kind not in ("chat", "completion"):
            continue
        kept += 1
        if not (verdicts := verdicts_of(record)):
            continue
        conversations += record.messages > 1 and record.subject is None
        query = gathering.query(Line(f"record {record.id}", {"id": record.id, "prompt": asked(record), "at": record.at}))
        for tier, verdict in verdicts.items():
            gathering.outcome(query, tier, verdict)
    if not gathering.queries:
        raise DataRefused(str(path), _nothing(seen, kept))
    notes = [f"{len(gathering.queries):,} of {seen:,} records tell something: a verifier looked at the answer"]
    if conversations:
        notes.append(f"{conversations:,} of them are conversations of an older version, kept as one text: their last question cannot be told apart")
    return gathering, notes


def asked(record: Record) -> str:
    """The turn that classifiers read when the record was made; of an older record all of the prompt."""
    prompt = record.prompt or ""
    if record.subject is None:
        return prompt
    start, end = record.subject
    return prompt[start:end]


def verdicts_of(record: Record) -> dict[str, float]:
    """Tier -> how good its answer was, in [0, 1], where a verifier looked at it or a verifier's climb ended with it."""
    found = {check.tier: check.score for check in record.checks if check.score is not None and check.is_whole}
    refused = [step.from_tier for step in record.escalations if step.reason == "verifier"]
    for tier in refused:
        found.setdefault(tier, 0.0)
    if refused and record.outcome == "answered":
        found.setdefault(record.routing_tier, 1.0)
    return found


def _spooled(file: Path) -> Iterator[Record]:
    decode = msgspec.json.Decoder(Record).decode
    try:
        with file.open("rb") as lines:
            for line in lines:
                try:
                    yield decode(line)
                except (msgspec.MsgspecError, UnicodeError):
                    continue  # a torn line
    except OSError as exc:
        raise DataRefused(str(file), f"it cannot be read: {exc.strerror}") from exc


def _nothing(seen: int, kept: int) -> str:
    if not seen:
        return "there are no records in it (prompts are kept only with `records.content: all`)"
    if not kept:
        return f"none of its {seen:,} records keeps the prompt; set `records.content: all`, and later ones can be learned from"
    return (f"{kept:,} records keep the prompt, but no verifier looked at an answer, so nothing says which tier was good enough; "
            "add a verifier to the route's ladder, or label prompts by hand ({\"text\", \"tier\"} per line)")
