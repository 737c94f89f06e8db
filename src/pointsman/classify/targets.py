"""How good is good enough, and how dear too dear: what the policy holds scores against.

Why two meanings of `quality`? Uncalibrated scores are a convention, and 0.8 of it is a place on a scale. Calibrated ones
are expected quality, and then the question people have is another: how much of what the reference model gives am I
willing to lose? 0.95 of a reference that answers 60 % of these questions is .57, of one that answers 99 % it is .94: a
fixed bar would send every hard question to the dearest tier, which cannot answer it either.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from pointsman.core.settings import RouteSettings

Of = Literal["auto", "reference", "absolute"]
PRESETS = ("cheap", "balanced", "best")
"""What may stand behind a route's name, as in `auto:cheap`."""


class QualityTarget(msgspec.Struct, frozen=True, gc=False):
    """What a tier must reach to be chosen."""

    quality: float = 0.8
    """From 0 to 1: of the reference tier's score, or a probability by itself."""
    of: Of = "auto"
    """`reference`, `absolute`, or `auto`: of the reference where scores are calibrated."""
    max_usd: float | None = None
    """Dollars that one request may be expected to cost; None = whatever it takes."""
    wants_best: bool = False
    """The best score, whatever is good enough."""

    def is_relative(self, calibrated: bool) -> bool:
        return self.of == "reference" or (self.of == "auto" and calibrated)


def target_of(route: RouteSettings) -> QualityTarget:
    """The route's own."""
    return QualityTarget(route.quality, _of(route.quality_of), route.max_usd_per_request)


def _of(name: str) -> Of:
    match name:
        case "reference" | "absolute":
            return name
        case _:
            return "auto"


def preset(target: QualityTarget, name: str) -> QualityTarget:
    """A named wish of the client's: `cheap` may lose twice what the route allows, `best` asks for the best score there is.

    >>> preset(QualityTarget(0.75), "cheap").quality
    0.5
    """
    match name:
        case "cheap":
            return msgspec.structs.replace(target, quality=max(0.0, round(2 * target.quality - 1, 9)))
        case "best":
            return msgspec.structs.replace(target, wants_best=True)
        case _:
            return target


def threshold(target: QualityTarget, at: float) -> QualityTarget:
    """`auto@0.7`: the tier's own P(acceptable) must reach this, whatever the route asks."""
    return msgspec.structs.replace(target, quality=at, of="absolute", wants_best=False)
