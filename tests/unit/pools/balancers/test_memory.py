"""What an endpoint was sent lately."""

from __future__ import annotations

from pointsman.pools.balancers.memory import MOST, Memory


def test_it_knows_the_longest_beginning_that_it_was_sent():
    memory = Memory()
    memory.add([(1, 10), (2, 20)])
    assert memory.known([(1, 10), (2, 20), (3, 30)]) == 20
    assert memory.known([(1, 10), (9, 90)]) == 10
    assert memory.known([(9, 90)]) == 0
    assert memory.known([]) == 0


def test_the_one_not_asked_for_longest_is_forgotten():
    memory = Memory(3)
    memory.add([(1, 10)])
    memory.add([(2, 10)])
    memory.add([(3, 10)])
    memory.add([(1, 10)])
    memory.add([(4, 10)])
    assert [memory.known([(number, 10)]) > 0 for number in (1, 2, 3, 4)] == [True, False, True, True]


def test_the_end_of_a_prompt_is_forgotten_before_its_beginning():
    memory = Memory(2)
    memory.add([(1, 10), (2, 20), (3, 30)])
    assert memory.known([(1, 10), (2, 20), (3, 30)]) == 20


def test_it_never_holds_more_than_its_bound():
    memory = Memory()
    for number in range(3 * MOST):
        memory.add([(number, 1), (-number, 2)])
    assert len(memory) == MOST


def test_what_is_known_to_be_gone_is_forgotten():
    memory = Memory()
    memory.add([(1, 10), (2, 20), (3, 30)])
    memory.forget([3, 99])
    assert memory.known([(1, 10), (2, 20), (3, 30)]) == 20
    memory.forget(None)
    assert len(memory) == 0
