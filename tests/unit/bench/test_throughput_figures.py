"""The statistics of the throughput bench: no process, no clock."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "bench" / "throughput"


def _module(name: str) -> ModuleType:
    """A module of the bench folder, which is no package: under a name of its own, so that nothing is shadowed."""
    full = f"bench_throughput_{name}"
    spec = importlib.util.spec_from_file_location(full, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    spec.loader.exec_module(module)
    return module


figures = _module("figures")
workload = _module("workload")


def a_report(**overrides: Any) -> dict[str, Any]:
    values = {"requests": 100, "errors": 0, "non_2xx": 0, "events": 0, "reads": 100, "requests_per_s": 100.0,
              "events_per_s": 0.0, "p50_us": 10.0, "p99_us": 20.0, "ttft_p50_us": None, "ttft_p99_us": None,
              "all_requests": 120, "all_events": 0}
    return values | overrides


def a_sample(rate: float, **overrides: Any) -> Any:
    return figures.Sample(requests_per_s=rate, events_per_s=0.0, **overrides)


def test_one_spoiled_round_leaves_the_median_alone() -> None:
    row = figures.row_of([a_sample(rate, p50_us=p50) for rate, p50 in ((100, 10.0), (3, 900.0), (102, 12.0))])

    assert row.requests_per_s == 100
    assert row.p50_us == 12.0


def test_errors_of_every_round_are_summed_and_never_hidden_by_the_median() -> None:
    row = figures.row_of([a_sample(1), a_sample(1, errors=2), a_sample(1, non_2xx=1200)])

    assert (row.errors, row.non_2xx) == (2, 1200)
    assert figures.faults(row) == "**2 errors, 1,200 non-2xx**"
    assert figures.faults(a_sample(1)) == "0"


def test_unknown_stays_unknown() -> None:
    assert figures.row_of([a_sample(1)]).p50_us is None
    assert figures.row_of([a_sample(1, p50_us=None), a_sample(1, p50_us=7.0)]).p50_us == 7.0
    assert figures.added(None, 3.0) is None
    assert figures.added(3.0, None) is None
    assert figures.bytes_per_stream(None, 5, 1) is None
    assert figures.number(None) == figures.mib(None) == "–"


def test_a_row_without_rounds_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one round"):
        figures.row_of([])


@pytest.mark.parametrize(("direct", "routers", "void"), [(300.0, [100.0], False), (299.0, [50.0, 100.0], True), (1.0, [], False), (0.0, [0.0], False)])
def test_a_row_is_void_below_three_times_the_best_router(direct: float, routers: list[float], void: bool) -> None:
    assert figures.is_void(direct, routers) is void


def test_cpu_is_divided_by_all_requests_of_the_run_warm_up_included() -> None:
    sample = figures.sample_of(a_report(), cpu_s=0.12, rss_bytes=1, events_per_stream=66)

    assert sample.cpu_s_per_1k == pytest.approx(1.0)
    assert sample.events_per_read is None


def test_a_stream_cut_by_the_end_of_the_window_counts_by_its_events() -> None:
    report = a_report(events=330, reads=110, all_events=660, all_requests=3)

    sample = figures.sample_of(report, cpu_s=0.5, rss_bytes=None, events_per_stream=66)

    assert sample.cpu_s_per_1k == pytest.approx(50.0)
    assert sample.events_per_read == 3.0


def test_no_request_done_means_no_cost_per_request() -> None:
    assert figures.sample_of(a_report(all_requests=0), cpu_s=0.5, rss_bytes=None, events_per_stream=66).cpu_s_per_1k is None


def test_memory_per_stream_is_growth_by_streams() -> None:
    assert figures.bytes_per_stream(1000, 51_000, 1000) == 50.0
    assert figures.bytes_per_stream(1000, 51_000, 0) is None


def test_each_layer_costs_what_it_adds_to_the_one_before() -> None:
    costs = figures.layer_costs([("server", 0.03), ("client", None), ("router", 0.3)])

    assert costs == [("server", pytest.approx(30), pytest.approx(30)), ("client", None, None), ("router", pytest.approx(300), pytest.approx(270))]


def test_a_table_is_padded_with_the_first_column_left_and_the_others_right() -> None:
    table = figures.markdown_table(["who", "n"], [["nginx", "12,345"], ["us", "7"]])

    assert table.splitlines() == ["| who   |      n |", "| ----- | -----: |", "| nginx | 12,345 |", "| us    |      7 |"]


def test_prompts_differ_have_sixty_words_and_are_the_same_in_every_run() -> None:
    prompts = workload.prompts()

    assert len(set(prompts)) == 64
    assert {len(prompt.split()) for prompt in prompts} == {60}
    assert prompts == workload.prompts()


def test_each_kind_of_row_has_its_bodies(tmp_path: Path) -> None:
    files = workload.write_bodies(tmp_path)
    bodies = {kind: [json.loads(line) for line in file.read_text().splitlines()] for kind, file in files.items()}

    assert all(len(lines) == 64 for lines in bodies.values())
    assert "stream" not in bodies["plain"][0]
    assert bodies["segment"][0]["stream"] is True
    assert bodies["paced"][0]["user"] == "pace-10000"
