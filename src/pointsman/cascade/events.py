"""The dialogue with the cascade machine: events in, commands out. These types are final.

All times are monotonic seconds; `attempt` numbers start at 1 and never repeat within a request.
"""

from __future__ import annotations

import msgspec

from pointsman.core.fleet import EndpointId
from pointsman.core.reply import Reply
from pointsman.errors import PointsmanError, UpstreamError

# ---------------------------------------------------------------------------------------------------------
# Events: what happened


class Began(msgspec.Struct, frozen=True, gc=False):
    """A streamed attempt brought its first content-bearing event."""

    attempt: int
    now: float


class Held(msgspec.Struct, frozen=True, gc=False):
    """The first `Call.hold` tokens of an attempt are here and held back."""

    attempt: int
    text: str
    logprobs: tuple[float, ...] | None
    now: float


class Replied(msgspec.Struct, frozen=True, gc=False):
    """An attempt's answer is complete and successful."""

    attempt: int
    reply: Reply
    now: float


class Failed(msgspec.Struct, frozen=True):
    """An attempt ended without an answer. `sent` False: certainly no byte reached an engine."""

    attempt: int
    error: UpstreamError
    sent: bool
    now: float
    goes_on: bool = False
    """A part of the answer is with the client, and some endpoint could go on from there."""


class Verified(msgspec.Struct, frozen=True, gc=False):
    """A verifier's score of an attempt's answer; None = it abstained."""

    attempt: int
    score: float | None
    now: float | None = None
    """None = verifying took no time worth telling."""


class ClientGone(msgspec.Struct, frozen=True, gc=False):
    """Nobody is waiting any more."""


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Time has passed: the answer to a `Wake`."""

    now: float


Event = Began | Held | Replied | Failed | Verified | ClientGone | Tick

# ---------------------------------------------------------------------------------------------------------
# Commands: what the machine wants done next


class Call(msgspec.Struct, frozen=True, gc=False):
    """Make one attempt on `tier`, at none of the endpoints in `exclude`, until `until`.

    `hold` None: pass the answer on as it comes. n: keep the first n tokens back and report `Held`.
    `until` bounds a streamed attempt to its first content-bearing event, a plain one to its last byte. An answer that ends
    before `hold` tokens are there is reported as `Replied`.
    """

    attempt: int
    tier: str
    exclude: frozenset[EndpointId] = frozenset()
    hold: int | None = None
    until: float = float("inf")
    hold_s: float = float("inf")
    """Report `Held` no later than so many seconds after the first content-bearing event."""


class Cancel(msgspec.Struct, frozen=True, gc=False):
    """Close this attempt's upstream now."""

    attempt: int


class Verify(msgspec.Struct, frozen=True, gc=False):
    """Ask the verifier about this attempt's answer."""

    attempt: int


class Commit(msgspec.Struct, frozen=True, gc=False):
    """From here on this attempt's bytes go to the client; the answer is final."""

    attempt: int


class Accept(msgspec.Struct, frozen=True, gc=False):
    """This attempt's answer is the request's answer. Ends the dialogue."""

    attempt: int


class GiveUp(msgspec.Struct, frozen=True):
    """No answer. Ends the dialogue."""

    error: PointsmanError


class Wake(msgspec.Struct, frozen=True, gc=False):
    """Send `Tick` at this time."""

    at: float


Command = Call | Cancel | Verify | Commit | Accept | GiveUp | Wake
