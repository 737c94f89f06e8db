from __future__ import annotations

from pointsman.state.messages import Crowd


def test_who_waits_at_several_processes_is_added_and_the_oldest_of_all_is_the_oldest():
    here = Crowd(3, 0.5, {"a": 1, "b": 2})
    there = {"waiting": 1, "oldest_s": 2.0, "tenants": {"c": 1}}

    both = here.beside(there)
    assert both == {"waiting": 4, "oldest_s": 2.0, "tenants": {"a": 1, "b": 2, "c": 1}}
    assert Crowd(**both).beside(there)["tenants"] == {"a": 1, "b": 2, "c": 2}


def test_where_nobody_waits_nobody_is_the_oldest():
    nobody = {"waiting": 0, "oldest_s": None, "tenants": {}}

    assert Crowd(0, None).beside(nobody) == nobody
    assert Crowd(1, 0.25, {"a": 1}).beside(nobody)["oldest_s"] == 0.25
