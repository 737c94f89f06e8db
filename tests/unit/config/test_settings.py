import hashlib

import pytest

from pointsman.core.fleet import Capabilities
from pointsman.core.price import GpuPrice, TokenPrice
from pointsman.core.settings import (
    Condition,
    HealthSettings,
    RouteSettings,
    Rule,
    SaturationSettings,
    SlaSettings,
    TierSettings,
)


def test_an_inline_tier_is_a_pool_of_its_name(settings, valid):
    found = settings(valid)

    assert found.tiers["small"] == TierSettings("small", pools=("small",))
    [endpoint] = found.pools["small"].endpoints
    assert (endpoint.id, endpoint.pool, endpoint.model) == ("small/0", "small", "qwen-7b")
    assert endpoint.price == GpuPrice("RTX 4090", 0.51, 1, 1000.0)
    assert found.pools["llama-70b"].endpoints[0].price == TokenPrice(0.88, 0.88)


PIPELINE = ("rules", "heuristic", "embedding")
"""Of a file. Settings made by hand come without an artifact."""


def test_without_routes_there_is_auto_over_all_tiers_with_the_last_as_default(settings, valid):
    found = settings(valid[: valid.index("routes:")])

    assert found.routes == {"auto": RouteSettings("auto", ladder=("small", "large"), default_tier="large", pipeline=PIPELINE)}


def test_an_absent_default_tier_is_the_last_of_the_ladder(settings, valid):
    found = settings(valid.replace("[small, large], default_tier: large", "[large, small]"))

    assert found.routes["auto"].default_tier == "small"


def test_a_client_key_is_kept_as_its_digest_only(settings, valid):
    [key] = settings(valid + "auth: {keys: [{name: app, key: '${A_KEY}', tenant: acme, routes: [auto]}]}\n").keys

    assert key.sha256 == hashlib.sha256(b"key-a").digest()
    assert (key.name, key.tenant, key.routes) == ("app", "acme", ("auto",))
    assert "key-a" not in repr(key)


def test_an_absent_admin_token_stays_none(settings, valid):
    assert settings(valid).admin.token is None
    assert settings(valid + "admin: {token: '${A_KEY}'}\n").admin.token == "key-a"


def test_units_capabilities_and_health_arrive_resolved(settings, valid):
    text = valid.replace("model: qwen-7b", "model: qwen-7b\n    sla: {ttft_target: 200ms, ttft_p95_max: 500ms}\n"
                         "    capabilities: {context: 8192, tools: true, embeddings: true}\n"
                         "    health: {eject_after: 3, eject_for: 5s}").replace("8001/v1\"", "8001/v1/\", connect_timeout: 500ms")
    found = settings(text + "server: {max_body: 1MiB, hosts: [Router.Example]}\n")

    assert found.tiers["small"].sla == SlaSettings(0.2, 0.5)
    pool = found.pools["small"]
    assert pool.capabilities == Capabilities(context=8192, tools=True)
    assert pool.embeddings is True
    assert pool.health == HealthSettings(eject_after=3, eject_s=5.0)
    assert (pool.endpoints[0].url, pool.endpoints[0].connect_timeout_s) == ("http://10.0.0.1:8001/v1", 0.5)
    assert (found.server.max_body, found.server.hosts) == (1024**2, ("router.example",))


def test_defaults_are_those_of_the_settings_that_serving_reads(settings, valid):
    found = settings(valid)
    route = found.routes["auto"]

    assert route == RouteSettings("auto", ladder=("small", "large"), default_tier="large", pipeline=PIPELINE)
    assert found.server == type(found.server)()
    assert found.admin == type(found.admin)()
    assert found.records == type(found.records)()
    assert found.pools["small"].health == HealthSettings()
    assert found.pools["small"].endpoints[0].connect_timeout_s == 2.0


def test_rules_are_named_by_place_and_conditions_nest(settings, valid):
    rules = """rules: [
      {when: {keywords: refund, not: {tools: true}, any: [{header: {X-Team: legal}}, {tenant: [acme]}]}, tier: large,
       system: Be brief., reason: money},
      {name: long, when: {min_chars: 10}, pool: small}]"""

    first, second = settings(valid.replace("default_tier: large", rules)).routes["auto"].rules
    assert first == Rule(
        name="rule-1", tier="large", system="Be brief.", reason="money",
        when=Condition(keywords=("refund",), not_=Condition(tools=True),
                       any=(Condition(header={"x-team": "legal"}), Condition(tenant=("acme",)))),
    )
    assert second == Rule(name="long", when=Condition(min_chars=10), pool="small")


def test_what_fills_a_tier_and_who_picks_its_endpoints_arrive_resolved(settings, valid):
    text = valid.replace("model: qwen-7b", "model: qwen-7b\n    balancer: prefix\n    health: {slow_start: 0s}\n"
                         "    sla: {ttft_p95_max: 500ms, on_breach: report}\n"
                         "    saturation: {waiting: 9, kv_usage: 0.8, leave_share: 0.7, leave_after: 20s, window: 2m,"
                         " min_answers: 40, probe_share: 0.1}").replace('8001/v1"', '8001/v1", max_in_flight: 3')
    found = settings(text)

    assert found.tiers["small"].saturation == SaturationSettings(9, 0.8, 0.7, 20.0, 120.0, 40, 0.1)
    assert found.tiers["small"].sla == SlaSettings(None, 0.5, "report")
    assert found.pools["small"].balancer == "prefix"
    assert found.pools["small"].health.slow_start_s == 0.0
    assert found.pools["small"].endpoints[0].max_in_flight == 3


@pytest.mark.parametrize(("count", "of", "balancer"), [
    (1, "gpu: {type: A100, usd_per_hour: 1}", "prefix"),
    (2, "gpu: {type: A100, usd_per_hour: 1}", "prefix"),
    (2, "slots: 8", "prefix"),
    (32, "slots: 8", "prefix"),
    (33, "slots: 8", "power_of_two"),
    (2, "usd_per_million: {input: 1, output: 2}", "power_of_two"),
    (2, "provider: acme", "power_of_two"),
])
def test_engines_of_ones_own_are_picked_by_prefix_unless_said_otherwise(settings, count, of, balancer):
    endpoints = "".join(f'      - {{url: "http://10.0.0.{i}/v1", {of}}}\n' for i in range(count))
    text = f"tiers:\n  small:\n    model: qwen\n    endpoints:\n{endpoints}"

    assert settings(text).pools["small"].balancer == balancer
    assert settings(text + "    balancer: round_robin\n").pools["small"].balancer == "round_robin"


def test_saturation_and_balancer_have_the_defaults_that_serving_reads(settings, valid):
    found = settings(valid)

    assert found.tiers["small"].saturation == SaturationSettings()
    assert (found.pools["small"].balancer, found.pools["llama-70b"].balancer) == ("prefix", "power_of_two")
    assert found.pools["small"].endpoints[0].max_in_flight is None


def test_a_cascade_is_off_until_it_has_a_mode(settings, valid):
    assert settings(valid).routes["auto"].cascade is None
    on = settings(valid.replace("default_tier: large}", "default_tier: large, cascade: {mode: benefit, max_usd: 0.01, hold: {tokens: 8, or: 150ms}, "
                                "on_abstain: climb, hedged: 1s}}"))
    cascade = on.routes["auto"].cascade
    assert (cascade.mode, cascade.max_usd, cascade.on_abstain, cascade.hedged_after_s) == ("benefit", 0.01, "climb", 1.0)
    assert (cascade.hold.tokens, cascade.hold.for_s) == (8, 0.15)


def test_a_tier_has_its_own_hold_and_threshold(settings, valid):
    tier = settings(valid.replace("model: qwen-7b", "model: qwen-7b\n    hold: {or: 1s}\n    accept_at: 0.9")).tiers["small"]
    assert (tier.hold.tokens, tier.hold.for_s, tier.accept_at) == (24, 1.0, 0.9)
