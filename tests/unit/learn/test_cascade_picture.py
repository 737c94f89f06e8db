"""Cascades drawn: cost, quality and the three times."""

import re

import pytest

np = pytest.importorskip("numpy")

from pointsman.learn.cascade import Cascade  # noqa: E402
from pointsman.learn.cascade_picture import on_frontier, picture_of  # noqa: E402
from pointsman.learn.cascade_report import MIXING, Point, arms, report  # noqa: E402
from pointsman.learn.rungs import rungs_of, simulated  # noqa: E402


def a_report(*, seconds=(0.5, 4.0)):
    draw = np.random.default_rng(0)
    rungs = rungs_of(("small", "large"), (draw.random((80, 2)) < (0.5, 0.9)).astype(float), np.array([1.0, 10.0]), seconds=np.array(seconds))
    return report(arms(Cascade(simulated(rungs, 0.1)), (0.0, 0.2, 1000.0), (0.0, 0.5, 1.01)), rungs.tiers, draws=5)


def test_every_way_is_drawn_over_cost_and_over_all_three_times():
    found = a_report()
    drawn = picture_of(found, "a < b")

    assert drawn.startswith("<svg")
    assert "a &lt; b" in drawn
    for name in ("p50", "p95", "p99"):
        assert f"{name}, seconds to the answer" in drawn
    ways = len(found.standings)
    shapes = drawn.count('stroke="#') + drawn.count("<circle")
    assert shapes == ways + 3 * (ways - 1), f"{MIXING} has no times of its own"
    assert not re.search(r"\bnan\b|\binf\b", drawn)


def test_without_times_there_is_cost_and_quality_alone():
    assert "seconds" not in picture_of(a_report(seconds=(0.0, 0.0)), "no clock")


def test_nothing_is_drawn_outside_of_the_picture():
    drawn = picture_of(a_report(seconds=(0.5, 400.0)), "slow")
    width, height = (float(one) for one in re.search(r'width="(\d+)" height="(\d+)"', drawn).groups())
    places = [one.split(",") for points in re.findall(r'points="([^"]+)"', drawn) for one in points.split()]

    assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in places)


def test_settings_that_another_beats_are_not_drawn_over_time():
    curve = (Point(0.1, 0.5, 1, 1, 1), Point(0.2, 0.4, 9, 9, 9), Point(0.2, 0.8, 2, 5, 5), Point(0.2, 0.8, 2, 3, 3), Point(1.0, 0.9, 4, 4, 4))

    assert [(one.cost, one.p95_s) for one in on_frontier(curve)] == [(0.1, 1), (0.2, 3), (1.0, 4)]
