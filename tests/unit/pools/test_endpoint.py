"""An endpoint while serving."""

from __future__ import annotations

import pytest

from pointsman.core.fleet import EndpointState, LoadReport
from pointsman.core.settings import HealthSettings
from pointsman.pools.endpoint import Endpoint, Vitals
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
