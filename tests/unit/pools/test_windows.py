"""What happened lately."""

from __future__ import annotations

import pytest

from pointsman.pools.windows import EndpointWindows, Latencies, Tally, Untold, quantile_of


def test_a_tally_counts_what_is_in_its_window_and_forgets_the_rest():
    tally = Tally(2, 60.0, 60)
    tally.add(1000.0, 0)
    tally.add(1030.0, 0, 1)
    assert tally.advance(1059.9) == [2, 1]
    assert tally.advance(1061.0) == [1, 1]
    assert tally.advance(1091.0) == [0, 0]


def test_a_window_is_never_shorter_than_its_span():
    tally, latencies = Tally(1, 60.0, 60), Latencies(60.0, 12)
    tally.add(1000.9, 0)
    latencies.add(1004.9, 1.0)
    assert tally.advance(1060.8) == [1]
    assert latencies.quantile(0.5, 1064.8) is not None


def test_a_tally_sums_the_last_seconds_alone():
    tally = Tally(1, 60.0, 60)
    for second in range(60):
        tally.add(1000.0 + second, 0)
    assert tally.advance(1059.5) == [60]
    assert tally.lately(1059.5, 15.0) == [16]
    assert tally.lately(1070.5, 15.0) == [5]


def test_a_long_silence_empties_a_tally_at_once():
    tally = Tally(1, 60.0, 60)
    tally.add(1000.0, 0)
    tally.add(1e6, 0)
    assert tally.advance(1e6) == [1]


def test_time_that_goes_back_is_counted_in_the_newest_slot():
    tally = Tally(1, 60.0, 60)
    tally.add(1000.0, 0)
    tally.add(998.0, 0)
    assert tally.lately(1000.0, 0.0) == [2]


def test_a_rate_is_over_the_time_since_events_began_when_that_is_shorter():
    tally = Tally(1, 60.0, 60)
    assert tally.rate(0, 1000.0, 15.0) is None
    for tenth in range(50):
        tally.add(1000.0 + tenth / 10, 0)
    assert tally.rate(0, 1005.0, 15.0) == pytest.approx(10.0)
    for tenth in range(50, 400):
        tally.add(1000.0 + tenth / 10, 0)
    assert tally.rate(0, 1039.99, 15.0) == pytest.approx(10.0, rel=0.07)
    assert tally.rate(0, 1200.0, 15.0) is None


def test_a_cleared_tally_knows_nothing():
    tally = Tally(1, 60.0, 60)
    tally.add(1000.0, 0)
    tally.clear()
    assert tally.advance(1000.0) == [0]
    assert tally.rate(0, 1000.0, 15.0) is None


def test_quantiles_are_within_two_percent():
    latencies = Latencies(60.0, 12)
    for n in range(1, 1001):
        latencies.add(1000.0, n / 100)
    assert latencies.quantile(0.5, 1000.0) == pytest.approx(5.0, rel=0.021)
    assert latencies.quantile(0.95, 1000.0) == pytest.approx(9.5, rel=0.021)
    assert latencies.quantile(1.0, 1000.0) == pytest.approx(10.0, rel=0.021)


@pytest.mark.parametrize("seconds", [0.0005, 0.01, 0.2, 1.0, 3.9, 600.0])
def test_one_time_is_its_own_median(seconds):
    latencies = Latencies(60.0, 12)
    latencies.add(1000.0, seconds)
    assert latencies.quantile(0.5, 1000.0) == pytest.approx(seconds, rel=0.021)


def test_no_time_is_too_short_to_be_kept():
    latencies = Latencies(60.0, 12)
    latencies.add(1000.0, 0.0)
    latencies.add(1000.0, -1.0)
    assert latencies.quantile(0.5, 1000.0) == pytest.approx(1e-4, rel=0.04)


def test_old_times_leave_the_quantiles():
    latencies = Latencies(60.0, 12)
    latencies.add(1000.0, 9.0)
    latencies.add(1030.0, 1.0)
    assert latencies.quantile(0.95, 1059.0) == pytest.approx(9.0, rel=0.021)
    assert latencies.quantile(0.95, 1066.0) == pytest.approx(1.0, rel=0.021)
    assert latencies.quantile(0.95, 1100.0) is None
    assert latencies.n == 0


def test_a_long_silence_empties_the_times_at_once():
    latencies = Latencies(60.0, 12)
    latencies.add(1000.0, 9.0)
    latencies.add(9000.0, 1.0)
    assert latencies.n == 1


def test_an_endpoints_last_minute_in_numbers():
    windows = EndpointWindows()
    assert windows.status(1000.0) == {
        "answers": 0, "failures": 0, "ttft_p50_s": None, "ttft_p95_s": None, "inter_token_p50_s": None,
        "inter_token_p95_s": None, "answers_per_s": None,
    }  # fmt: skip
    windows.answered(1000.0)
    windows.failed(1001.0)
    windows.ttft.add(1000.0, 0.2)
    windows.gap.add(1000.0, 0.02)
    told = windows.status(1010.0)
    assert (told["answers"], told["failures"], told["answers_per_s"]) == (1, 1, 0.1)
    assert told["ttft_p95_s"] == pytest.approx(0.2, rel=0.02)
    assert told["inter_token_p50_s"] == pytest.approx(0.02, rel=0.03)


def test_a_quantile_of_several_windows_is_of_all_their_times_and_of_none_that_are_too_old():
    quick, slow, empty = Latencies(60.0, 12), Latencies(60.0, 12), Latencies(60.0, 12)
    for _ in range(9):
        quick.add(1000.0, 0.01)
    slow.add(1000.0, 1.0)

    assert quantile_of((quick, slow, empty), 0.5, 1000.0) == pytest.approx(0.01, rel=0.02)
    assert quantile_of((quick, slow, empty), 0.95, 1000.0) == pytest.approx(1.0, rel=0.02)
    assert quantile_of((quick, slow, empty), 0.95, 1100.0) is None
    assert quantile_of((), 0.95, 1000.0) is None


def test_what_is_to_be_told_is_told_once():
    windows = EndpointWindows()
    windows.failed(1000.0)
    windows.untold = Untold()
    windows.failed(1000.0)
    windows.paced(1000.0, 0.02)

    assert windows.untold.take() == (1, (0.02,))
    assert windows.untold.take() == (0, ())
    assert windows.status(1000.0)["failures"] == 2
