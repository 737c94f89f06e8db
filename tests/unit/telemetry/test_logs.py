from __future__ import annotations

import io
import json
import logging
import os
import select
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pointsman.core.decision import Decision
from pointsman.core.record import Attempt, Escalation, Record
from pointsman.core.reply import Usage
from pointsman.telemetry.logs import LogSink, configure_logging, redact


def a_record(**overrides: Any) -> Record:
    attempt = Attempt(1, "small", "small", "small/0", "m", "chosen", 0.0, 0.5, 0.1, "answered")
    values: dict[str, Any] = {
        "id": "0190-id", "at": 1_800_000_000.25, "kind": "chat", "requested_model": "auto", "route": "auto", "tenant": "acme",
        "key": "app", "stream": True, "outcome": "answered", "status": 200, "duration_s": 0.5, "ttft_s": 0.11,
        "routing_tier": "large", "original_tier": "small", "rung": 2, "pool": "large", "model_id": "large-model",
        "endpoint": "large/0", "decision": Decision("auto", "small", 1, "policy", "clears 0.8", 0.9, duration_s=0.0001),
        "attempts": (attempt, attempt), "escalations": (Escalation("small", "large", "failed"),), "usage": Usage(100, 20),
        "cost_nano_usd": 1_234, "cost_basis": "gpu", "client_request_id": "theirs-1",
        "prompt": "the secret prompt", "answer": "the secret answer", "error_message": "upstream said: the secret prompt",
    }
    return Record(**(values | overrides))


class Pipe(tuple[int, int]):
    """Read end and write end. An end is closed once: its number may be somebody else's a moment later."""

    is_ended = is_unread = False

    def hang_up(self) -> None:
        """Nobody reads any more."""
        if not self.is_unread:
            self.is_unread = True
            os.close(self[0])

    def end(self) -> None:
        """The reader sees the end of the file."""
        if not self.is_ended:
            self.is_ended = True
            os.close(self[1])


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    ends = Pipe(os.pipe())
    yield ends
    ends.end()
    ends.hang_up()


def logged(pipe: Pipe, *records: Record) -> list[dict[str, Any]]:
    sink = LogSink(pipe[1], every_s=0.0)
    for record in records:
        sink.write(record)
    sink.close()
    return [json.loads(line) for line in os.read(pipe[0], 1_000_000).splitlines()]


def test_one_line_tells_the_request(pipe: Pipe) -> None:
    assert logged(pipe, a_record()) == [{
        "at": "2027-01-15T08:00:00.250+00:00", "id": "0190-id", "kind": "chat", "outcome": "answered", "status": 200,
        "duration_ms": 500.0, "route": "auto", "tier": "large", "rung": 2, "original_tier": "small", "model": "large-model",
        "endpoint": "large/0", "requested_model": "auto", "decided_by": "policy", "reason": "clears 0.8", "decision_ms": 0.1,
        "stream": True, "ttft_ms": 110.0, "attempts": 2, "escalations": ["small>large:failed"], "input_tokens": 100,
        "output_tokens": 20, "cost_usd": "0.000001234", "cost_basis": "gpu", "tenant": "acme", "key": "app",
        "client_request_id": "theirs-1",
    }]


def test_no_text_of_prompt_or_answer_is_ever_logged(pipe: Pipe) -> None:
    assert "secret" not in json.dumps(logged(pipe, a_record()))


def test_an_unknown_cost_is_absent_and_not_zero(pipe: Pipe) -> None:
    (line,) = logged(pipe, a_record(cost_nano_usd=None, cost_basis="unpriced", error="upstream_failed"))

    assert "cost_usd" not in line
    assert (line["cost_basis"], line["error"]) == ("unpriced", "upstream_failed")


def test_lines_keep_their_order(pipe: Pipe) -> None:
    assert [line["id"] for line in logged(pipe, *(a_record(id=str(i)) for i in range(50)))] == [str(i) for i in range(50)]


def test_a_client_cannot_fake_a_line(pipe: Pipe) -> None:
    assert len(logged(pipe, a_record(requested_model='x"}\n{"id":"fake"'))) == 1


def test_a_reader_that_never_reads_stops_nobody_and_costs_bounded_memory(pipe: Pipe) -> None:
    sink = LogSink(pipe[1], every_s=0.0, max_buffer=100_000)
    for _ in range(2000):  # some 900 KB: more than a pipe and the buffer hold
        sink.write(a_record())

    assert sink.dropped > 0
    assert "nobody reads" in str(sink.last_error)
    sink.close(timeout_s=0.01)
    reader = threading.Thread(target=_empty, args=(pipe[0],))
    reader.start()
    sink.close(timeout_s=60.0)
    pipe.end()
    reader.join()


def test_what_was_not_dropped_arrives_whole_when_the_reader_comes_back(pipe: Pipe) -> None:
    sink = LogSink(pipe[1], every_s=0.0, max_buffer=100_000)
    for _ in range(2000):
        sink.write(a_record())
    seen: list[bytes] = []
    reader = threading.Thread(target=_empty, args=(pipe[0], seen))
    reader.start()
    sink.close(timeout_s=60.0)
    pipe.end()
    reader.join()

    lines = b"".join(seen).splitlines()
    assert len(lines) == 2000 - sink.dropped
    assert all(json.loads(line)["id"] == "0190-id" for line in lines)


def test_room_that_was_written_out_is_free_again(pipe: Pipe) -> None:
    sink = LogSink(pipe[1], every_s=0.0, max_buffer=2000)  # some four lines
    for _ in range(50):
        sink.write(a_record())
        assert os.read(pipe[0], 65536).endswith(b"}\n")
    sink.close()

    assert sink.dropped == 0


def test_a_pipe_that_is_non_blocking_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe[1], False)
    test_what_was_not_dropped_arrives_whole_when_the_reader_comes_back(pipe)


def test_where_a_pipe_is_shared_no_write_is_longer_than_it_keeps_together(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes write to one pipe: what is longer than PIPE_BUF may be torn apart by the other's lines."""
    written: list[bytes] = []
    monkeypatch.setattr("pointsman.telemetry.logs._write_all", lambda fd, data: written.append(data))
    sink = LogSink(pipe[1], shared=True)
    for number in range(100):
        sink.write(a_record(id=f"r{number}"))
    sink.close()

    lines = b"".join(written).splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"r{number}" for number in range(100)]
    assert all(len(piece) <= select.PIPE_BUF and piece.endswith(b"\n") for piece in written)
    assert len(written) > 1


def test_a_reader_that_is_gone_is_counted(pipe: Pipe) -> None:
    pipe.hang_up()
    sink = LogSink(pipe[1], every_s=0.0)
    sink.write(a_record())
    sink.close()

    assert sink.dropped == 1
    assert "Broken pipe" in str(sink.last_error)


def test_what_has_no_line_is_counted(pipe: Pipe) -> None:
    sink = LogSink(pipe[1], every_s=0.0)
    sink.write(a_record(tenant="\ud800"))
    sink.write(a_record(at=1e300))
    sink.close()

    assert sink.dropped == 2


def _empty(fd: int, into: list[bytes] | None = None) -> None:
    try:
        while data := os.read(fd, 65536):
            if into is not None:
                into.append(data)
    except OSError:
        return


# ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def root_log() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield root
    root.setLevel(level)
    root.handlers[:] = handlers


def said(format: str, *messages: str, secrets: tuple[str, ...] = ()) -> str:
    stream = io.StringIO()
    configure_logging("info", format, secrets=secrets, stream=stream)  # type: ignore[arg-type]
    for message in messages:
        logging.getLogger("pointsman.test").info("%s", message)
    return stream.getvalue()


@pytest.mark.usefixtures("root_log")
def test_the_programs_log_is_json_on_request() -> None:
    line = json.loads(said("json", "hello\nworld"))

    assert (line["level"], line["logger"], line["message"]) == ("info", "pointsman.test", "hello\nworld")


@pytest.mark.usefixtures("root_log")
def test_a_text_message_stays_on_its_line() -> None:
    assert said("text", "hello\nfake line \x1b[31m").count("\n") == 1


@pytest.mark.usefixtures("root_log")
@pytest.mark.parametrize("format", ["text", "json"])
def test_secrets_are_blotted_out_in_messages_and_traces(format: str) -> None:
    stream = io.StringIO()
    configure_logging("info", format, secrets=("hunter2hunter2",), stream=stream)  # type: ignore[arg-type]
    try:
        raise ValueError("bad key hunter2hunter2")
    except ValueError:
        logging.getLogger("pointsman.test").exception("called with Authorization: Bearer abc.def and hunter2hunter2")

    assert "hunter2" not in stream.getvalue()
    assert "abc.def" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


def test_configuring_twice_logs_once(root_log: logging.Logger) -> None:
    before = len(root_log.handlers)
    said("text", "one")
    text = said("json", "two")

    assert len(root_log.handlers) == before + 1
    assert text.count("\n") == 1


@pytest.mark.parametrize(("text", "clean"), [
    ("GET /?api_key=abc&x=1", "GET /?api_key=***&x=1"),
    ('{"api_key": "abc", "n": 1}', '{"api_key": "***", "n": 1}'),
    ("Authorization: Bearer xyz", "Authorization: ***"),
    ("key sk-abcdefgh12345 was refused", "key *** was refused"),
    ("127 input tokens, max_tokens=5, the token bucket is full", "127 input tokens, max_tokens=5, the token bucket is full"),
])
def test_what_looks_like_a_credential_is_blotted_out_and_little_else(text: str, clean: str) -> None:
    assert redact(text) == clean


def test_the_configurations_own_secrets_are_blotted_out() -> None:
    assert redact("sent hunter2 there", ("hunter2",)) == "sent *** there"
