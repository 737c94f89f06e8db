"""An evaluation on terminals of any width."""

import io

import pytest

pytest.importorskip("numpy")

from rich.console import Console

from pointsman.cli.standings import show
from pointsman.learn.evaluate import Evaluation, Router
from pointsman.learn.metrics import Interval

ONE = Interval(0.512, 0.488, 0.561)
NAMES = ("random mixing", "always cheapest", "k nearest neighbours", "best single (large)", "ours, static only")


def shown(width):
    routers = tuple(Router(name, ONE, ONE, ONE, ONE, (None, ONE, ONE)) for name in NAMES)
    found = Evaluation(1000, "small", "large", "large", "as given", (), routers, (), ONE, 0.0, ())
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
