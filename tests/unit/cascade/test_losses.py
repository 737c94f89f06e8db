"""Which failure tells the client most."""

from __future__ import annotations

import pytest

from pointsman.cascade.losses import Losses, is_load
from pointsman.errors import (
    ConnectFailed,
    CredentialRefused,
    Misconfigured,
    NoEndpoint,
    RateLimited,
    UpstreamFailed,
    UpstreamOverloaded,
)


def telling(*failures, final=False, refused=False):
    losses = Losses()
    for error in failures:
        losses.add(error, sent=error.sent)
    return losses.telling("small", final=final, refused=refused)


def test_what_an_engine_saw_tells_most():
    seen = UpstreamFailed("500")
    assert telling(seen, ConnectFailed("refused", sent=False), NoEndpoint("small")) is seen


def test_the_last_of_several_that_is_not_our_own_mistake():
    last = UpstreamFailed("500")
    assert telling(RateLimited("429"), last, CredentialRefused("401"), Misconfigured("404")) is last


def test_our_own_mistake_when_there_is_nothing_else():
    mine = CredentialRefused("401")
    assert telling(mine) is mine


def test_all_rate_limited_keeps_the_earliest_comeback():
    early = RateLimited("429", retry_after_s=2.0)
    assert telling(RateLimited("429"), early, RateLimited("429", retry_after_s=9.0)) is early


def test_a_refused_connection_borrows_the_comeback_of_an_empty_tier():
    unreached = ConnectFailed("refused", sent=False)
    assert telling(unreached, NoEndpoint("large", ejected=1, next_try_s=8.0)) is unreached
    assert unreached.retry_after_s == 8.0


def test_nobody_at_all_is_an_empty_tier_with_a_comeback():
    error = telling()
    assert isinstance(error, NoEndpoint)
    assert (error.tier, error.retry_after_s) == ("small", 1.0)


@pytest.mark.parametrize(
    ("error", "how", "should_retry"),
    [
        (UpstreamFailed("500"), {}, None),
        (UpstreamFailed("500"), {"final": True}, False),
        (UpstreamFailed("500"), {"refused": True}, False),
        (RateLimited("429"), {"final": True}, None),
        (UpstreamOverloaded("full"), {"final": True}, None),
        (RateLimited("429"), {"refused": True}, False),
    ],
)
def test_sdks_are_told_not_to_multiply_our_retries(error, how, should_retry):
    assert telling(error, **how).should_retry is should_retry


def test_busy_is_not_sick():
    assert is_load(RateLimited("429"))
    assert is_load(UpstreamOverloaded("full"))
    assert not is_load(UpstreamFailed("500"))
    assert not is_load(NoEndpoint("small", ejected=2))
