"""The policy over a table is the policy."""

import pytest

np = pytest.importorskip("numpy")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from pointsman.classify.policy import GRID, choose  # noqa: E402
from pointsman.classify.targets import QualityTarget  # noqa: E402
from pointsman.core.decision import GateView, Scores, TierScore  # noqa: E402
from pointsman.learn.choosing import at_price, chosen  # noqa: E402

UNIT = st.integers(0, 20).map(lambda n: n / 20)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(UNIT, UNIT), min_size=2, max_size=4), UNIT)
def test_a_row_is_decided_as_the_router_decides(pairs, quality):
    tiers = [f"t{place}" for place in range(len(pairs))]
    p = [max(pair) for pair in pairs]
    lower = [min(pair) for pair in pairs]
    reference = len(pairs) - 1
    scores = Scores({tier: TierScore(p[at], lower[at], 10) for at, tier in enumerate(tiers)}, calibrated=True)
    choice = choose(scores, [GateView(tier, True, "") for tier in tiers], QualityTarget(quality, "reference"),
                    {tier: float(at) for at, tier in enumerate(tiers)}, reference=tiers[reference])

    found = chosen(np.array([p]), np.array([lower]), range(len(tiers)), reference, quality)

    assert tiers[int(found[0])] == choice.tier


@settings(max_examples=200, deadline=None)
@given(st.lists(UNIT, min_size=2, max_size=4), UNIT, st.lists(UNIT, min_size=2, max_size=2))
def test_a_row_is_decided_as_the_router_decides_by_allowances(p, quality, ends):
    tiers = [f"t{place}" for place in range(len(p))]
    reference = len(p) - 1
    allowances = tuple(float(one) for one in np.linspace(max(ends), min(ends) - 0.5, len(GRID)))
    scores = Scores({tier: TierScore(p[at], 0.0, 10) for at, tier in enumerate(tiers)}, calibrated=True)
    choice = choose(scores, [GateView(tier, True, "") for tier in tiers], QualityTarget(quality, "reference"),
                    {tier: float(at) for at, tier in enumerate(tiers)}, reference=tiers[reference], allowances={tiers[reference]: allowances})

    found = chosen(np.array([p]), np.zeros((1, len(p))), range(len(tiers)), reference, quality, None, allowances)

    assert tiers[int(found[0])] == choice.tier


def test_what_is_unlike_all_labels_goes_to_the_reference():
    p = np.array([[0.9, 0.9], [0.9, 0.9]])

    assert chosen(p, p, [0, 1], 1, 0.5, np.array([False, True])).tolist() == [0, 1]


def test_quality_is_bought_while_it_is_worth_its_price():
    p, usd = np.array([[0.5, 0.9]]), np.array([1.0, 5.0])

    assert at_price(p, usd, 20.0).tolist() == [1]
    assert at_price(p, usd, 5.0).tolist() == [0]
    assert at_price(p, usd, 0.0).tolist() == [0]
