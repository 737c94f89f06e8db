"""What lies between two configurations, by place and in words; secrets only as changed or not.

Both sides are resolved settings, put back into the file's words: a default that is written out is no difference.
Endpoints are told apart by URL and rules by name, so that one more at the front is one difference and not ten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from pointsman.config import units
from pointsman.config.problems import Loc, path
from pointsman.config.verifying import plain_verifiers
from pointsman.core.fleet import EndpointSpec
from pointsman.core.price import GpuPrice, TokenPrice
from pointsman.core.settings import (
    CascadeSettings,
    Condition,
    HoldSettings,
    JudgeSettings,
    KeySettings,
    PoolSettings,
    RemoteEmbedderSettings,
    RemoteSettings,
    RouteSettings,
    Rule,
    ScaleSettings,
    Settings,
    TierSettings,
)

NEEDS_RESTART: Final = ("server.host", "server.port", "server.workers", "server.huge_pages", "admin.host", "admin.port", "admin.token", "admin.token_file", "records.path", "records.flush")
"""What a reload reads but cannot change: sockets are bound and the store is open."""

_SECRET = "secret:"
_IDENTITY: Final = {"endpoints": "url", "rules": "name", "keys": "name"}
"""Lists of mappings: what tells two of their items apart."""


class Difference(msgspec.Struct, frozen=True):
    """One place that differs."""

    path: str
    kind: Literal["added", "removed", "changed", "moved"]
    old: Any = None
    new: Any = None
    needs_restart: bool = False

    def __str__(self) -> str:
        words = f"{self.path}: {self._what()}"
        return f"{words} (needs restart)" if self.needs_restart else words

    def _what(self) -> str:
        if _is_secret(self.old) or _is_secret(self.new):
            return f"{_in_words(self.old)} -> {_in_words(self.new)}" if None in (self.old, self.new) else "the secret has changed"
        match self.kind:
            case "added":
                return f"added{_summary(self.new)}"
            case "removed":
                return f"removed{_summary(self.old)}"
            case "moved":
                return f"moved, was {self.old}"
        return f"{_in_words(self.old)} -> {_in_words(self.new)}"


def differences(old: dict[str, Any], new: dict[str, Any]) -> tuple[Difference, ...]:
    """From `old` to `new`, both made by `plain`, in the order of the file."""
    return tuple(_between(old, new, ()))


def _between(old: Any, new: Any, loc: Loc) -> Iterator[Difference]:
    match old, new:
        case dict(), dict():
            for key in dict.fromkeys((*new, *old)):
                yield from _between(old.get(key), new.get(key), (*loc, key))
        case list(), list() if loc and loc[-1] in _IDENTITY:
            yield from _items(old, new, loc)
        case _ if old != new:
            is_part = isinstance(old, dict) or isinstance(new, dict)
            kind: Literal["added", "removed", "changed"] = "changed"
            if is_part and None in (old, new):
                kind = "added" if old is None else "removed"
            yield Difference(path(loc), kind, old, new, _takes_restart(path(loc)))


def _items(old: list[Any], new: list[Any], loc: Loc) -> Iterator[Difference]:
    """Items are paired by what identifies them, then by place; what is left was added or removed."""
    key = _IDENTITY[str(loc[-1])]
    pairs: dict[int, int] = {}
    free = list(range(len(old)))
    for i, item in enumerate(new):
        same = next((j for j in free if old[j].get(key) == item.get(key)), None)
        if same is not None:
            pairs[i] = same
            free.remove(same)
    for i in range(len(new)):
        if i not in pairs and i in free:
            pairs[i] = i
            free.remove(i)
    gone_before = {j: sum(1 for k in free if k < j) for j in pairs.values()}
    for i, item in enumerate(new):
        if i not in pairs:
            yield Difference(path((*loc, i)), "added", None, item)
            continue
        j = pairs[i]
        fresh = sum(1 for k in range(i) if k not in pairs)
        if i - fresh != j - gone_before[j]:
            yield Difference(path((*loc, i)), "moved", f"[{j}]", f"[{i}]")
        yield from _between(old[j], item, (*loc, i))
    for j in free:
        yield Difference(path((*loc, j)), "removed", old[j], None)


def _takes_restart(place: str) -> bool:
    return any(place == fixed or place.startswith(f"{fixed}.") for fixed in NEEDS_RESTART)


def _is_secret(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_SECRET)


def _in_words(value: Any) -> str:
    match value:
        case None:
            return "absent"
        case bool():
            return str(value).lower()
        case str() if _is_secret(value):
            return "a secret"
        case list():
            return f"[{', '.join(_in_words(item) for item in value)}]"
        case dict():
            return f"{{{', '.join(f'{key}: {_in_words(item)}' for key, item in value.items() if item is not None)}}}"
        case _:
            return str(value) or "empty"


def _summary(part: Any) -> str:
    """What a whole part is known by."""
    if not isinstance(part, dict):
        return f" {_in_words(part)}"
    for key in ("url", "model", "name", "ladder", "pools"):
        if part.get(key):
            return f" ({key} {_in_words(part[key])})"
    return ""


# ---------------------------------------------------------------------------------------------------------
# Settings in the words of the file


def plain(settings: Settings) -> dict[str, Any]:
    """The configuration as plain data in the file's own keys and units, defaults filled in, without a secret's value."""
    server, admin = settings.server, settings.admin
    inline = {name for name, tier in settings.tiers.items() if tier.pools == (name,)}
    return {
        "server": {"host": server.host, "port": server.port, "max_body": units.format_size(server.max_body),
                   "max_depth": server.max_depth, "workers": server.workers or "auto", "hosts": list(server.hosts), "huge_pages": server.huge_pages},
        "admin": {"host": admin.host, "port": admin.port, "token": _digest(admin.token), "token_file": admin.token_file,
                  "notice_key": _digest(admin.notice_key)},
        "auth": {"keys": [_key(key) for key in settings.keys]},
        "records": {"path": settings.records.path, "content": settings.records.content, "flush": settings.records.flush},
        "polling": {"every": _time(settings.polling.every_s), "timeout": _time(settings.polling.timeout_s),
                    "stale_after": _time(settings.polling.stale_after_s)},
        "classifier": {
            "artifact": settings.classifier.artifact, "sentence": settings.classifier.sentence,
            "sentence_deadline": _time(settings.classifier.sentence_deadline_s), "sentence_cpu": settings.classifier.sentence_cpu,
            "sentence_share": settings.classifier.sentence_share,
            "remote": _remote_embedder(settings.classifier.remote), "models": dict(settings.classifier.models)},
        "tiers": {name: ({} if name in inline else {"pools": list(tier.pools)})
                  | _promises(tier)
                  | (_pool(settings.pools[name]) if name in inline else {})
                  for name, tier in settings.tiers.items()},
        "pools": {name: _pool(pool) for name, pool in settings.pools.items() if name not in inline},
        "routes": {name: _route(route) for name, route in settings.routes.items()},
    }


def _digest(secret: str | bytes | None) -> str | None:
    """Tells whether it changed and nothing else: 48 bits of a SHA-256."""
    if secret is None:
        return None
    full = secret.hex() if isinstance(secret, bytes) else hashlib.sha256(secret.encode()).hexdigest()
    return f"{_SECRET}{full[:12]}"


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else units.format_duration(seconds)


def _key(key: KeySettings) -> dict[str, Any]:
    return {"name": key.name, "key": _digest(key.sha256), "tenant": key.tenant, "routes": list(key.routes),
            "pools": list(key.pools), "regions": list(key.regions), "priority": key.priority}


def _promises(tier: TierSettings) -> dict[str, Any]:
    full = tier.saturation
    return {
        "sla": {"ttft_target": _time(tier.sla.ttft_target_s), "ttft_p95_max": _time(tier.sla.ttft_p95_max_s),
                "on_breach": tier.sla.on_breach},
        "saturation": {
            "waiting": full.waiting, "kv_usage": full.kv_usage, "leave_share": full.leave_share,
            "leave_after": _time(full.leave_after_s), "window": _time(full.window_s), "min_answers": full.min_answers,
            "probe_share": full.probe_share,
        },
        "queue": {"size": tier.queue.size, "max_wait": _time(tier.queue.max_wait_s)},
        "hedge": None if tier.hedge is None else {"after": _time(tier.hedge.after_s), "max_share": tier.hedge.max_share},
        "scale": _scale(tier.scale),
        "hold": None if tier.hold is None else _hold(tier.hold), "accept_at": tier.accept_at,
        "verify": None if tier.verify is None else plain_verifiers(tier.verify, _digest),
        "overlap": dict(tier.overlap), "by_task": msgspec.to_builtins(tier.by_task),
    }


def _hold(hold: HoldSettings) -> dict[str, Any]:
    return {"tokens": hold.tokens, "or": _time(hold.for_s)}


def _cascade(cascade: CascadeSettings | None) -> dict[str, Any]:
    if cascade is None:
        return {"mode": "off"}
    return {
        "mode": cascade.mode, "threshold": cascade.threshold, "max_climbs": cascade.max_climbs, "max_usd": cascade.max_usd,
        "price_weight": cascade.price_weight, "delay_weight": cascade.delay_weight, "hold": _hold(cascade.hold),
        "on_abstain": cascade.on_abstain, "hedged": _time(cascade.hedged_after_s),
    }


def _scale(scale: ScaleSettings) -> dict[str, Any]:
    return {
        "min": scale.min, "max": scale.max, "target_use": scale.target_use, "boot": _time(scale.boot_s),
        "billing": _time(scale.billing_s), "min_billing": _time(scale.min_billing_s), "down_after": _time(scale.down_after_s),
        "on_demand": scale.on_demand, "timezone": scale.timezone,
        "schedule": [{"when": hint.when, "min": hint.min} for hint in scale.schedule],
    }


def _pool(pool: PoolSettings) -> dict[str, Any]:
    health = pool.health
    return {
        "model": pool.model,
        "capabilities": msgspec.to_builtins(pool.capabilities) | {"embeddings": pool.embeddings},
        "endpoints": [_endpoint(endpoint) for endpoint in pool.endpoints],
        "region": pool.region,
        "health": {
            "eject_after": health.eject_after, "eject_share": health.eject_share, "eject_share_min": health.eject_share_min,
            "eject_for": _time(health.eject_s), "eject_max": _time(health.eject_max_s),
            "cooldown_max": _time(health.cooldown_max_s), "slow_start": _time(health.slow_start_s),
        },
        "balancer": pool.balancer,
    }


def _endpoint(endpoint: EndpointSpec) -> dict[str, Any]:
    tokens, gpu = None, None
    match endpoint.price:
        case TokenPrice() as price:
            tokens = _untagged(price)
        case GpuPrice() as price:
            gpu = _untagged(price)
    return {
        "url": endpoint.url, "provider": endpoint.provider, "engine": endpoint.engine, "model": endpoint.model,
        "api_key": _digest(endpoint.api_key), "slots": endpoint.slots, "max_in_flight": endpoint.max_in_flight, "spot": endpoint.spot,
        "usd_per_million": tokens, "gpu": gpu,
        "connect_timeout": _time(endpoint.connect_timeout_s), "poll": endpoint.poll, "metrics_url": endpoint.metrics_url,
        "kv_events": endpoint.kv_events, "kv_replay": endpoint.kv_replay,
        "dialects": list(endpoint.dialects), "max_output": endpoint.max_output,
    }


def _untagged(price: TokenPrice | GpuPrice) -> dict[str, Any]:
    """The price's own fields: which kind it is, its key in the file tells."""
    return {name: getattr(price, name) for name in price.__struct_fields__}


def _route(route: RouteSettings) -> dict[str, Any]:
    return {
        "ladder": list(route.ladder), "default_tier": route.default_tier, "quality": route.quality,
        "quality_of": route.quality_of, "max_usd_per_request": route.max_usd_per_request, "usd_per_second": route.usd_per_second,
        "session": route.session,
        "fallbacks": list(route.fallbacks), "deadline": _time(route.deadline_s),
        "ttft_timeout": _time(route.ttft_timeout_s), "stall_timeout": _time(route.stall_timeout_s),
        "answer_timeout": _time(route.answer_timeout_s), "open_after": _time(route.open_after_s),
        "continue_streams": route.continue_streams,
        "pipeline": list(route.pipeline), "rules": [_rule(rule) for rule in route.rules],
        "judge": _judge(route.judge), "remote": _remote(route.remote), "priors": route.priors,
        "cascade": _cascade(route.cascade), "verify": plain_verifiers(route.verify, _digest),
    }


def _judge(judge: JudgeSettings) -> dict[str, Any]:
    return {
        "pool": judge.pool or None, "band": judge.band, "below": judge.below, "deadline": _time(judge.deadline_s), "max_chars": judge.max_chars,
        "share": judge.share, "usd_per_hour": "off" if judge.usd_per_hour is None else judge.usd_per_hour,
        "max_in_flight": judge.max_in_flight, "reliability": judge.reliability, "learns_from": judge.learns_from, "form": judge.form,
    }


def _remote(remote: RemoteSettings) -> dict[str, Any]:
    return {
        "url": remote.url or None, "form": remote.form, "model": remote.model or None,
        "headers": {name: _digest(value) for name, value in remote.headers}, "names": dict(remote.names), "classes": list(remote.classes),
        "calibrated": remote.calibrated, "min_confidence": remote.min_confidence, "band": remote.band,
        "deadline": _time(remote.deadline_s), "max_chars": remote.max_chars, "share": remote.share,
        "max_in_flight": remote.max_in_flight, "remember": _time(remote.remember_s),
    }


def _remote_embedder(remote: RemoteEmbedderSettings) -> dict[str, Any]:
    return {
        "url": remote.url or None, "model": remote.model or None, "api_key": _digest(remote.api_key), "dims": remote.dims,
        "deadline": _time(remote.deadline_s), "max_chars": remote.max_chars, "together": remote.together, "max_in_flight": remote.max_in_flight,
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {"name": rule.name, "when": _condition(rule.when), "tier": rule.tier, "pool": rule.pool, "model": rule.model,
            "system": rule.system, "reason": rule.reason}


def _condition(when: Condition) -> dict[str, Any]:
    """Only what is given: a condition is mostly empty."""
    said: dict[str, Any] = {
        "regex": when.regex, "text": when.text, "keywords": list(when.keywords), "path": when.path,
        "header": dict(when.header), "metadata": dict(when.metadata), "tenant": list(when.tenant), "tools": when.tools,
        "min_chars": when.min_chars, "max_chars": when.max_chars, "all": [_condition(inner) for inner in when.all],
        "any": [_condition(inner) for inner in when.any], "not": None if when.not_ is None else _condition(when.not_),
    }
    return {key: value for key, value in said.items() if value is not None and value not in ([], {})}
