"""Faults of connections and of HTTP itself (U01-U16, U27-U28, U46-U48) and of the line between."""

from __future__ import annotations

from pointsman.testing import fault_answers as answers
from pointsman.testing.fault_catalogue import Fault, fault, pause, rng_of, says
from pointsman.testing.fault_proxy import Toxics
from pointsman.testing.fault_steps import Asked, Close, Complete, Drip, Reset, Send, Stall, Step

_LARGE = 2_000_000
"""A prompt that no socket buffer holds."""
_OK = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def _stale(asked: Asked) -> list[Step]:
    """Every second request on a kept connection meets its close."""
    if asked.nth_on_connection > 1:
        return [Close() if rng_of(asked).random() < 0.5 else Reset()]
    return list(answers.right(asked))


def _forged(asked: Asked) -> list[Step]:
    """The right answer, and at once another one that nobody asked for."""
    forged = answers.plain("200 OK", answers.completion("forged"))
    return [*answers.right(asked), Send(forged)]


def _longer(asked: Asked) -> list[Step]:
    """More body than was announced."""
    if asked.stream:
        return [*answers.right(asked), Send(b"7\r\nSMUGGLE\r\n")]
    return [Send(answers.plain("200 OK", answers.completion(asked.id)) + b"SMUGGLED", len(answers.pieces_of(asked.id))), Complete()]


def _shorter(asked: Asked) -> list[Step]:
    """Less body than was announced."""
    if asked.stream:
        body = b"".join(answers.events(asked))
        return [Send(answers.head("200 OK", content_type="text/event-stream", length=len(body) + 50) + body[: len(body) // 2]), Close()]
    body = answers.completion(asked.id)
    return [Send(answers.head(length=len(body) + 50) + body), Close()]


def _informed(*heads: str) -> object:
    def plan(asked: Asked) -> list[Step]:
        return [*(Send(f"HTTP/1.1 {head}\r\n\r\n".encode()) for head in heads), pause(asked), *answers.right(asked)]

    return plan


def _drips_head(asked: Asked) -> list[Step]:
    return [Drip(b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 100_000, 0.02)]


CONNECTIONS: tuple[Fault, ...] = (
    fault("U01", "connect refused", says(b""), alone=503, listens=False),
    fault("U02", "connect unanswered (queue full)", says(b""), alone=504, accepts=False),
    fault("U03", "connect prohibited by the kernel", says(b""), alone=503, url="http://255.255.255.255:9/v1"),
    fault("U05", "accept, close at once", lambda asked: [Close()], alone=(502, 503), reads="nothing"),
    fault("U05-rst", "accept, reset at once", lambda asked: [Reset()], alone=(502, 503), reads="nothing"),
    fault("U06", "reset after the request's head", lambda asked: [pause(asked), Reset()], reads="part", part_bytes=20),
    fault("U06-fin", "close after the whole request", lambda asked: [pause(asked), Close()]),
    fault("U07", "reset in the middle of a large upload", lambda asked: [pause(asked), Reset()], reads="part",
          part_bytes=60_000, padding=_LARGE, receive_buffer=4096),
    fault("U08", "accept, never read", lambda asked: [Stall()], alone=(502, 504), reads="part", part_bytes=700, padding=_LARGE,
          receive_buffer=4096),
    fault("U09", "read all, never answer", lambda asked: [Stall()], alone=504),
    fault("U10", "one byte of head every 20 ms, for ever", _drips_head, alone=504),
    fault("U11", "garbage instead of a status line", says(b"\x00\xff\x13 nonsense \r\n\r\n" * 5, Close())),
    fault("U11-09", "HTTP/0.9", says(b'{"choices":[]}\n', Close())),
    fault("U11-tls", "TLS bytes on an http port", says(b"\x15\x03\x03\x00\x02\x02\x50", Close())),
    fault("U12", "200 KB in one header line", says(f"HTTP/1.1 200 OK\r\nx: {'y' * 200_000}\r\n\r\n", Stall())),
    fault("U12-many", "10,000 headers", says("HTTP/1.1 200 OK\r\n" + "x: y\r\n" * 10_000 + "\r\n", Stall())),
    fault("U13-te", "content-length and transfer-encoding", lambda asked: [
        Send(answers.head("200 OK", "transfer-encoding: chunked", length=5)), Send(b"0\r\n\r\nextra"), Stall()]),
    fault("U13-cl2", "two content-lengths", says(_OK + "content-length: 2\r\ncontent-length: 40\r\n\r\n{}", Stall())),
    fault("U13-neg", "negative content-length", says(_OK + "content-length: -5\r\n\r\n{}", Stall())),
    fault("U13-chunk", "a chunk size that is no number", says(_OK + "transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n", Stall())),
    fault("U13-nul", "NUL in a header", says(_OK + "x-a: b\x00c\r\ncontent-length: 2\r\n\r\n{}", Stall())),
    fault("U14", "body shorter than announced", _shorter, ("during", "before")),
    fault("U15", "body longer than announced", _longer, "fine"),
    fault("U15-split", "a second, forged response", _forged, "fine"),
    fault("U16", "kept connection closes as it is used again", _stale, "fine"),
    *(fault(f"U27-{status}", f"redirect {status} to a metadata address", says(
        f"HTTP/1.1 {status} Moved\r\nlocation: http://169.254.169.254/latest/meta-data/\r\ncontent-length: 0\r\n\r\n"))
      for status in (301, 302, 307)),
    fault("U28", "three 100 Continue, then the answer", _informed(*["100 Continue"] * 3), "fine"),  # type: ignore[arg-type]
    fault("U28-103", "103 Early Hints, then the answer", _informed("103 Early Hints\r\nlink: </x>"), "fine"),  # type: ignore[arg-type]
    fault("U28-flood", "1xx without end", says(b"HTTP/1.1 100 Continue\r\n\r\n" * 200, Stall())),
    fault("U47", "the name does not resolve", says(b""), alone=503, url="http://no-such-host.invalid:9/v1"),
    fault("U48-plain", "https on a port that speaks http", says(b"HTTP/1.1 400 Bad Request\r\n\r\n", Close()), alone=(502, 503), tls=True,
          reads="part", part_bytes=5),
    fault("U48-stall", "the TLS handshake stalls", lambda asked: [Stall()], alone=(502, 503, 504), tls=True, reads="part", part_bytes=5),
)


def _after(field: str) -> object:
    """The line does it after 300 to 1,500 bytes: in the head, in the body, or in a later event."""
    return lambda rng: Toxics(**{field: rng.randint(300, 1500)})


def _line(id: str, what: str, kind: str, toxics: object) -> Fault:
    return fault(id, what, answers.right, kind, (502, 503, 504), toxics=toxics)  # type: ignore[arg-type]


LINES: tuple[Fault, ...] = (
    _line("L-latency", "80 ms of latency", "fine", lambda rng: Toxics(latency_s=0.03, jitter_s=0.05)),
    _line("L-narrow", "20 kB/s", "fine", lambda rng: Toxics(bandwidth=20_000)),
    _line("L-slice", "every byte in a segment of its own", "fine", lambda rng: Toxics(slice=1)),
    _line("L-slice7", "segments of 7 bytes", "fine", lambda rng: Toxics(slice=7)),
    _line("L-limit", "closed after some bytes", "either", _after("limit")),
    _line("L-reset", "reset after some bytes", "either", _after("reset")),
    _line("L-half", "half closed after some bytes", "either", _after("half_close")),
    _line("U46", "the cable is cut after some bytes", "either", _after("blackhole")),
    _line("L-stall", "back-pressure without end after some bytes", "either", _after("stall")),
    _line("L-corrupt", "one byte turned over", "either", lambda rng: Toxics(corrupt=rng.randint(0, 900))),
    fault("L-deaf", "the request never arrives", answers.right, alone=504, toxics=lambda rng: Toxics(deaf=True)),
)


