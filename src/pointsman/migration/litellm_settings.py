"""What LiteLLM's settings beside `model_list` mean here: a sentence for each that has no counterpart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_CACHE = "there is no cache of answers yet"
_CALLBACKS = "every request leaves a record, a JSON log line and series in /metrics; export those"
_SPEND = "there are no virtual keys, teams or budgets yet; `auth.keys` are in the file"
_DATABASE = "records go to SQLite (`records.path`); nothing else needs a database"
_REDIS = "one process holds all state; several with shared state come later"
_RETRIES = ("a request has at most 3 attempts over all tiers, inside one deadline and a retry budget; the number is no setting")
_HEALTH = "health comes from real traffic and probes of ejected endpoints"
_UNTOUCHED = "requests are passed on untouched, and what an endpoint refuses, it refuses"
_LOGS = "`pointsman serve --log-level` and `--log-format` say it"

ROUTER: Final[Mapping[str, str]] = {
    **dict.fromkeys(("redis_host", "redis_port", "redis_password", "redis_url", "redis_db", "cache_kwargs", "client_ttl"), _REDIS),
    **dict.fromkeys(("retry_after", "retry_policy", "model_group_retry_policy"), _RETRIES),
    "routing_strategy_args": "there is one strategy, without arguments",
    "allowed_fails_policy": "failures of all kinds count alike, but for 4xx, which never count",
    "disable_cooldowns": "endpoints that keep failing are always ejected; the last way to answer never is",
    "content_policy_fallbacks": "a refusal on grounds of content is an answer, and is passed on",
    "max_fallbacks": _RETRIES,
    "tag_filtering_match_any": "a rule holds when its one tag is among the request's",
    "tag_routing_prefix": "a rule holds when its one tag is among the request's",
    **dict.fromkeys(("cache_responses", "caching_groups"), _CACHE),
    **dict.fromkeys(("set_verbose", "debug_level"), _LOGS),
    **dict.fromkeys(("optional_pre_call_checks", "deployment_affinity_ttl_seconds"), "endpoints are picked anew for every request"),
    **dict.fromkeys(("provider_budget_config", "alerting_config"), _SPEND),
    "default_litellm_params": "routes pass on what the client sends",
    "polling_interval": _HEALTH,
    "ignore_invalid_deployments": "a file with a problem is refused as a whole, with all its problems",
}
LITELLM: Final[Mapping[str, str]] = {
    **dict.fromkeys(("drop_params", "modify_params", "enable_json_schema_validation", "additional_drop_params"), _UNTOUCHED),
    **dict.fromkeys(("cache", "cache_params", "enable_caching_on_provider_specific_optional_params"), _CACHE),
    **dict.fromkeys(("success_callback", "failure_callback", "callbacks", "service_callback", "audit_log_callbacks", "langfuse_default_tags",
                     "custom_prometheus_metadata_labels", "prometheus_metrics_config", "otel", "s3_callback_params"), _CALLBACKS),
    **dict.fromkeys(("set_verbose", "json_logs", "log_raw_request_response", "suppress_debug_info"), _LOGS),
    **dict.fromkeys(("turn_off_message_logging", "redact_messages_in_exceptions", "redact_user_api_key_info"),
                    "prompts and answers are not stored unless `records.content` is `all`"),
    **dict.fromkeys(("max_budget", "budget_duration", "default_team_settings", "default_internal_user_params", "max_internal_user_budget",
                     "internal_user_budget_duration", "max_end_user_budget", "upperbound_key_generate_params", "default_key_generate_params",
                     "default_team_params", "max_ui_session_budget"), _SPEND),
    "content_policy_fallbacks": ROUTER["content_policy_fallbacks"],
    "telemetry": "nothing is sent to anybody",
    "max_parallel_requests": "`slots` of an endpoint bounds what it runs at once",
    **dict.fromkeys(("ssl_verify", "ssl_certificate", "ssl_security_level", "force_ipv4"), "TLS is verified against the system's certificates"),
    "default_max_internal_user_budget": _SPEND,
    **dict.fromkeys(("guardrails", "public_model_groups", "model_alias_map"), "nothing does that here yet"),
}
GENERAL: Final[Mapping[str, str]] = {
    **dict.fromkeys(("database_url", "database_connection_pool_limit", "database_connection_timeout", "database_type", "database_args",
                     "store_model_in_db", "allow_requests_on_db_unavailable", "use_redis_transaction_buffer", "disable_prisma_schema_update",
                     "proxy_batch_write_at", "disable_spend_logs", "disable_spend_updates", "disable_error_logs", "spend_report_frequency",
                     "maximum_spend_logs_retention_period"), _DATABASE),
    "store_prompts_in_spend_logs": "prompts are other people's words: set `records.content: all` yourself, if you mean it",
    **dict.fromkeys(("alerting", "alerting_threshold", "alert_types", "alert_to_webhook_url", "alerting_args"),
                    "alert on /metrics with what you already use"),
    **dict.fromkeys(("ui_access_mode", "ui_username", "ui_password", "ui_logo_path", "proxy_logout_url"), "there is no web UI for keys"),
    **dict.fromkeys(("background_health_checks", "health_check_interval", "health_check_details", "enable_health_check_routing"), _HEALTH),
    **dict.fromkeys(("max_parallel_requests", "global_max_parallel_requests"), "`slots` of an endpoint bounds what it runs at once"),
    **dict.fromkeys(("custom_auth", "enable_jwt_auth", "litellm_jwtauth", "custom_auth_settings", "enable_oauth2_auth", "enforce_user_param",
                     "enforced_params", "custom_key_generate", "key_generation_settings", "key_management_system", "key_management_settings",
                     "default_team_disabled", "enable_public_model_hub", "role_permissions", "control_plane_url", "salt_key"),
                    "clients are known by `auth.keys` of the file; put single sign-on in front of the router"),
    **dict.fromkeys(("allowed_routes", "public_routes", "admin_only_routes", "disable_reset_budget"),
                    "clients reach /v1/* and health; state and reload are on the admin listener, which has its own token"),
    "pass_through_endpoints": "there are no pass-through routes",
    "completion_model": "clients name the model, or a route such as `auto`",
    **dict.fromkeys(("infer_model_from_keys", "allow_user_auth", "allowed_ips", "use_x_forwarded_for", "max_response_size_mb",
                     "always_include_stream_usage", "forward_client_headers_to_llm_api", "use_client_credentials_pass_through_routes"),
                    "nothing does that here yet"),
}
SECTIONS: Final[Mapping[str, str]] = {
    "guardrails": "there are no guardrails yet",
    "credential_list": "keys are references; set each as an environment variable",
    **dict.fromkeys(("mcp_servers", "mcp_tools", "mcp_aliases", "agent_list", "search_tools", "vector_store_registry"), "only models are routed"),
    **dict.fromkeys(("assistant_settings", "files_settings", "finetune_settings", "batch_settings"),
                    "only chat, completions and embeddings are routed"),
    **dict.fromkeys(("callback_settings", "prompts", "policies", "policy_attachments"), "nothing does that here yet"),
    "include": "files that it includes are not read: import each of them, and put the parts together",
}
READ_ROUTER: Final = frozenset({
    "fallbacks", "context_window_fallbacks", "default_fallbacks", "model_group_alias", "routing_strategy", "num_retries", "timeout",
    "stream_timeout", "cooldown_time", "allowed_fails", "enable_pre_call_checks", "enable_tag_filtering", "default_max_parallel_requests",
})
READ_LITELLM: Final = frozenset({
    "fallbacks", "context_window_fallbacks", "default_fallbacks", "num_retries", "request_timeout", "cooldown_time", "allowed_fails",
    "enable_tag_filtering",
})
READ_GENERAL: Final = frozenset({"master_key", "max_request_size_mb"})
STRATEGIES: Final[Mapping[str, str]] = {
    "cost-based-routing": "all endpoints of a pool are equal; what is cheaper belongs on a lower tier, and a route chooses between tiers",
    "lowest-cost": "all endpoints of a pool are equal; what is cheaper belongs on a lower tier, and a route chooses between tiers",
}
ONE_STRATEGY: Final = ("of two endpoints drawn at random the less busy one is taken, by what is in flight and what engines report; there is "
                       "nothing to choose")
RETRIES: Final = _RETRIES
