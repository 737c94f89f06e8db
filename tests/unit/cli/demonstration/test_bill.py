from types import SimpleNamespace

from pointsman.cli.demonstration.bill import Bill, bill_of
from pointsman.core.price import TokenPrice
from pointsman.core.reply import Usage


def a_row(cost, usage=Usage(1000, 500)):  # noqa: B008 - a frozen value
    return SimpleNamespace(cost_nano_usd=cost, usage=usage)


def test_the_counterfactual_prices_the_same_tokens_at_the_largest_tier():
    bill = bill_of([a_row(100_000), a_row(200_000)], TokenPrice(1.0, 2.0))

    # 1000 x $1 and 500 x $2 per million are $0.002, twice.
    assert bill == Bill(routed=300_000, largest=4_000_000)
    assert bill.difference == -3_700_000
    assert bill.share == -0.925


def test_a_bill_can_be_higher_than_without_routing():
    assert bill_of([a_row(3_000_000)], TokenPrice(1.0, 2.0)).share == 0.5


def test_what_is_unknown_is_in_neither_sum():
    rows = [a_row(100_000), a_row(None), a_row(100_000, usage=None)]

    assert bill_of(rows, TokenPrice(1.0, 2.0)) == Bill(100_000, 2_000_000, unknown=2)


def test_without_a_price_nothing_is_compared():
    assert bill_of([a_row(100_000)], None) == Bill(0, 0, unknown=1)
    assert Bill(0, 0).share is None
