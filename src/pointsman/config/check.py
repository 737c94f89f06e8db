"""What no field can know by itself: do the names exist, do the parts fit together, is it safe to serve?

Also called with what is left of a file whose broken parts were taken out, so that all problems come in one report;
`Names` therefore holds what the file declares, broken or not.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from pointsman.config.asking import check_remote, check_remote_embedder
from pointsman.config.measured import check_measured
from pointsman.config.names import PlacedPool, check_names, placed_pools, pools_of, routes_of
from pointsman.config.pools import Endpoint
from pointsman.config.problems import Loc, Report, near
from pointsman.config.rules import check_rules
from pointsman.config.schema import Judge, Root, Route, Tier
from pointsman.config.verifying import check_verifiers, names_of

NOMINAL_GPUS: Final = ("4090", "A100", "H100")
"""Words in a GPU's name that `money/catalogue.py` has a published throughput for (a test compares the two)."""
STAGES: Final = ("rules", "heuristic", "embedding", "published", "largest", "remote", "judge")
MOST_RUNGS: Final = 9
"""What a judge can tell apart with one digit."""
"""Stages without an argument; `pinned:<tier>` and `random:<share>` have one."""


class Names(msgspec.Struct, frozen=True):
    """What the file declares, and which places of it are already known to be broken."""

    tiers: frozenset[str]
    pools: frozenset[str]
    routes: frozenset[str]
    broken: frozenset[Loc] = frozenset()

    def is_sound(self, *loc: str | int) -> bool:
        """Nothing at or below this place was taken out."""
        return not any(bad[: len(loc)] == loc for bad in self.broken)


def names_in(data: Any, broken: frozenset[Loc] = frozenset()) -> Names:
    """Reads the declared names from plain data, however broken."""
    sections: dict[str, dict[str, Any]] = {
        key: data[key] if isinstance(data, dict) and isinstance(data.get(key), dict) else {}
        for key in ("tiers", "pools", "routes")
    }
    inline = {name for name, tier in sections["tiers"].items() if not (isinstance(tier, dict) and "pools" in tier)}
    return Names(
        tiers=frozenset(sections["tiers"]), pools=frozenset(sections["pools"]) | inline,
        routes=frozenset(sections["routes"] or ("auto",)), broken=broken,
    )


def check(root: Root, names: Names, report: Report) -> None:
    """Everything that takes more than one field to see."""
    _check_listeners(root, names, report)
    _check_keys(root, names, report)
    _check_polling(root, report)
    _check_classifier(root, names, report)
    for name, tier in root.tiers.items():
        _check_tier(name, tier, root, names, report)
    placed = placed_pools(root)
    for pool in placed:
        _check_pool(pool, report)
    models = frozenset(model for pool in placed for model in pool.model_names)
    for name, route in routes_of(root).items():
        _check_route(name, route, root, names, models, report)
    check_names(root, report)


def _lookers(name: str, tier: Tier, root: Root) -> set[str]:
    """Names of the verifiers that may look at a tier's answers."""
    lists = [tier.verify] if tier.verify is not None else [
        route.verify for route in routes_of(root).values() if name in (root.tiers if route.ladder is None else route.ladder)]
    return {found for verifiers in lists for found in names_of(verifiers)}


# ---------------------------------------------------------------------------------------------------------
# Listeners and keys


def is_loopback(host: str) -> bool:
    """Only this machine can reach it."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _check_listeners(root: Root, names: Names, report: Report) -> None:
    server, admin = root.server, root.admin
    if not is_loopback(server.host) and not root.auth.keys and names.is_sound("auth"):
        report.problem(("server", "host"), f"{server.host!r} can be reached from a network, but there are no client keys",
                       "add auth.keys, or bind 127.0.0.1")
    if server.port == admin.port != 0 and server.host == admin.host:
        report.problem(("admin", "port"), f"{admin.port} is already the port of `server`", "give admin its own port")


def _check_polling(root: Root, report: Report) -> None:
    polling = root.polling
    if polling.timeout >= polling.every:
        report.problem(("polling", "timeout"), "is not below `every`: questions to one endpoint would overlap",
                       "give it half of `every`")
    if polling.stale_after < polling.every + polling.timeout:
        report.problem(("polling", "stale_after"), "is below `every` plus `timeout`: every report would be stale before the next",
                       "three times `every` lets one answer be lost")


def _check_classifier(root: Root, names: Names, report: Report) -> None:
    for tier in root.classifier.models:
        _exists(tier, "tier", names.tiers, ("classifier", "models", tier), report)
    if root.classifier.sentence == "on":
        report.problem(("classifier", "sentence"), "does not say which embedder", "write auto, l3, l6, remote, off or a directory")
    check_remote_embedder(root.classifier, report, _check_url)
    if root.classifier.model_fields_set and not any("embedding" in route.pipeline for route in routes_of(root).values()):
        report.warning(("classifier",), "is read by no route: none has `embedding` in its pipeline",
                       "write pipeline: [rules, heuristic, embedding]")


def _check_keys(root: Root, names: Names, report: Report) -> None:
    values: dict[str, int] = {}
    seen: dict[str, int] = {}
    for i, key in enumerate(root.auth.keys):
        loc: Loc = ("auth", "keys", i)
        if (first := values.setdefault(key.key.get_secret_value(), i)) != i:
            report.problem((*loc, "key"), f"the same key as auth.keys[{first}]", "each client gets its own key")
        if (first := seen.setdefault(key.name, i)) != i:
            report.problem((*loc, "name"), f"the same name as auth.keys[{first}]", "records tell keys apart by name")
        for j, route in enumerate(key.routes):
            _exists(route, "route", names.routes, (*loc, "routes", j), report)
        for j, pool in enumerate(key.pools):
            _exists(pool, "pool", names.pools, (*loc, "pools", j), report)


def _exists(name: str, what: str, known: frozenset[str], loc: Loc, report: Report) -> None:
    if name not in known:
        report.problem(loc, f"{what} {name!r} does not exist", near(name, known))


# ---------------------------------------------------------------------------------------------------------
# Tiers, pools, endpoints


def _check_tier(name: str, tier: Tier, root: Root, names: Names, report: Report) -> None:
    loc: Loc = ("tiers", name)
    inline = [key for key in ("model", "endpoints", "capabilities", "health", "balancer") if getattr(tier, key) is not None]
    if tier.pools is not None:
        if inline:
            report.problem(loc, f"has both `pools` and `{inline[0]}`", "an inline pool is the tier's only one: keep `pools`,"
                           " or move the inline pool under `pools:`")
        for i, pool in enumerate(tier.pools):
            _exists(pool, "pool", names.pools, (*loc, "pools", i), report)
        for twice in _twice(tier.pools):
            report.problem((*loc, "pools"), f"names pool {twice!r} twice", "keep one")
    elif names.is_sound(*loc):
        missing = [key for key in ("model", "endpoints") if getattr(tier, key) is None]
        if missing:
            report.problem(loc, f"has no `{'` and no `'.join(missing)}`", "give `pools: [...]`, or `model` and `endpoints`")
    if tier.endpoints and tier.model is None:  # no pool can be made of it, but its endpoints can be wrong all the same
        _check_pool(PlacedPool(name, loc, "", tier.endpoints, tier), report)
    if inline and name in root.pools:
        report.problem(("pools", name), "is also the inline pool of the tier of that name", "rename this pool")
    check_verifiers(tier.verify or [], (*loc, "verify"), names.pools, report, _check_url)
    check_measured(name, tier.overlap, tier.by_task, _lookers(name, tier, root), names.tiers, loc, report)
    low, high = tier.sla.ttft_target, tier.sla.ttft_p95_max
    if low is not None and high is not None and low > high:
        report.problem((*loc, "sla", "ttft_target"), "is above `ttft_p95_max`", "aim at less than what is at most allowed")


def _check_pool(pool: PlacedPool, report: Report) -> None:
    if all(endpoint.spot for endpoint in pool.endpoints):
        report.warning((*pool.loc, "endpoints"), "are all `spot`: when they are taken away together, nobody of this pool is left to go on "
                       "with their answers", "add one on demand")
    urls: dict[tuple[str, str, int | None, str], int] = {}
    for i, endpoint in enumerate(pool.endpoints):
        loc: Loc = (*pool.loc, "endpoints", i)
        address = _check_url(endpoint.url, (*loc, "url"), report)
        if address is not None and (first := urls.setdefault(address, i)) != i:
            report.problem((*loc, "url"), f"the same URL as endpoints[{first}] of this pool",
                           "one is enough: `slots` says how much it takes")
        _check_price(endpoint, loc, report)
        if endpoint.metrics_url is not None:
            _check_url(endpoint.metrics_url, (*loc, "metrics_url"), report)
        if endpoint.kv_events is not None and pool.balancer != "prefix":
            report.problem((*loc, "kv_events"), "nothing here reads them: only `balancer: prefix` does",
                           "set the pool's `balancer: prefix`, or leave `kv_events` out")
        if endpoint.kv_replay is not None and endpoint.kv_events is None:
            report.problem((*loc, "kv_replay"), "says again what `kv_events` has said, which is not there", "add `kv_events`")
        if endpoint.dialects is not None and not {"chat", "messages"} & set(endpoint.dialects):
            report.problem((*loc, "dialects"), "names neither chat nor messages, so that other clients' requests could not be "
                           "translated for it", "add the one of them that it speaks")


def _check_url(url: str, loc: Loc, report: Report) -> tuple[str, str, int | None, str] | None:
    """What makes two URLs equal, or None after saying what is wrong. The URL is not repeated: it may hold a secret."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        report.problem(loc, "is not a URL", _url_hint() if "Port" not in str(exc) else "the port is 1 to 65535")
        return None
    wrong = _url_fault(url, parts)
    if wrong:
        report.problem(loc, wrong[0], wrong[1])
        return None
    usual = 443 if parts.scheme == "https" else 80
    return parts.scheme, (parts.hostname or "").lower(), port or usual, parts.path.rstrip("/")


def _url_fault(url: str, parts: SplitResult) -> tuple[str, str] | None:
    if not url.isascii() or not url.isprintable() or " " in url:
        return "holds spaces, control or non-ASCII characters", "write the host in ASCII (punycode) and escape the path"
    if "$" in url:
        return "holds a `$`: only whole secrets are filled in from the environment", "write the URL out"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must start with http:// or https:// and name a host", _url_hint()
    if parts.username is not None or parts.password is not None:
        return "must not hold credentials", "use `api_key` with a secret reference"
    if "?" in url or "#" in url:
        return "must not have a query or a fragment", "keys belong in `api_key`"
    return None


def _url_hint() -> str:
    return "such as http://10.0.0.10:8001/v1"


def _check_price(endpoint: Endpoint, loc: Loc, report: Report) -> None:
    gpu = endpoint.gpu
    if gpu is not None and endpoint.usd_per_million is not None:
        report.problem((*loc, "gpu"), "the endpoint has two prices: `gpu` and `usd_per_million`", "keep one")
    elif gpu is None and endpoint.usd_per_million is None:
        report.warning(loc, "has no price: its answers are counted as unpriced, never as free",
                       "give `usd_per_million` or `gpu`")
    if gpu is None or gpu.tokens_per_s is not None:
        return
    if not has_nominal_throughput(gpu.type):
        report.problem((*loc, "gpu", "type"), f"no nominal throughput is known for {gpu.type!r}",
                       f"give `tokens_per_s` (known are {', '.join(NOMINAL_GPUS)})")
    else:
        report.warning((*loc, "gpu"), "`tokens_per_s` is not given: costs use the catalogue's nominal figure",
                       "measure it and write it down")


def has_nominal_throughput(gpu_type: str) -> bool:
    """The catalogue can stand in for `tokens_per_s`."""
    return any(re.search(rf"(?<!\d){word}(?!\d)", gpu_type, re.IGNORECASE) for word in NOMINAL_GPUS)


# ---------------------------------------------------------------------------------------------------------
# Routes


def _check_route(name: str, route: Route, root: Root, names: Names, models: frozenset[str], report: Report) -> None:
    loc: Loc = ("routes", name)
    ladder = route.ladder if route.ladder is not None else list(root.tiers)
    for key, tiers in (("ladder", route.ladder or []), ("fallbacks", route.fallbacks)):
        for i, tier in enumerate(tiers):
            _exists(tier, "tier", names.tiers, (*loc, key, i), report)
        for twice in _twice(tiers):
            report.problem((*loc, key), f"names tier {twice!r} twice", "keep one")
    if route.default_tier is not None:
        place = (*loc, "default_tier")
        if route.default_tier not in names.tiers:
            _exists(route.default_tier, "tier", names.tiers, place, report)
        elif names.is_sound(*loc, "ladder") and route.default_tier not in ladder and route.ladder is not None:
            report.problem(place, f"tier {route.default_tier!r} is not on this route's ladder", near(
                route.default_tier, ladder))
    for twice in _twice(route.pipeline):
        report.problem((*loc, "pipeline"), f"names stage {twice!r} twice", "keep one")
    for i, stage in enumerate(route.pipeline):
        _check_stage(stage, names, (*loc, "pipeline", i), report)
    _check_judge(route, ladder, root, names, loc, report)
    check_remote(route, ladder, loc, report, _check_url)
    _check_money(route, ladder, root, loc, report)
    check_verifiers(route.verify, (*loc, "verify"), names.pools, report, _check_url)
    if route.verify and route.cascade.mode == "off":
        report.warning((*loc, "verify"), "nobody asks these verifiers: `cascade.mode` is off", "give `cascade: {mode: benefit}`")
    _check_cascade(route, ladder, root, loc, report)
    check_rules(route.rules, (*loc, "rules"), names.tiers, names.pools, models, names.broken, report)


def _check_judge(route: Route, ladder: list[str], root: Root, names: Names, loc: Loc, report: Report) -> None:
    """A judge is asked last, has something to tell apart, and somebody to be."""
    judge, place = route.judge, (*loc, "judge")
    if judge.pool is not None:
        _exists(judge.pool, "pool", names.pools, (*place, "pool"), report)
    if "judge" not in route.pipeline:
        if judge.model_fields_set:
            report.warning(place, "is read by nobody: `judge` is not in this route's pipeline",
                           "write pipeline: [rules, heuristic, embedding, judge]")
        return
    if route.pipeline[-1] != "judge":
        report.problem((*loc, "pipeline"), "has stages behind `judge`, which is asked about what all others leave open", "write `judge` last")
    if len(ladder) > MOST_RUNGS:
        report.problem((*loc, "pipeline"), f"has a judge, who tells {MOST_RUNGS} tiers apart with one digit; the ladder has {len(ladder)}",
                       "leave `judge` out, or shorten the ladder")
    elif len(ladder) < 2:
        report.warning((*loc, "pipeline"), "has a judge who is never asked: the ladder has one tier", "leave `judge` out")
    if "usd_per_hour" in judge.model_fields_set and judge.usd_per_hour != "off" and not _is_priced(judge, ladder, root):
        report.warning((*place, "usd_per_hour"), "cannot be kept: the pool that is asked has an endpoint without a price",
                       "give `usd_per_million` or `gpu`; `share` bounds it meanwhile")


def _is_priced(judge: Judge, ladder: list[str], root: Root) -> bool:
    names = (judge.pool,) if judge.pool is not None else pools_of(ladder[0], root.tiers[ladder[0]])[:1] if ladder and ladder[0] in root.tiers else ()
    asked = [pool for pool in placed_pools(root) if pool.name in names]
    return all(endpoint.gpu is not None or endpoint.usd_per_million is not None for pool in asked for endpoint in pool.endpoints)


def _check_cascade(route: Route, ladder: list[str], root: Root, loc: Loc, report: Report) -> None:
    """A cascade needs somebody who looks, and somewhere to climb to."""
    cascade = route.cascade
    if cascade.mode == "off":
        return
    tiers = [root.tiers[name] for name in ladder[:-1] if name in root.tiers]
    if len(ladder) < 2:
        report.warning((*loc, "cascade"), "never climbs: the ladder has one tier", "add a stronger tier, or leave the cascade off")
    elif not any(route.verify if tier.verify is None else tier.verify for tier in tiers):
        report.warning((*loc, "cascade"), "never climbs: nobody looks at the answers of a tier that has another above it",
                       "give `verify: [well_formed, logprobs]`")


def _check_money(route: Route, ladder: list[str], root: Root, loc: Loc, report: Report) -> None:
    """Dollars can only be compared where they are known."""
    asked = [key for key in ("max_usd_per_request", "usd_per_second") if getattr(route, key)]
    if not asked:
        return
    pools = {pool.name: pool for pool in placed_pools(root)}
    for tier in ladder:
        names = pools_of(tier, root.tiers[tier]) if tier in root.tiers else ()
        first = pools.get(names[0]) if names else None
        if first is not None and any(endpoint.gpu is None and endpoint.usd_per_million is None for endpoint in first.endpoints):
            report.warning((*loc, asked[0]), f"tier {tier!r} has an endpoint without a price, so that its dollars are unknown",
                           "give `usd_per_million` or `gpu`")


def _check_stage(stage: str, names: Names, loc: Loc, report: Report) -> None:
    name, colon, argument = stage.partition(":")
    if name == "pinned" and colon:
        _exists(argument, "tier", names.tiers, loc, report)
    elif name == "random" and colon:
        if not _is_share(argument):
            report.problem(loc, f"{stage[:40]!r} needs a share from 0 to 1", "such as random:0.3")
    elif stage not in STAGES:
        report.problem(loc, f"stage {stage[:40]!r} does not exist", near(
            stage, (*STAGES, "pinned:<tier>", "random:<share>")))


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _twice(names: list[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
