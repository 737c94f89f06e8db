from __future__ import annotations

import pytest

from pointsman.telemetry.series import SERIES, VOCABULARY, Series


def test_names_are_declared_once() -> None:
    names = [series.name for series in SERIES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("series", SERIES, ids=lambda s: s.name)
def test_names_follow_the_conventions(series: Series) -> None:
    assert series.name.startswith(("pointsman_", "llm_router_"))
    assert series.name.endswith("_total") == (series.kind == "counter")
    assert bool(series.buckets) == (series.kind == "histogram")
    assert list(series.buckets) == sorted(series.buckets)
    assert series.help.endswith(".")


def test_the_published_names_are_there_to_the_letter() -> None:
    by_name = {series.name: series for series in SERIES}

    assert by_name["llm_router_requests_total"].labels == ("routing_tier", "escalated", "original_tier", "model_id")
    assert by_name["llm_router_latency_ms"].labels == ("routing_tier",)
    assert by_name["llm_router_latency_ms"].buckets == (50, 100, 200, 500, 1000, 2000, 5000)


def test_every_label_has_a_bounded_source() -> None:
    from_configuration = {"route", "tier", "routing_tier", "original_tier", "from_tier", "to_tier", "pool", "endpoint",
                          "model_id", "stage", "error", "version", "verifier", "tenant"}

    assert {label for series in SERIES for label in series.labels} <= from_configuration | set(VOCABULARY)
