from __future__ import annotations

from typing import Any

import pytest

from pointsman.telemetry.gauges import READERS, Sight
from pointsman.telemetry.metrics import Known
from pointsman.telemetry.series import SERIES, VOCABULARY

ENDPOINT = {"pool": "small", "id": "small/0", "state": "draining", "in_flight": 3,
            "load": {"waiting": 0, "running": None, "kv_usage": 0.5, "age_s": 1.5}}
TIER = {"tier": "small", "waiting": 2, "unfit": "waiting", "desired": 4, "idle_usd_per_hour": None}


def a_sight(**more: Any) -> Sight:
    values: dict[str, Any] = {"version": "1.2.3", "endpoints": [ENDPOINT], "tiers": [TIER], "anterooms": {}, "machines": (), "tenants": Known(("acme",))}
    return Sight(**(values | more))


def rows(name: str, **more: Any) -> dict[tuple[str, ...], float]:
    return dict(READERS[name](a_sight(**more)))


def test_every_reader_has_its_series_with_as_many_labels():
    labels = {series.name: series.labels for series in SERIES}
    for name in READERS:
        assert all(len(row) == len(labels[name]) for row in rows(name))


@pytest.mark.parametrize(("name", "expected"), [
    ("pointsman_endpoint_in_flight", {("small", "small/0"): 3}), ("pointsman_endpoint_waiting", {("small", "small/0"): 0}),
    ("pointsman_endpoint_running", {}), ("pointsman_desired_replicas", {("small",): 4}), ("pointsman_idle_usd_per_hour", {}),
])
def test_a_zero_is_shown_and_what_is_unknown_is_not(name, expected):
    assert rows(name) == expected


def test_an_endpoint_is_in_one_state_and_a_tier_unfit_for_one_signal():
    states = rows("pointsman_endpoint_state")
    assert states == {("small", "small/0", state): float(state == "draining") for state in VOCABULARY["state"]}
    assert sum(rows("pointsman_tier_saturated").values()) == 1


def test_tenants_that_the_configuration_does_not_know_are_one():
    crowd = {"waiting": 6, "oldest_s": None, "tenants": {"acme": 1, "x": 2, "y": 3}}

    assert rows("pointsman_anteroom_tenant_waiting", anterooms={"small": crowd}) == {("small", "acme"): 1, ("small", "other"): 5}
    assert rows("pointsman_anteroom_oldest_seconds", anterooms={"small": crowd}) == {("small",): 0.0}
