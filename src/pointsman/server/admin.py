"""The operator's listener: state, records, reload, drain. Always behind its token, always on its own port."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router

from pointsman.core.record import Record
from pointsman.errors import ConfigError, MethodNotAllowed, NoSuchPath, PointsmanError, RequestError
from pointsman.gateway.departures import By
from pointsman.server.admin_guard import Guard, as_problem, is_signed
from pointsman.server.auth import Hosts
from pointsman.server.notice import notice_of, small_body


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

    def depart(self, endpoint: str, lead_s: float | None, reason: str, by: By = "operator") -> dict[str, Any]:
        """The endpoint goes away in `lead_s`. Raises NoSuchEndpoint."""
        ...

    def stay(self, endpoint: str, by: By = "operator") -> dict[str, Any]:
        """It stays after all, or is back; an agent's word for that does not end what the operator has asked for. Raises NoSuchEndpoint."""
        ...

    async def page(self) -> tuple[bytes, str]: ...

    def scale(self) -> dict[str, Any]:
        """How many machines each tier wants: `tiers.<name>.desired`."""
        ...

    def bill(self) -> dict[str, Any]:
        """What the rented GPUs have cost."""
        ...


class NoSuchEndpoint(RequestError):
    status, code = 404, "endpoint_not_found"


class NoSuchTier(RequestError):
    status, code = 404, "tier_not_found"


class NoSuchRecord(RequestError):
    status, code = 404, "record_not_found"


def admin_app(service: Operated, token: str, hosts: Hosts, wall: Callable[[], float] = time.time) -> Starlette:
    """The ASGI application of the admin listener. Every path is there with `/admin` before it, too."""
    desk, guard = _Desk(service, wall), Guard(token, hosts, lambda: service.notice_key, wall)
    routes = [
        Route("/endpoints/{pool}/{index}/drain", guard.by_signature(desk.departure), methods=["POST", "DELETE"]),
        Route("/scale", guard.by_token(desk.scale)),
        Route("/scale/{tier}", guard.by_token(desk.scale)),
        Route("/bill", guard.by_token(desk.bill)),
        Route("/state", guard.by_token(desk.state)),
        Route("/config", guard.by_token(desk.config)),
        Route("/records/{id}", guard.by_token(desk.record)),
        Route("/reload", guard.by_token(desk.reload), methods=["POST"]),
        Route("/drain", guard.by_token(desk.drain), methods=["POST"]),
        Route("/metrics", guard.by_token(desk.metrics)),
    ]
    app = Starlette(
        routes=[*routes, Mount("/admin", app=Router(routes, redirect_slashes=False))],
        exception_handlers={404: _no_such_path(guard, [route.path for route in routes]), 405: _other_method, 500: _broken})
    app.router.redirect_slashes = False  # it would send whoever asks to a host that they have named
    return app


def _no_such_path(guard: Guard, paths: list[str]) -> Callable[[Request, Exception], Awaitable[Response]]:
    """What every path that is not there answers: only whoever has the token is told what is."""

    async def refused(request: Request) -> Any:
        raise NoSuchPath(f"there is no {request.scope['path'][:200]!r} here; there is {', '.join(paths)}")

    page = guard.by_token(refused)

    async def answer(request: Request, _: Exception) -> Response:
        return await page(request)

    return answer


async def _other_method(request: Request, error: Exception) -> Response:
    named = (error.headers or {}).get("Allow", "") if isinstance(error, HTTPException) else ""
    allowed = tuple(sorted(set(named.split(", ")) - {"HEAD"}))
    return as_problem(MethodNotAllowed(f"{request.scope['path'][:200]} takes {' or '.join(allowed)}, not {request.method[:20]}", allowed))


async def _broken(_: Request, __: Exception) -> Response:
    """The server logs what it was."""
    return as_problem(PointsmanError("the admin listener failed at this request; the log says why"))


class _Desk:
    """Where an operator's requests become calls of the service."""

    def __init__(self, service: Operated, wall: Callable[[], float]) -> None:
        self._service, self._wall = service, wall

    async def state(self, _: Request) -> Any:
        return self._service.state()

    async def config(self, _: Request) -> Any:
        return self._service.config()

    async def record(self, request: Request) -> Any:
        name = request.path_params["id"]
        found = await self._service.record(name)
        if found is None:
            raise NoSuchRecord(f"no record {name[:64]!r}; it may not be imported yet (half a second), or was dropped")
        return found

    async def reload(self, _: Request) -> Any:
        try:
            return await self._service.reload()
        except ConfigError as error:
            return Response(msgspec.json.encode({"reloaded": False, "problems": error.problems}), 422,
                            media_type="application/json")

    async def drain(self, _: Request) -> Any:
        self._service.drain()
        return {"draining": True}

    async def scale(self, request: Request) -> Any:
        told, tier = self._service.scale(), request.path_params.get("tier")
        if tier is None:
            return told
        if tier not in told["tiers"]:
            raise NoSuchTier(f"there is no tier {tier[:64]!r}; there are {', '.join(told['tiers'])}")
        return told["tiers"][tier]

    async def bill(self, _: Request) -> Any:
        return self._service.bill()

    async def departure(self, request: Request) -> Any:
        by: By = "agent" if is_signed(request) else "operator"
        if request.method == "DELETE":
            return self._service.stay(_endpoint_id(request), by)
        notice = notice_of(await small_body(request), self._wall())
        return self._service.depart(_endpoint_id(request), notice.lead_s, notice.reason, by)

    async def metrics(self, _: Request) -> Any:
        body, media = await self._service.page()
        return Response(body, headers={"content-type": media})


def _endpoint_id(request: Request) -> str:
    return f"{request.path_params['pool']}/{request.path_params['index']}"
