"""Text Generation Inference: `/metrics`. It has no figure for its KV cache; `/info` tells its version.

`/health` is not asked: an idle server answers it with a generation.
"""

from __future__ import annotations

from collections.abc import Mapping

from pointsman.upstream.load_report.exposition import Exposition
from pointsman.upstream.load_report.parts import Parts, requests, total, version_of

METRICS = "/metrics"
INFO = "/info"

WAITING = "tgi_queue_size"
RUNNING = "tgi_batch_current_size"
PROGRESS = ("tgi_request_count", "tgi_request_success", "tgi_batch_inference_count")
NAMES = frozenset((WAITING, RUNNING, *PROGRESS))


def parse(answers: Mapping[str, bytes], model: str = "") -> Parts:
    page = Exposition(answers.get(METRICS, b""), NAMES)
    return Parts(
        waiting=requests(page.sum(WAITING)), running=requests(page.sum(RUNNING)), version=version_of(answers.get(INFO)),
        progress=total(*(page.sum(name) for name in PROGRESS)),
    )
