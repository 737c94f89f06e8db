"""An endpoint while serving."""

from __future__ import annotations

import pytest

from pointsman.core.fleet import EndpointState, LoadReport
from pointsman.core.settings import HealthSettings
from pointsman.pools.endpoint import Endpoint, Vitals
from pointsman.pools.forecast import Forecast
from pointsman.pools.health import INFINITY, Signal
from pointsman.testing.factories import an_endpoint

SETTINGS = HealthSettings()


def ejected() -> Vitals:
    vitals = Vitals()
    for _ in range(5):
        vitals.learn(Signal.SICK, 1000.0, SETTINGS, "ordinary")
    return vitals


def test_the_first_lease_after_an_ejection_is_the_probe_and_the_next_is_not():
    vitals = ejected()
    assert vitals.take(object(), 1, 1005.0) == "desperate"
    assert vitals.take(object(), 1, 1010.0) == "probe"
    assert vitals.take(object(), 1, 1010.0) == "desperate"
    assert vitals.state() is EndpointState.PROBING


def test_what_is_taken_is_given_back():
    vitals = Vitals()
    vitals.take(object(), 70, 1000.0)
    vitals.give_back(70)
    assert (vitals.in_flight, vitals.in_flight_tokens) == (0, 0)


def test_a_draining_endpoint_is_closed_and_keeps_its_health():
    vitals = Vitals()
    vitals.drain(True)
    assert (vitals.state(), vitals.open_at) == (EndpointState.DRAINING, INFINITY)
    vitals.drain(False)
    assert (vitals.state(), vitals.open_at) == (EndpointState.HEALTHY, 0.0)


def test_ttft_is_a_moving_average_and_unknown_before_the_first_answer():
    vitals = Vitals()
    assert vitals.ttft_s is None
    vitals.answered(1.0, 1.0)
    vitals.answered(2.0, 2.0)
    vitals.answered(3.0, None)
    assert vitals.ttft_s == pytest.approx(1.2)
    assert vitals.last_answered_at == 3.0


def test_a_stale_report_is_unknown():
    endpoint = Endpoint(an_endpoint())
    endpoint.vitals.report = LoadReport(3, 1, 0.5, at=1000.0)
    assert endpoint.view(1006.0).report == endpoint.vitals.report
    assert endpoint.view(1006.1).report is None


def test_a_server_is_its_url_model_and_credential():
    one = Endpoint(an_endpoint("small/0", "http://a/v1", api_key="k"))
    assert one.is_same_server(Endpoint(an_endpoint("small/7", "http://a/v1", api_key="k", slots=1)))
    assert not one.is_same_server(Endpoint(an_endpoint("small/0", "http://a/v1", api_key="other")))
    assert not one.is_same_server(Endpoint(an_endpoint("small/0", "http://b/v1", api_key="k")))


def test_repr_tells_state_and_load():
    endpoint = Endpoint(an_endpoint("small/3"))
    endpoint.vitals.take(object(), 1, 0.0)
    assert repr(endpoint) == "<Endpoint small/3 [healthy | 1 in flight]>"


# ---------------------------------------------------------------------------------------------------------
# Words from outside


def test_a_word_against_it_takes_an_endpoint_out_at_once():
    vitals = Vitals()
    vitals.mark(False, "asleep", 1000.0, SETTINGS)
    assert (vitals.state(), vitals.open_at) == (EndpointState.EJECTED, 1015.0)
    assert vitals.health.cause == "not ready"


def test_a_word_against_it_stands_for_fifteen_seconds_unless_repeated():
    vitals = Vitals()
    vitals.mark(False, "asleep", 1000.0, SETTINGS)
    vitals.mark(False, "asleep", 1010.0, SETTINGS)
    assert vitals.open_at == 1025.0
    assert vitals.take(object(), 1, 1025.0) == "probe"


def test_a_recovered_endpoint_is_due_for_one_probe():
    vitals = Vitals()
    vitals.mark(False, "refused", 1000.0, SETTINGS)
    vitals.mark(True, "", 1002.0, SETTINGS)
    assert vitals.open_at <= 1002.0
    assert vitals.take(object(), 1, 1002.0) == "probe"
    assert vitals.take(object(), 1, 1002.0) == "desperate"
    vitals.learn(Signal.ANSWERED, 1003.0, SETTINGS, "probe")
    assert vitals.state() is EndpointState.HEALTHY


def test_an_endpoint_ejected_by_its_requests_is_not_due_because_it_answers_its_polls():
    vitals = ejected()
    vitals.mark(True, "", 1002.0, SETTINGS)
    assert vitals.open_at == 1010.0


def test_one_that_was_ejected_and_gone_is_due_once_it_is_back():
    vitals = ejected()
    vitals.mark(False, "refused", 1001.0, SETTINGS)
    assert vitals.open_at == 1016.0
    vitals.mark(True, "", 1003.0, SETTINGS)
    assert vitals.open_at <= 1003.0


def test_being_back_does_not_repair_a_refused_credential():
    vitals = Vitals()
    vitals.learn(Signal.CREDENTIAL, 1000.0, SETTINGS, "ordinary")
    vitals.mark(False, "refused", 1001.0, SETTINGS)
    vitals.mark(True, "", 1002.0, SETTINGS)
    assert vitals.open_at == 1060.0


def test_who_could_not_tell_changes_nothing():
    vitals = Vitals()
    vitals.mark(None, "timed out", 1000.0, SETTINGS)
    vitals.mark(True, "", 1000.0, SETTINGS)
    assert (vitals.state(), vitals.open_at) == (EndpointState.HEALTHY, 0.0)


def test_an_answer_outweighs_the_word():
    vitals = Vitals()
    vitals.mark(False, "model not listed", 1000.0, SETTINGS)
    assert vitals.take(object(), 1, 1001.0) == "desperate"
    vitals.learn(Signal.ANSWERED, 1002.0, SETTINGS, "desperate")
    assert (vitals.state(), vitals.open_at) == (EndpointState.HEALTHY, 0.0)


def test_a_draining_endpoint_stays_closed_whatever_is_said():
    vitals = Vitals()
    vitals.drain(True)
    vitals.mark(False, "stopped", 1000.0, SETTINGS)
    vitals.mark(True, "", 1001.0, SETTINGS)
    assert vitals.open_at == INFINITY


# ---------------------------------------------------------------------------------------------------------
# Slots, weight and key


def test_slots_are_declared_or_reported_and_never_above_what_is_leased():
    report = LoadReport(0, 0, None, at=1000.0, slots=8)

    def slots(**spec) -> tuple[int | None, int | None]:
        endpoint = Endpoint(an_endpoint(**({"slots": None} | spec)))
        before = endpoint.slots_now(1000.0)
        endpoint.vitals.observe(report)
        return before, endpoint.slots_now(1000.0)

    assert slots() == (None, 8)
    assert slots(slots=4) == (4, 4)
    assert slots(max_in_flight=6) == (6, 6)
    assert slots(max_in_flight=16) == (16, 8)
    assert slots(slots=4, max_in_flight=2) == (2, 2)


def test_a_recovered_endpoint_starts_slowly():
    endpoint = Endpoint(an_endpoint(), slow_start_s=10.0)
    assert endpoint.view(999.0).weight == 1.0
    endpoint.vitals = ejected()
    endpoint.vitals.take(object(), 1, 1010.0)
    endpoint.vitals.learn(Signal.ANSWERED, 1011.0, SETTINGS, "probe")
    assert [endpoint.view(now).weight for now in (1011.0, 1013.0, 1016.0, 1021.0, 1030.0)] == [0.1, 0.2, 0.5, 1.0, 1.0]


def test_a_new_endpoint_starts_slowly_from_its_first_lease_on():
    endpoint = Endpoint(an_endpoint(), slow_start_s=10.0)
    endpoint.vitals.is_new = True
    assert endpoint.view(1000.0).weight == endpoint.view(2000.0).weight == 0.1
    endpoint.vitals.take(object(), 1, 3000.0)
    assert endpoint.view(3004.0).weight == 0.4
    assert endpoint.view(3010.0).weight == 1.0


def test_without_a_slow_start_everything_comes_at_once():
    endpoint = Endpoint(an_endpoint(), slow_start_s=0.0)
    endpoint.vitals.is_new = True
    endpoint.vitals.take(object(), 1, 3000.0)
    assert endpoint.view(3000.0).weight == 1.0


def test_the_key_is_the_servers_and_not_the_places():
    one = Endpoint(an_endpoint("small/0", "http://a/v1"))
    assert one.key == Endpoint(an_endpoint("small/7", "http://a/v1", slots=1)).key == 0x092F5F06
    assert one.key != Endpoint(an_endpoint("small/0", "http://b/v1")).key


def test_what_other_processes_do_there_is_seen_by_balancers():
    endpoint = Endpoint(an_endpoint())
    endpoint.vitals.take(object(), 70, 1000.0)
    endpoint.vitals.elsewhere, endpoint.vitals.elsewhere_tokens = 2, 500
    view = endpoint.view(1000.0)
    assert (view.in_flight, view.in_flight_tokens) == (3, 570)


def known_at(token_s: float, idle_s: float = 0.05) -> Forecast:
    forecast = Forecast()
    for ahead in range(100, 5_000, 100):
        forecast.learn(ahead, idle_s + ahead * token_s)
    return forecast


def test_a_prompt_waits_for_those_before_it_as_the_endpoints_own_answers_showed():
    endpoint = Endpoint(an_endpoint())
    endpoint.vitals.await_(10_000)
    assert endpoint.view(1000.0, waits=True).wait_s == pytest.approx(10_000 * endpoint.vitals.token_s)
    endpoint.vitals.forecast = known_at(0.001)
    view = endpoint.view(1000.0, waits=True)
    assert (view.wait_s, view.awaited_tokens) == (pytest.approx(10.05), 10_000)
    assert endpoint.view(1000.0).wait_s == 0.0


def test_before_its_own_answers_a_siblings_line_says_how_long():
    endpoint = Endpoint(an_endpoint())
    endpoint.vitals.sibling = known_at(0.0005)
    endpoint.vitals.await_(10_000)
    assert endpoint.view(1000.0, waits=True).wait_s == pytest.approx(5.05)


def test_whoever_answers_in_no_time_counts_as_one_of_the_middle():
    endpoint = Endpoint(an_endpoint())
    endpoint.vitals.forecast = known_at(0.0, idle_s=0.0)
    endpoint.vitals.token_s = 0.0004
    endpoint.vitals.await_(10_000)
    assert endpoint.view(1000.0, waits=True).wait_s == pytest.approx(4.0)


def test_an_endpoint_that_says_nothing_while_somebody_waits_is_as_late_as_it_has_been_silent():
    endpoint = Endpoint(an_endpoint())
    endpoint.vitals.forecast = known_at(0.0002)
    endpoint.vitals.await_(100)
    endpoint.vitals.awaiting[object()] = 1000.0
    assert endpoint.view(1009.0, waits=True).wait_s == 9.0
    endpoint.vitals.await_(-100)
    assert endpoint.view(1009.0, waits=True).wait_s < 0.1


def test_an_endpoint_that_starts_slowly_reads_slowly():
    endpoint = Endpoint(an_endpoint(), slow_start_s=10.0)
    endpoint.vitals.is_new = True
    assert endpoint.view(1000.0, waits=True).token_s == pytest.approx(10 * endpoint.vitals.token_s)
