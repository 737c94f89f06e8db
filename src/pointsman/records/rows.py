"""From a spool line to the row of the store: the columns worth asking for, and the whole record as its document."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

from pointsman.core.record import Record

METADATA = MetaData()

RECORDS = Table(
    "records", METADATA,
    Column("id", String, primary_key=True),
    Column("at", Float, nullable=False),
    Column("kind", String, nullable=False),
    Column("route", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("key", String, nullable=False),
    Column("requested_model", String, nullable=False),
    Column("routing_tier", String, nullable=False),
    Column("original_tier", String, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("pool", String, nullable=False),
    Column("model_id", String, nullable=False),
    Column("endpoint", String, nullable=False),
    Column("decided_by", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("ttft_s", Float),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("cost_nano_usd", BigInteger),
    Column("cost_basis", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", String),
    Column("simulated", Boolean, nullable=False),
    Column("prompt", Text),
    Column("answer", Text),
    # The record as JSON, without prompt and answer: those stand in one place only, so that they can be erased there.
    Column("document", Text, nullable=False),
    Index("records_at", "at"),
)

SPOOLS = Table(
    "spools", METADATA,
    # How far a spool file has been imported; moves in the transaction that inserts the rows.
    Column("file", String, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

VERSIONS = Table("schema_version", METADATA, Column("version", Integer, primary_key=True))

Row = tuple[Any, ...]


class _Decision(msgspec.Struct, frozen=True, gc=False):
    decided_by: str = ""
    reason: str = ""


class _Usage(msgspec.Struct, frozen=True, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None


class _Line(msgspec.Struct, frozen=True):
    """What the columns need of a record; the rest of the line is skipped, not built."""

    id: str
    at: float
    kind: str
    requested_model: str
    route: str
    tenant: str
    key: str
    stream: bool
    outcome: str
    status: int
    duration_s: float
    ttft_s: float | None = None
    routing_tier: str = ""
    original_tier: str = ""
    rung: int = 0
    pool: str = ""
    model_id: str = ""
    endpoint: str = ""
    decision: _Decision | None = None
    attempts: tuple[msgspec.Raw, ...] = ()
    usage: _Usage | None = None
    cost_nano_usd: int | None = None
    cost_basis: str = "unpriced"
    error: str | None = None
    prompt: str | None = None
    answer: str | None = None
    simulated: bool = False


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_record = msgspec.json.Decoder(Record).decode
_NO_DECISION, _NO_USAGE = _Decision(), _Usage()


def row_of(line: bytes) -> Row:
    """The values of `RECORDS`, in its order. Raises `msgspec.MsgspecError` or `UnicodeError` for what is no record."""
    it = _decode_line(line)
    decision, usage = it.decision or _NO_DECISION, it.usage or _NO_USAGE
    document = line.decode()
    if it.prompt is not None or it.answer is not None:
        bare = msgspec.structs.replace(_decode_record(line), prompt=None, answer=None)
        document = msgspec.json.encode(bare).decode()
    return (
        it.id, it.at, it.kind, it.route, it.tenant, it.key, it.requested_model, it.routing_tier, it.original_tier,
        it.rung, it.pool, it.model_id, it.endpoint, decision.decided_by, decision.reason, it.outcome, it.status,
        it.stream, it.duration_s, it.ttft_s, _fits(usage.input_tokens), _fits(usage.output_tokens),
        _fits(usage.cached_tokens), _fits(it.cost_nano_usd), it.cost_basis, len(it.attempts), it.error, it.simulated,
        it.prompt, it.answer, document,
    )


def record_of(document: str, prompt: str | None, answer: str | None) -> Record:
    """The record that a row was made from."""
    record = _decode_record(document)
    if prompt is None and answer is None:
        return record
    return msgspec.structs.replace(record, prompt=prompt, answer=answer)


def _fits(number: int | None) -> int | None:
    """An upstream may claim 10^30 tokens; a column holds 64 bits. The document keeps what it said."""
    return number if number is None or -(2**63) <= number < 2**63 else None
