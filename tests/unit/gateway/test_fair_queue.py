from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pointsman.gateway.fair_queue import AGE_S, FairQueue


def queue(*items: tuple[str, str, int], at: float = 0.0) -> FairQueue[str]:
    """Items as (name, tenant, priority), of size 1."""
    line: FairQueue[str] = FairQueue()
    for name, tenant, priority in items:
        line.put(name, tenant=tenant, priority=priority, size=1, now=at)
    return line


def order(line: FairQueue[str], now: float = 0.0) -> list[str]:
    taken = []
    while (ticket := line.take(now)) is not None:
        taken.append(ticket.item)
    return taken


def test_one_tenants_requests_keep_their_order():
    assert order(queue(("a", "x", 1), ("b", "x", 1), ("c", "x", 1))) == ["a", "b", "c"]


def test_a_better_priority_goes_first():
    assert order(queue(("late", "x", 2), ("soon", "x", 1), ("now", "y", 0))) == ["now", "soon", "late"]


def test_a_flood_of_one_tenant_does_not_delay_the_next_ones_single_request():
    flood = [(f"x{i}", "x", 1) for i in range(50)]

    assert order(queue(*flood, ("y", "y", 1))).index("y") == 1


def test_large_requests_use_a_share_up_faster():
    line: FairQueue[str] = FairQueue()
    for i in range(4):
        line.put(f"large{i}", tenant="x", priority=1, size=100, now=0)
        line.put(f"small{i}", tenant="y", priority=1, size=10, now=0)

    assert order(line)[:5] == ["large0", "small0", "small1", "small2", "small3"]


def test_who_has_waited_long_counts_as_better():
    line = queue(("old", "x", 2))
    line.put("new", tenant="y", priority=1, size=1, now=AGE_S * 2)

    assert order(line, now=AGE_S * 2) == ["old", "new"]


def test_who_leaves_is_gone_from_anywhere_in_the_line():
    line: FairQueue[str] = FairQueue()
    tickets = [line.put(name, tenant="x", priority=1, size=1, now=0) for name in "abc"]

    assert line.remove(tickets[1])
    assert not line.remove(tickets[1])
    assert order(line) == ["a", "c"]
    assert len(line) == 0


def test_the_newest_of_a_worse_priority_gives_way_to_a_better_one():
    line = queue(("low-old", "x", 2), ("normal", "x", 1))
    line.put("low-new", tenant="x", priority=2, size=1, now=1.0)

    assert line.least(2, "x") is None
    given = line.least(1, "x")
    assert given is not None
    assert given.item == "low-new"


def test_whoever_has_filled_the_line_gives_way_to_whoever_has_asked_for_nothing_yet():
    line = queue(*[(f"x{i}", "x", 1) for i in range(4)])

    assert line.least(1, "x") is None
    given = line.least(1, "y")
    assert given is not None
    assert given.item == "x3"
    assert queue(("x", "x", 1)).least(1, "y") is None, "equals keep their places"


def test_how_many_are_ahead_depends_on_who_asks():
    line = queue(*[(f"x{i}", "x", 1) for i in range(9)], ("low", "z", 2))

    assert line.ahead("x", 1, now=0.0) == 9
    assert line.ahead("y", 1, now=0.0) == 1
    assert line.ahead("y", 0, now=0.0) == 0
    assert line.ahead("y", 2, now=0.0) == 10


def test_who_cannot_go_on_holds_up_nobody_who_can():
    line: FairQueue[str] = FairQueue()
    line.put("pinned", tenant="x", priority=0, size=1, now=0, kind="a")
    line.put("free", tenant="x", priority=1, size=1, now=1, kind="b")

    next_one = line.peek(2, lambda item: item == "free")
    assert next_one is not None
    assert next_one.item == "free"
    line.let_in(next_one)
    assert order(line) == ["pinned"]


def test_a_tenant_that_comes_later_starts_at_the_present_and_owes_nobody_the_past():
    line = queue(*[(f"x{i}", "x", 1) for i in range(10)])
    for _ in range(5):
        line.take(0)
    line.put("y0", tenant="y", priority=1, size=1, now=0)
    line.put("y1", tenant="y", priority=1, size=1, now=0)

    rest = order(line)

    assert rest.index("y1") - rest.index("y0") >= 1
    assert rest.index("y0") <= 1


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 2), st.floats(0.1, 1000)), max_size=40), st.data())
def test_whatever_comes_and_goes_everyone_is_let_in_once_or_left(arrivals, data):
    line: FairQueue[int] = FairQueue()
    tickets = [line.put(i, tenant=t, priority=p, size=s, now=float(i)) for i, (t, p, s) in enumerate(arrivals)]
    leaving = data.draw(st.sets(st.sampled_from(tickets))) if tickets else set()
    for ticket in leaving:
        assert line.remove(ticket)

    taken = []
    while (ticket := line.take(100.0)) is not None:
        taken.append(ticket.item)

    assert sorted(taken + [ticket.item for ticket in leaving]) == list(range(len(arrivals)))
    assert len(line) == 0


@given(st.integers(1, 30), st.integers(1, 30))
def test_two_tenants_with_work_waiting_get_equal_shares(first, second):
    line = queue(*[(f"x{i}", "x", 1) for i in range(first)], *[(f"y{i}", "y", 1) for i in range(second)])
    both = min(first, second) * 2

    taken = order(line)[:both]

    assert abs(sum(name[0] == "x" for name in taken) - both / 2) <= 1
