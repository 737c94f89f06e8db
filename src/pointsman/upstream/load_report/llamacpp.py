"""llama.cpp: `/slots` tells who works (on unless `--no-slots`), `/metrics` who waits (needs `--metrics`), `/props` how many slots.

Newer servers have no figure for the KV cache: each slot has its own share of it, so that a free slot is free room.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.upstream.load_report.exposition import Exposition
from pointsman.upstream.load_report.parts import Parts, as_json, requests, share, total

METRICS = "/metrics"
SLOTS = "/slots"
PROPS = "/props"

RUNNING = "llamacpp:requests_processing"
WAITING = "llamacpp:requests_deferred"
OLD_KV_USAGE = "llamacpp:kv_cache_usage_ratio"
PROGRESS = ("llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total", "llamacpp:n_decode_total")
NAMES = frozenset((RUNNING, WAITING, OLD_KV_USAGE, *PROGRESS))


def parse(answers: Mapping[str, bytes], model: str = "") -> Parts:
    page = Exposition(answers.get(METRICS, b""), NAMES)
    slots, props = _objects(as_json(answers.get(SLOTS))), as_json(answers.get(PROPS))
    busy = [slot.get("is_processing") for slot in slots]
    running = sum(map(bool, busy)) if busy and None not in busy else requests(page.sum(RUNNING))
    return Parts(
        waiting=requests(page.sum(WAITING)), running=running, kv_usage=share(page.largest(OLD_KV_USAGE)),
        slots=len(slots) or _said(props, "total_slots"), version=_build(props),
        progress=total(*(page.sum(name) for name in PROGRESS)),
    )


def _objects(value: Any) -> list[dict[str, Any]]:
    return [slot for slot in value if isinstance(slot, dict)] if isinstance(value, list) else []


def _said(props: Any, key: str) -> int | None:
    return requests(props.get(key)) or None if isinstance(props, dict) else None


def _build(props: Any) -> str:
    said = props.get("build_info") if isinstance(props, dict) else None
    return said[:64] if isinstance(said, str) and said.isprintable() else ""
