from __future__ import annotations

import asyncio
import timeit
from typing import Any

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from pointsman.core.decision import Decision, GateView, Scores, StageView, TierScore
from pointsman.core.record import Attempt, Escalation, Record
from pointsman.core.reply import Usage
from pointsman.core.settings import KeySettings
from pointsman.telemetry.metrics import Metrics
from pointsman.telemetry.series import SERIES
from pointsman.testing.factories import a_pool, a_settings

SETTINGS = a_settings(a_pool("small"), a_pool("large"))


def an_attempt(tier: str = "small", **overrides: Any) -> Attempt:
    values: dict[str, Any] = {
        "number": 1, "tier": tier, "pool": tier, "endpoint": f"{tier}/0", "model": "m", "reason": "chosen", "started_s": 0.0,
        "duration_s": 0.5, "ttft_s": 0.1, "outcome": "answered", "usage": Usage(100, 20, 5), "cost_nano_usd": 1_500,
        "cost_basis": "gpu",
    }
    return Attempt(**(values | overrides))


def a_decision(**overrides: Any) -> Decision:
    values: dict[str, Any] = {
        "route": "auto", "tier": "small", "rung": 1, "decided_by": "policy", "reason": "clears 0.8", "confidence": 0.9,
        "duration_s": 0.00009, "stages": (StageView("rules", "abstained", "", 0.00001), StageView("heuristic", "refined", "", 0.00004)),
    }
    return Decision(**(values | overrides))


def a_record(**overrides: Any) -> Record:
    values: dict[str, Any] = {
        "id": "r1", "at": 0.0, "kind": "chat", "requested_model": "auto", "route": "auto", "tenant": "", "key": "", "stream": True,
        "outcome": "answered", "status": 200, "duration_s": 0.5, "ttft_s": 0.11, "routing_tier": "small", "rung": 1,
        "pool": "small", "model_id": "small-model", "endpoint": "small/0", "decision": a_decision(), "attempts": (an_attempt(),),
    }
    return Record(**(values | overrides))


def read(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Sample name and sorted labels -> value, as a scraper sees it."""
    page, _ = metrics.render()
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in parse_text(page.decode()) for s in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return read(metrics).get((name, tuple(sorted(labels.items()))))


def test_an_answer_is_counted_under_the_published_names() -> None:
    metrics = Metrics(SETTINGS)
    metrics.write(a_record())
    metrics.write(a_record())

    labels = {"routing_tier": "small", "escalated": "false", "original_tier": "", "model_id": "small-model"}
    assert value(metrics, "llm_router_requests_total", **labels) == 2
    assert value(metrics, "llm_router_latency_ms_count", routing_tier="small") == 2
    assert value(metrics, "llm_router_latency_ms_sum", routing_tier="small") == 1000.0


def test_buckets_are_cumulative_and_include_their_bound() -> None:
    metrics = Metrics(SETTINGS)
    for seconds in (0.05, 0.4, 0.5, 7.0):
        metrics.write(a_record(duration_s=seconds))

    found = [value(metrics, "llm_router_latency_ms_bucket", routing_tier="small", le=le)
             for le in ("50.0", "100.0", "200.0", "500.0", "1000.0", "2000.0", "5000.0", "+Inf")]
    assert found == [1, 1, 1, 3, 3, 3, 3, 4]


def test_an_escalation_keeps_its_origin() -> None:
    metrics = Metrics(SETTINGS)
    metrics.write(a_record(
        routing_tier="large", original_tier="small", model_id="large-model", escalations=(Escalation("small", "large", "failed"),),
        attempts=(an_attempt(outcome="failed", error="upstream_failed", usage=None), an_attempt("large", number=2))))

    assert value(metrics, "llm_router_requests_total", routing_tier="large", escalated="true", original_tier="small",
                 model_id="large-model") == 1
    assert value(metrics, "pointsman_escalations_total", route="auto", from_tier="small", to_tier="large", reason="failed") == 1
    assert value(metrics, "pointsman_attempts_total", tier="small", pool="small", endpoint="small/0", outcome="failed",
                 error="upstream_failed") == 1
    assert value(metrics, "pointsman_attempts_total", tier="large", pool="large", endpoint="large/0", outcome="answered", error="") == 1


def test_how_it_ended_and_how_long_it_took() -> None:
    metrics = Metrics(SETTINGS)
    metrics.write(a_record(outcome="failed", status=503, duration_s=2.0, ttft_s=None))

    assert value(metrics, "pointsman_requests_total", route="auto", tier="small", outcome="failed", status_class="5xx") == 1
    assert value(metrics, "pointsman_request_duration_seconds_sum", route="auto", tier="small") == 2.0
    assert value(metrics, "pointsman_time_to_first_token_seconds_count", tier="small") is None


def test_the_first_token_is_timed_where_answers_are_streamed() -> None:
    metrics = Metrics(SETTINGS)
    metrics.write(a_record(stream=True))
    metrics.write(a_record(stream=False))

    assert value(metrics, "pointsman_time_to_first_token_seconds_count", tier="small") == 1


def test_stages_tell_what_they_said_and_how_long_it_took() -> None:
    metrics = Metrics(SETTINGS)
    skipped = StageView("heuristic", "skipped", "", 0.0)
    metrics.write(a_record())
    metrics.write(a_record(decision=a_decision(stages=(StageView("rules", "decided", "", 0.00001), skipped))))

    assert value(metrics, "pointsman_stage_results_total", route="auto", stage="rules", outcome="abstained") == 1
    assert value(metrics, "pointsman_stage_results_total", route="auto", stage="heuristic", outcome="skipped") == 1
    assert value(metrics, "pointsman_stage_duration_seconds_count", stage="rules") == 2
    assert value(metrics, "pointsman_stage_duration_seconds_count", stage="heuristic") == 1
    assert value(metrics, "pointsman_decision_duration_seconds_count", route="auto") == 2


def test_the_default_tier_is_counted_with_its_reason() -> None:
    metrics = Metrics(SETTINGS)
    metrics.write(a_record(decision=a_decision(decided_by="default", reason="abstained; large does not fit")))
    metrics.write(a_record(decision=a_decision(decided_by="default", reason="whatever somebody wrote")))

    assert value(metrics, "pointsman_defaults_total", route="auto", reason="abstained") == 1
    assert value(metrics, "pointsman_defaults_total", route="auto", reason="other") == 1


def test_unknown_capabilities_count_for_the_tier_that_was_chosen() -> None:
    metrics = Metrics(SETTINGS)
    gate = (GateView("small", True, "", ("tools", "logprobs")), GateView("large", True, "", ("tools",)))
    metrics.write(a_record(decision=a_decision(gate=gate)))

    assert value(metrics, "pointsman_capability_unknown_total", tier="small", capability="tools") == 1
    assert value(metrics, "pointsman_capability_unknown_total", tier="small", capability="logprobs") == 1
    assert value(metrics, "pointsman_capability_unknown_total", tier="large", capability="tools") is None


def test_the_pace_of_streams_is_told_where_tokens_were_counted() -> None:
    metrics = Metrics(SETTINGS)
    metrics.write(a_record(attempts=(an_attempt(duration_s=0.48, ttft_s=0.1, usage=Usage(100, 20)),)))
    metrics.write(a_record(stream=False))
    metrics.write(a_record(attempts=(an_attempt(usage=None), an_attempt(usage=Usage(100, 1)), an_attempt(outcome="failed"))))

    assert value(metrics, "pointsman_inter_token_seconds_count", tier="small") == 1
    assert value(metrics, "pointsman_inter_token_seconds_sum", tier="small") == pytest.approx(0.02)


def test_money_and_tokens_of_every_attempt() -> None:
    metrics = Metrics(SETTINGS)
    metrics.write(a_record(attempts=(an_attempt(), an_attempt(number=2, cost_nano_usd=2_500_000_000))))

    assert value(metrics, "pointsman_cost_usd_total", tier="small") == 2.5000015
    assert value(metrics, "pointsman_tokens_total", tier="small", direction="input") == 200
    assert value(metrics, "pointsman_tokens_total", tier="small", direction="output") == 40
    assert value(metrics, "pointsman_tokens_total", tier="small", direction="cached") == 10


def test_hedges_are_counted_by_how_they_ended() -> None:
    metrics = Metrics(SETTINGS)
    metrics.write(a_record(attempts=(an_attempt(outcome="cancelled"), an_attempt(number=2, reason="hedge"))))
    metrics.write(a_record(attempts=(an_attempt(), an_attempt(number=2, reason="hedge", outcome="cancelled"))))

    assert value(metrics, "pointsman_hedges_total", tier="small", outcome="answered") == 1
    assert value(metrics, "pointsman_hedges_total", tier="small", outcome="cancelled") == 1


def test_what_is_unknown_raises_its_own_counter() -> None:
    metrics = Metrics(SETTINGS)
    assert value(metrics, "pointsman_unpriced_attempts_total") == 0
    metrics.write(a_record(attempts=(
        an_attempt(usage=None),
        an_attempt(cost_basis="estimated"),
        an_attempt(cost_nano_usd=None),
        an_attempt(outcome="rejected", sent=False, usage=None, cost_nano_usd=None),
    )))

    assert value(metrics, "pointsman_usage_missing_total") == 2
    assert value(metrics, "pointsman_tokens_total", tier="small", direction="input") == 100  # of the third alone
    assert value(metrics, "pointsman_unpriced_attempts_total") == 1


def test_strings_of_strangers_never_become_labels() -> None:
    metrics = Metrics(SETTINGS)
    strange = "<script>" * 5
    metrics.write(a_record(
        route=strange, routing_tier=strange, original_tier=strange, model_id=strange, status=99_900,
        attempts=(an_attempt(strange, error=strange),), escalations=(Escalation(strange, strange, strange),),
        decision=a_decision(decided_by="default", reason=strange, stages=(StageView(strange, "decided", "", 0.1),),
                            gate=(GateView("small", True, "", (strange,)),))))
    metrics.count("pointsman_attempts_total", strange, strange, strange, strange, strange)

    page = metrics.render()[0].decode()
    assert strange not in page
    assert value(metrics, "llm_router_requests_total", routing_tier="other", escalated="true", original_tier="other",
                 model_id="other") == 1


def test_a_thousand_strangers_make_no_more_series_than_one() -> None:
    metrics = Metrics(SETTINGS)
    metrics.write(a_record(route="x", model_id="x"))
    before = len(read(metrics))
    for i in range(1000):
        metrics.write(a_record(route=f"x{i}", model_id=f"x{i}"))

    assert len(read(metrics)) == before


def test_counters_survive_a_reload_and_learn_new_names() -> None:
    metrics = Metrics(SETTINGS)
    metrics.write(a_record())
    metrics.write(a_record(routing_tier="huge"))
    metrics.configure(a_settings(a_pool("small"), a_pool("huge")))
    metrics.write(a_record())
    metrics.write(a_record(routing_tier="huge"))

    assert value(metrics, "llm_router_latency_ms_count", routing_tier="small") == 2
    assert value(metrics, "llm_router_latency_ms_count", routing_tier="huge") == 1
    assert value(metrics, "llm_router_latency_ms_count", routing_tier="other") == 1


def test_a_decision_without_dispatch_is_a_decision_and_no_request() -> None:
    metrics = Metrics(SETTINGS)
    metrics.write(a_record(kind="decide", attempts=()))

    assert value(metrics, "pointsman_decision_duration_seconds_count", route="auto") == 1
    assert not any(name.startswith("llm_router") for name, _ in read(metrics))


def test_things_without_a_record_are_counted_directly() -> None:
    metrics = Metrics(SETTINGS)
    metrics.count("pointsman_classify_no_body_total")
    metrics.count("pointsman_classify_no_body_total", by=2)

    assert value(metrics, "pointsman_classify_no_body_total") == 3
    with pytest.raises(ValueError, match="has the labels"):
        metrics.count("pointsman_attempts_total", "small")


def test_the_fleet_is_read_at_scrape() -> None:
    fleet = [{"pool": "small", "id": "small/0", "state": "healthy", "in_flight": 3}]
    metrics = Metrics(SETTINGS, version="1.2.3", fleet_status=lambda: fleet)
    assert value(metrics, "pointsman_endpoint_state", pool="small", endpoint="small/0", state="healthy") == 1
    fleet[0] |= {"state": "ejected", "in_flight": 0}

    assert value(metrics, "pointsman_endpoint_state", pool="small", endpoint="small/0", state="healthy") == 0
    assert value(metrics, "pointsman_endpoint_state", pool="small", endpoint="small/0", state="ejected") == 1
    assert value(metrics, "pointsman_endpoint_in_flight", pool="small", endpoint="small/0") == 0
    assert value(metrics, "pointsman_build_info", version="1.2.3") == 1


def test_who_waits_to_be_read_is_told_by_pool_and_by_tenants_of_the_configuration() -> None:
    crowds = {"small": {"waiting": 5, "oldest_s": 1.5, "tenants": {"acme": 2, "gone": 1, "stranger": 1, "anonymous": 1}},
              "large": {"waiting": 0, "oldest_s": None, "tenants": {}}}
    keys = (KeySettings("k", b"", tenant="acme"), KeySettings("no-tenant", b""))
    metrics = Metrics(msgspec.structs.replace(SETTINGS, keys=keys), anterooms=lambda: crowds)

    assert value(metrics, "pointsman_anteroom_waiting", pool="small") == 5
    assert value(metrics, "pointsman_anteroom_oldest_seconds", pool="small") == 1.5
    assert value(metrics, "pointsman_anteroom_oldest_seconds", pool="large") == 0
    by_tenant = {dict(labels)["tenant"]: count for (name, labels), count in read(metrics).items() if name == "pointsman_anteroom_tenant_waiting"}
    assert by_tenant == {"acme": 2, "other": 2, "anonymous": 1}


def test_others_counts_are_read_at_scrape() -> None:
    metrics = Metrics(SETTINGS, readings={"pointsman_records_dropped_total": lambda: 7, "pointsman_records_lag_bytes": lambda: 11})

    assert value(metrics, "pointsman_records_dropped_total") == 7
    assert value(metrics, "pointsman_records_lag_bytes") == 11


def test_both_formats_are_valid_and_declare_every_series() -> None:
    metrics = Metrics(SETTINGS, fleet_status=lambda: [{"pool": "small", "id": "small/0", "state": "healthy", "in_flight": 1}])
    metrics.write(a_record())
    declared = {series.name.removesuffix("_total") for series in SERIES}

    text, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    assert declared <= {family.name.removesuffix("_total") for family in parse_text(text.decode())}
    assert text.decode().count("# TYPE llm_router_requests_total counter\n") == 1
    assert b"_total_total" not in text

    page, content_type = metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert declared <= {family.name for family in parse_openmetrics(page.decode())}


def test_a_long_page_is_the_same_page_and_lets_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman.telemetry.metrics.STEP_S", 0.0)  # whatever this machine does in a step
    fleet = [{"pool": "small", "id": f"small/{i}", "state": "healthy", "in_flight": i} for i in range(3000)]
    metrics = Metrics(SETTINGS, fleet_status=lambda: fleet)
    metrics.write(a_record())
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both() -> tuple[bytes, str]:
        beside = asyncio.create_task(other())
        page = await metrics.page()
        beside.cancel()
        return page

    (page, content_type), (whole, same_type) = asyncio.run(both()), metrics.render()

    def lines(text: bytes) -> list[bytes]:
        return [line for line in text.splitlines() if b"process_" not in line]

    assert (lines(page), content_type) == (lines(whole), same_type)
    assert turns > 2


def test_the_process_tells_its_memory_and_files() -> None:
    names = {name for name, _ in read(Metrics(SETTINGS))}
    assert {"process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"} <= names


def test_counting_a_record_is_a_matter_of_microseconds() -> None:
    metrics, record = Metrics(SETTINGS), a_record()

    best = min(timeit.repeat(lambda: metrics.write(record), number=500, repeat=5)) / 500

    assert best < 50e-6  # about 8 us; the rest is room for a busy machine


def test_the_record_that_was_read_is_left_as_it_was() -> None:
    record = a_record()
    before = msgspec.json.encode(record)
    Metrics(SETTINGS).write(record)
    assert msgspec.json.encode(record) == before


def test_tiers_that_buy_nothing_or_that_nobody_scored_are_counted() -> None:
    metrics = Metrics(a_settings(a_pool("small"), a_pool("large")))
    scores = Scores({"small": TierScore(0.9, 0.8)}, calibrated=True)
    gate = (GateView("small", True, "fits"), GateView("large", True, "fits"))
    stages = (StageView("heuristic", "refined", "so", 1e-5, scores), StageView("sentence", "late", "no answer", 0.01))

    metrics.write(a_record(decision=a_decision(stages=stages, gate=gate, dominated=("large",))))

    assert value(metrics, "pointsman_dominated_total", route="auto", tier="large") == 1
    assert value(metrics, "pointsman_unscored_total", route="auto", tier="large") == 1
    assert value(metrics, "pointsman_unscored_total", route="auto", tier="small") is None
    assert value(metrics, "pointsman_stage_results_total", route="auto", stage="sentence", outcome="late") == 1


def test_streams_that_broke_off_are_counted_by_what_became_of_them() -> None:
    metrics = Metrics(SETTINGS)
    broke = an_attempt(outcome="failed", error="upstream_connection_lost")
    left = an_attempt(outcome="failed", error="endpoint_leaving")
    more = an_attempt(number=2, reason="continued")
    for outcome, attempts in (("answered", (broke, more)), ("failed", (broke, an_attempt(number=2, reason="continued", outcome="failed"))),
                              ("answered", (broke,)), ("failed", (broke,)), ("cancelled", (broke, more)), ("answered", (left, more)), ("answered", (more,))):
        metrics.write(a_record(outcome=outcome, attempts=attempts))
    metrics.write(a_record(outcome="failed", ttft_s=None, attempts=(an_attempt(outcome="failed", ttft_s=None),)))
    metrics.write(a_record(outcome="failed", error="deadline_exceeded", attempts=(broke,)))
    metrics.write(a_record(outcome="failed", stream=False, attempts=(broke,)))

    assert {outcome: metrics.total("pointsman_broken_streams_total", outcome) for outcome in ("continued", "answered", "failed", "cancelled")} == {
        "continued": 1, "answered": 1, "failed": 2, "cancelled": 1}
