"""TensorRT-LLM (`trtllm-serve`): `/prometheus/metrics`, else `/metrics`, which is a JSON list of iterations there.

The list is emptied by reading it. An empty one means that nothing has run since, which is not the same as a queue of
length 0: it stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.upstream.load_report.exposition import Exposition
from pointsman.upstream.load_report.parts import Parts, as_json, requests, share, total, version_of

PAGE = "/prometheus/metrics"
METRICS = "/metrics"
VERSION = "/version"

RUNNING = ("trtllm_num_requests_running", "trtllm:num_requests_running")
WAITING = ("trtllm_num_requests_waiting", "trtllm:num_requests_waiting")
KV_USAGE = ("trtllm_kv_cache_utilization", "trtllm:kv_cache_utilization")
PROGRESS = (("trtllm_request_success_total", "trtllm:request_success_total"),
            ("trtllm_prompt_tokens_total", "trtllm:prompt_tokens_total"),
            ("trtllm_generation_tokens_total", "trtllm:generation_tokens_total"))
NAMES = frozenset((*RUNNING, *WAITING, *KV_USAGE, *(name for names in PROGRESS for name in names)))


def parse(answers: Mapping[str, bytes], model: str = "") -> Parts:
    version = version_of(answers.get(VERSION))
    rounds = as_json(answers.get(METRICS))
    if isinstance(rounds, list):
        return _of_rounds(rounds, version)
    page = Exposition(answers.get(PAGE) or answers.get(METRICS, b""), NAMES)
    return Parts(
        waiting=requests(page.sum(*WAITING)), running=requests(page.sum(*RUNNING)), kv_usage=share(page.largest(*KV_USAGE)),
        version=version, progress=total(*(page.sum(*names) for names in PROGRESS)),
    )


def _of_rounds(rounds: list[Any], version: str) -> Parts:
    """The latest iteration."""
    last = rounds[-1] if rounds and isinstance(rounds[-1], dict) else {}
    cache = last.get("kvCacheStats")
    used, most = (requests(cache.get(key)) for key in ("usedNumBlocks", "maxNumBlocks")) if isinstance(cache, dict) else (None, None)
    return Parts(
        waiting=requests(last.get("numQueuedRequests")), running=requests(last.get("numActiveRequests")),
        kv_usage=share(used / most) if used is not None and most else None,
        slots=requests(last.get("maxNumActiveRequests")) or None, version=version,
    )
