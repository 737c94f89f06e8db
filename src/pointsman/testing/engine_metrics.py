"""What the simulated engine says on `/metrics`: vLLM's names, labels and buckets (as of 0.32).

Why not prometheus-client? It counts per process; here several engines live in one.
"""

from __future__ import annotations

from bisect import bisect_left

from pointsman.testing.engine import Engine, Sequence

TTFT_BUCKETS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0,
                80.0, 160.0, 640.0, 2560.0)
ITL_BUCKETS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
LATENCY_BUCKETS = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0,
                   960.0, 1920.0, 7680.0)
FINISHED = ("stop", "length", "abort", "error", "repetition")


class Histogram:
    """Counts per bucket, as Prometheus draws them."""

    def __init__(self, buckets: tuple[float, ...]) -> None:
        self.buckets = buckets
        self.counts = [0] * (len(buckets) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.buckets, value)] += 1
        self.sum += value

    def lines(self, name: str, model: str) -> list[str]:
        lines, total = [], 0
        for edge, count in zip((*map(str, self.buckets), "+Inf"), self.counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{engine="0",le="{edge}",model_name="{model}"}} {float(total)}')
        lines.append(f'{name}_count{{engine="0",model_name="{model}"}} {float(total)}')
        lines.append(f'{name}_sum{{engine="0",model_name="{model}"}} {self.sum}')
        return lines


class EngineMetrics:
    """Counters and histograms of one engine; gauges are read from the engine when somebody asks."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.prompt_tokens = self.cached_tokens = self.generation_tokens = self.rejections = 0
        self.is_lying = False
        """The gauges say that nothing is going on, whatever is."""
        self.finished = dict.fromkeys(FINISHED, 0)
        self.ttft, self.itl = Histogram(TTFT_BUCKETS), Histogram(ITL_BUCKETS)
        self.e2e, self.queue = Histogram(LATENCY_BUCKETS), Histogram(LATENCY_BUCKETS)
        self.prefill, self.decode = Histogram(LATENCY_BUCKETS), Histogram(LATENCY_BUCKETS)

    def token(self, sequence: Sequence, at: float) -> None:
        """A sequence got a token at `at`."""
        self.generation_tokens += 1
        if sequence.last_token_at is None:
            self.ttft.observe(at - sequence.arrived_at)
        else:
            self.itl.observe(at - sequence.last_token_at)
        sequence.last_token_at = at

    def done(self, sequence: Sequence, at: float, reason: str) -> None:
        """A sequence ended at `at`; `reason` is one of FINISHED."""
        self.finished[reason] += 1
        self.prompt_tokens += sequence.prompt_tokens
        self.cached_tokens += sequence.cached
        self.e2e.observe(at - sequence.arrived_at)
        started = at if sequence.started_at is None else sequence.started_at
        first = at if sequence.first_token_at is None else sequence.first_token_at
        self.queue.observe(started - sequence.arrived_at)
        self.prefill.observe(first - started)
        self.decode.observe(at - first)

    def render(self, engine: Engine) -> str:
        """The text of `/metrics`."""
        running, waiting = (0, 0) if self.is_lying else (len(engine.running), len(engine.waiting))
        lines: list[str] = []
        self._scalar(lines, "num_requests_running", "gauge", "Number of requests in model execution batches.",
                     running)
        self._scalar(lines, "num_requests_waiting", "gauge", "Number of requests waiting to be processed.", waiting)
        self._by(lines, "num_requests_waiting_by_reason", "gauge", "Number of waiting requests by reason.", "reason",
                 {"capacity": waiting, "deferred": 0})
        self._by(lines, "engine_sleep_state", "gauge", "Engine sleep state.", "sleep_state",
                 {"awake": 1, "weights_offloaded": 0, "discard_all": 0})
        self._scalar(lines, "kv_cache_usage_perc", "gauge", "KV-cache usage. 1 means 100 percent usage.",
                     0 if self.is_lying else engine.kv_usage)
        for name, text, value in (
            ("prefix_cache_queries", "Prefix cache queries, in tokens.", engine.prefix_queries),
            ("prefix_cache_hits", "Prefix cache hits, in tokens.", engine.prefix_hits),
            ("num_preemptions", "Preemptions.", engine.preemptions),
            ("prompt_tokens", "Prefill tokens processed.", self.prompt_tokens),
            ("prompt_tokens_cached", "Prompt tokens read from a cache.", self.cached_tokens),
            ("generation_tokens", "Generation tokens processed.", self.generation_tokens),
        ):
            self._scalar(lines, name, "counter", text, value)
        self._by(lines, "request_success", "counter", "Requests processed.", "finished_reason", self.finished)
        self._head(lines, "admission_rejections", "counter", "Requests refused at the door.")
        lines.append(f'vllm:admission_rejections_total{{model_name="{self.model}",reason="max_num_queued_reqs"}} '
                     f"{float(self.rejections)}")
        for name, histogram in (
            ("time_to_first_token_seconds", self.ttft), ("inter_token_latency_seconds", self.itl),
            ("e2e_request_latency_seconds", self.e2e), ("request_queue_time_seconds", self.queue),
            ("request_prefill_time_seconds", self.prefill), ("request_decode_time_seconds", self.decode),
        ):
            self._head(lines, name, "histogram", f"Histogram of {name.replace('_', ' ')}.")
            lines += histogram.lines(f"vllm:{name}", self.model)
        self._head(lines, "cache_config_info", "gauge", "Information of the cache configuration.")
        lines.append(f'vllm:cache_config_info{{block_size="16",cache_dtype="auto",engine="0",'
                     f'num_gpu_blocks="{engine.blocks.total}"}} 1.0')
        return "\n".join(lines) + "\n"

    def _head(self, lines: list[str], name: str, type: str, text: str) -> None:
        suffix = "_total" if type == "counter" else ""
        lines += [f"# HELP vllm:{name}{suffix} {text}", f"# TYPE vllm:{name}{suffix} {type}"]

    def _scalar(self, lines: list[str], name: str, type: str, text: str, value: float) -> None:
        self._head(lines, name, type, text)
        suffix = "_total" if type == "counter" else ""
        lines.append(f'vllm:{name}{suffix}{{engine="0",model_name="{self.model}"}} {float(value)}')

    def _by(self, lines: list[str], name: str, type: str, text: str, label: str, values: dict[str, int]) -> None:
        self._head(lines, name, type, text)
        suffix = "_total" if type == "counter" else ""
        for value, count in values.items():
            labels = ",".join(sorted(('engine="0"', f'model_name="{self.model}"', f'{label}="{value}"')))
            lines.append(f"vllm:{name}{suffix}{{{labels}}} {float(count)}")
