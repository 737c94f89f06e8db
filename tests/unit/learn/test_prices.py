"""What calls cost, for reports."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.errors import DataRefused  # noqa: E402
from pointsman.learn.prices import prices_of  # noqa: E402

QUALITY = np.array([[0.2, 0.9, 0.5]])


def test_given_prices_are_believed():
    found = prices_of(("a", "b", "c"), QUALITY, "b=5, a=0.5,c=1,other=9")

    assert found.usd.tolist() == [0.5, 5, 1]
    assert found.order() == [0, 2, 1]
    assert not found.is_guess


def test_names_may_hold_an_equals_sign():
    assert prices_of(("x=1", "y"), QUALITY[:, :2], "x=1=3,y=4").usd.tolist() == [3, 4]


def test_a_file_of_prices(tmp_path):
    (tmp_path / "p.csv").write_text("model,usd\na,1\nb,2\nc,\n")

    assert prices_of(("a", "b"), QUALITY[:, :2], str(tmp_path / "p.csv")).usd.tolist() == [1, 2]
    with pytest.raises(DataRefused, match="no price for 'c'"):
        prices_of(("a", "c"), QUALITY[:, :2], str(tmp_path / "p.csv"))


@pytest.mark.parametrize("given", ["a=0,b=1", "a=-1,b=1", "a=x,b=1", "a=nan,b=1", "a=1", "nowhere.csv"])
def test_what_is_no_price_is_refused(given):
    with pytest.raises(DataRefused):
        prices_of(("a", "b"), QUALITY[:, :2], given)


def test_a_ladder_orders_without_prices_and_says_so():
    found = prices_of(("a", "b"), QUALITY[:, :2], ladder=["b", "a"])

    assert found.order() == [1, 0]
    assert found.is_guess
    assert "ladder" in found.how
    with pytest.raises(DataRefused, match="not on it"):
        prices_of(("a", "b"), QUALITY[:, :2], ladder=["a"])


def test_sizes_in_names_are_prices_and_else_quality_is():
    assert prices_of(("llama-70b", "qwen2.5-7b"), QUALITY[:, :2]).order() == [1, 0]
    assert prices_of(("a", "b", "c"), QUALITY).order() == [0, 2, 1]
