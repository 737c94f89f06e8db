"""The sections of a tier that are about time and machines: what it promises, when it is full, who waits, how it grows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pointsman.config.fields import Duration, Pause, Window, read_hours, read_timezone
from pointsman.config.section import Section


class Sla(Section):
    """What a tier promises, in time to the first token."""

    ttft_target: Duration | None = None
    """Time to first token aimed at. Reported only. Absent: nothing is promised."""
    ttft_p95_max: Duration | None = None
    """95th percentile of the last 60 s above which the tier counts as saturated. Absent: time never saturates it."""
    on_breach: Literal["escalate", "report"] = "escalate"
    """What a p95 above `ttft_p95_max` leads to. `escalate`: new requests climb to the next tier that is fit, as a promise that
    nothing follows from is none. `report`: it is only shown."""


class Saturation(Section):
    """When a tier counts as full, and when no more. Any of these limits, or all slots of an endpoint taken, fills it."""

    waiting: int = Field(default=5, ge=1, le=100_000)
    """Requests that an engine reports as waiting. 5: an engine that admits at every step keeps a few in line when it is
    merely busy; five grow faster than they leave."""
    kv_usage: float = Field(default=0.9, gt=0, le=1, allow_inf_nan=False)
    """Share of an engine's KV cache in use. 0.9: beyond, engines begin to preempt, and every preemption is work done twice."""
    leave_share: float = Field(default=0.8, gt=0, le=0.99, allow_inf_nan=False)
    """Share of each limit that its signal must be at or below before the tier is fit again. 0.8: further from the limit than a
    busy tier wavers."""
    leave_after: Duration = 15.0
    """For how long they must be. 15s: seven load reports, and about the length of an answer."""
    window: Window = 60.0
    """Window of the times to first token whose p95 is compared with `sla.ttft_p95_max`. 60s: long enough to be a p95 at a
    request a second, short enough to notice."""
    min_answers: int = Field(default=20, ge=1, le=100_000)
    """Streamed answers in the window before their p95 counts. 20: with fewer, one slow answer would be the p95."""
    probe_share: float = Field(default=0.05, ge=0, le=1, allow_inf_nan=False)
    """Share of its traffic that a full tier keeps at least, and never less than one request in 2 s: without any nobody would
    learn that it is quick again. 0.05: few enough not to keep it full."""


class Queue(Section):
    """Who waits when the tier is full and no tier above it is fit. By priority, and fairly between tenants."""

    size: int | None = Field(default=None, ge=0, le=100_000)
    """Requests that may wait; 0 turns everyone away at once. Absent: twice the tier's slots, which a busy engine clears in
    about two answers' time."""
    max_wait: Duration | None = None
    """How long one may wait; who would not make it is turned away before it waits, with `Retry-After`. Absent: half of the tier's
    `sla.ttft_p95_max`, the other half being for the engine (waiting the whole of it leaves no first token in time, and under
    overload makes everybody late); without one 10s."""


class ScaleHint(Section):
    """At least so many machines in some hours of the week."""

    when: Annotated[str, AfterValidator(read_hours)]
    """Hours in `scale.timezone`, as in `mon-fri 08:00-20:00` or `22:00-06:00`."""
    min: int = Field(ge=0, le=100_000)
    """Machines wanted at least, whatever the load. No default: a hint without a number hints at nothing."""


class Scale(Section):
    """How many machines the tier wants: what `/admin/scale`, `pointsman_desired_replicas` and KEDA go by. Nothing is started or
    stopped by the router itself; `pointsman machines` calls hooks of yours."""

    min: int = Field(default=1, ge=0, le=100_000)
    """Fewest machines. 1: the first request of a quiet hour finds somebody. 0 lets the tier go to nothing; requests then go to
    the tier above, or wait in line (`queue.max_wait`, by default as long as `boot`) while a machine starts that their waiting asks for."""
    max: int | None = Field(default=None, ge=1, le=100_000)
    """Most machines. Absent: as many as it takes; your cloud's quota and your purse know better."""
    target_use: float = Field(default=0.7, gt=0, le=1, allow_inf_nan=False)
    """Share of a machine's `slots` that is used on average. 0.7: room for the waves of a minute without paying for idle thirds."""
    boot: Duration = 180.0
    """From asking for a machine to its first answer. 3m: renting, starting and loading a 7B-70B from a local disk."""
    billing: Duration = 1.0
    """What a machine's time is billed in. 1s: the published GPU clouds bill per second; hourly ones keep a machine to its hour's end."""
    min_billing: Pause = 0.0
    """Time that is paid for in any case. 0: none."""
    down_after: Duration = 300.0
    """The highest wish within this time stands. 5m, as Kubernetes' autoscaler: flapping costs boots."""
    on_demand: int = Field(default=0, ge=0, le=100_000)
    """Machines that should not be spot: where answers go on when spot machines vanish. 0: all may be spot."""
    schedule: list[ScaleHint] = []
    """Floors by the hour of the week. Empty: load alone decides."""
    timezone: Annotated[str, AfterValidator(read_timezone)] = "UTC"
    """Where the schedule's clock hangs, such as `Europe/Berlin`. UTC: the one clock that nobody turns."""


class Hedge(Section):
    """A second attempt on another endpoint beside a first one that is slow to begin; the first good answer wins."""

    after: Duration | None = None
    """Wait before the second attempt. Absent: the 95th percentile of the tier's times to first token of the last minute, so
    that one request in twenty is hedged; and none while fewer than twenty are known."""
    max_share: float = Field(default=0.05, gt=0, le=0.5, allow_inf_nan=False)
    """Hedges as a share of the tier's attempts of the last 10 s, at most: what it may cost. 0.05, as in "The Tail at Scale"."""
