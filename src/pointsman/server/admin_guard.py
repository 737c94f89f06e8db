"""Who may use the admin listener: whoever has its token, and for notices of departing endpoints whoever can sign one."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pointsman.core import signature
from pointsman.core.settings import AdminSettings
from pointsman.errors import PointsmanError, Unauthorized
from pointsman.server.auth import Hosts
from pointsman.server.notice import small_body
from pointsman.server.problems import body_of, headers_of

Answer = Callable[[Request], Awaitable[Any]]
"""A value to be written as JSON, or a response."""
Page = Callable[[Request], Awaitable[Response]]


def is_signed(request: Request) -> bool:
    """It was let in for its signature: an agent's, not the operator's token."""
    return bool(getattr(request.state, "is_signed", False))


def admin_token(settings: AdminSettings, directory: Path) -> tuple[str, Path | None]:
    """The configured token, or a new one in a file that only its owner may read. Returns (token, file or None)."""
    if settings.token:
        return settings.token, None
    file = directory / Path(settings.token_file).name
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    token = secrets.token_urlsafe(32)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(token + "\n")
    return token, file


class Guard:
    """Stands before every page; what it refuses, and what a page refuses, is told as an error body."""

    def __init__(self, token: str, hosts: Hosts, notice_key: Callable[[], str | None], wall: Callable[[], float]) -> None:
        """`notice_key` is asked at each notice: a reload may change it."""
        self._digest, self._hosts, self._notice_key, self._wall = sha256(token.encode()).digest(), hosts, notice_key, wall

    def by_token(self, answer: Answer) -> Page:
        """The page for whoever shows the token."""

        async def page(request: Request) -> Response:
            try:
                self._check_host(request)
                self._check_token(request)
                return as_response(await answer(request))
            except PointsmanError as error:
                return as_problem(error)

        return page

    def by_signature(self, answer: Answer) -> Page:
        """As `by_token`; a signed notice will do instead of the token."""
        otherwise = self.by_token(answer)

        async def page(request: Request) -> Response:
            header, key = request.headers.get(signature.HEADER), self._notice_key()
            if header is None or (key is None and "authorization" in request.headers):
                return await otherwise(request)
            try:
                self._check_host(request)
                if key is None:
                    raise Unauthorized("this notice is signed, and the router has no key to check that: set `admin.notice_key` to the agent's key")
                signature.check(key, header, request.method, request.scope["path"], await small_body(request), self._wall())
                request.state.is_signed = True
                return as_response(await answer(request))
            except PointsmanError as error:
                return as_problem(error)

        return page

    def _check_host(self, request: Request) -> None:
        self._hosts.check(request.headers.get("host", "localhost").encode("latin-1"))

    def _check_token(self, request: Request) -> None:
        scheme, _, presented = request.headers.get("authorization", "").partition(" ")
        given = sha256(presented.strip().encode()).digest()
        if scheme.lower() != "bearer" or not hmac.compare_digest(self._digest, given):
            raise Unauthorized("the admin listener needs its token: `Authorization: Bearer <admin.token>`")

    def __repr__(self) -> str:
        return "<Guard>"


def as_response(value: Any) -> Response:
    return value if isinstance(value, Response) else Response(msgspec.json.encode(value), media_type="application/json")


def as_problem(error: PointsmanError) -> Response:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers_of(error)}
    return Response(body_of(error), error.client_status, headers, media_type="application/json")
