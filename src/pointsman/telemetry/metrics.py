"""Counting records, and showing the counts to Prometheus.

Why not prometheus_client's own counters? They take a lock and look up children by label at each call, twenty times
per request. Here a record is a handful of dictionary additions; the library renders them at scrape.

Why are label values looked up? A label value that a client can choose is a way to fill a Prometheus. Names that the
configuration does not know become `other`.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from operator import add
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from pointsman import errors
from pointsman.core.counts import Counts
from pointsman.core.decision import Decision
from pointsman.core.price import NANO
from pointsman.core.record import Attempt, Question, Record
from pointsman.core.request import Caller
from pointsman.core.settings import Settings
from pointsman.money.gpu import MachineBill
from pointsman.telemetry.gauges import READERS, Labels, Rows, Sight
from pointsman.telemetry.series import SERIES, VOCABULARY, Series

OTHER = "other"
STEP_S = 0.01
"""How long a page is written before whoever else waits for the event loop gets a turn: with a thousand endpoints it takes a tenth of
a second, and a stream must not stand still for that."""


class Known(dict[str, str]):
    """Label values that may show: a known name is itself, "" stays empty, anything else is `other`."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__((name, name) for name in ("", OTHER, *names))

    def __missing__(self, name: str) -> str:
        return OTHER


def known(settings: Settings) -> dict[str, Known]:
    """Label -> its values: the configuration's names, the fixed vocabularies, the error codes."""
    pools = tuple(settings.pools)
    tiers = Known((*settings.tiers, *pools))  # a pinned pool stands where a tier would
    routes = settings.routes.values()
    names = {label: Known(values) for label, values in VOCABULARY.items()}
    return names | {
        "tier": tiers, "routing_tier": tiers, "original_tier": tiers, "from_tier": tiers, "to_tier": tiers,
        "route": Known(tuple(settings.routes)),
        "pool": Known(pools),
        "tenant": Known((Caller().name, *(key.tenant or key.name for key in settings.keys))),
        "endpoint": Known(tuple(e.id for pool in settings.pools.values() for e in pool.endpoints)),
        "model_id": Known(tuple(pool.model for pool in settings.pools.values())),
        "stage": Known((*(stage for route in routes for stage in route.pipeline), "sentence")),
        "verifier": Known(tuple(verifier.name for verifiers in (
            *(route.verify for route in routes), *(tier.verify or () for tier in settings.tiers.values())) for verifier in verifiers)),
        "error": Known(_error_codes()),
    }


def _error_codes(family: type[errors.PointsmanError] = errors.PointsmanError) -> tuple[str, ...]:
    return (family.code, *(code for child in family.__subclasses__() for code in _error_codes(child)))


def _end_of_break(record: Record) -> str | None:
    """What became of a stream that broke off, unannounced, after its first words; None = it did not."""
    attempts = record.attempts
    for before, attempt in pairwise(attempts):
        if attempt.reason == "continued" and before.error != errors.EndpointLeaving.code:
            return "continued" if record.outcome == "answered" else record.outcome
    if not attempts or attempts[-1].outcome != "failed" or attempts[-1].ttft_s is None or record.ttft_s is None:
        return None
    return None if record.error == errors.DeadlineExceeded.code else record.outcome


class Histogram(dict[Labels, list[float]]):
    """Labels -> one count per bucket, one for +Inf, then the sum."""

    def __init__(self, buckets: tuple[float, ...]) -> None:
        super().__init__()
        self.buckets = buckets

    def observe(self, labels: Labels, value: float) -> None:
        cells = self.get(labels)
        if cells is None:
            cells = self[labels] = [0] * (len(self.buckets) + 1) + [0.0]
        cells[bisect_left(self.buckets, value)] += 1
        cells[-1] += value


class Metrics:
    """A Sink that counts, and the page that Prometheus reads.

    `fleet_status` gives the endpoints at scrape, each a mapping with pool, id, state, in_flight; `tier_status` the tiers,
    each with tier, waiting (in line), unfit (the signal, "" while fit) and, where known, desired replicas and idle dollars per hour;
    `anterooms` who waits where, by pool: waiting, oldest_s, tenants; `machines` the bill of rented GPUs. `readings`
    gives the value of series without labels that somebody else counts (`pointsman_records_dropped_total`).
    """

    def __init__(
        self,
        settings: Settings,
        *,
        version: str = "",
        fleet_status: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
        tier_status: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
        anterooms: Callable[[], Mapping[str, Mapping[str, Any]]] = dict,
        machines: Callable[[], Sequence[MachineBill]] = tuple,
        readings: Mapping[str, Callable[[], float]] | None = None,
    ) -> None:
        self._fleet_status, self._tier_status, self._version = fleet_status, tier_status, version
        self._machines, self._anterooms = machines, anterooms
        self._readings = dict(readings or {})
        self._counters: dict[str, dict[Labels, float]] = {
            s.name: {} if s.labels else {(): 0} for s in SERIES if s.kind == "counter"}
        self._histograms = {s.name: Histogram(s.buckets) for s in SERIES if s.kind == "histogram"}
        self._labels = {s.name: s.labels for s in SERIES}
        self.configure(settings)
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._registry.register(_Page(self))

    def configure(self, settings: Settings) -> None:
        """Learns the names of a (new) configuration; what was counted stays."""
        self._known = known(settings)

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Adds to a counter that no record carries. Labels in the order in which `SERIES` declares them."""
        allowed = self._labels[name]
        if len(labels) != len(allowed):
            raise ValueError(f"{name} has the labels {allowed}, got {labels}")
        self._add(name, tuple(self._known[label][value] for label, value in zip(allowed, labels, strict=True)), by)

    def write(self, record: Record) -> None:
        """Counts one record. `decide` records (no dispatch) count as decisions, not as requests."""
        names = self._known
        route, tier = names["route"][record.route], names["tier"][record.routing_tier]
        if record.kind != "decide":
            self._request(record, route, tier)
        if record.decision is not None:
            self._decision(record.decision, route)
        for attempt in record.attempts:
            self._attempt(attempt, is_stream=record.stream)
        if record.stream and (end := _end_of_break(record)) is not None:
            self._add("pointsman_broken_streams_total", (names["outcome"][end],))
        for question in record.questions:
            self._question(question)
        for check in record.checks:
            if check.score is None:
                self._add("pointsman_unjudged_total", (names["tier"][check.tier], names["reason"][check.error or "abstained"]))
            for found in check.by:
                verifier = names["verifier"][found.verifier]
                self._add("pointsman_verifier_results_total", (verifier, names["result"][found.result]))
                self._histograms["pointsman_verifier_duration_seconds"].observe((verifier,), found.duration_s)
        for climb in record.escalations:
            self._add("pointsman_escalations_total", (
                route, names["tier"][climb.from_tier], names["tier"][climb.to_tier], names["reason"][climb.reason]))

    def total(self, name: str, *labels: str) -> float:
        """A counter as it stands."""
        return self._counters[name].get(labels, 0)

    def counts(self) -> Counts:
        """All totals as they stand, for a process that adds up several."""
        read = [(name, labels, value + self._read(name)) for name, rows in self._counters.items() for labels, value in rows.items()]
        cells = [(name, labels, tuple(row)) for name, rows in self._histograms.items() for labels, row in rows.items()]
        return Counts(tuple(read), tuple(cells))

    def add(self, counts: Counts) -> None:
        """Adds what another process has counted. Rows of series that this version does not know are left out."""
        for name, labels, by in counts.counters:
            if name in self._counters:
                self._add(name, labels, by)
        for name, labels, row in counts.histograms:
            histogram = self._histograms.get(name)
            if histogram is not None and len(row) == len(histogram.buckets) + 2:
                cells = histogram.setdefault(labels, [0] * (len(histogram.buckets) + 1) + [0.0])
                cells[:] = map(add, cells, row)

    def _read(self, name: str) -> float:
        """What somebody else counts of a series."""
        reading = self._readings.get(name)
        return reading() if reading is not None else 0

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """(page, content type) for an `Accept` header: the text format unless OpenMetrics is asked for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    async def page(self) -> tuple[bytes, str]:
        """As `render` in the text format, in steps of some `STEP_S`: what is counted meanwhile may show in later families."""
        encode, content_type = choose_encoder("")
        parts, began = list[bytes](), time.perf_counter()
        for family in self._registry.collect():
            parts.append(encode(_Family(family)))
            if time.perf_counter() - began > STEP_S:
                await asyncio.sleep(0)
                began = time.perf_counter()
        return b"".join(parts), content_type

    def _request(self, record: Record, route: str, tier: str) -> None:
        names, seconds = self._known, record.duration_s
        original = names["tier"][record.original_tier]
        self._add("llm_router_requests_total", (
            tier, "true" if original else "false", original, names["model_id"][record.model_id]))
        self._add("pointsman_requests_total", (
            route, tier, names["outcome"][record.outcome], names["status_class"][f"{record.status // 100}xx"]))
        self._histograms["llm_router_latency_ms"].observe((tier,), seconds * 1000)
        self._histograms["pointsman_request_duration_seconds"].observe((route, tier), seconds)
        if record.queued_s is not None:
            self._histograms["pointsman_queue_seconds"].observe((original or tier,), record.queued_s)
        if record.error == errors.Shed.code:
            self._add("pointsman_shed_total", (tier,))
        if record.stream and record.ttft_s is not None:
            self._histograms["pointsman_time_to_first_token_seconds"].observe((tier,), record.ttft_s)

    def _decision(self, decision: Decision, route: str) -> None:
        names = self._known
        self._histograms["pointsman_decision_duration_seconds"].observe((route,), decision.duration_s)
        scores = None
        for view in decision.stages:
            scores = view.scores if view.scores is not None else scores
            stage = names["stage"][view.stage]
            self._add("pointsman_stage_results_total", (route, stage, names["outcome"][view.outcome]))
            if view.result:
                self._add("pointsman_stage_questions_total", (route, stage, names["result"][view.result]))
            if view.outcome != "skipped":
                self._histograms["pointsman_stage_duration_seconds"].observe((stage,), view.duration_s)
        if decision.decided_by == "default":
            reason = decision.reason.partition(";")[0]  # "abstained; large does not fit"
            self._add("pointsman_defaults_total", (route, names["reason"][reason]))
        for tier in decision.dominated:
            self._add("pointsman_dominated_total", (route, names["tier"][tier]))
        if scores is not None and len(scores.by_tier) < len(decision.gate):
            for gate in decision.gate:
                if gate.fits and gate.tier not in scores.by_tier:
                    self._add("pointsman_unscored_total", (route, names["tier"][gate.tier]))
        for gate in decision.gate:
            if gate.unknown and gate.tier == decision.tier:
                for capability in gate.unknown:
                    self._add("pointsman_capability_unknown_total", (
                        names["tier"][gate.tier], names["capability"][capability]))

    def _attempt(self, attempt: Attempt, *, is_stream: bool) -> None:
        names = self._known
        tier, usage = names["tier"][attempt.tier], attempt.usage
        if attempt.cost_basis == "estimated":
            usage = None  # a guess is charged for, but it is nothing that an upstream counted
        self._add("pointsman_attempts_total", (
            tier, names["pool"][attempt.pool], names["endpoint"][attempt.endpoint], names["outcome"][attempt.outcome],
            names["error"][attempt.error or ""]))
        if attempt.reason == "hedge":
            self._add("pointsman_hedges_total", (tier, names["outcome"][attempt.outcome]))
        if usage is not None:
            self._add("pointsman_endpoint_tokens_total", (names["pool"][attempt.pool], names["endpoint"][attempt.endpoint]),
                      usage.input_tokens + usage.output_tokens)
            self._add("pointsman_tokens_total", (tier, "input"), usage.input_tokens)
            self._add("pointsman_tokens_total", (tier, "output"), usage.output_tokens)
            if usage.cached_tokens:
                self._add("pointsman_tokens_total", (tier, "cached"), usage.cached_tokens)
            if is_stream and attempt.ttft_s is not None and usage.output_tokens > 1 and attempt.outcome == "answered":
                self._histograms["pointsman_inter_token_seconds"].observe(
                    (tier,), (attempt.duration_s - attempt.ttft_s) / (usage.output_tokens - 1))
        elif attempt.outcome == "answered":
            self._add("pointsman_usage_missing_total", ())
        if attempt.cost_nano_usd is not None:
            # Whole nano-dollars until they are rendered: floats would lose cents after a busy month.
            self._add("pointsman_cost_usd_total", (tier,), attempt.cost_nano_usd)
        elif attempt.sent:
            self._add("pointsman_unpriced_attempts_total", ())

    def _question(self, question: Question) -> None:
        pool, usage = self._known["pool"][question.pool], question.usage
        if usage is not None:
            self._add("pointsman_endpoint_tokens_total", (pool, self._known["endpoint"][question.endpoint]), usage.input_tokens + usage.output_tokens)
            for direction, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens), ("cached", usage.cached_tokens)):
                if tokens:
                    self._add("pointsman_question_tokens_total", (pool, direction), tokens)
        if question.cost_nano_usd is not None:
            self._add("pointsman_question_usd_total", (pool,), question.cost_nano_usd)

    def _add(self, name: str, labels: Labels, by: float = 1) -> None:
        rows = self._counters[name]
        rows[labels] = rows.get(labels, 0) + by

    def collect(self) -> Iterator[Metric]:
        """The families of `SERIES`, in its order, as they stand now."""
        sight = Sight(self._version, self._fleet_status(), self._tier_status(), self._anterooms(), self._machines(), self._known["tenant"])
        for series in SERIES:
            if series.kind == "histogram":
                yield self._histogram(series)
            elif series.kind == "counter":
                counter = CounterMetricFamily(series.name, series.help, labels=series.labels)
                for labels, value in self._counted(series.name, sight):
                    counter.add_metric(labels, value)
                yield counter
            else:
                gauge = GaugeMetricFamily(series.name, series.help, labels=series.labels)
                for labels, value in self._gauge(series.name, sight):
                    gauge.add_metric(labels, value)
                yield gauge

    def _counted(self, name: str, sight: Sight) -> Rows:
        reading = self._readings.get(name)
        if (read := READERS.get(name)) is not None:
            yield from read(sight)
            return
        scale = NANO if name in _IN_NANO else 1
        for labels, value in list(self._counters[name].items()):
            yield labels, (value + reading() if reading else value) / scale

    def _gauge(self, name: str, sight: Sight) -> Rows:
        if (read := READERS.get(name)) is not None:
            yield from read(sight)
        elif (reading := self._readings.get(name)) is not None:
            yield (), reading()

    def _histogram(self, series: Series) -> HistogramMetricFamily:
        family = HistogramMetricFamily(series.name, series.help, labels=series.labels)
        bounds = [*map(repr, series.buckets), "+Inf"]
        for labels, cells in list(self._histograms[series.name].items()):
            total, buckets = 0.0, []
            for bound, count in zip(bounds, cells, strict=False):
                total += count
                buckets.append((bound, total))
            family.add_metric(labels, buckets, cells[-1])
        return family

    def __repr__(self) -> str:
        return f"<Metrics [{sum(map(len, self._counters.values()))} counters, {sum(map(len, self._histograms.values()))} histograms]>"


_IN_NANO = frozenset(("pointsman_cost_usd_total", "pointsman_question_usd_total"))

class _Family:
    """A registry of one family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


class _Page:
    """What the registry asks at scrape; apart from `Metrics` so that registering collects nothing."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        return self._metrics.collect()
