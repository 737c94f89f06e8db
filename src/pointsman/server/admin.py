"""The operator's listener: state, records, reload, drain. Always behind its token, always on its own port."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from pointsman.core import signature
from pointsman.core.record import Record
from pointsman.core.settings import AdminSettings
from pointsman.errors import BodyTooLarge, ConfigError, MalformedBody, PointsmanError, RequestError, Unauthorized
from pointsman.server.auth import Hosts
from pointsman.server.problems import body_of


class Operated(Protocol):
    """What the admin listener may do to the running service."""

    def state(self) -> dict[str, Any]: ...
    def config(self) -> dict[str, Any]: ...
    async def record(self, id: str) -> Record | None: ...
    async def reload(self) -> dict[str, Any]: ...
    def drain(self) -> None: ...

    @property
    def notice_key(self) -> str | None:
        """What notices of departing endpoints may be signed with."""
        ...

    def depart(self, endpoint: str, lead_s: float | None, reason: str) -> dict[str, Any]:
        """The endpoint goes away in `lead_s`. Raises NoSuchEndpoint."""
        ...

    def stay(self, endpoint: str) -> dict[str, Any]:
        """It stays after all, or is back. Raises NoSuchEndpoint."""
        ...

    async def page(self) -> tuple[bytes, str]: ...

    def scale(self) -> dict[str, Any]:
        """How many machines each tier wants: `tiers.<name>.desired`."""
        ...

    def bill(self) -> dict[str, Any]:
        """What the rented GPUs have cost."""
        ...


MAX_NOTICE = 4096
MAX_LEAD_S = 86_400.0


class NoSuchEndpoint(RequestError):
    status, code = 404, "endpoint_not_found"


class NoSuchTier(RequestError):
    status, code = 404, "tier_not_found"


class NoSuchRecord(RequestError):
    status, code = 404, "record_not_found"


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


def admin_app(service: Operated, token: str, hosts: Hosts, wall: Callable[[], float] = time.time) -> Starlette:
    """The ASGI application of the admin listener. Every path is there with `/admin` before it, too."""
    digest = sha256(token.encode()).digest()

    def guarded(answer: Callable[[Request], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                hosts.check(request.headers.get("host", "localhost").encode("latin-1"))
                scheme, _, presented = request.headers.get("authorization", "").partition(" ")
                given = sha256(presented.strip().encode()).digest()
                if scheme.lower() != "bearer" or not hmac.compare_digest(digest, given):
                    raise Unauthorized("the admin listener needs its token: `Authorization: Bearer <admin.token>`")
                return as_response(await answer(request))
            except PointsmanError as error:
                return Response(body_of(error), error.client_status, media_type="application/json")

        return endpoint

    async def state(_: Request) -> Any:
        return service.state()

    async def config(_: Request) -> Any:
        return service.config()

    async def record(request: Request) -> Any:
        name = request.path_params["id"]
        found = await service.record(name)
        if found is None:
            raise NoSuchRecord(f"no record {name[:64]!r}; it may not be imported yet (half a second), or was dropped")
        return found

    async def reload(_: Request) -> Any:
        try:
            return await service.reload()
        except ConfigError as error:
            return Response(msgspec.json.encode({"reloaded": False, "problems": error.problems}), 422,
                            media_type="application/json")

    async def drain(_: Request) -> Any:
        service.drain()
        return {"draining": True}

    def noticed(answer: Callable[[Request], Any]) -> Callable[[Request], Awaitable[Response]]:
        """As `guarded`; a signed notice will do instead of the token."""
        by_token = guarded(answer)

        async def endpoint(request: Request) -> Response:
            header, key = request.headers.get(signature.HEADER), service.notice_key
            if header is None or key is None:
                return await by_token(request)
            try:
                hosts.check(request.headers.get("host", "localhost").encode("latin-1"))
                signature.check(key, header, request.method, request.scope["path"], await _small_body(request), wall())
                return as_response(await answer(request))
            except PointsmanError as error:
                return Response(body_of(error), error.client_status, media_type="application/json")

        return endpoint

    async def scale(request: Request) -> Any:
        told, tier = service.scale(), request.path_params.get("tier")
        if tier is None:
            return told
        if tier not in told["tiers"]:
            raise NoSuchTier(f"there is no tier {tier[:64]!r}; there are {', '.join(told['tiers'])}")
        return told["tiers"][tier]

    async def bill(_: Request) -> Any:
        return service.bill()

    async def leave(request: Request) -> Any:
        notice = _notice(await _small_body(request), wall())
        return service.depart(_endpoint_id(request), notice.lead_s, notice.reason)

    async def stay(request: Request) -> Any:
        return service.stay(_endpoint_id(request))

    async def metrics(_: Request) -> Any:
        body, media = await service.page()
        return Response(body, headers={"content-type": media})

    routes = [
        Route("/endpoints/{pool}/{index}/drain", noticed(leave), methods=["POST"]),
        Route("/endpoints/{pool}/{index}/drain", noticed(stay), methods=["DELETE"]),
        Route("/scale", guarded(scale)),
        Route("/scale/{tier}", guarded(scale)),
        Route("/bill", guarded(bill)),
        Route("/state", guarded(state)),
        Route("/config", guarded(config)),
        Route("/records/{id}", guarded(record)),
        Route("/reload", guarded(reload), methods=["POST"]),
        Route("/drain", guarded(drain), methods=["POST"]),
        Route("/metrics", guarded(metrics)),
    ]
    return Starlette(routes=[*routes, Mount("/admin", routes=routes)])


class _Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a drain: both fields may be left out."""

    deadline: float | datetime | None = None
    """Seconds from now, or when, as in RFC 3339."""
    reason: str = "drain"


class Leaving(msgspec.Struct, frozen=True):
    """A drain as it was asked for."""

    lead_s: float | None
    reason: str


def _notice(body: bytes, unix_s: float) -> Leaving:
    try:
        notice = msgspec.json.decode(body or b"{}", type=_Notice)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedBody(f'{exc}; write {{"deadline": 120, "reason": "spot"}} with seconds from now or a time as in RFC 3339') from exc
    deadline = notice.deadline
    if isinstance(deadline, datetime):
        if deadline.tzinfo is None:
            raise MalformedBody("deadline: a time needs its zone, as in 2026-11-22T12:00:00Z", param="deadline")
        deadline = deadline.timestamp() - unix_s
    if deadline is not None and not abs(deadline) <= MAX_LEAD_S:
        raise MalformedBody(f"deadline: at most {MAX_LEAD_S:.0f} s from now", param="deadline")
    return Leaving(None if deadline is None else max(0.0, deadline), notice.reason[:200])


async def _small_body(request: Request) -> bytes:
    """Read before anybody knows who asks, and so never further than a notice goes. Read once, asked for twice."""
    known: bytes | None = getattr(request.state, "notice", None)
    if known is not None:
        return known
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_NOTICE:
            raise BodyTooLarge(f"a notice has at most {MAX_NOTICE} bytes")
    request.state.notice = body
    return body


def _endpoint_id(request: Request) -> str:
    return f"{request.path_params['pool']}/{request.path_params['index']}"


def as_response(value: Any) -> Response:
    return value if isinstance(value, Response) else Response(msgspec.json.encode(value), media_type="application/json")
