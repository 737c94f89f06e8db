"""vLLM's page: captures of 0.32.0, and what other versions and launches write."""

from pathlib import Path

import pytest

from pointsman.upstream.load_report import vllm
from pointsman.upstream.load_report.parts import Parts

CAPTURES = Path(__file__).parents[3] / "fixtures" / "engines"


def parsed(text: str) -> Parts:
    return vllm.parse({vllm.METRICS: text.encode()})


def test_a_loaded_engine_under_kv_pressure():
    parts = vllm.parse({vllm.METRICS: (CAPTURES / "vllm_metrics_loaded.txt").read_bytes(), vllm.VERSION: b'{"version":"0.32.0"}'})

    assert (parts.waiting, parts.running, parts.version, parts.is_awake) == (3, 3, "0.32.0", True)
    assert parts.kv_usage == pytest.approx(0.818, abs=0.001)
    assert parts.progress is not None


def test_an_idle_engine_says_zero():
    parts = vllm.parse({vllm.METRICS: (CAPTURES / "vllm_metrics.txt").read_bytes()})

    assert (parts.waiting, parts.running, parts.kv_usage, parts.progress) == (0, 0, 0.0, 952.0)


def test_data_parallel_engines_are_summed_and_the_fullest_counts():
    parts = parsed("".join(
        f'vllm:num_requests_running{{engine="{i}",model_name="m"}} {running}\n'
        f'vllm:num_requests_waiting{{engine="{i}",model_name="m"}} {waiting}\n'
        f'vllm:kv_cache_usage_perc{{engine="{i}",model_name="m"}} {kv}\n'
        for i, (running, waiting, kv) in enumerate([(3, 0, 0.02), (7, 5, 0.97)])))

    assert (parts.running, parts.waiting, parts.kv_usage) == (10, 5, 0.97)


def test_old_and_new_names_of_the_kv_cache():
    assert parsed('vllm:gpu_cache_usage_perc{model_name="m"} 0.4\n').kv_usage == 0.4
    assert parsed("vllm:gpu_cache_usage_perc 0.4\nvllm:kv_cache_usage_perc 0.5\n").kv_usage == 0.5


def test_a_page_without_a_line_of_its_own_is_unknown():
    assert parsed('python_info{version="3.11"} 1\nprocess_open_fds 34\n') == Parts()
    assert parsed("") == Parts()


@pytest.mark.parametrize(("line", "kv"), [("NaN", None), ("-0.1", None), ("37", None), ("1.004", 1.0), ("0.5 1795293492633", 0.5)])
def test_a_kv_figure_that_cannot_be_is_unknown(line: str, kv: float | None) -> None:
    assert parsed(f"vllm:kv_cache_usage_perc {line}\n").kv_usage == kv


def test_it_sleeps_when_any_engine_is_not_awake():
    awake, asleep = ('vllm:engine_sleep_state{{engine="{}",sleep_state="awake"}} {}\n'.format(*x) for x in ((0, 1), (1, 0)))

    assert parsed(awake).is_awake is True
    assert parsed(awake + asleep).is_awake is False
    assert vllm.parse({vllm.SLEEPING: b'{"is_sleeping":true}'}).is_awake is False
    assert vllm.parse({vllm.SLEEPING: b"<html>"}).is_awake is None


def test_of_two_engines_of_which_one_says_nothing_the_sum_is_unknown_and_the_fuller_cache_is_not():
    page = (b'vllm:num_requests_running{engine="0"} NaN\nvllm:num_requests_running{engine="1"} 5\n'
            b'vllm:num_requests_waiting{engine="0"} 1\nvllm:num_requests_waiting{engine="1"} 2\n'
            b'vllm:kv_cache_usage_perc{engine="0"} NaN\nvllm:kv_cache_usage_perc{engine="1"} 0.93\n')

    parts = vllm.parse({vllm.METRICS: page})

    assert (parts.running, parts.waiting, parts.kv_usage) == (None, 3, 0.93)
