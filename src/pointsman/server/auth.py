"""Client keys -> caller. The tenant comes from the key and never from a header.

Keys are compared as SHA-256 digests: what is looked up has a fixed length and tells an attacker who times us nothing
about a key, and the configuration holds no key in memory. The final comparison is in constant time.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from ipaddress import ip_address

from pointsman.core.request import PRIORITIES, Caller
from pointsman.core.settings import KeySettings, ServerSettings, Settings
from pointsman.errors import Forbidden, MisdirectedHost, Unauthorized

_LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))
_NO_KEY = "this router needs a key: send `Authorization: Bearer <key>` or `x-api-key: <key>`"
_WRONG_KEY = "the key is not known here; ask the operator of this router for one"
_ANYONE = Caller()


class Keys:
    """The client keys of one configuration. Without any, only loopback peers are served."""

    def __init__(self, settings: Settings) -> None:
        self._callers = {key.sha256: _caller(key, settings) for key in settings.keys}

    def caller(self, authorization: bytes | None, api_key: bytes | None, peer: str) -> Caller:
        """Who asks. Raises Unauthorized, or Forbidden for a stranger at an open router."""
        if not self._callers:
            if peer != "127.0.0.1" and not is_loopback(peer):
                raise Forbidden("this router has no client keys and serves this machine only; "
                                "configure `auth.keys` to serve others")
            return _ANYONE
        presented = api_key if authorization is None else _bearer(authorization)
        if not presented:
            raise Unauthorized(_NO_KEY)
        digest = sha256(presented).digest()
        for known, caller in self._callers.items():
            if hmac.compare_digest(known, digest):
                return caller
        raise Unauthorized(_WRONG_KEY)


def _caller(key: KeySettings, settings: Settings) -> Caller:
    priority = PRIORITIES.index(key.priority)
    return Caller(key.name, key.tenant, key.routes, _pools(key, settings), priority, priority)


def _pools(key: KeySettings, settings: Settings) -> frozenset[str] | None:
    """The pools a key may reach. A pool of undeclared region is outside every list of regions."""
    if not key.pools and not key.regions:
        return None
    return frozenset(
        pool.name for pool in settings.pools.values()
        if (not key.pools or pool.name in key.pools) and (not key.regions or pool.region in key.regions)
    )


def _bearer(value: bytes) -> bytes:
    scheme, _, key = value.partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


def is_loopback(peer: str) -> bool:
    """Whether a peer's address is this machine. A Unix socket has no address and is."""
    if not peer or peer == "127.0.0.1":
        return True
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


class Hosts:
    """Which Host headers are answered: a page in a browser can point its own name at us (DNS rebinding), but it
    cannot make the browser send ours. Addresses are always fine, names must be known; `*` turns the check off."""

    def __init__(self, settings: ServerSettings, *bound: str) -> None:
        """`bound`: what else this listener is bound by."""
        self._known = _LOOPBACK_NAMES | {name.lower() for name in (settings.host, *settings.hosts, *bound)}
        self._checked: set[bytes] = set()

    def check(self, host: bytes) -> None:
        """Raises MisdirectedHost."""
        if host in self._checked:
            return
        name = _host_name(host)
        if name not in self._known and "*" not in self._known and not _is_address(name):
            raise MisdirectedHost(f"this router does not answer for host {name[:100]!r}; add it to `server.hosts`")
        if len(self._checked) < 64:
            self._checked.add(host)


def _host_name(host: bytes) -> str:
    text = host.decode("latin-1").lower().strip()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] if ":" in text else text


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
