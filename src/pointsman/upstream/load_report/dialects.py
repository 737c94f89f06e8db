"""The engines by name: what each is asked, how its answers are read, and what to do when its figures are missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from pointsman.core.fleet import LoadReport
from pointsman.upstream.load_report import llamacpp, ollama, sglang, tgi, trtllm, vllm
from pointsman.upstream.load_report.parts import Parts

Choice = tuple[str, ...]
"""Paths of which the first that answers is asked from then on."""


class Dialect(msgspec.Struct, frozen=True):
    """How to ask one kind of engine. Paths are below the server's root."""

    engine: str
    parse: Callable[[Mapping[str, bytes], str], Parts]
    always: tuple[Choice, ...] = ()
    """Asked at every poll."""
    once: tuple[Choice, ...] = ()
    """Asked when the engine is recognised: what changes only with a restart."""
    health: str = ""
    """Answers without generating anything; a 503 means that it cannot serve. "" = there is no such answer."""
    hint: str = ""
    """What to turn on when it tells no load."""


DIALECTS: dict[str, Dialect] = {dialect.engine: dialect for dialect in (
    Dialect("vllm", vllm.parse, ((vllm.METRICS,), (vllm.SLEEPING,)), ((vllm.VERSION,),), health="/health",
            hint="start vLLM without --disable-log-stats"),
    Dialect("sglang", sglang.parse, ((sglang.LOADS, sglang.OLD_LOAD, sglang.METRICS),), ((sglang.INFO, sglang.OLD_INFO),),
            hint="start SGLang with --enable-metrics, or a version that has /v1/loads"),
    Dialect("tgi", tgi.parse, ((tgi.METRICS,),), ((tgi.INFO,),), hint="TGI serves /metrics on its own port: give `metrics_url`"),
    Dialect("llamacpp", llamacpp.parse, ((llamacpp.METRICS,), (llamacpp.SLOTS,)), ((llamacpp.PROPS,),), health="/health",
            hint="start llama.cpp with --metrics (and without --no-slots)"),
    Dialect("trtllm", trtllm.parse, ((trtllm.PAGE, trtllm.METRICS),), ((trtllm.VERSION,),), health="/health",
            hint="set return_perf_metrics: true for trtllm-serve, which turns its Prometheus page on"),
    Dialect("ollama", ollama.parse, ((ollama.LOADED,),), ((ollama.VERSION,),),
            hint="Ollama tells no queue: its load is what is in flight here; give `slots` (OLLAMA_NUM_PARALLEL)"),
)}
PREFIXES: dict[str, str] = {
    "vllm:": "vllm", "sglang:": "sglang", "tgi_": "tgi", "llamacpp:": "llamacpp", "trtllm_": "trtllm", "trtllm:": "trtllm"}
"""How the names on an engine's Prometheus page begin."""


def hint_for(report: LoadReport) -> str:
    """What to turn on when a report lacks figures that its engine could tell; "" = nothing helps."""
    dialect = DIALECTS.get(report.engine)
    return dialect.hint if dialect is not None and (report.waiting is None or report.running is None) else ""
