"""Context lengths that nobody declared: asked from the engines' `/v1/models`, remembered over reloads."""

from __future__ import annotations

import logging

import msgspec

from pointsman.core.fleet import EndpointSpec
from pointsman.core.settings import PoolSettings, Settings
from pointsman.errors import UpstreamError
from pointsman.upstream.models import fetch_models

ASK_TIMEOUT_S = 3.0
_log = logging.getLogger(__name__)


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

    async def ask(self, settings: Settings) -> bool:
        """Asks the endpoints of pools without a context that have not said yet; True when anything was learned."""
        before = len(self._said)
        for pool in settings.pools.values():
            if pool.capabilities.context is None:
                for endpoint in pool.endpoints:
                    if _key(endpoint) not in self._said:
                        await self._ask(endpoint)
        return len(self._said) > before

    async def _ask(self, endpoint: EndpointSpec) -> None:
        try:
            cards = await fetch_models(endpoint, ASK_TIMEOUT_S)
        except UpstreamError as error:
            _log.info("%s does not list its models: %s", endpoint.id, error)
            return
        context = next((card.context for card in cards if card.id == endpoint.model and card.context), None)
        if context is not None:
            self._said[_key(endpoint)] = context


def _key(endpoint: EndpointSpec) -> tuple[str, str]:
    return endpoint.url, endpoint.model
