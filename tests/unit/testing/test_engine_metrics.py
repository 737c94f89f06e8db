"""`/metrics` says what the engine does, in lines that a Prometheus parser reads."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pointsman.testing.engine import Engine, Sequence
from pointsman.testing.engine_metrics import EngineMetrics, Histogram
from pointsman.testing.gpu_models import Timing


def samples(text: str) -> dict[str, float]:
    """Name{label values beside engine and model} -> value."""
    return {
        s.name + "".join(f"|{v}" for k, v in sorted(s.labels.items()) if k not in ("engine", "model_name")): s.value
        for family in text_string_to_metric_families(text) for s in family.samples
    }


def test_gauges_show_the_engine_now() -> None:
    engine, metrics = Engine(Timing(0.01, 0.001, 0.001), slots=1, kv_tokens=160), EngineMetrics("m")
    engine.submit([Sequence(31, 5), Sequence(31, 5), Sequence(31, 5)], 0.0)
    engine.step(0.0)

    said = samples(metrics.render(engine))

    assert said["vllm:num_requests_running"] == 1
    assert said["vllm:num_requests_waiting"] == said["vllm:num_requests_waiting_by_reason|capacity"] == 2
    assert said["vllm:kv_cache_usage_perc"] == pytest.approx(0.2)


def test_tokens_and_ends_are_counted_and_timed() -> None:
    engine, metrics = Engine(Timing(0.01, 0.001, 0.001), slots=1, kv_tokens=160), EngineMetrics("m")
    sequence = Sequence(10, 2, arrived_at=1.0, started_at=1.1, first_token_at=1.3)
    metrics.token(sequence, 1.3)
    metrics.token(sequence, 1.33)
    metrics.done(sequence, 1.33, "stop")

    said = samples(metrics.render(engine))

    assert said["vllm:time_to_first_token_seconds_bucket|0.25"] == 0
    assert said["vllm:time_to_first_token_seconds_bucket|0.5"] == 1
    assert said["vllm:inter_token_latency_seconds_sum"] == pytest.approx(0.03)
    assert said["vllm:request_queue_time_seconds_sum"] == pytest.approx(0.1)
    assert said["vllm:request_success_total|stop"] == 1
    assert (said["vllm:prompt_tokens_total"], said["vllm:generation_tokens_total"]) == (10, 2)


def test_labels_and_names_are_those_of_vllm() -> None:
    text = EngineMetrics("a/b").render(Engine(Timing(0.01, 0.001, 0.001), slots=1, kv_tokens=160))

    assert 'vllm:num_requests_running{engine="0",model_name="a/b"} 0.0' in text
    assert 'vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="a/b"} 0.0' in text


def test_a_value_on_an_edge_belongs_to_that_bucket() -> None:
    histogram = Histogram((0.5, 1.0))
    histogram.observe(0.5)

    assert histogram.counts == [1, 0, 0]
