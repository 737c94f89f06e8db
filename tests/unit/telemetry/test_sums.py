"""Adding up what several processes counted."""

from __future__ import annotations

from pointsman.core.counts import Counts
from pointsman.core.record import Record
from pointsman.telemetry.metrics import Metrics
from pointsman.telemetry.sums import Sums, Unsaid
from pointsman.testing.factories import a_pool, a_settings

SETTINGS = a_settings(a_pool("small"))
DONE = "pointsman_requests_total"


def a_record(id: str = "r") -> Record:
    return Record(id, 0.0, "chat", "auto", "auto", "", "", False, "answered", 200, 0.5, None, routing_tier="small")


def counted(page: bytes, series: str) -> float:
    rows = [line for line in page.decode().splitlines() if line.startswith((f"{series}{{", f"{series} "))]
    return sum(float(row.rsplit(" ", 1)[1]) for row in rows)


def test_what_two_processes_counted_is_on_one_page():
    house, workers, sums = Metrics(SETTINGS), [Metrics(SETTINGS), Metrics(SETTINGS)], Sums()
    for number, worker in enumerate(workers):
        for _ in range(number + 2):
            worker.write(a_record())
        worker.count("pointsman_refused_total", "other")
        house.add(sums.heard(number, worker.counts()))

    page, _ = house.render()
    assert counted(page, DONE) == 5
    assert counted(page, "pointsman_refused_total") == 2
    assert counted(page, "pointsman_request_duration_seconds_count") == 5
    assert counted(page, "pointsman_request_duration_seconds_sum") == 2.5


def test_only_what_has_changed_is_said_again():
    metrics, unsaid = Metrics(SETTINGS), Unsaid()
    metrics.write(a_record())

    assert {row[0] for row in unsaid.of(metrics.counts()).histograms} >= {"pointsman_request_duration_seconds"}
    assert unsaid.of(metrics.counts()).is_empty
    metrics.count("pointsman_refused_total", "other")
    assert unsaid.of(metrics.counts()).counters == (("pointsman_refused_total", ("other",), 1),)


def test_a_total_that_comes_twice_or_late_is_added_once():
    sums = Sums()
    assert sums.heard(1, Counts((("c", ("x",), 5.0),))).counters == (("c", ("x",), 5.0),)
    assert sums.heard(1, Counts((("c", ("x",), 5.0),))).is_empty
    assert sums.heard(1, Counts((("c", ("x",), 3.0),))).is_empty
    assert sums.heard(1, Counts((("c", ("x",), 7.0),))).counters == (("c", ("x",), 2.0),)


def test_the_next_process_begins_at_nothing_and_the_dead_ones_counts_stay():
    house, sums = Metrics(SETTINGS), Sums()
    for life in (1, 2):
        worker = Metrics(SETTINGS)
        worker.write(a_record())
        house.add(sums.heard(life, worker.counts()))
        sums.forget(life)

    assert counted(house.render()[0], DONE) == 2
    assert repr(sums) == "<Sums of 0 processes>"


def test_what_somebody_else_counts_is_part_of_a_processes_totals():
    worker = Metrics(SETTINGS, readings={"pointsman_records_dropped_total": lambda: 3.0})
    house = Metrics(SETTINGS, readings={"pointsman_records_dropped_total": lambda: 1.0})
    house.add(Sums().heard(1, worker.counts()))

    assert counted(house.render()[0], "pointsman_records_dropped_total") == 4


def test_rows_of_an_unknown_series_are_left_out():
    house = Metrics(SETTINGS)
    house.add(Counts((("of_tomorrow_total", (), 1.0),), (("of_tomorrow", (), (1.0, 2.0)), ("llm_router_latency_ms", ("small",), (1.0,)))))

    assert b"of_tomorrow" not in house.render()[0]
