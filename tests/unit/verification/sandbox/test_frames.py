"""Messages between router and helper."""

from __future__ import annotations

import pytest

from pointsman.verification.sandbox.frames import FRAME_MAX, BadFrame, Frames, framed


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 1000])
def test_whatever_the_chunks_the_messages_are_the_same(cut: int):
    messages = [{"id": 1, "text": "a\ud83d\x00"}, {}, {"b": [1, 2]}]
    data, frames = b"".join(map(framed, messages)), Frames()

    assert [message for at in range(0, len(data), cut) for message in frames.feed(data[at : at + cut])] == messages


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01x", b"\x00\x00\x00\x02[]"])
def test_what_is_no_message_is_refused(data: bytes):
    with pytest.raises(BadFrame):
        list(Frames().feed(data))


def test_a_message_that_is_too_long_is_not_sent():
    with pytest.raises(BadFrame):
        framed({"text": "x" * FRAME_MAX})
