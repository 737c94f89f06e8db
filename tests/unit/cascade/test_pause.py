"""The pause before the endpoint that failed is asked once more."""

from __future__ import annotations

from random import Random

from pointsman.cascade.pause import BACKOFF_MAX_S, BACKOFF_S, Pause


class Longest(Random):
    """Draws as high as can be."""

    def random(self):
        return 1.0


def test_the_bound_doubles_with_each_pause_up_to_a_longest_one():
    pause = Pause(Longest())
    bounds = [pause.begin(0.0) for _ in range(10)]
    assert bounds[:4] == [BACKOFF_S, 2 * BACKOFF_S, 4 * BACKOFF_S, 8 * BACKOFF_S]
    assert bounds[-1] == BACKOFF_MAX_S


def test_a_pause_is_anything_between_nothing_and_its_bound():
    ends = [Pause(Random(seed)).begin(5.0) for seed in range(200)]
    assert all(5.0 <= end <= 5.0 + BACKOFF_S for end in ends)
    assert max(ends) - min(ends) > 0.9 * BACKOFF_S


def test_it_knows_when_the_last_one_is_over():
    pause = Pause(Longest())
    assert pause.begin(1.0) == pause.until == 1.0 + BACKOFF_S
