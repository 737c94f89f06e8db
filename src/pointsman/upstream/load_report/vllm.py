"""vLLM: `/metrics`, which has one series per data-parallel engine, and `/health`, which says 503 once its engine is dead.

Names: `gpu_cache_usage_perc` until v0.9.1, both until about v0.11, `kv_cache_usage_perc` since. With
`--disable-log-stats` the page is there and holds not one `vllm:` line: then its load is unknown. KV usage counts what
runs; prefix blocks that could be thrown away count as free. `/load` is not asked: it says 0 unless a flag is set.
"""

from __future__ import annotations

from collections.abc import Mapping

from pointsman.upstream.load_report.exposition import Exposition
from pointsman.upstream.load_report.parts import Parts, as_json, requests, share, total, version_of

METRICS = "/metrics"
SLEEPING = "/is_sleeping"
VERSION = "/version"

KV_USAGE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
RUNNING = "vllm:num_requests_running"
WAITING = "vllm:num_requests_waiting"
ASLEEP = "vllm:engine_sleep_state"
PROGRESS = ("vllm:prompt_tokens_total", "vllm:generation_tokens_total")
NAMES = frozenset((*KV_USAGE, RUNNING, WAITING, ASLEEP, *PROGRESS))


def parse(answers: Mapping[str, bytes], model: str = "") -> Parts:
    """The fullest engine's KV cache, and the requests of all engines."""
    page = Exposition(answers.get(METRICS, b""), NAMES)
    awake = _awake(page)
    return Parts(
        waiting=requests(page.sum(WAITING)), running=requests(page.sum(RUNNING)), kv_usage=share(page.largest(*KV_USAGE)),
        is_awake=_said_awake(answers) if awake is None else awake, version=version_of(answers.get(VERSION)),
        progress=total(*(page.sum(name) for name in PROGRESS)),
    )


def _awake(page: Exposition) -> bool | None:
    """Every engine's `awake` is 1; None = the page does not tell."""
    states = [sample.value for sample in page.of(ASLEEP) if sample.labels.get("sleep_state") == "awake"]
    return all(value > 0 for value in states) if states else None


def _said_awake(answers: Mapping[str, bytes]) -> bool | None:
    said = as_json(answers.get(SLEEPING))
    asleep = said.get("is_sleeping") if isinstance(said, dict) else None
    return not asleep if isinstance(asleep, bool) else None
