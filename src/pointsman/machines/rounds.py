"""Looks at the tier again and again, and carries out what the attendant says. Blocking questions run in threads."""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from http.client import HTTPException
from typing import Any

from pointsman.machines.attendant import Attendant, Command
from pointsman.machines.hook import Hook, HookFailed, Order
from pointsman.machines.yard import REASON, Phase, Yard, yard_of

_log = logging.getLogger(__name__)
TIMEOUT_S = 5.0
MAX_ANSWER = 64 * 1024 * 1024
MAX_PROBLEM = 4096


class NotTold(Exception):
    """The router did not answer, or said no."""


class AdminListener:
    """The router's, with its token. Blocking."""

    def __init__(self, url: str, token: Callable[[], str]) -> None:
        """`token` is called for each question; what it raises is told as NotTold."""
        self._url, self._token = url.rstrip("/"), token
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object at `path`. Raises NotTold."""
        data = None if body is None else json.dumps(body).encode()
        try:
            token = self._token()
        except Exception as exc:  # whatever keeps the token from us, the next round asks again
            raise NotTold(f"no admin token: {exc}") from exc
        request = urllib.request.Request(f"{self._url}{path}", data, {"authorization": f"Bearer {token}"}, method=method)  # noqa: S310  http, checked
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                said = json.loads(answer.read(MAX_ANSWER))
        except urllib.error.HTTPError as exc:
            with exc:
                raise NotTold(f"{self._url}{path} said {exc.code}: {_message(exc.read(MAX_PROBLEM))}") from exc
        except (OSError, HTTPException, ValueError) as exc:
            raise NotTold(f"{self._url}{path}: {exc}") from exc
        if not isinstance(said, dict):
            raise NotTold(f"{self._url}{path} is no admin listener of Pointsman")
        return said


class Rounds:
    """One tier's."""

    def __init__(self, tier: str, router: AdminListener, attendant: Attendant, start: Hook, stop: Hook, *, drain_s: float, dry_run: bool,
                 clock: Callable[[], float]) -> None:
        """`drain_s`: what a machine's requests may take to end. `dry_run`: only says what it would do."""
        self._tier, self._router, self._attendant, self._drain_s, self._clock = tier, router, attendant, drain_s, clock
        self._hooks, self._dry_run = {"start": start, "stop": stop}, dry_run
        self._said: tuple[Command, ...] = ()
        self._has_looked = False
        self.carried_out = self.failed = 0

    async def run(self, every_s: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Until cancelled."""
        while True:
            await self.go_round()
            await sleep(every_s)

    async def go_round(self) -> None:
        """One look. A router that does not answer wishes nothing: everything stays as it is."""
        try:
            yard = await asyncio.to_thread(self._look)
        except NotTold as exc:
            _log.warning("nothing is started or stopped: %s", exc)
            return
        if not self._has_looked:
            self._has_looked = True
            _log.info("%s", _as_found(self._tier, yard))
        commands = self._attendant.look(yard, self._clock())
        if self._dry_run:
            if commands != self._said:
                for command in commands:
                    _log.info("would %s %s (%s)", command.action, command.endpoint, command.why)
            self._said = commands
            return
        urls = {machine.endpoint: machine.url for machine in yard.machines}
        await asyncio.gather(*(self._carry_out(command, urls[command.endpoint]) for command in commands))

    def _look(self) -> Yard:
        state, scale = self._router.ask("/state"), self._router.ask(f"/scale/{self._tier}")
        try:
            return yard_of(self._tier, state, scale)
        except KeyError as exc:
            raise NotTold(f"the router says nothing of {exc}: is it of this version, and is {self._tier!r} one of its tiers?") from exc

    async def _carry_out(self, command: Command, url: str) -> None:
        try:
            await asyncio.to_thread(self._do, command, url)
        except (HookFailed, NotTold) as exc:
            self.failed += 1
            _log.error("could not %s %s (%s): %s", command.action, command.endpoint, command.why, exc)
            self._attendant.failed(command, self._clock())
        else:
            self.carried_out += 1
            _log.info("%s %s: %s", command.action, command.endpoint, command.why)
            self._attendant.done(command, self._clock())

    def _do(self, command: Command, url: str) -> None:
        match command.action:
            case "drain":
                self._router.ask(f"/endpoints/{command.endpoint}/drain", "POST", {"deadline": self._drain_s, "reason": REASON})
            case "return":
                self._router.ask(f"/endpoints/{command.endpoint}/drain", "DELETE")
            case "start" | "stop":
                self._hooks[command.action].run(Order(command.action, self._tier, command.endpoint, url, command.why))

    def __repr__(self) -> str:
        return f"<Rounds of {self._tier} [{self.carried_out} carried out, {self.failed} failed]>"


def _as_found(tier: str, yard: Yard) -> str:
    """What the first look has shown: whoever starts this sees that it works, also when there is nothing to do."""
    there = sum(machine.phase is Phase.THERE for machine in yard.machines)
    wanted = "nobody can say how many are wanted" if yard.desired is None else f"{yard.desired} wanted"
    return f"tier {tier}: {there} of {len(yard.machines)} machines are there, {wanted}: {yard.reason}"


def _message(body: bytes) -> str:
    """What an error body says; the body itself where it is none of ours."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return body[:300].decode("utf-8", "replace")
