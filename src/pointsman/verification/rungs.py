"""Which panel looks at which rung's answers, made from settings.

A verifier that needs the world is made once per process and setting, however many rungs use it, so that its limits and its
breaker know of all its questions; over a reload it stays as long as its settings do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import assert_never

import msgspec

from pointsman.cascade.verifiers.json_schema import JsonSchemaVerifier
from pointsman.cascade.verifiers.logprobs import LogprobsVerifier
from pointsman.cascade.verifiers.tool_calls import ToolCallsVerifier
from pointsman.cascade.verifiers.well_formed import WellFormedVerifier
from pointsman.core.protocols import ConsultingVerifier, Verification, Verifier
from pointsman.core.settings import Settings, TierSettings
from pointsman.core.verifying import (
    Agreement,
    CommandCheck,
    HttpCheck,
    JsonSchema,
    Judged,
    Logprobs,
    Measured,
    ToolCalls,
    VerifierSettings,
    WellFormed,
)
from pointsman.verification.command_check import CommandVerifier
from pointsman.verification.guard import Guard
from pointsman.verification.http_check import HttpVerifier, Posts
from pointsman.verification.judge import Judge
from pointsman.verification.panel import Panel
from pointsman.verification.samples import Samples
from pointsman.verification.sandbox.keeper import Keeper


class Means:
    """What verifiers are made with, and those that were made: lives as long as the process."""

    def __init__(self, posts: Posts, rng: Random, keeper: Keeper | None = None) -> None:
        self.posts, self.rng = posts, rng
        self.keeper = keeper or Keeper()
        self._guards: list[tuple[VerifierSettings, Guard]] = []

    def guard(self, settings: Judged | Agreement | HttpCheck | CommandCheck) -> Guard:
        """The one for these settings."""
        for known, guard in self._guards:
            if known == settings:
                return guard
        made = Guard(self._made(settings), settings.bound)
        self._guards.append((settings, made))
        return made

    def keep_only(self, settings: Sequence[VerifierSettings]) -> None:
        """Forgets what no configuration uses any more; requests under way go on with what they hold."""
        self._guards = [(known, guard) for known, guard in self._guards if known in settings]

    @property
    def guards(self) -> tuple[Guard, ...]:
        return tuple(guard for _, guard in self._guards)

    def _made(self, settings: Judged | Agreement | HttpCheck | CommandCheck) -> ConsultingVerifier:
        match settings:
            case Judged():
                return Judge(settings, self.rng)
            case Agreement():
                return Samples(settings)
            case HttpCheck():
                return HttpVerifier(settings, self.posts)
            case CommandCheck():
                return CommandVerifier(settings, self.keeper)
        assert_never(settings)


class Rungs:
    """Satisfies `core.protocols.RungVerifications` for one configuration."""

    def __init__(self, settings: Settings, means: Means) -> None:
        # By route, or "" where the tier has its own; by kind of work, or "" for all that nothing was measured of.
        self._panels: dict[tuple[str, str, str], Panel] = {}
        self._own = frozenset(tier.name for tier in settings.tiers.values() if tier.verify is not None)
        for tier in settings.tiers.values():
            if tier.verify is not None:
                self._seat("", tier, tier.verify, means)
        for route in settings.routes.values():
            for name in route.ladder[:-1]:
                if name not in self._own and name in settings.tiers:
                    self._seat(route.name, settings.tiers[name], route.verify, means)
        means.keep_only(every_verifier(settings))

    def of(self, route: str, tier: str, task: str = "") -> Verification | None:
        if tier in self._own:
            route = ""
        found = self._panels.get((route, tier, task)) if task else None
        return self._panels.get((route, tier, "")) if found is None else found

    def _seat(self, route: str, tier: TierSettings, verifiers: Sequence[VerifierSettings], means: Means) -> None:
        for task, measured in ("", {}), *((task, each.verify) for task, each in tier.by_task.items() if each.verify):
            if (panel := panel_of(verifiers, means, measured)) is not None:
                self._panels[route, tier.name, task] = panel


def every_verifier(settings: Settings) -> tuple[VerifierSettings, ...]:
    """Of a whole configuration."""
    lists = [route.verify for route in settings.routes.values()] + [tier.verify or () for tier in settings.tiers.values()]
    return tuple(verifier for verifiers in lists for verifier in verifiers)


def commands_of(settings: Settings) -> tuple[CommandCheck, ...]:
    """Those for which a helper process must be there."""
    return tuple(verifier for verifier in every_verifier(settings) if isinstance(verifier, CommandCheck))


def panel_of(verifiers: Sequence[VerifierSettings], means: Means, measured: Mapping[str, Measured] = {}) -> Panel | None:
    """None = nobody looks. `measured`: name -> how a verifier does on the panel's kind of work."""
    pure = [made for verifier in verifiers if (made := _pure(_as_measured(verifier, measured.get(verifier.name)))) is not None]
    guards = [means.guard(verifier) for verifier in verifiers
              if isinstance(verifier, Judged | Agreement | HttpCheck | CommandCheck)]
    return Panel(pure, guards, {name: each.rates for name, each in measured.items()}) if pure or guards else None


def _as_measured(settings: VerifierSettings, measured: Measured | None) -> VerifierSettings:
    if measured is None:
        return settings
    if isinstance(settings, Logprobs) and measured.weights:
        return msgspec.structs.replace(settings, rates=measured.rates, weights=measured.weights)
    return msgspec.structs.replace(settings, rates=measured.rates)


def _pure(settings: VerifierSettings) -> Verifier | None:
    match settings:
        case WellFormed():
            return WellFormedVerifier(settings)
        case JsonSchema():
            return JsonSchemaVerifier(settings)
        case ToolCalls():
            return ToolCallsVerifier(settings)
        case Logprobs():
            return LogprobsVerifier(settings)
    return None
