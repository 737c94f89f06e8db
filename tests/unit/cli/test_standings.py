"""An evaluation on terminals of any width."""

import io

import pytest

pytest.importorskip("numpy")

from rich.console import Console

from pointsman.cli.standings import show
from pointsman.learn.evaluate import Evaluation
from pointsman.learn.ground import Margin, Router
from pointsman.learn.metrics import Interval

ONE = Interval(0.512, 0.488, 0.561)
BELOW = Interval(-0.012, -0.02, -0.001)
CHANCE = Interval(0.01, -0.01, 0.03)
MARGINS = (Margin("random mixing", ONE, None), Margin("task table", CHANCE, BELOW))
NAMES = ("random mixing", "always cheapest", "k nearest neighbours", "best single (large)", "ours, static only")


def shown(width):
    routers = tuple(Router(name, ONE, ONE, ONE, ONE, (None, ONE, ONE)) for name in NAMES)
    found = Evaluation(1000, "small", "large", "large", "as given", (), routers, (), ONE, 0.0, (), MARGINS)
    out = io.StringIO()
    show(found, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_eighty_columns_hold_a_row_a_router():
    said = shown(80).splitlines()

    for name in NAMES:
        assert any(line.startswith(name) and "0.512 [0.488, 0.561]" in line and "51.2%" in line and "never" in line for line in said)
    assert any("intervals of the other figures" in line for line in said)


def test_a_wide_terminal_and_a_pipe_hold_every_interval():
    said = shown(160)

    assert said.count("51.2% [48.8%, 56.1%]") == 2 * len(NAMES)
    assert "intervals of the other figures" not in said


def test_what_ours_is_above_and_below_is_said_and_what_may_be_chance():
    lines = [" ".join(line.split()) for line in shown(80).splitlines()]

    assert "random mixing +0.512 [+0.488, +0.561] above -" in lines
    assert "task table +0.010 [-0.010, +0.030] -0.012 [-0.020, -0.001] below" in lines


def test_a_way_with_all_models_stands_below_the_same_with_two():
    routers = tuple(Router(name, ONE, ONE, ONE, ONE, (ONE, ONE, ONE)) for name in ("task table", "task table, all models", "ours, all models"))
    out = io.StringIO()
    show(Evaluation(1000, "small", "large", "large", "as given", (), routers, (), ONE, 0.0, ()), Console(file=out, width=160, highlight=False))

    assert "\n  all models " in out.getvalue()
    assert "\nours, all models " in out.getvalue()
