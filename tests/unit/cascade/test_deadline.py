"""When a request must be over."""

from __future__ import annotations

import pytest

from pointsman.cascade.deadline import Deadline, doing
from pointsman.errors import DeadlineExceeded, UpstreamFailed


@pytest.mark.parametrize(("now", "is_past"), [(0.0, False), (9.99, False), (9.9995, True), (10.0, True), (11.0, True)])
def test_what_ends_within_a_timers_slack_of_the_deadline_ended_at_it(now, is_past):
    assert Deadline(0.0, 10.0).is_past(now) is is_past


def test_the_client_is_told_how_long_it_had_and_what_the_request_was_at():
    error = Deadline(100.0, 102.5).exceeded("waiting to retry")
    assert isinstance(error, DeadlineExceeded)
    assert "2.5 s" in str(error)
    assert "waiting to retry" in str(error)


@pytest.mark.parametrize(("is_committed", "is_stream", "words"), [
    (True, True, "streaming the answer"), (False, True, "waiting for the first token"), (False, False, "waiting for the answer"),
])  # fmt: skip
def test_what_the_attempt_was_at_follows_from_how_far_it_had_come(is_committed, is_stream, words):
    assert doing(None, is_committed=is_committed, is_stream=is_stream) == words


def test_an_error_that_knows_its_phase_says_it_better():
    error = UpstreamFailed("500")
    error.phase = "connecting"
    assert doing(error, is_committed=False, is_stream=True) == "connecting"
