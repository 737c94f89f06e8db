"""What a client may put into `model`, and what it means.

Looked up in this order: route, `auto:<route>`, tier, pool model name, `<provider>/<pool model>`. A name with two
meanings is a configuration error (`config/check.py`), so the order never decides between them.

A route may carry a wish of its own for one request: `auto:cheap`, `auto:balanced`, `auto:best` (`<route>:cheap` and so on for
the others), or a threshold, `auto@0.7`: the tier must be good enough with at least that probability. A route, tier or model of
such a name goes first.
"""

from __future__ import annotations

from difflib import get_close_matches

import msgspec

from pointsman.classify.targets import PRESETS, QualityTarget, preset, target_of, threshold
from pointsman.core.request import Caller
from pointsman.core.settings import PoolSettings, RouteSettings, Settings
from pointsman.errors import Forbidden, RequestError, UnknownModel

COMPARED = 200
"""Characters of an unknown name that are compared with those there are."""


class Meaning(msgspec.Struct, frozen=True, gc=False):
    """A route to decide on, or (`tier` or `pools` set) the client's own choice."""

    route: str
    """The route whose timeouts apply."""
    tier: str = ""
    pools: tuple[str, ...] = ()
    home: str = ""
    """The tier that holds `pools`; empty when none does."""
    provider: str = ""
    """Of `pools`, only the endpoints of this provider (`<provider>/<pool model>`)."""
    target: QualityTarget | None = None
    """What the name asks for instead of the route's own (`auto:cheap`, `auto@0.7`)."""

    @property
    def is_route(self) -> bool:
        return not self.tier and not self.pools


class Names:
    """The table of one configuration."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._table: dict[str, Meaning] = {}
        first = next(iter(settings.routes))
        tier_of = {pool: tier.name for tier in reversed(settings.tiers.values()) for pool in tier.pools}
        for pool in settings.pools.values():
            tier = tier_of.get(pool.name, "")
            model = Meaning(self._route_of(tier, first), pools=(pool.name,), home=tier)
            for provider in {endpoint.provider for endpoint in pool.endpoints if endpoint.provider}:
                self._table[f"{provider}/{pool.model}"] = msgspec.structs.replace(model, provider=provider)
            self._table[pool.model] = model
        for name in settings.tiers:
            self._table[name] = Meaning(self._route_of(name, first), tier=name)
        for route in settings.routes.values():
            self._table[f"auto:{route.name}"] = self._table[route.name] = Meaning(route.name)
        for name, route in self._named_with_wishes(settings).items():
            for wish in PRESETS:
                self._table.setdefault(f"{name}:{wish}", Meaning(route.name, target=preset(target_of(route), wish)))

    @staticmethod
    def _named_with_wishes(settings: Settings) -> dict[str, RouteSettings]:
        """Every route by its name and by `auto:<route>`; `auto` is the first one where no route is called so."""
        routes = settings.routes
        named = {"auto": next(iter(routes.values()))} | {f"auto:{name}": route for name, route in routes.items()}
        return named | dict(routes)

    def _route_of(self, tier: str, default: str) -> str:
        return next((r.name for r in self._settings.routes.values() if tier in r.ladder), default)

    def look_up(self, model: str, caller: Caller) -> Meaning:
        """Raises UnknownModel with near names, or Forbidden when the key may not use it."""
        meaning = self._table.get(model)
        if meaning is None:
            meaning = self._with_threshold(model)
        if meaning is None:
            raise UnknownModel(model, self._near(model, caller))
        if not _may_use(caller, meaning):
            raise Forbidden(f"key {caller.name!r} may not use model {model!r}; it may use: {', '.join(caller.routes)}",
                            param="model")
        return meaning

    def _with_threshold(self, model: str) -> Meaning | None:
        """`<route>@<number>`; None = it is nothing of the kind. Raises RequestError for a number that is no probability."""
        name, at, number = model.rpartition("@")
        meaning = self._table.get(name) if at else None
        if meaning is None or not meaning.is_route:
            return None
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise RequestError(f"{model[:COMPARED]!r}: behind the @ stands a probability from 0 to 1, as in {name}@0.7", param="model")
        target = meaning.target or target_of(self._settings.routes[meaning.route])
        return Meaning(meaning.route, target=threshold(target, value))

    def _near(self, model: str, caller: Caller) -> tuple[str, ...]:
        """Names like it that this caller may use; a name of megabytes must not take seconds to compare."""
        lower = {name.lower(): name for name, meaning in self._table.items()
                 if _may_use(caller, meaning) and (meaning.target is None or ":" in model)}
        found = [lower[name] for name in get_close_matches(model[:COMPARED].lower(), lower, n=3, cutoff=0.5)]
        return tuple(found) or (caller.routes or tuple(self._settings.routes))[:1]

    def embedding_pool(self, model: str, caller: Caller) -> PoolSettings:
        """The pool of an embeddings request: always a named one. Raises RequestError naming those that there are."""
        pools = [p for p in self._settings.pools.values() if p.embeddings]
        known = ", ".join(repr(p.model) for p in pools) or "none is configured (capabilities: {embeddings: true})"
        if model in self._table and self._table[model].is_route:
            raise self._not_routed(known)
        meaning = self.look_up(model, caller)
        if meaning.is_route:
            raise self._not_routed(known)
        names = meaning.pools or self._settings.tiers[meaning.tier].pools
        found = [self._settings.pools[name] for name in names if self._settings.pools[name].embeddings]
        if not found:
            raise RequestError(f"model {model!r} makes no embeddings; these do: {known}", param="model")
        return found[0]

    @staticmethod
    def _not_routed(known: str) -> RequestError:
        return RequestError(f"embeddings are not routed: vectors of different models do not compare. "
                            f"Name an embedding model: {known}", param="model")

    def listed(self, caller: Caller) -> list[tuple[str, Meaning]]:
        """What `/v1/models` shows this caller: routes first, then tiers and models, each once."""
        shown = [(name, m) for name, m in self._table.items() if not name.startswith("auto:") and m.target is None]
        shown = [(name, m) for name, m in shown if _may_use(caller, m)]
        return sorted(shown, key=lambda item: (not item[1].is_route, not item[1].tier))

    def route(self, meaning: Meaning) -> RouteSettings:
        return self._settings.routes[meaning.route]


def _may_use(caller: Caller, meaning: Meaning) -> bool:
    return not caller.routes or (meaning.is_route and meaning.route in caller.routes)
