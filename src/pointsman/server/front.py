"""What every request of a client passes first: host, key, body. Swapped as a whole on reload."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pointsman.core.request import Caller, ChatRequest, Kind
from pointsman.core.settings import Condition, Settings
from pointsman.errors import MalformedHttp
from pointsman.pools.balancers.session import HEADERS as SESSION_HEADERS
from pointsman.server import limits
from pointsman.server.auth import Hosts, Keys
from pointsman.server.body import parse
from pointsman.server.exchange import Exchange
from pointsman.server.session_id import session_of

_NEVER_SEEN = frozenset(("authorization", "x-api-key", "cookie", "proxy-authorization"))


class Front:
    """Host allow-list, client keys, body limits of one configuration."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._keys, self._hosts = Keys(settings), Hosts(settings.server)
        endpoints = [endpoint for pool in settings.pools.values() for endpoint in pool.endpoints]
        self.dialects = frozenset(dialect for endpoint in endpoints for dialect in endpoint.dialects)
        """The APIs that some endpoint speaks."""
        self.origins = frozenset(dialect for endpoint in endpoints if endpoint.is_origin for dialect in endpoint.dialects)
        """Of those, the ones whose own maker is among the endpoints."""
        self._reads_sessions = any(route.session == "pin" for route in settings.routes.values())
        self._rule_headers = tuple(
            (name, name.encode("latin-1")) for name in sorted(_headers_in_rules(settings) - _NEVER_SEEN)
        )

    def admit(self, exchange: Exchange) -> Caller:
        """Raises MalformedHttp, MisdirectedHost, Unauthorized or Forbidden."""
        headers = exchange.headers
        if exchange.ambiguous:
            raise MalformedHttp(f"the header {exchange.ambiguous.decode('latin-1')!r} came more than once")
        self._hosts.check(headers.get(b"host", b"localhost"))
        return self._keys.caller(headers.get(b"authorization"), headers.get(b"x-api-key"), exchange.peer)

    async def read(self, exchange: Exchange, kind: Kind, caller: Caller) -> ChatRequest:
        """Reads and parses one request of a caller who was admitted. Raises RequestError."""
        return self.parsed(await exchange.body(self.settings.server.max_body), exchange, kind, caller)

    async def body(self, exchange: Exchange) -> bytes:
        """A body of the size that is allowed. Raises RequestError."""
        return await exchange.body(self.settings.server.max_body)

    def parsed(self, body: bytes, exchange: Exchange, kind: Kind, caller: Caller) -> ChatRequest:
        """The request that a body in OpenAI's format is, whatever it was translated from. Raises RequestError."""
        request = parse(body, kind, caller=caller, headers=self._seen_by_rules(exchange),
                        client_request_id=exchange.request_id, max_depth=self.settings.server.max_depth)
        sent = exchange.headers
        if (request.tools or self._reads_sessions) and (session := session_of(sent)):
            request = msgspec.structs.replace(request, session=session)
        if not limits.HEADERS.isdisjoint(sent):
            return limits.with_headers(request, sent)
        return request

    def _seen_by_rules(self, exchange: Exchange) -> dict[str, str]:
        """Only the headers that some rule asks for; credentials and cookies never."""
        found, seen = exchange.headers, dict[str, str]()
        for name, raw in self._rule_headers:
            if raw in found:
                seen[name] = found[raw].decode("latin-1")
        return seen


def _headers_in_rules(settings: Settings) -> set[str]:
    """And those that a balancer in use goes by."""
    conditions = (rule.when for route in settings.routes.values() for rule in route.rules)
    by_session = any(pool.balancer == "session" for pool in settings.pools.values())
    return {*(SESSION_HEADERS if by_session else ())} | {name.lower() for condition in _all_parts(conditions) for name in condition.header}


def _all_parts(conditions: Iterable[Condition]) -> Iterable[Condition]:
    for condition in conditions:
        yield condition
        yield from _all_parts((*condition.all, *condition.any, *((condition.not_,) if condition.not_ else ())))
