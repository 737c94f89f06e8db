"""Asking a cloud's metadata service: plain HTTP on a link-local address, never through a proxy, never redirected."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException

from pointsman.spot.notice import Unavailable

TIMEOUT_S = 2.0
MAX_BODY = 64 * 1024


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)


def ask(url: str, headers: Mapping[str, str], *, method: str = "GET", timeout_s: float = TIMEOUT_S) -> bytes | None:
    """The body of a 200; None for a 404, which is how these services say "nothing". Raises Unavailable."""
    request = urllib.request.Request(url, headers=dict(headers), method=method)  # noqa: S310  the operator's URL, http only
    try:
        with _opener.open(request, timeout=timeout_s) as reply:
            body: bytes = reply.read(MAX_BODY)
            return body
    except urllib.error.HTTPError as exc:
        if exc.code == 404:
            return None
        raise Unavailable(f"{url} said {exc.code}") from exc
    except (OSError, HTTPException, ValueError) as exc:
        raise Unavailable(f"{url}: {exc}") from exc
