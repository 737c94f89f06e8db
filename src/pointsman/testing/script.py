"""A fleet with a script, for tests of the cascade machine: who answers, who fails how, and what the machine makes of it.

>>> from pointsman.errors import ConnectFailed
>>> script = Script({"small/0": [ConnectFailed("refused", sent=False)], "small/1": [ANSWER]})
>>> play = script.play(a_plan("small", endpoints=2))
>>> play.tried, play.accepted
(['small/0', 'small/1'], 2)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any, Final

import msgspec

from pointsman.cascade.deferral import WHOLE, Deferral, Hold
from pointsman.cascade.events import (
    Accept,
    Began,
    Call,
    Cancel,
    Command,
    Commit,
    Event,
    Failed,
    GiveUp,
    Replied,
    Tick,
    Verified,
    Verify,
    Wake,
)
from pointsman.cascade.ladder import Plan, Rung
from pointsman.cascade.machine import Machine
from pointsman.core.fleet import EndpointId
from pointsman.core.reply import Reply
from pointsman.errors import AnswerTimeout, FirstTokenTimeout, NoEndpoint, PointsmanError, UpstreamError

ANSWER: Final = Reply(finish_reasons=("stop",))
HANG: Final = "hang"
"""The endpoint takes the attempt and says nothing until `Call.until`."""
OUT: Final = "out"
"""The endpoint is out of service: only a desperate attempt gets it, and that is answered."""

Happening = Reply | UpstreamError | str
TAKES_S: Final = 0.01
"""How long everything takes that does not hang."""


class OpenBudget:
    """Allows every retry, and counts those that are open."""

    def __init__(self) -> None:
        self.in_flight = 0

    def open_hedge(self, pool: str, share: float, now: float) -> bool:
        return True

    def open_retry(self, endpoints: Iterable[EndpointId], now: float, *, first: bool) -> str | None:
        self.in_flight += 1
        return "any"

    def open_continuation(self, endpoints: Iterable[EndpointId], now: float) -> str | None:
        self.in_flight += 1
        return "any"

    def close_retry(self, pool: str, now: float, *, spent: bool) -> None:
        self.in_flight -= 1


class ClosedBudget(OpenBudget):
    """Allows none, but for `pools`."""

    def __init__(self, *pools: str) -> None:
        super().__init__()
        self.pools = pools

    def open_retry(self, endpoints: Iterable[EndpointId], now: float, *, first: bool) -> str | None:
        open_ = [e for e in endpoints if e.partition("/")[0] in self.pools]
        return super().open_retry(open_, now, first=first) if open_ else None


def a_rung(tier: str, reason: str = "failed", *, endpoints: int = 1) -> Rung:
    """A rung whose only pool has the tier's name."""
    return Rung(tier, tuple(f"{tier}/{i}" for i in range(endpoints)), reason)


def by_threshold(accept_at: Mapping[str, float]) -> Deferral:
    """Plain thresholds and nothing else: each rung in `accept_at` is judged whole."""
    return Deferral({tier: Hold(WHOLE) for tier in accept_at}, accept_at=accept_at)


def a_plan(*tiers: str | Rung, endpoints: int = 1, accept_at: Mapping[str, float] | None = None, **overrides: Any) -> Plan:
    """The first tier is chosen, the others are climbs; arrival at 0 s, deadline at 600 s. `accept_at`: answers of these rungs are judged."""
    rungs = tuple(
        tier if isinstance(tier, Rung) else a_rung(tier, "failed" if i else "chosen", endpoints=endpoints)
        for i, tier in enumerate(tiers)
    )
    values: dict[str, Any] = {
        "stream": False, "now": 0.0, "deadline": 600.0, "ttft_timeout_s": 60.0, "answer_timeout_s": 120.0,
        "deferral": by_threshold(accept_at) if accept_at else None,
    }  # fmt: skip
    return Plan(rungs=rungs, **(values | overrides))


def a_machine(*tiers: str | Rung, budget: Any = None, rng: Random | None = None, **plan: Any) -> Machine:
    return Machine(a_plan(*tiers, **plan), budget or OpenBudget(), rng or Random(1))


def failed(attempt: int, error: UpstreamError, endpoint: str = "", *, now: float = 0.0) -> Failed:
    """A failure as dispatch reports it."""
    error.endpoint = endpoint
    return Failed(attempt, error, error.sent, now)


class Play(msgspec.Struct):
    """How it went."""

    machine: Machine
    commands: list[Command]
    tried: list[EndpointId]
    """Endpoints in the order in which they were leased."""
    sent: int
    """Attempts that reached an engine."""
    ended_at: float
    accepted: int | None = None
    error: PointsmanError | None = None

    @property
    def tiers(self) -> list[str]:
        return [e.partition("/")[0] for e in self.tried]


class Script:
    """What happens at each endpoint, attempt by attempt; the last entry stays. Unnamed endpoints answer."""

    def __init__(
        self, happenings: Mapping[EndpointId, Sequence[Happening]], *, scores: Sequence[float | None] = (),
    ) -> None:  # fmt: skip
        self._happenings = {endpoint: list(entries) for endpoint, entries in happenings.items()}
        self._scores = list(scores)

    def play(self, plan: Plan, budget: Any = None, rng: Random | None = None) -> Play:
        """Drives a machine to its end and checks each step against the rules of the dialogue."""
        machine = Machine(plan, budget or OpenBudget(), rng or Random(1))
        play = Play(machine, [], [], 0, plan.now)
        commands = machine.start()
        for _ in range(1000):
            play.commands += commands
            if machine.is_done:
                return _ended(play)
            commands = machine.on(self._perform(commands[-1], plan, play))
        raise AssertionError(f"{machine!r} does not end: {play.commands[-5:]}")

    def _perform(self, command: Command, plan: Plan, play: Play) -> Event:
        match command:
            case Call():
                return self._attempt(command, plan, play)
            case Commit():
                play.ended_at += TAKES_S
                return Replied(command.attempt, ANSWER, play.ended_at)
            case Verify():
                return Verified(command.attempt, self._scores.pop(0) if self._scores else None)
            case Wake():
                play.ended_at = command.at
                return Tick(command.at)
        raise AssertionError(f"{command} needs no event")

    def _attempt(self, call: Call, plan: Plan, play: Play) -> Event:
        endpoints = next(r.endpoints for r in plan.rungs if r.tier == call.tier)
        free = [e for e in endpoints if e not in call.exclude]
        healthy = [e for e in free if self._next(e) != OUT]
        ways = healthy or (free if play.machine.is_desperate else [])
        if not ways:
            return failed(call.attempt, NoEndpoint(call.tier, ejected=len(free)), now=play.ended_at)
        endpoint = ways[0]
        play.tried.append(endpoint)
        happening = self._next(endpoint)
        if len(self._happenings.get(endpoint, ())) > 1:
            self._happenings[endpoint].pop(0)
        return self._report(call, plan, play, endpoint, happening)

    def _report(self, call: Call, plan: Plan, play: Play, endpoint: str, happening: Happening) -> Event:
        if happening == HANG:
            play.ended_at = call.until
            happening = FirstTokenTimeout("no first token") if plan.stream else AnswerTimeout("no answer")
        else:
            play.ended_at += TAKES_S
        if isinstance(happening, UpstreamError):
            play.sent += happening.sent
            return failed(call.attempt, happening, endpoint, now=play.ended_at)
        play.sent += 1
        is_judged = plan.deferral is not None and call.tier in plan.deferral.holds
        if plan.stream and not is_judged:
            return Began(call.attempt, play.ended_at)
        return Replied(call.attempt, ANSWER, play.ended_at)

    def _next(self, endpoint: EndpointId) -> Happening:
        entries = self._happenings.get(endpoint)
        return entries[0] if entries else ANSWER


def _ended(play: Play) -> Play:
    last = play.commands[-1]
    if isinstance(last, Accept):
        play.accepted = last.attempt
    elif isinstance(last, GiveUp):
        play.error = last.error
    elif not isinstance(last, Cancel):
        raise AssertionError(f"a dialogue ends in Accept or GiveUp, not in {last}")
    return play
