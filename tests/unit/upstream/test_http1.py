import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pointsman.errors import BadAnswer, ConnectionLost
from pointsman.upstream import http1
from pointsman.upstream.exchange import OutOfTime
from pointsman.upstream.http1 import GRACE_S, HIGH_WATER, Connection

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Wire(asyncio.Transport):
    """A transport that goes nowhere and notes what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.paused = self.aborted = False
        self.unwritten = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def writelines(self, list_of_data: Any) -> None:
        self.written += b"".join(list_of_data)

    def is_closing(self) -> bool:
        return self.aborted

    def get_write_buffer_size(self) -> int:
        return self.unwritten

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def abort(self) -> None:
        self.aborted = True


class Scene:
    """A connection on a wire, and where it goes when it is free."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.idle: list[Connection] = []
        self.gone: list[Connection] = []
        self.connection = Connection(self.loop, ("h", 80), self.idle.append, self.gone.append)
        self.wire = Wire()
        self.connection.connection_made(self.wire)

    def ask(self, *, whole: bool = True) -> None:
        self.connection.request("small/0", (b"a", b"b"), whole=whole)

    def hear(self, data: bytes) -> None:
        self.connection.data_received(data)

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        self.loop.call_later(seconds, action)


def play(scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        await scene(Scene())

    asyncio.run(main())


def test_a_response_is_read_and_the_connection_given_back() -> None:
    async def scene(s: Scene) -> None:
        s.ask()
        s.hear(OK)
        await s.connection.answered(s.loop.time() + 1)
        assert (s.wire.written, s.connection.status, s.connection.headers) == (b"ab", 200, {b"content-length": b"2"})
        assert await s.connection.rest(100, s.loop.time() + 1) == (b"{}", True)
        s.connection.finish()
        assert s.idle == [s.connection]
        assert not s.wire.aborted

    play(scene)


@pytest.mark.parametrize("first", [0.02, 60.0])
def test_each_wait_has_its_own_limit_whatever_the_last_one_was(first: float) -> None:
    async def scene(s: Scene) -> None:
        s.ask()
        s.after(0.0, lambda: s.hear(OK))
        await s.connection.answered(s.loop.time() + first)
        s.connection.finish()
        s.ask()
        began = s.loop.time()
        with pytest.raises(OutOfTime):
            await s.connection.answered(began + 0.06)
        assert 0.055 <= s.loop.time() - began < 0.5

    play(scene)


def test_a_limit_that_moves_on_is_not_met_early() -> None:
    async def scene(s: Scene) -> None:
        s.ask(whole=False)
        s.hear(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(4):
            s.after(0.02, lambda: s.hear(b"1\r\nx\r\n"))
            assert await s.connection.read(s.loop.time() + 0.04) == b"x"

    play(scene)


def test_an_endless_limit_is_one() -> None:
    async def scene(s: Scene) -> None:
        s.ask()
        s.after(0.01, lambda: s.hear(OK))
        await s.connection.answered(float("inf"))

    play(scene)


def test_reading_pauses_while_the_reader_is_behind() -> None:
    async def scene(s: Scene) -> None:
        s.ask(whole=False)
        s.hear(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * HIGH_WATER)
        assert not s.wire.paused
        s.hear(b"x")
        assert s.wire.paused
        assert len(await s.connection.read(s.loop.time() + 1)) == HIGH_WATER + 1
        s.after(0.0, lambda: s.hear(b"y"))
        assert await s.connection.read(s.loop.time() + 1) == b"y"
        assert not s.wire.paused

    play(scene)


@pytest.mark.parametrize("odd", [
    b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}", OK + b"x", OK + OK,
    b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
])
def test_an_odd_response_ends_the_connection(odd: bytes) -> None:
    async def scene(s: Scene) -> None:
        s.ask()
        s.hear(odd)
        await s.connection.answered(s.loop.time() + 1)
        assert await s.connection.rest(100, s.loop.time() + 1) == (b"{}", True)
        s.connection.finish()
        assert s.idle == []
        assert s.wire.aborted

    play(scene)


def test_a_response_before_the_request_was_written_ends_the_connection() -> None:
    async def scene(s: Scene) -> None:
        s.ask()
        s.wire.unwritten = 1
        s.hear(OK)
        s.connection.finish()
        assert s.wire.aborted
        assert s.idle == []

    play(scene)


def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    async def scene(s: Scene) -> None:
        s.hear(OK)
        assert s.wire.aborted

    play(scene)


def test_framing_that_ends_late_is_waited_for_without_the_caller() -> None:
    async def scene(s: Scene) -> None:
        s.ask(whole=False)
        s.hear(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        await s.connection.read(s.loop.time() + 1)
        s.connection.finish()
        s.connection.abort()  # not the caller's any more
        assert not s.wire.aborted
        assert s.idle == []
        s.hear(b"3\r\nyyy\r\n0\r\n\r\n")
        assert s.idle == [s.connection]

    play(scene)


def test_a_loss_is_said_to_whoever_waits_and_to_the_pool() -> None:
    async def scene(s: Scene) -> None:
        s.ask()
        s.after(0.0, lambda: s.connection.connection_lost(OSError("reset")))
        with pytest.raises(ConnectionLost, match="before answering: reset"):
            await s.connection.answered(s.loop.time() + 1)
        assert s.gone == [s.connection]

    play(scene)


def test_what_came_before_a_loss_is_still_read() -> None:
    async def scene(s: Scene) -> None:
        s.ask(whole=False)
        s.hear(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nxyz")
        s.connection.connection_lost(None)
        assert await s.connection.read(s.loop.time() + 1) == b"xyz"
        with pytest.raises(ConnectionLost, match="in the middle"):
            await s.connection.read(s.loop.time() + 1)

    play(scene)


def test_a_body_beyond_the_limit_is_cut() -> None:
    async def scene(s: Scene) -> None:
        s.ask()
        s.hear(b"HTTP/1.1 500 E\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 70_000)
        await s.connection.answered(s.loop.time() + 1)
        assert await s.connection.rest(10, s.loop.time() + 1) == (b"x" * 10, False)

    play(scene)


def test_informational_responses_are_skipped_up_to_ten() -> None:
    async def scene(s: Scene) -> None:
        s.ask()
        s.hear(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 10 + OK)
        await s.connection.answered(s.loop.time() + 1)
        assert s.connection.headers == {b"content-length": b"2"}
        s.connection.finish()
        s.ask()
        s.hear(b"HTTP/1.1 102 Processing\r\n\r\n" * 11)
        with pytest.raises(BadAnswer):
            await s.connection.answered(s.loop.time() + 1)

    play(scene)


def test_an_answer_that_waited_while_we_stood_still_is_no_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timers ring before sockets are read: after a pause of the whole process both are due at once."""
    monkeypatch.setattr(http1, "LATE_S", -1.0)  # every ring is a late one

    async def story() -> None:
        scene = Scene()
        scene.ask()
        scene.loop.call_later(0.02, scene.hear, OK)
        await scene.connection.answered(scene.loop.time() + 0.01)
        assert scene.connection.status == 200

    asyncio.run(story())


class Clock:
    """As much of a loop as a connection asks for; time stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()

    def call_at(self, when: float, action: Callable[[], object]) -> Any:
        timer = Timer(when, action)
        self.timers.append(timer)
        return timer

    async def move(self, to: float, turns: int = 3) -> None:
        """Timers that are due ring, late when it is far; then whoever was woken goes on, and may set one that is due already."""
        self.now = to
        for _ in range(turns):
            for timer in [timer for timer in self.timers if timer.when <= to]:
                self.timers.remove(timer)
                timer.ring()
            for _ in range(3):
                await asyncio.sleep(0)


class Timer:
    def __init__(self, when: float, action: Callable[[], object]) -> None:
        self.when, self.action, self.is_off = when, action, False

    def cancel(self) -> None:
        self.is_off = True

    def ring(self) -> None:
        if not self.is_off:
            self.action()


def begun(clock: Clock) -> tuple[Connection, asyncio.Task[None]]:
    """A stream whose head is here, and who reads it until second 1, for a first token that never comes."""
    connection = Connection(clock, ("h", 80), lambda _: None, lambda _: None)  # type: ignore[arg-type]  # as much as it needs
    connection.connection_made(Wire())
    connection.request("small/0", (b"a",), whole=False)
    connection.data_received(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")

    async def first_token(until: float) -> None:
        while await connection.read(until):
            pass

    return connection, asyncio.create_task(first_token(1.0))


def test_a_peer_that_only_pings_gets_one_grace_after_we_stood_still() -> None:
    """Pings come quicker than a grace ends, and each has the reader ask again by the limit that has passed."""
    async def story() -> None:
        clock = Clock()
        connection, waiting = begun(clock)
        await clock.move(0.5)
        await clock.move(2.0)  # the process stood still: the timer rings a second late
        assert not waiting.done()
        for ping in range(1, 20):
            connection.data_received(b"8\r\n: ping\n\n\r\n")
            await clock.move(2.0 + ping * 0.02)
            if waiting.done():
                break
        assert clock.now <= 2.0 + GRACE_S + 0.02
        with pytest.raises(OutOfTime):
            await waiting
        connection.close()

    asyncio.run(story())


def test_a_ping_just_before_every_ring_does_not_put_off_the_end() -> None:
    """Where a turn of the loop takes as long as a ping, each ring finds the reader woken already."""
    async def story() -> None:
        clock = Clock()
        connection, waiting = begun(clock)
        await clock.move(0.9)
        for ping in range(1, 50):
            connection.data_received(b"8\r\n: ping\n\n\r\n")
            await clock.move(0.9 + ping * 0.02, turns=1)
            if waiting.done():
                break
        assert clock.now < 1.05
        with pytest.raises(OutOfTime):
            await waiting
        connection.close()

    asyncio.run(story())


def test_who_is_late_again_and_again_still_ends_a_wait() -> None:
    """A loop that is busy for long at every turn must not wait for ever: what had arrived was read after the first late ring."""
    async def story() -> None:
        clock = Clock()
        connection = Connection(clock, ("h", 80), lambda _: None, lambda _: None)  # type: ignore[arg-type]  # as much as it needs
        connection.connection_made(Wire())
        connection.request("small/0", (b"a",), whole=False)
        waiting = asyncio.create_task(connection.answered(1.0))
        await clock.move(0.5)
        await clock.move(2.0)
        assert not waiting.done()
        await clock.move(3.0)
        with pytest.raises(OutOfTime):
            await waiting
        connection.close()

    asyncio.run(story())


def test_a_plain_answer_needs_no_parser_in_however_many_pieces() -> None:
    async def scene(s: Scene) -> None:
        for pieces in ((OK,), (OK[:-2], b"{", b"}"), (OK[:-1], b"}")):
            s.ask()
            for piece in pieces:
                s.hear(piece)
            await s.connection.answered(s.loop.time() + 1)
            assert await s.connection.rest(10, s.loop.time() + 1) == (b"{}", True)
            s.connection.finish()
        assert len(s.idle) == 3
        assert s.connection._parser is None

    play(scene)


def test_a_plain_answer_and_one_that_is_not_take_turns_on_one_connection() -> None:
    async def scene(s: Scene) -> None:
        chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        for answer in (OK, chunked, OK, chunked[:9], OK):
            s.ask()
            s.hear(answer)
            if answer == chunked[:9]:
                s.hear(chunked[9:])
            await s.connection.answered(s.loop.time() + 1)
            assert await s.connection.rest(10, s.loop.time() + 1) == (b"{}", True)
            s.connection.finish()
        assert len(s.idle) == 5

    play(scene)


@pytest.mark.parametrize("late", [b"", b"x"], ids=["too short", "too long"])
def test_a_plain_answer_of_another_length_than_it_says_ends_the_connection(late: bytes) -> None:
    async def scene(s: Scene) -> None:
        s.ask()
        s.hear(OK[:-1])
        if late:
            s.hear(b"}" + late)
            assert await s.connection.rest(10, s.loop.time() + 1) == (b"{}", True)
            s.connection.finish()
            assert s.wire.aborted
        else:
            s.connection.connection_lost(None)
            with pytest.raises(ConnectionLost, match="in the middle"):
                await s.connection.rest(10, s.loop.time() + 1)
        assert s.idle == []

    play(scene)
