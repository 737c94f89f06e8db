"""Every series of `/metrics`, on one screen: name, kind, labels, what it tells.

Base units throughout (seconds, tokens, dollars); only `llm_router_*` keep the names and units that dashboards written
for it expect. Every label takes its values from the configuration or from a fixed list; anything else is `other`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["counter", "histogram", "gauge"]


class Series(msgspec.Struct, frozen=True):
    name: str
    """As scraped; counters end in `_total`."""
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, without +Inf."""


MILLISECONDS = (50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
REQUEST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
FIRST_TOKEN = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
INTER_TOKEN = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
VERIFYING = (1e-5, 1e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
DECISION = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 1.0)

SERIES: tuple[Series, ...] = (
    Series("llm_router_requests_total", "counter", ("routing_tier", "escalated", "original_tier", "model_id"),
           "Requests by the tier that answered; original_tier is empty unless escalated."),
    Series("llm_router_latency_ms", "histogram", ("routing_tier",), "End to end, in milliseconds.", MILLISECONDS),
    Series("pointsman_requests_total", "counter", ("route", "tier", "outcome", "status_class"),
           "Requests by how they ended: answered, rejected, failed, cancelled."),
    Series("pointsman_request_duration_seconds", "histogram", ("route", "tier"),
           "From the request's arrival to its last byte.", REQUEST),
    Series("pointsman_time_to_first_token_seconds", "histogram", ("tier",),
           "Streamed requests: from arrival to the first content-bearing event handed on.", FIRST_TOKEN),
    Series("pointsman_inter_token_seconds", "histogram", ("tier",),
           "Streamed answers of which tokens were counted: mean time between two of their tokens after the first.", INTER_TOKEN),
    Series("pointsman_decision_duration_seconds", "histogram", ("route",), "Choosing the tier, all stages.", DECISION),
    Series("pointsman_stage_duration_seconds", "histogram", ("stage",), "One stage of a pipeline.", DECISION),
    Series("pointsman_stage_results_total", "counter", ("route", "stage", "outcome"),
           "What a stage said: decided, refined, abstained, failed, skipped, late. The share of `sentence` that is refined, "
           "late or failed is that of requests that asked for a sentence vector; abstained ones would have, and might not."),
    Series("pointsman_stage_questions_total", "counter", ("route", "stage", "result"),
           "What came of it when a stage such as `judge`, `remote` or `sentence` wanted to ask somebody: answered, garbage (not what was asked for), "
           "slow, down, crashed, refused (an embedder that the artifact was not trained beside); or not asked: remembered (its answer is "
           "known), busy (no room), share (of requests, or of the processor, is used up), spent (its dollars), resting (it failed too often), not_allowed, nobody."),
    Series("pointsman_question_tokens_total", "counter", ("pool", "direction"),
           "Tokens that questions of stages took from a pool, as it counted them: input, output, cached (part of input)."),
    Series("pointsman_question_usd_total", "counter", ("pool",), "Dollars of such questions with a known cost."),
    Series("pointsman_dominated_total", "counter", ("route", "tier"),
           "Decisions by scores in which this tier fitted, cost no less than another and scored no better."),
    Series("pointsman_unscored_total", "counter", ("route", "tier"),
           "Decisions by scores in which this tier fitted and the classifier did not know it."),
    Series("pointsman_defaults_total", "counter", ("route", "reason"),
           "Requests served by default_tier because nobody decided."),
    Series("pointsman_capability_unknown_total", "counter", ("tier", "capability"),
           "Requests allowed although nobody declared that the tier can do what they need."),
    Series("pointsman_attempts_total", "counter", ("tier", "pool", "endpoint", "outcome", "error"),
           "Calls to endpoints; error is empty when answered."),
    Series("pointsman_hedges_total", "counter", ("tier", "outcome"),
           "Second attempts beside a slow first one: answered (they were faster), cancelled (the first was), failed. What they cost is in "
           "pointsman_cost_usd_total."),
    Series("pointsman_escalations_total", "counter", ("route", "from_tier", "to_tier", "reason"), "Climbs of the ladder."),
    Series("pointsman_verifier_results_total", "counter", ("verifier", "result"),
           "What a verifier said of an answer: passed, failed, abstained; or why it could not: slow, down, garbage, crashed, busy, "
           "resting (it failed too often), not_allowed, unavailable."),
    Series("pointsman_verifier_duration_seconds", "histogram", ("verifier",), "One verifier on one answer.", VERIFYING),
    Series("pointsman_unjudged_total", "counter", ("tier", "reason"),
           "Answers that verifiers were asked about and none could judge (abstained, verification_late, verification_failed, verification_cancelled): "
           "`cascade.on_abstain` says what became of them."),
    Series("pointsman_tokens_total", "counter", ("tier", "direction"),
           "Tokens as the upstreams counted them, all attempts: input, output, cached (part of input)."),
    Series("pointsman_cost_usd_total", "counter", ("tier",), "Dollars of all attempts with a known cost."),
    Series("pointsman_unpriced_attempts_total", "counter", (), "Sent attempts whose cost is unknown."),
    Series("pointsman_usage_missing_total", "counter", (), "Answered attempts without usage, charged by estimate."),
    Series("pointsman_records_dropped_total", "counter", (), "Records that could not be kept."),
    Series("pointsman_records_lag_bytes", "gauge", (), "Bytes of records in the spool, not yet in the store."),
    Series("pointsman_log_lines_dropped_total", "counter", (), "Request log lines that nobody took in time."),
    Series("pointsman_refused_total", "counter", ("error",),
           "Requests turned away before anybody knew who asked: bad host, bad key, unknown path. They leave no record."),
    Series("pointsman_tools_dropped_total", "counter", ("tool",),
           "Hosted tools that a client offered beside its own and the model that answered was not told of."),
    Series("pointsman_classify_no_body_total", "counter", (),
           "Calls of /classify without a body, answered with the default."),
    Series("pointsman_endpoint_state", "gauge", ("pool", "endpoint", "state"), "1 for the state an endpoint is in."),
    Series("pointsman_endpoint_in_flight", "gauge", ("pool", "endpoint"), "Attempts an endpoint now serves."),
    Series("pointsman_endpoint_waiting", "gauge", ("pool", "endpoint"),
           "Requests waiting at the engine, as it says itself. Absent while unknown, like the next three."),
    Series("pointsman_endpoint_running", "gauge", ("pool", "endpoint"), "Requests the engine is working on, as it says itself."),
    Series("pointsman_endpoint_kv_usage_ratio", "gauge", ("pool", "endpoint"),
           "Share of the engine's KV cache in use, 0 to 1, as it says itself; the fullest of its data-parallel engines."),
    Series("pointsman_endpoint_report_age_seconds", "gauge", ("pool", "endpoint"), "Age of the engine's latest load report."),
    Series("pointsman_poll_failures_total", "counter", ("endpoint", "error"),
           "Questions for load or models that an endpoint did not answer."),
    Series("pointsman_reports_disbelieved_total", "counter", ("endpoint", "reason"),
           "Load reports that what we saw ourselves speaks against: frozen, understated, contradicted. Taken as unknown."),
    Series("pointsman_spot_interruptions_total", "counter", ("outcome",),
           "Answers that were under way on an endpoint that went away: drained (ended in time), continued elsewhere, failed."),
    Series("pointsman_broken_streams_total", "counter", ("outcome",),
           "Streams that broke off unannounced after their first words: continued elsewhere, answered (all was said but the end), failed (the client "
           "got an error), cancelled (it left meanwhile)."),
    Series("pointsman_endpoints_leaving", "gauge", (), "Endpoints that have said that they will be gone."),
    Series("pointsman_queue_seconds", "histogram", ("tier",),
           "How long requests stood in the line of a full tier and in an anteroom, let in or not; those that did not wait are not counted.", FIRST_TOKEN),
    Series("pointsman_shed_total", "counter", ("tier",), "Requests turned away because every fitting tier was full."),
    Series("pointsman_queue_waiting", "gauge", ("tier",), "Requests that now stand in the line of a full tier."),
    Series("pointsman_anteroom_waiting", "gauge", ("pool",),
           "Requests that now wait until an endpoint of the pool has less to read. Only of pools that `prefix` balances."),
    Series("pointsman_anteroom_oldest_seconds", "gauge", ("pool",), "How long the one that came first has waited there; 0 while nobody waits."),
    Series("pointsman_anteroom_tenant_waiting", "gauge", ("pool", "tenant"),
           "The same requests by tenant, or by key where that has none. Absent while a tenant has none there."),
    Series("pointsman_tier_saturated", "gauge", ("tier", "signal"), "1 for the signal by which a tier is unfit for ordinary traffic."),
    Series("pointsman_workers", "gauge", (), "Processes that answer clients now."),
    Series("pointsman_worker_restarts_total", "counter", (), "Workers that ended unasked, or could not take up a configuration, and were replaced."),
    Series("pointsman_endpoint_tokens_total", "counter", ("pool", "endpoint"),
           "Tokens in and out of answered attempts and stages' questions, as the upstreams counted them."),
    Series("pointsman_gpu_usd_total", "counter", ("pool", "endpoint", "state"),
           "Dollars of rented GPUs since the start: busy (something ran there) and idle. The machines' bill, not the attempts'."),
    Series("pointsman_gpu_usd_per_1k_tokens", "gauge", ("pool", "endpoint", "kind"),
           "Dollars per 1,000 tokens of a rented GPU: achieved (the bill by the tokens) and nominal (the price list's)."),
    Series("pointsman_idle_usd_per_hour", "gauge", ("tier",), "What the tier's machines cost now that run and do nothing."),
    Series("pointsman_desired_replicas", "gauge", ("tier",), "Machines that the tier wants. Absent while their slots are unknown."),
    Series("pointsman_build_info", "gauge", ("version",), "Always 1."),
)

# ---------------------------------------------------------------------------------------------------------
# Labels with a fixed vocabulary; the others (tier, route, pool, ...) take theirs from the configuration.

VOCABULARY: dict[str, tuple[str, ...]] = {
    "escalated": ("true", "false"),
    "status_class": ("1xx", "2xx", "3xx", "4xx", "5xx"),
    "outcome": ("answered", "rejected", "failed", "cancelled", "decided", "refined", "abstained", "skipped", "late",
                "drained", "continued"),
    "direction": ("input", "output", "cached"),
    "capability": ("context", "tools", "json_schema", "vision", "logprobs", "embeddings"),
    "tool": ("web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation", "mcp", "tool_search",
             "web_fetch", "code_execution", "mcp_toolset"),
    "signal": ("waiting", "kv", "in_flight", "backlog", "ttft", "unavailable"),
    "kind": ("achieved", "nominal"),
    "state": ("healthy", "ejected", "probing", "draining"),
    "result": ("passed", "failed", "abstained", "slow", "down", "garbage", "crashed", "busy", "resting", "not_allowed", "unavailable",
               "answered", "share", "spent", "nobody", "remembered", "refused"),
    "reason": ("saturated", "sla", "hedge", "verifier", "failed", "session", "fallback", "last_resort", "abstained", "late",
               "out_of_distribution", "frozen", "understated", "contradicted",
               "verification_late", "verification_failed", "verification_cancelled"),
}
