"""SGLang's three ways to say how busy it is."""

import json
from pathlib import Path

from pointsman.upstream.load_report import sglang
from pointsman.upstream.load_report.parts import Parts

CAPTURES = Path(__file__).parents[3] / "fixtures" / "engines"
LABELS = 'engine_type="unified",model_name="m",moe_ep_rank="0",pp_rank="{pp}",tp_rank="{tp}",dp_rank="{dp}"'


def rank(**figures: object) -> dict[str, object]:
    return {"dp_rank": 0, "num_running_reqs": 2, "num_waiting_reqs": 1, "token_usage": 0.25} | figures


def loads(*ranks: dict[str, object]) -> bytes:
    return json.dumps({"timestamp": "2026-11-21T20:00:00+00:00", "version": "0.5.23", "loads": ranks}).encode()


def test_the_capture_of_a_busy_server_has_stale_gauges_and_moving_counters():
    parts = sglang.parse({sglang.METRICS: (CAPTURES / "sglang_metrics_loaded.txt").read_bytes()})

    assert (parts.waiting, parts.running, parts.kv_usage) == (0, 0, 0.0)
    assert parts.progress == 1331 + 1824 + 373 + 331 + 41 + 18


def test_loads_are_summed_over_data_parallel_engines_and_the_fullest_counts():
    parts = sglang.parse({sglang.LOADS: loads(
        rank(num_used_tokens=100, num_total_tokens=160, max_running_requests=8),
        rank(dp_rank=1, token_usage=0.9, num_used_tokens=10, num_total_tokens=10, max_running_requests=8))})

    assert parts == Parts(waiting=2, running=4, kv_usage=0.9, queued_tokens=60, slots=16, version="0.5.23")


def test_loads_win_over_the_lagging_gauges():
    parts = sglang.parse({sglang.LOADS: loads(rank()), sglang.METRICS: b"sglang:num_running_reqs 0\n"})

    assert parts.running == 2


def test_the_older_answer_counts_waiting_requests_among_all():
    body = b'[{"dp_rank":0,"num_reqs":5,"num_waiting_reqs":2,"num_tokens":900,"num_pending_tokens":300}]'

    assert sglang.parse({sglang.OLD_LOAD: body}) == Parts(waiting=2, running=3, queued_tokens=300)


def test_ranks_of_one_engine_repeat_its_figures():
    text = "".join(f"sglang:num_queue_reqs{{{LABELS.format(tp=tp, pp=pp, dp=dp)}}} 3\n"
                   for dp in (0, 1) for tp in (0, 1) for pp in (0, 1))

    assert sglang.parse({sglang.METRICS: text.encode()}).waiting == 6


def test_what_is_missing_or_none_of_its_answers_is_unknown():
    assert sglang.parse({}) == Parts()
    assert sglang.parse({sglang.LOADS: b'{"loads":[{"dp_rank":0}]}'}) == Parts()
    assert sglang.parse({sglang.LOADS: b"[[[", sglang.METRICS: b"\xff"}) == Parts()
    assert sglang.parse({sglang.LOADS: loads(rank(), {"dp_rank": 1, "num_waiting_reqs": 1})}).running is None


def test_the_version_comes_from_any_answer_and_nothing_else_of_the_arguments_does():
    info = b'{"api_key":"s3cret","internal_states":[],"version":"0.4.9"}'

    assert sglang.parse({sglang.OLD_INFO: info}) == Parts(version="0.4.9")


def test_its_health_is_never_asked():
    from pointsman.upstream.load_report.dialects import DIALECTS

    dialect = DIALECTS["sglang"]
    assert dialect.health == ""
    assert not any("health" in path for choice in (*dialect.always, *dialect.once) for path in choice)


def test_rank_0_counts_whichever_comes_first():
    text = "".join(f"sglang:num_queue_reqs{{{LABELS.format(tp=tp, pp=0, dp=0)}}} {value}\n" for tp, value in ((1, 9), (0, 3)))

    assert sglang.parse({sglang.METRICS: text.encode()}).waiting == 3
