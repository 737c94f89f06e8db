"""The checked file as `core.settings`: names resolved, units gone, secrets in place, client keys hashed."""

from __future__ import annotations

import hashlib

from pydantic import SecretStr

from pointsman.config.cascade import Cascade, Hold
from pointsman.config.known_dialects import dialects_of, is_origin
from pointsman.config.learned import Classifier
from pointsman.config.measured import on_tasks
from pointsman.config.names import PlacedPool, placed_pools, pools_of, routes_of
from pointsman.config.pools import CapabilityList, Endpoint, Health
from pointsman.config.promises import Saturation, Scale
from pointsman.config.remote import Remote, RemoteEmbedder
from pointsman.config.schema import Judge, Key, Root, Route, RouteRule, Tier, When
from pointsman.config.verifying import verifiers_of
from pointsman.core.fleet import Capabilities, EndpointSpec
from pointsman.core.price import GpuPrice, Price, TokenPrice
from pointsman.core.schedule import parse_hours
from pointsman.core.settings import (
    AdminSettings,
    CascadeSettings,
    ClassifierSettings,
    Condition,
    HealthSettings,
    HedgeSettings,
    HoldSettings,
    JudgeSettings,
    KeySettings,
    PollingSettings,
    PoolSettings,
    QueueSettings,
    RecordsSettings,
    RemoteEmbedderSettings,
    RemoteSettings,
    RouteSettings,
    Rule,
    SaturationSettings,
    ScaleSettings,
    ScheduleHint,
    ServerSettings,
    Settings,
    SlaSettings,
    TierSettings,
)


def settings_of(root: Root, source: str) -> Settings:
    """For a root that `check` found no problem with."""
    return Settings(
        tiers={name: _tier(name, tier) for name, tier in root.tiers.items()},
        pools={pool.name: _pool(pool) for pool in placed_pools(root)},
        routes={name: _route(name, route, tuple(root.tiers)) for name, route in routes_of(root).items()},
        server=ServerSettings(
            host=root.server.host, port=root.server.port, max_body=root.server.max_body,
            max_depth=root.server.max_depth, workers=None if root.server.workers == "auto" else root.server.workers,
            hosts=tuple(host.lower() for host in root.server.hosts),
            huge_pages=root.server.huge_pages,
        ),
        admin=AdminSettings(
            host=root.admin.host, port=root.admin.port, token=_revealed(root.admin.token),
            token_file=root.admin.token_file, notice_key=_revealed(root.admin.notice_key),
        ),
        keys=tuple(_key(key) for key in root.auth.keys),
        records=RecordsSettings(path=root.records.path, content=root.records.content, flush=root.records.flush),
        polling=PollingSettings(
            every_s=root.polling.every, timeout_s=root.polling.timeout, stale_after_s=root.polling.stale_after),
        classifier=_classifier(root.classifier),
        source=source,
    )


def _classifier(classifier: Classifier) -> ClassifierSettings:
    return ClassifierSettings(
        artifact=classifier.artifact, sentence=classifier.sentence, sentence_deadline_s=classifier.sentence_deadline,
        sentence_cpu=classifier.sentence_cpu, sentence_share=classifier.sentence_share, models=dict(classifier.models), remote=_remote_embedder(classifier.remote))


def _remote_embedder(remote: RemoteEmbedder) -> RemoteEmbedderSettings:
    return RemoteEmbedderSettings(
        url=(remote.url or "").rstrip("/"), model=remote.model or "", api_key=_revealed(remote.api_key), dims=remote.dims,
        deadline_s=remote.deadline, max_chars=remote.max_chars, together=remote.together, max_in_flight=remote.max_in_flight)


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _key(key: Key) -> KeySettings:
    digest = hashlib.sha256(key.key.get_secret_value().encode()).digest()
    return KeySettings(name=key.name, sha256=digest, tenant=key.tenant, routes=tuple(key.routes),
                       pools=tuple(key.pools), regions=tuple(key.regions), priority=key.priority)


def _tier(name: str, tier: Tier) -> TierSettings:
    sla = SlaSettings(ttft_target_s=tier.sla.ttft_target, ttft_p95_max_s=tier.sla.ttft_p95_max,
                      on_breach=tier.sla.on_breach)
    queue = QueueSettings(size=tier.queue.size, max_wait_s=tier.queue.max_wait)
    hedge = None if tier.hedge is None else HedgeSettings(after_s=tier.hedge.after, max_share=tier.hedge.max_share)
    return TierSettings(name=name, pools=pools_of(name, tier), sla=sla, queue=queue, hedge=hedge,
                        saturation=_saturation(tier.saturation), scale=_scale(tier.scale),
                        hold=None if tier.hold is None else _hold(tier.hold), accept_at=tier.accept_at,
                        verify=None if tier.verify is None else verifiers_of(tier.verify),
                        overlap=dict(tier.overlap), by_task=on_tasks(tier.by_task))


def _saturation(saturation: Saturation) -> SaturationSettings:
    return SaturationSettings(
        waiting=saturation.waiting, kv_usage=saturation.kv_usage, leave_share=saturation.leave_share,
        leave_after_s=saturation.leave_after, window_s=saturation.window, min_answers=saturation.min_answers,
        probe_share=saturation.probe_share,
    )


def _scale(scale: Scale) -> ScaleSettings:
    return ScaleSettings(
        min=scale.min, max=scale.max, target_use=scale.target_use, boot_s=scale.boot, billing_s=scale.billing,
        min_billing_s=scale.min_billing, down_after_s=scale.down_after, on_demand=scale.on_demand,
        schedule=tuple(ScheduleHint(hint.when, parse_hours(hint.when), hint.min) for hint in scale.schedule),
        timezone=scale.timezone,
    )


def _pool(pool: PlacedPool) -> PoolSettings:
    declared = pool.source.capabilities or CapabilityList()
    return PoolSettings(
        name=pool.name, model=pool.model,
        endpoints=tuple(_endpoint(pool, i, endpoint) for i, endpoint in enumerate(pool.endpoints)),
        capabilities=Capabilities(
            context=declared.context, tools=declared.tools, json_schema=declared.json_schema,
            vision=declared.vision, logprobs=declared.logprobs,
        ),
        embeddings=declared.embeddings, health=_health(pool.source.health or Health()),
        balancer=pool.balancer,
        region=pool.source.region or "",
    )


def _health(health: Health) -> HealthSettings:
    return HealthSettings(
        eject_after=health.eject_after, eject_share=health.eject_share, eject_share_min=health.eject_share_min,
        eject_s=health.eject_for, eject_max_s=health.eject_max, cooldown_max_s=health.cooldown_max,
        slow_start_s=health.slow_start,
    )


def _endpoint(pool: PlacedPool, index: int, endpoint: Endpoint) -> EndpointSpec:
    return EndpointSpec(
        id=f"{pool.name}/{index}", pool=pool.name, url=endpoint.url.rstrip("/"), model=endpoint.model or pool.model,
        api_key=_revealed(endpoint.api_key), engine=endpoint.engine, provider=endpoint.provider, slots=endpoint.slots,
        price=_price(endpoint), connect_timeout_s=endpoint.connect_timeout, max_in_flight=endpoint.max_in_flight, spot=endpoint.spot,
        poll=endpoint.poll,
        metrics_url=endpoint.metrics_url.rstrip("/") if endpoint.metrics_url is not None else None,
        kv_events=endpoint.kv_events, kv_replay=endpoint.kv_replay,
        dialects=tuple(endpoint.dialects or dialects_of(endpoint.engine, endpoint.url)),
        is_origin=is_origin(endpoint.engine, endpoint.url), max_output=endpoint.max_output,
    )


def _price(endpoint: Endpoint) -> Price | None:
    if (tokens := endpoint.usd_per_million) is not None:
        return TokenPrice(input=tokens.input, output=tokens.output, cached_input=tokens.cached_input,
                          cache_write=tokens.cache_write)
    if (gpu := endpoint.gpu) is not None:
        return GpuPrice(type=gpu.type, usd_per_hour=gpu.usd_per_hour, count=gpu.count, tokens_per_s=gpu.tokens_per_s)
    return None


def _route(name: str, route: Route, all_tiers: tuple[str, ...]) -> RouteSettings:
    ladder = all_tiers if route.ladder is None else tuple(route.ladder)
    return RouteSettings(
        name=name, ladder=ladder, default_tier=route.default_tier or ladder[-1], quality=route.quality,
        quality_of=route.quality_of, max_usd_per_request=route.max_usd_per_request, usd_per_second=route.usd_per_second,
        session=route.session, fallbacks=tuple(route.fallbacks), deadline_s=route.deadline, ttft_timeout_s=route.ttft_timeout,
        stall_timeout_s=route.stall_timeout, answer_timeout_s=route.answer_timeout, open_after_s=route.open_after,
        continue_streams=route.continue_streams,
        pipeline=tuple(route.pipeline), rules=tuple(_rule(i, rule) for i, rule in enumerate(route.rules, start=1)),
        judge=_judge(route.judge), remote=_remote(route.remote), priors=route.priors,
        cascade=_cascade(route.cascade), verify=verifiers_of(route.verify),
    )


def _judge(judge: Judge) -> JudgeSettings:
    return JudgeSettings(
        pool=judge.pool or "", band=judge.band, below=judge.below, deadline_s=judge.deadline, max_chars=judge.max_chars,
        share=judge.share, usd_per_hour=None if judge.usd_per_hour == "off" else judge.usd_per_hour,
        max_in_flight=judge.max_in_flight, reliability=judge.reliability, learns_from=judge.learns_from, form=judge.form)


def _remote(remote: Remote) -> RemoteSettings:
    headers = ((name, _header(name, value.get_secret_value())) for name, value in remote.headers.items())
    return RemoteSettings(
        url=remote.url or "", form=remote.form, model=remote.model or "", headers=tuple(headers),
        names=dict(remote.names), classes=tuple(remote.classes), calibrated=remote.calibrated, min_confidence=remote.min_confidence,
        band=remote.band, deadline_s=remote.deadline, max_chars=remote.max_chars, share=remote.share,
        max_in_flight=remote.max_in_flight, remember_s=remote.remember)


def _header(name: str, value: str) -> str:
    """A secret holds no spaces, so that the scheme of `Authorization` is put in front here."""
    return f"Bearer {value}" if name.lower() == "authorization" else value


def _cascade(cascade: Cascade) -> CascadeSettings | None:
    if cascade.mode == "off":
        return None
    return CascadeSettings(
        mode=cascade.mode, threshold=cascade.threshold, max_climbs=cascade.max_climbs, max_usd=cascade.max_usd,
        price_weight=cascade.price_weight, delay_weight=cascade.delay_weight, hold=_hold(cascade.hold),
        on_abstain=cascade.on_abstain, hedged_after_s=cascade.hedged,
    )


def _hold(hold: Hold) -> HoldSettings:
    return HoldSettings(tokens=hold.tokens, for_s=hold.or_)


def _rule(number: int, rule: RouteRule) -> Rule:
    return Rule(
        name=rule.name or f"rule-{number}", when=condition_of(rule.when), tier=rule.tier, pool=rule.pool,
        model=rule.model, system=rule.system, reason=rule.reason,
    )


def condition_of(when: When) -> Condition:
    """Header names in lower case, the rest as written."""
    return Condition(
        regex=when.regex, text=when.text, keywords=tuple(when.keywords), path=when.path,
        header={name.lower(): pattern for name, pattern in when.header.items()}, metadata=dict(when.metadata),
        tenant=tuple(when.tenant), tools=when.tools, min_chars=when.min_chars, max_chars=when.max_chars,
        all=tuple(condition_of(inner) for inner in when.all), any=tuple(condition_of(inner) for inner in when.any),
        not_=None if when.not_ is None else condition_of(when.not_),
    )
