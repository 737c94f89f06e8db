"""Telling routers: signed, one by one, again and again until each has heard it."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from pointsman.core.signature import HEADER, sign

TIMEOUT_S = 2.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
"""Between tries: quick at first, since a notice may leave half a minute."""


class Refused(Exception):
    """The router understood, and said no: trying again will not change that."""


class Unheard(Exception):
    """The router did not hear it this time."""


class Heard(msgspec.Struct):
    """What a router answered."""

    endpoint: str = ""
    in_flight: int = 0
    draining: bool = False
    """It is out of service."""


class Teller:
    """One router's admin listener."""

    def __init__(self, router: str, endpoint: str, key: str, wall: Callable[[], float] = time.time) -> None:
        """`router`: base URL of the admin listener; `endpoint`: `pool/index` as the router calls it."""
        parts = urlsplit(router if "//" in router else f"http://{router}")
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError(f"--router {router!r}: write the admin listener's URL, such as http://10.0.0.1:4001")
        pool, _, index = endpoint.rpartition("/")
        if not pool or not index.isdigit():
            raise ValueError(f"--endpoint {endpoint!r}: write pool/index as `GET /state` of the router shows it, such as small/0")
        self.router = router
        self._parts, self._key, self._wall = parts, key, wall
        self._path = f"{parts.path.rstrip('/')}/endpoints/{endpoint}/drain"

    def leaving(self, lead_s: float | None, reason: str) -> Heard:
        """The endpoint goes away in `lead_s`. Raises Unheard, Refused."""
        body = {"reason": reason} if lead_s is None else {"reason": reason, "deadline": round(lead_s, 3)}
        return self._say("POST", msgspec.json.encode(body))

    def back(self) -> Heard:
        """The endpoint is (again) in service. Raises Unheard, Refused."""
        return self._say("DELETE", b"")

    def _say(self, method: str, body: bytes) -> Heard:
        parts = self._parts
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(str(parts.hostname), parts.port, timeout=TIMEOUT_S)
        headers = {HEADER: sign(self._key, method, self._path, body, self._wall()), "content-type": "application/json"}
        try:
            connection.request(method, self._path, body, headers)
            reply = connection.getresponse()
            said = reply.read(64 * 1024)
        except (OSError, http.client.HTTPException) as exc:
            raise Unheard(f"{self.router}: {exc}") from exc
        finally:
            connection.close()
        if reply.status >= 500 or reply.status in (408, 429):
            raise Unheard(f"{self.router} said {reply.status}")
        if reply.status >= 400:
            raise Refused(f"{self.router} said {reply.status}: {said[:500].decode('utf-8', 'replace')}")
        try:
            return msgspec.json.decode(said, type=Heard)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise Refused(f"{self.router} is no admin listener of Pointsman: it said {said[:80]!r}") from exc


def pauses() -> Callable[[], float]:
    """The next pause, each twice the last up to a bound."""
    pause = FIRST_PAUSE_S / 2

    def longer() -> float:
        nonlocal pause
        pause = min(LONGEST_PAUSE_S, pause * 2)
        return pause

    return longer
