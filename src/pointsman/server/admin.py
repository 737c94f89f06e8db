"""The operator's listener: state, records, reload, drain. Always behind its token, always on its own port."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pointsman.core.record import Record
from pointsman.core.settings import AdminSettings
from pointsman.errors import ConfigError, PointsmanError, RequestError, Unauthorized
from pointsman.server.auth import Hosts
from pointsman.server.problems import body_of


class Operated(Protocol):
    """What the admin listener may do to the running service."""

    def state(self) -> dict[str, Any]: ...
    def config(self) -> dict[str, Any]: ...
    async def record(self, id: str) -> Record | None: ...
    async def reload(self) -> dict[str, Any]: ...
    def drain(self) -> None: ...
    def metrics(self) -> tuple[bytes, str]: ...


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


def admin_app(service: Operated, token: str, hosts: Hosts) -> Starlette:
    """The ASGI application of the admin listener."""
    digest = sha256(token.encode()).digest()

    def guarded(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
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

    async def metrics(_: Request) -> Any:
        body, media = service.metrics()
        return Response(body, headers={"content-type": media})

    return Starlette(routes=[
        Route("/state", guarded(state)),
        Route("/config", guarded(config)),
        Route("/records/{id}", guarded(record)),
        Route("/reload", guarded(reload), methods=["POST"]),
        Route("/drain", guarded(drain), methods=["POST"]),
        Route("/metrics", guarded(metrics)),
    ])


def as_response(value: Any) -> Response:
    return value if isinstance(value, Response) else Response(msgspec.json.encode(value), media_type="application/json")
