"""Whatever workers say in whatever order, and whoever dies: sums are right, and everyone comes to know the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.counts import Counts
from pointsman.core.fleet import EndpointState
from pointsman.core.settings import HealthSettings
from pointsman.pools.fleet import Fleet
from pointsman.pools.health import Signal
from pointsman.state.census import Census
from pointsman.state.frames import Framer, framed
from pointsman.state.messages import FromWorker, Load, PageWanted, Pulse, Ready
from pointsman.state.outlook import Outlook
from pointsman.telemetry.sums import Sums, Unsaid
from pointsman.testing.factories import a_pool, a_settings

SERIES = ("a_total", "b_total")
LABELS = (("x",), ("y",), ())


class Counting:
    """One worker: what it has counted, and what it has said so far."""

    def __init__(self, life: int) -> None:
        self.life, self.totals = life, dict[tuple[str, tuple[str, ...]], float]()
        self.cells = dict[tuple[str, ...], list[float]]()
        self.unsaid, self.said = Unsaid(), list[Counts]()

    def count(self, name: str, labels: tuple[str, ...], by: int) -> None:
        self.totals[name, labels] = self.totals.get((name, labels), 0) + by
        row = self.cells.setdefault(labels, [0.0, 0.0, 0.0])
        row[by % 2] += 1
        row[2] += by

    def pulse(self) -> Counts:
        counts = self.unsaid.of(Counts(
            tuple((name, labels, total) for (name, labels), total in self.totals.items()),
            tuple(("h", labels, tuple(row)) for labels, row in self.cells.items())))
        self.said.append(counts)
        return counts


def added(sums: dict[Any, float], counts: Counts) -> None:
    for name, labels, by in counts.counters:
        sums[name, labels] = sums.get((name, labels), 0) + by
    for name, labels, cells in counts.histograms:
        for at, by in enumerate(cells):
            sums[name, labels, at] = sums.get((name, labels, at), 0) + by


COUNTS = st.tuples(st.just("count"), st.integers(0, 3), st.sampled_from(SERIES), st.sampled_from(LABELS), st.integers(1, 5))
PULSES = st.tuples(st.just("pulse"), st.integers(0, 3))
AGAIN = st.tuples(st.just("again"), st.integers(0, 3), st.integers(0, 20))
DEATHS = st.tuples(st.just("dies"), st.integers(0, 3))


@given(st.lists(st.one_of(COUNTS, PULSES, AGAIN, DEATHS), max_size=60))
def test_each_count_is_added_once_whatever_comes_twice_late_or_not_at_all(story: list[Any]) -> None:
    workers = {seat: Counting(seat) for seat in range(4)}
    lives, house, sums, told = 4, Sums(), dict[Any, float](), dict[Any, float]()
    for what, seat, *rest in story:
        worker = workers[seat]
        match what:
            case "count":
                worker.count(*rest)
            case "pulse":
                before = dict(sums)
                added(sums, house.heard(worker.life, worker.pulse()))
                assert all(sums[row] >= before[row] for row in before)  # counters never fall
            case "again" if worker.said:
                added(sums, house.heard(worker.life, worker.said[rest[0] % len(worker.said)]))
            case "dies":
                added(sums, house.heard(worker.life, worker.pulse()))  # what it had told, or its spool tells after it
                for (name, labels), total in worker.totals.items():
                    told[name, labels] = told.get((name, labels), 0) + total
                house.forget(worker.life)
                workers[seat], lives = Counting(lives), lives + 1
    for worker in workers.values():
        added(sums, house.heard(worker.life, worker.pulse()))
        for (name, labels), total in worker.totals.items():
            told[name, labels] = told.get((name, labels), 0) + total

    assert {row: by for row, by in sums.items() if len(row) == 2} == told
    assert sum(by for row, by in sums.items() if len(row) == 3 and row[2] == 2) == sum(told.values())


@given(st.permutations(range(6)), st.data())
def test_totals_may_come_in_any_order(order: list[int], data: st.DataObject) -> None:
    """Each pulse says a total that is at least the one before: the largest is the truth, whenever it comes."""
    worker = Counting(1)
    for _ in range(6):
        worker.count("a_total", ("x",), data.draw(st.integers(1, 9)))
        worker.pulse()
    house, sums = Sums(), dict[Any, float]()
    for at in order:
        added(sums, house.heard(1, worker.said[at]))

    assert sums["a_total", ("x",)] == worker.totals["a_total", ("x",)]
    assert [sums["h", ("x",), at] for at in range(3)] == worker.cells["x",]


LOADS = st.dictionaries(st.sampled_from(("small/0", "small/1", "large/0")),
                        st.builds(Load, st.integers(1, 50), st.integers(1, 5000)), max_size=3)


@given(st.lists(st.one_of(st.tuples(st.integers(0, 3), LOADS), st.tuples(st.integers(0, 3), st.none())), max_size=30))
def test_what_runs_elsewhere_and_here_is_all_that_runs(story: list[tuple[int, Any]]) -> None:
    census, truth = Census(), dict[int, dict[str, Load]]()
    for worker, loads in story:
        if loads is None:
            census.forget(worker)
            truth.pop(worker, None)
        else:
            census.tell(worker, 1, loads)
            truth[worker] = loads
        for one in range(4):
            for name in ("small/0", "small/1", "large/0"):
                here = truth.get(one, {}).get(name, Load())
                elsewhere = census.elsewhere(one, 1).get(name, Load())
                assert here.in_flight + elsewhere.in_flight == census.total(1).get(name, Load()).in_flight
                assert here.tokens + elsewhere.tokens == sum(loads.get(name, Load()).tokens for loads in truth.values())


SAYINGS = st.lists(st.one_of(
    st.builds(Ready, st.integers(0, 9)), st.builds(PageWanted, st.integers(0, 2**31)),
    st.builds(Pulse, st.integers(0, 9), LOADS, st.integers(0, 99), spool=st.text(max_size=9))), max_size=8)


@given(SAYINGS, st.data())
def test_any_chunking_of_the_bytes_is_the_same_messages(said: list[Any], data: st.DataObject) -> None:
    stream = b"".join(map(framed, said))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    framer: Framer[Any] = Framer(FromWorker)
    heard: list[Any] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        heard += framer.feed(stream[start:end])

    assert heard == said


SETTINGS = a_settings(a_pool("small", "http://a/v1"))
OUTCOMES = st.sampled_from((Signal.SICK, Signal.SICK, Signal.ANSWERED, Signal.RATE_LIMITED, Signal.CREDENTIAL))
EVENTS = st.lists(st.one_of(
    st.tuples(st.just("outcome"), st.integers(0, 2), OUTCOMES), st.tuples(st.just("talk"), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.just("lease"), st.integers(0, 2), st.none())), max_size=50)


@given(EVENTS)
def test_once_everyone_has_heard_everything_all_agree_on_the_endpoints_health(story: list[Any]) -> None:
    fleets = [Fleet(SETTINGS) for _ in range(3)]
    outlooks, vitals = [Outlook(fleet) for fleet in fleets], [fleet.pools["small"].endpoints[0].vitals for fleet in fleets]
    heard: list[Any] = []
    now = 100.0
    for what, one, other in story:
        now += 1.0
        if what == "outcome":
            vitals[one].learn(other, now, HealthSettings(), "ordinary")
        elif what == "lease":
            vitals[one].take(object(), 1, now)
        heard += [*outlooks[one].found_out(now)]
        if what == "talk":
            outlooks[other].hear(heard)
    for outlook in outlooks:
        now += 1.0
        heard += outlook.found_out(now)
    for outlook in outlooks:
        outlook.hear(heard)

    states = {(v.health.state, v.health.cause, v.health.ejections, v.health.until, v.health.cool_until) for v in vitals}
    assert len(states) == 1
    assert all(isinstance(v.state(), EndpointState) for v in vitals)
