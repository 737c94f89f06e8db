"""An endpoint held for one attempt: what tiers and waiting requests hear of it."""

from __future__ import annotations

import pytest

from pointsman.core.settings import HealthSettings
from pointsman.errors import FirstTokenTimeout, RequestRefused, UpstreamFailed
from pointsman.pools.endpoint import Endpoint
from pointsman.pools.lease import Lease, Watchers
from pointsman.testing.factories import an_endpoint


class Listening:
    """A tier that writes down what it hears."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def heard(self, ttft_s, now):
        self.told.append(("heard", ttft_s))

    def waited(self, seconds, now):
        self.told.append(("waited", seconds))

    def answered(self, now):
        self.told.append(("answered",))

    def look(self, now):
        self.told.append(("look",))


@pytest.fixture
def tier() -> Listening:
    return Listening()


def a_lease(tier: Listening, endpoint: Endpoint | None = None, *, is_stream: bool = True, released=None) -> Lease:
    watchers = Watchers()
    watchers.tiers = (tier,)
    watchers.released = released if released is not None else []
    return Lease(endpoint or Endpoint(an_endpoint()), 70, 1000.0, HealthSettings(), watchers, is_stream=is_stream)


def test_a_stream_tells_its_time_to_first_token_once(tier):
    lease = a_lease(tier)
    lease.began(1000.25, 0.25)
    lease.began(1000.5, 0.5)
    lease.close("answered", 1001.0)
    assert tier.told == [("heard", 0.25), ("answered",)]


def test_a_plain_answers_duration_is_no_time_to_first_token(tier):
    lease = a_lease(tier, is_stream=False)
    lease.close("answered", 1005.0, ttft_s=5.0)
    assert tier.told == [("answered",)]


def test_the_time_between_tokens_is_what_came_after_the_first(tier):
    endpoint = Endpoint(an_endpoint())
    lease = a_lease(tier, endpoint)
    lease.began(1001.0, 1.0)
    lease.close("answered", 1003.0, output_tokens=101)
    assert endpoint.vitals.windows.gap.quantile(0.5, 1003.0) == pytest.approx(0.02, rel=0.021)


@pytest.mark.parametrize("tokens", [None, 0, 1])
def test_without_a_second_token_there_is_no_time_between(tier, tokens):
    endpoint = Endpoint(an_endpoint())
    lease = a_lease(tier, endpoint)
    lease.began(1001.0, 1.0)
    lease.close("answered", 1003.0, output_tokens=tokens)
    assert endpoint.vitals.windows.gap.n == 0


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
def test_a_stream_that_never_began_tells_how_long_it_waited(tier, outcome):
    lease = a_lease(tier)
    lease.close(outcome, 1060.0, FirstTokenTimeout("60 s") if outcome == "failed" else None)
    assert tier.told == [("waited", 60.0)]


def test_a_plain_request_that_failed_did_not_wait_for_a_first_token(tier):
    a_lease(tier, is_stream=False).close("failed", 1060.0, UpstreamFailed("500"))
    assert tier.told == []


def test_what_was_never_sent_did_not_wait(tier):
    a_lease(tier).close("rejected", 1002.0, UpstreamFailed("refused", sent=False))
    assert tier.told == []


def test_failures_count_against_the_endpoint_and_bad_requests_do_not(tier):
    endpoint = Endpoint(an_endpoint())
    a_lease(tier, endpoint).close("failed", 1000.0, UpstreamFailed("500"))
    a_lease(tier, endpoint).close("failed", 1000.0, RequestRefused("400"))
    a_lease(tier, endpoint).close("answered", 1000.0)
    assert endpoint.vitals.windows.answers.advance(1000.0) == [1, 1]


@pytest.mark.parametrize("outcome", ["answered", "failed", "rejected", "cancelled"])
def test_every_close_wakes_whoever_waits_once_and_after_it_was_given_back(tier, outcome):
    endpoint = Endpoint(an_endpoint())
    seen = []
    lease = a_lease(tier, endpoint, released=[lambda: seen.append(endpoint.vitals.in_flight)])
    lease.close(outcome, 1001.0)
    lease.close(outcome, 1001.0)
    assert seen == [0]
