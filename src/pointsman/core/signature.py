"""Signed notices: who may say that an endpoint is going away, and nothing else.

Why not the admin token? The agent that says so runs on machines that are rented by the hour; what is read there should be
able to take one endpoint out of service, and not to read records or reload a configuration.

The header is `x-pointsman-signature: t=<unix seconds>,v1=<hex>` with HMAC-SHA256 over `<t>.<method>.<path>.<body>`
(RFC 2104), the scheme of Stripe's webhooks with method and path bound in. A signature is good for `SKEW_S`, so a
recorded one is soon worthless; within it a repetition says the same thing again.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

from pointsman.errors import Unauthorized

HEADER = "x-pointsman-signature"
SKEW_S = 300
"""How far two clocks may be apart. 300 s, as Stripe and AWS allow."""


def sign(key: str, method: str, path: str, body: bytes, unix_s: float) -> str:
    """The header's value."""
    return f"t={int(unix_s)},v1={_mac(key, int(unix_s), method, path, body)}"


def check(key: str, header: str, method: str, path: str, body: bytes, unix_s: float) -> None:
    """Raises Unauthorized."""
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    at, given = parts.get("t", ""), parts.get("v1", "")
    if not (at.isascii() and at.isdigit() and len(at) <= 12):
        raise Unauthorized(f"{HEADER} is not `t=<unix seconds>,v1=<hex>`")
    if not hmac.compare_digest(_mac(key, int(at), method, path, body).encode(), given.encode()):
        raise Unauthorized(f"{HEADER} does not fit: another key, or the request was changed on its way")
    if abs(unix_s - int(at)) > SKEW_S:
        raise Unauthorized(f"{HEADER} is {abs(unix_s - int(at)):.0f} s off this clock; set the clocks of both machines")


def _mac(key: str, at: int, method: str, path: str, body: bytes) -> str:
    return hmac.new(key.encode(), f"{at}.{method}.{path}.".encode() + body, sha256).hexdigest()
