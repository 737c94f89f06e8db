"""What may be wrong with a simulated engine: slow, dying, lying, or about to be taken away."""

from __future__ import annotations

import msgspec

NOTICE_S = 120.0
"""Seconds between a spot notice and the end: what AWS promises."""


class Trouble(msgspec.Struct, frozen=True):
    """All of it may be true at once. Times are simulated seconds since the engine came up; None = never."""

    slow: float = 1.0
    """Every step takes so many times as long."""
    dies_at: float | None = None
    """From then on connections are reset and refused."""
    lies: bool = False
    """`/metrics` shows an idle engine, always; the counters go on."""
    notice_at: float | None = None
    """From then on the metadata address announces the end, `NOTICE_S` later."""

    @property
    def ends_at(self) -> float | None:
        """When it is gone."""
        ends = [at for at in (self.dies_at, None if self.notice_at is None else self.notice_at + NOTICE_S) if at is not None]
        return min(ends, default=None)


NONE = Trouble()


def trouble_of(text: str) -> Trouble:
    """Reads `slow=3`, `dies=60`, `lies`, `notice=30`, or several joined by `+`. ValueError with a sentence: anything else."""
    trouble = NONE
    for part in text.split("+"):
        kind, _, number = part.strip().partition("=")
        if kind == "lies" and not number:
            trouble = msgspec.structs.replace(trouble, lies=True)
            continue
        field = {"slow": "slow", "dies": "dies_at", "notice": "notice_at"}.get(kind)
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if field is None or not 0 <= value < float("inf") or (kind == "slow" and value == 0):
            raise ValueError(f"{part.strip()!r} is no trouble that we know: slow=TIMES, dies=SECONDS, lies, notice=SECONDS")
        trouble = msgspec.structs.replace(trouble, **{field: value})
    return trouble
