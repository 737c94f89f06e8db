"""Whatever the outcomes and words: what a replay takes as a shortcut is what the machine does, and what it adds up is what happened."""

import pytest

np = pytest.importorskip("numpy")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from pointsman.core.verdict import Rates  # noqa: E402
from pointsman.learn.cascade import Cascade, walk  # noqa: E402
from pointsman.learn.rungs import rungs_of, words_of  # noqa: E402

shares = st.floats(0.0, 1.0)
weights = st.sampled_from([0.0, 0.05, 0.3, 2.0])


@st.composite
def cascades(draw):
    tiers = draw(st.integers(2, 4))
    rows = draw(st.integers(1, 4))
    matrix = st.lists(st.lists(shares, min_size=tiers, max_size=tiers), min_size=rows, max_size=rows).map(np.array)
    names = tuple(f"t{place}" for place in range(tiers))
    usd = np.sort(draw(st.lists(st.floats(0.01, 10), min_size=tiers, max_size=tiers).map(np.array)))
    ladder = rungs_of(names, draw(matrix), usd, seconds=draw(matrix), p=draw(matrix))
    said = np.where(draw(matrix) < 0.15, np.nan, draw(matrix))
    rates = {name: Rates(draw(shares) * 0.5, draw(shares) * 0.5) for name in names if draw(st.booleans())}
    return Cascade(ladder.judged_with(said, rates), max_climbs=draw(st.integers(1, 2)))


@settings(max_examples=60, deadline=None)
@given(cascades(), weights)
def test_routing_is_what_the_machine_does_when_nobody_looks(cascade, weight):
    rungs, decided = cascade.rungs, cascade.decided(weight)
    places = {tier: place for place, tier in enumerate(rungs.tiers)}
    ways = cascade.routing(weight)
    for row in range(len(rungs)):
        plan = cascade._plan(cascade._ladders[decided[row]], None)
        way = walk(plan, places, rungs.seconds[row], rungs.score[row], rungs.check_s)
        assert (way.given, way.judged, way.seconds) == (ways.given[row], (), ways.seconds[row])
        assert ways.asked[row].nonzero()[0].tolist() == list(way.asked)


@settings(max_examples=60, deadline=None)
@given(cascades(), weights, shares)
def test_what_was_asked_is_paid_and_what_was_given_was_asked(cascade, weight, accept_at):
    rungs = cascade.rungs
    rows = np.arange(len(rungs))
    for ways in (cascade.benefit(weight), cascade.both(weight), cascade.threshold(accept_at), cascade.threshold(accept_at, (0, len(rungs.tiers) - 1))):
        assert ways.asked[rows, ways.given].all()
        assert np.allclose(ways.usd, (rungs.usd * ways.asked).sum(axis=1))
        assert np.allclose(ways.seconds, (rungs.seconds * ways.asked).sum(axis=1))
        assert np.array_equal(ways.quality, rungs.quality[rows, ways.given])
        assert ways.asked.sum(axis=1).max() <= 3, "as many attempts as a request may have"


@settings(max_examples=60, deadline=None)
@given(cascades(), shares)
def test_by_threshold_the_first_answer_that_is_accepted_is_given(cascade, accept_at):
    """The naive rule, written down once more."""
    rungs = cascade.rungs
    ways = cascade.threshold(accept_at)
    for row in range(len(rungs)):
        place, climbs = 0, 0
        while place + 1 < len(rungs.tiers) and climbs < cascade._max_climbs and rungs.is_judged[row, place]:
            score = rungs.score[row, place]
            if np.isnan(score) or score >= accept_at:
                break
            place, climbs = place + 1, climbs + 1
        assert ways.asked[row].nonzero()[0].tolist() == list(range(place + 1))


@settings(max_examples=40, deadline=None)
@given(cascades(), weights)
def test_words_that_say_nothing_change_nothing(cascade, weight):
    coin = Rates(0.5, 0.5)
    assert words_of(coin) == (0.5, 0.5)
    useless = Cascade(cascade.rungs.judged_with(np.full(cascade.rungs.quality.shape, 0.5), coin))

    assert np.array_equal(useless.both(weight).given, useless.routing(weight).given)
    assert np.array_equal(useless.both(weight).asked, useless.routing(weight).asked)
