"""Which worker runs what."""

from __future__ import annotations

from pointsman.state.census import Census
from pointsman.state.messages import Load


def test_each_hears_what_all_others_run():
    census = Census()
    census.tell(1, 1, {"small/0": Load(3, 300)})
    census.tell(2, 1, {"small/0": Load(2, 50), "large/0": Load(1, 9)})
    census.tell(3, 1, {"large/0": Load(4, 40)})

    assert census.elsewhere(1, 1) == {"small/0": Load(2, 50), "large/0": Load(5, 49)}
    assert census.total(1) == {"small/0": Load(5, 350), "large/0": Load(5, 49)}


def test_the_latest_word_counts_and_the_dead_run_nothing():
    census = Census()
    census.tell(1, 1, {"small/0": Load(3, 300)})
    census.tell(1, 1, {"small/0": Load(1, 10)})
    census.tell(2, 1, {"small/0": Load(9, 90)})
    census.forget(2)

    assert census.total(1) == {"small/0": Load(1, 10)}
    assert repr(census) == "<Census of 1 workers>"


def test_names_of_another_generation_may_mean_other_servers():
    census = Census()
    census.tell(1, 1, {"small/0": Load(3, 300)})
    census.tell(2, 2, {"small/0": Load(1, 10)})

    assert census.total(2) == {"small/0": Load(1, 10)}
    assert census.elsewhere(2, 2) == {}
