"""Curves on an even grid."""

import numpy as np
import pytest

from pointsman.classify.heads.calibration import GRID, Curves


def test_between_knots_a_curve_is_straight():
    curves = Curves(np.column_stack([GRID, 2 * GRID]))

    assert curves(np.array([[0.3, 0.3]]))[0] == pytest.approx([0.3, 0.6])


def test_beyond_the_grid_a_curve_stays_at_its_end():
    curves = Curves(np.column_stack([GRID]))

    assert curves(np.array([[-50.0], [50.0]]))[:, 0] == pytest.approx([GRID[0], GRID[-1]], abs=1e-4)
