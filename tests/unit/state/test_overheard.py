"""What the tiers of one process have heard, told to those of another."""

from __future__ import annotations

import msgspec

from pointsman.core.settings import SlaSettings
from pointsman.pools.fleet import Fleet
from pointsman.state.overheard import listen, tell
from pointsman.testing.factories import a_pool, a_settings

PLAIN = a_settings(a_pool("small"), a_pool("large"))
SETTINGS = msgspec.structs.replace(PLAIN, tiers=PLAIN.tiers | {
    "small": msgspec.structs.replace(PLAIN.tiers["small"], sla=SlaSettings(ttft_p95_max_s=0.5))})


def heard(fleet: Fleet, *ttfts_s: float) -> None:
    """As leases tell it."""
    for tier in fleet.pools["small"].watchers.tiers:
        for ttft_s in ttfts_s:
            tier.heard(ttft_s, 100.0)
            tier.answered(100.0)


def test_half_of_the_answers_here_and_half_there_break_a_promise_together():
    here, there = Fleet(SETTINGS), Fleet(SETTINGS)
    overheard = listen(here)
    heard(here, *[0.9] * 12)
    heard(there, *[0.9] * 12)
    assert here.fitness("small", 100.0).is_fit  # twelve are too few to judge by
    assert there.fitness("small", 100.0).is_fit

    times = overheard["small"].take()
    assert times is not None
    tell(there.pools["small"], times, 100.1, answers=False)
    assert there.fitness("small", 100.1).reason == "ttft"


def test_what_was_taken_is_not_told_again_and_what_was_told_not_overheard():
    here, there = Fleet(SETTINGS), Fleet(SETTINGS)
    ours, theirs = listen(here), listen(there)
    heard(here, 0.1)
    times = ours["small"].take()
    assert times is not None
    tell(there.pools["small"], times, 100.1, answers=True)

    assert ours["small"].take() is None
    assert theirs["small"].take() is None
    assert ours["large"].take() is None


def test_failures_of_an_endpoint_are_kept_to_be_told_also_after_a_reload():
    here = Fleet(SETTINGS)
    listen(here)
    here.pools["small"].endpoints[0].vitals.windows.failed(100.0)
    again = Fleet(SETTINGS)
    again.adopt(here)
    listen(again)

    untold = again.pools["small"].endpoints[0].vitals.windows.untold
    assert untold is not None
    assert untold.take() == (1, ())


def test_a_line_of_its_own_moves_at_its_own_pace():
    house, worker, source = Fleet(SETTINGS), Fleet(SETTINGS), Fleet(SETTINGS)
    overheard = listen(source)
    heard(source, *[0.1] * 10)
    times = overheard["small"].take()
    assert times is not None
    tell(house.pools["small"], times, 100.1, answers=True)
    tell(worker.pools["small"], times, 100.1, answers=False)

    assert house.drain_rate("small", 100.2)
    assert worker.drain_rate("small", 100.2) is None
    assert worker.ttft_p95("small", 100.2) is not None
