"""Hulls of cost and quality."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.learn.frontier import Points, aiq, cost_of, hull  # noqa: E402


def points(*pairs):
    return np.array([x for x, _ in pairs], float), np.array([y for _, y in pairs], float)


def test_the_hull_rises_and_bends_down_only():
    x, y = hull(*points((1, 0.5), (2, 0.9), (3, 0.6), (4, 1.0), (1.5, 0.55)))

    assert x.tolist() == [1, 2, 4]
    assert y.tolist() == [0.5, 0.9, 1.0]


def test_a_dearer_and_worse_point_offers_nothing():
    assert hull(*points((1, 0.9), (2, 0.5)))[0].tolist() == [1]


def test_aiq_is_the_mean_height():
    assert aiq(*points((0, 0.0), (1, 1.0)), 0, 1) == pytest.approx(0.5)
    assert aiq(*points((0, 0.0), (0.5, 1.0)), 0, 1) == pytest.approx(0.75)
    assert aiq(*points((0, 0.4), (1, 0.2)), 0, 1) == pytest.approx(0.4)


def test_cost_of_a_quality_is_that_of_the_cheapest_mix():
    cost, quality = points((1, 0.5), (3, 1.0))

    assert cost_of(0.75, cost, quality) == pytest.approx(2)
    assert cost_of(0.4, cost, quality) == 1
    assert cost_of(1.0, cost, quality) == 3
    assert cost_of(1.01, cost, quality) is None


def test_counts_weigh_rows():
    found = Points(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))

    assert [float(one[0]) for one in found.at()] == [2.0, 0.5]
    assert [float(one[0]) for one in found.at(np.array([0.0, 2.0]))] == [3.0, 1.0]


def test_a_quality_that_rounding_put_above_the_first_point_costs_that_point():
    assert cost_of(0.5 + 1e-13, *points((1, 0.5))) == 1
    assert cost_of(0.5 + 1e-13, *points((1, 0.5), (2, 0.9))) == 1
    assert cost_of(1e-12, *points((1, 1e-13), (2, 3e-12))) is not None
