from __future__ import annotations

from pointsman.state.standings import Standings


def test_a_state_lasts_until_another_one_is_seen():
    standings = Standings()
    standings.look({"small/0": "healthy"}, 100.0)
    standings.look({"small/0": "healthy"}, 105.0)
    assert standings.for_s("small/0", 107.5) == 7.5

    standings.look({"small/0": "ejected"}, 108.0)
    assert standings.for_s("small/0", 108.0) == 0.0


def test_who_has_gone_and_comes_back_begins_anew():
    standings = Standings()
    standings.look({"small/0": "healthy"}, 100.0)
    standings.look({}, 101.0)
    assert standings.for_s("small/0", 102.0) is None

    standings.look({"small/0": "healthy"}, 103.0)
    assert standings.for_s("small/0", 104.0) == 1.0
