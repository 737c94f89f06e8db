"""SGLang: `/v1/loads`, else the older `/get_load`, else `/metrics` (which needs `--enable-metrics`).

Never `/health`: there it generates a token, which costs GPU time and fails when it is busy. The JSON answers are
current; the gauges of `/metrics` lag by some forty decode steps. Each tensor- and pipeline-parallel rank repeats its
engine's figures, so that only rank 0 of each data-parallel engine counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.upstream.load_report.exposition import Exposition, Sample
from pointsman.upstream.load_report.parts import Parts, as_json, requests, share, total, version_of, whole

LOADS = "/v1/loads?include=core"
OLD_LOAD = "/get_load"
METRICS = "/metrics"
INFO = "/server_info"
OLD_INFO = "/get_server_info"

RUNNING = "sglang:num_running_reqs"
WAITING = "sglang:num_queue_reqs"
KV_USAGE = "sglang:token_usage"
SLOTS = "sglang:max_running_requests"
PROGRESS = ("sglang:prompt_tokens_total", "sglang:generation_tokens_total", "sglang:num_requests_total")
NAMES = frozenset((RUNNING, WAITING, KV_USAGE, SLOTS, *PROGRESS))


def parse(answers: Mapping[str, bytes], model: str = "") -> Parts:
    """Whichever of its answers is there, the newest kind first."""
    version = version_of(answers.get(LOADS)) or version_of(answers.get(INFO)) or version_of(answers.get(OLD_INFO))
    loads = _ranks(as_json(answers.get(LOADS)))
    if loads:
        return _of_loads(loads, version)
    old = _ranks(as_json(answers.get(OLD_LOAD)))
    if old:
        return _of_old_load(old, version)
    return _of_metrics(Exposition(answers.get(METRICS, b""), NAMES), version)


def _ranks(value: Any) -> list[dict[str, Any]]:
    """One object per data-parallel engine."""
    if isinstance(value, dict):
        value = value.get("loads")
    return [rank for rank in value if isinstance(rank, dict)] if isinstance(value, list) else []


def _of_loads(ranks: list[dict[str, Any]], version: str) -> Parts:
    used = [share(rank.get("token_usage")) for rank in ranks]
    return Parts(
        waiting=requests(_sum(ranks, "num_waiting_reqs")), running=requests(_sum(ranks, "num_running_reqs")),
        kv_usage=max((share_ for share_ in used if share_ is not None), default=None),
        queued_tokens=_pending(ranks), slots=requests(_sum(ranks, "max_running_requests")) or None, version=version,
    )


def _pending(ranks: list[dict[str, Any]]) -> int | None:
    """Tokens of prompts that wait for prefill: said, or the difference between all tokens and those in use."""
    said = _sum(ranks, "num_waiting_uncached_tokens")
    if said is not None:
        return said
    all_, used = _sum(ranks, "num_total_tokens"), _sum(ranks, "num_used_tokens")
    return max(0, all_ - used) if all_ is not None and used is not None else None


def _of_old_load(ranks: list[dict[str, Any]], version: str) -> Parts:
    """`num_reqs` has running and waiting requests together."""
    waiting, everyone = requests(_sum(ranks, "num_waiting_reqs")), requests(_sum(ranks, "num_reqs"))
    running = max(0, everyone - waiting) if everyone is not None and waiting is not None else None
    return Parts(waiting=waiting, running=running, queued_tokens=_sum(ranks, "num_pending_tokens"), version=version)


def _sum(ranks: list[dict[str, Any]], key: str) -> int | None:
    figures = [whole(rank.get(key)) for rank in ranks]
    return sum(figure for figure in figures if figure is not None) if None not in figures else None


def _of_metrics(page: Exposition, version: str) -> Parts:
    return Parts(
        waiting=_once_per_engine(page, WAITING), running=_once_per_engine(page, RUNNING),
        kv_usage=share(max((s.value for s in _first_ranks(page, KV_USAGE)), default=None)),
        slots=_once_per_engine(page, SLOTS) or None, version=version,
        progress=total(*(page.sum(name) for name in PROGRESS)),
    )


def _once_per_engine(page: Exposition, name: str) -> int | None:
    samples = _first_ranks(page, name)
    return requests(sum(sample.value for sample in samples)) if samples else None


def _first_ranks(page: Exposition, name: str) -> list[Sample]:
    """One sample per data-parallel engine: the others are the same engine's other ranks."""
    found: dict[str, Sample] = {}
    for sample in page.of(name):
        labels = sample.labels
        if all(labels.get(rank, "0") in ("0", "") for rank in ("tp_rank", "pp_rank", "moe_ep_rank")):
            found.setdefault(labels.get("dp_rank", ""), sample)
    return list(found.values())
