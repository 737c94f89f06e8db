"""What a drain is told."""

from __future__ import annotations

import pytest

from pointsman.errors import MalformedBody
from pointsman.server.notice import Leaving, notice_of

NOW = 1_700_000_000.0


def test_nothing_said_is_a_drain_without_an_end():
    assert notice_of(b"", NOW) == Leaving(None, "drain")


@pytest.mark.parametrize(("deadline", "lead_s"), [(b"120", 120.0), (b'"2023-11-14T22:13:50Z"', 30.0), (b"-5", 0.0), (b"null", None)])
def test_an_end_is_told_in_seconds_or_as_a_time_and_never_lies_in_the_past(deadline, lead_s):
    assert notice_of(b'{"deadline": %b, "reason": "spot"}' % deadline, NOW) == Leaving(lead_s, "spot")


@pytest.mark.parametrize("body", [b'{"deadline": "2023-11-14T22:13:50"}', b'{"deadline": 1e9}', b'{"deadlin": 5}', b"[]", b"\xff"])
def test_what_makes_no_sense_is_refused(body):
    with pytest.raises(MalformedBody):
        notice_of(body, NOW)


def test_a_reason_is_kept_short():
    assert len(notice_of(b'{"reason": "%b"}' % (b"x" * 1000), NOW).reason) == 200
