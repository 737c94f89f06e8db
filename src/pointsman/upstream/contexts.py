"""Context lengths that nobody declared: as the engines' own lists tell them, remembered over reloads.

The lists come with the load reports; see `gateway.monitor`.
"""

from __future__ import annotations

import msgspec

from pointsman.core.fleet import EndpointSpec
from pointsman.core.settings import PoolSettings, Settings


class Contexts:
    """What engines have said about their models so far."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], int] = {}
        """(URL, model) -> tokens."""

    def filled(self, settings: Settings) -> Settings:
        """`settings` with each undeclared context that is known: the smallest of the pool's endpoints."""
        pools = {name: self._filled(pool) for name, pool in settings.pools.items()}
        return settings if pools == settings.pools else msgspec.structs.replace(settings, pools=pools)

    def _filled(self, pool: PoolSettings) -> PoolSettings:
        said = [self._said[key] for key in map(_key, pool.endpoints) if key in self._said]
        if pool.capabilities.context is not None or not said:
            return pool
        known = msgspec.structs.replace(pool.capabilities, context=min(said))
        return msgspec.structs.replace(pool, capabilities=known)

    def learn(self, endpoint: EndpointSpec, tokens: int) -> bool:
        """Remembers what `endpoint` says its model takes; True when that is news."""
        is_news = self._said.get(_key(endpoint)) != tokens
        self._said[_key(endpoint)] = tokens
        return is_news


def _key(endpoint: EndpointSpec) -> tuple[str, str]:
    return endpoint.url, endpoint.model
