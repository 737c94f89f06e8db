"""When a dead worker is replaced."""

from __future__ import annotations

from pointsman.supervisor.restarts import MAX_S, Restarts


def test_who_lived_is_replaced_at_once_however_often_he_is_killed():
    restarts = Restarts()
    assert [restarts.pause_s(2.0) for _ in range(50)] == [0.0] * 50
    assert restarts.count == 50


def test_who_dies_young_again_and_again_is_waited_for_longer_and_longer():
    restarts = Restarts()
    assert [restarts.pause_s(0.1) for _ in range(5)] == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert [restarts.pause_s(0.1) for _ in range(100)][-1] == MAX_S


def test_one_long_life_forgives():
    restarts = Restarts()
    for _ in range(5):
        restarts.pause_s(0.1)
    restarts.pause_s(60.0)
    assert restarts.pause_s(0.1) == 0.0
