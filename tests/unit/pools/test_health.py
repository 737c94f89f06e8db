"""When an endpoint is in service."""

from __future__ import annotations

import pytest

from pointsman import errors
from pointsman.core.fleet import EndpointState
from pointsman.core.settings import HealthSettings
from pointsman.pools.health import INFINITY, NEW, QUARANTINE_S, Signal, due, probe, signal_of, step

SETTINGS = HealthSettings()
HEALTHY, EJECTED, PROBING = EndpointState.HEALTHY, EndpointState.EJECTED, EndpointState.PROBING


def after(signals, *, health=NEW, now=1000.0, every_s=0.0, settings=SETTINGS):
    for i, signal in enumerate(signals):
        health = step(health, signal, now + i * every_s, settings)
    return health


def ejected(now=1000.0):
    return after([Signal.SICK] * 5, now=now)


# ---------------------------------------------------------------------------------------------------------
# Ejection


def test_five_failures_in_a_row_eject_for_ten_seconds():
    assert after([Signal.SICK] * 4).state is HEALTHY
    health = ejected()
    assert (health.state, health.cause, health.open_at) == (EJECTED, "failures", 1010.0)


def test_an_answer_breaks_the_row():
    assert after([*[Signal.SICK] * 4, Signal.ANSWERED, *[Signal.SICK] * 4]).state is HEALTHY


def test_half_of_twenty_failing_ejects_though_never_five_in_a_row():
    mixed = [Signal.ANSWERED, Signal.SICK] * 10
    assert after(mixed[:19]).state is HEALTHY
    assert after(mixed).state is EJECTED


def test_less_than_half_failing_does_not_eject():
    assert after([Signal.ANSWERED, Signal.ANSWERED, Signal.SICK] * 30).state is HEALTHY


def test_failures_of_a_minute_ago_no_longer_count():
    assert after([Signal.ANSWERED, Signal.SICK] * 60, every_s=4.0).state is HEALTHY


def test_failures_of_the_half_window_before_still_count():
    health = after([Signal.ANSWERED, Signal.SICK] * 6, now=1004.0)  # half windows begin at 990, 1005, 1020
    assert after([Signal.ANSWERED, Signal.SICK] * 4, health=health, now=1006.0).state is EJECTED
    assert after([Signal.ANSWERED, Signal.SICK] * 4, health=health, now=1021.0).state is HEALTHY


def test_thresholds_come_from_the_settings():
    settings = HealthSettings(eject_after=2, eject_s=3.0)
    assert after([Signal.SICK] * 2, settings=settings).open_at == 1003.0


# ---------------------------------------------------------------------------------------------------------
# Probing


def test_a_probe_that_answers_heals():
    health = step(probe(ejected()), Signal.ANSWERED, 1011.0, SETTINGS, kind="probe")
    assert (health.state, health.cause, health.in_a_row, health.open_at) == (HEALTHY, "", 0, 0.0)


def test_failed_probes_double_the_ejection_up_to_two_minutes():
    health, now, lengths = ejected(), 1000.0, []
    for _ in range(6):
        lengths.append(health.open_at - now)
        now = health.open_at
        health = step(probe(health), Signal.SICK, now, SETTINGS, kind="probe")
    assert lengths == [10.0, 20.0, 40.0, 80.0, 120.0, 120.0]


def test_a_probing_endpoint_is_open_to_nobody_else():
    assert probe(ejected()).open_at == INFINITY


@pytest.mark.parametrize("signal", [Signal.ALIVE, Signal.RATE_LIMITED, Signal.OVERLOADED])
def test_a_probe_that_shows_life_heals(signal):
    assert step(probe(ejected()), signal, 1011.0, SETTINGS, kind="probe").state is HEALTHY


def test_a_probe_cut_short_leaves_it_to_the_next():
    health = step(probe(ejected()), Signal.NOTHING, 1011.0, SETTINGS, kind="probe")
    assert (health.state, health.open_at) == (EJECTED, 1011.0)


def test_leases_from_before_the_ejection_say_nothing_new():
    health = ejected()
    assert after([Signal.ANSWERED, Signal.SICK, Signal.SICK], health=health) == health


def test_a_desperate_answer_heals_and_a_desperate_failure_changes_nothing():
    health = ejected()
    assert step(health, Signal.ANSWERED, 1001.0, SETTINGS, kind="desperate").state is HEALTHY
    assert step(health, Signal.SICK, 1001.0, SETTINGS, kind="desperate") == health


def test_a_relapse_doubles_and_a_long_healthy_time_forgives():
    healed = step(probe(ejected()), Signal.ANSWERED, 1010.0, SETTINGS, kind="probe")
    assert after([Signal.SICK] * 5, health=healed, now=1020.0).open_at == 1040.0
    assert after([Signal.SICK] * 5, health=healed, now=1200.0).open_at == 1210.0


# ---------------------------------------------------------------------------------------------------------
# Load, configuration, requests


def test_a_rate_limit_cools_down_for_as_long_as_it_says_up_to_a_minute():
    for says, waits in ((7.0, 7.0), (99_999_999.0, 60.0)):
        health = step(NEW, Signal.RATE_LIMITED, 1000.0, SETTINGS, retry_after_s=says)
        assert (health.state, health.open_at, health.cool_known) == (HEALTHY, 1000.0 + waits, True)


@pytest.mark.parametrize("says", [None, 0.0, -5.0])
def test_a_rate_limit_that_says_nothing_useful_doubles_from_a_second_to_a_minute(says):
    health, now, lengths = NEW, 1000.0, []
    for _ in range(8):
        health = step(health, Signal.RATE_LIMITED, now, SETTINGS, retry_after_s=says)
        lengths.append(health.open_at - now)
        now = health.open_at
    assert lengths == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert not health.cool_known


def test_a_shorter_retry_after_does_not_shorten_the_cooldown():
    health = step(NEW, Signal.RATE_LIMITED, 1000.0, SETTINGS, retry_after_s=30.0)
    assert step(health, Signal.RATE_LIMITED, 1001.0, SETTINGS, retry_after_s=2.0).open_at == 1030.0


def test_many_rate_limits_at_once_are_one_event():
    health = after([Signal.RATE_LIMITED] * 20)
    assert health.open_at == 1001.0


def test_an_answer_after_the_cooldown_resets_its_length():
    health = after([Signal.RATE_LIMITED, Signal.RATE_LIMITED, Signal.ANSWERED], every_s=10.0)
    assert step(health, Signal.RATE_LIMITED, 1100.0, SETTINGS).open_at == 1101.0


def test_a_full_queue_is_a_second_of_load_and_no_sickness():
    health = after([Signal.OVERLOADED] * 50)
    assert (health.state, health.open_at) == (HEALTHY, 1001.0)


@pytest.mark.parametrize(("said_s", "length_s"), [(7.0, 7.0), (0.2, 1.0), (9e9, SETTINGS.cooldown_max_s)])
def test_an_overloaded_endpoint_may_say_how_long_and_is_still_tried_where_there_is_nobody_else(said_s, length_s):
    health = step(NEW, Signal.OVERLOADED, 1000.0, SETTINGS, retry_after_s=said_s)
    assert (health.state, health.open_at, health.cool_known) == (HEALTHY, 1000.0 + length_s, False)


@pytest.mark.parametrize("signal", [Signal.CREDENTIAL, Signal.MISCONFIGURED])
def test_our_own_mistakes_are_quarantined_and_probed_once_a_minute(signal):
    health = step(NEW, signal, 1000.0, SETTINGS)
    assert (health.state, health.cause, health.open_at) == (EJECTED, signal.value, 1000.0 + QUARANTINE_S)
    again = step(probe(health), signal, 1060.0, SETTINGS, kind="probe")
    assert again.open_at == 1060.0 + QUARANTINE_S
    assert step(probe(again), Signal.ANSWERED, 1120.0, SETTINGS, kind="probe").state is HEALTHY


def test_a_reload_lets_a_quarantined_endpoint_be_probed_at_once():
    assert due(step(NEW, Signal.CREDENTIAL, 1000.0, SETTINGS)).open_at == 0.0


@pytest.mark.parametrize(
    ("error", "signal"),
    [
        (errors.ConnectFailed("refused", sent=False), Signal.SICK),
        (errors.ConnectionLost("reset"), Signal.SICK),
        (errors.FirstTokenTimeout("late"), Signal.SICK),
        (errors.BadAnswer("html"), Signal.SICK),
        (errors.UpstreamFailed("500"), Signal.SICK),
        (errors.UpstreamOverloaded("full"), Signal.OVERLOADED),
        (errors.RateLimited("429"), Signal.RATE_LIMITED),
        (errors.CredentialRefused("401"), Signal.CREDENTIAL),
        (errors.Misconfigured("404"), Signal.MISCONFIGURED),
        (errors.RequestRefused("400"), Signal.ALIVE),
        (errors.NoEndpoint("small"), Signal.NOTHING),
        (None, Signal.SICK),
    ],
    ids=lambda v: type(v).__name__,
)
def test_errors_say_what_they_mean(error, signal):
    assert signal_of(error) is signal
