"""The section about verified cascades: when a route climbs, and how much of a stream is kept back meanwhile."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pointsman.config.fields import Dollars, Duration
from pointsman.config.section import Section


class Hold(Section):
    """How much of a streamed answer is kept back while its verifiers watch; whichever comes first ends the hold."""

    tokens: int = Field(default=24, ge=1, le=4096)
    """Tokens. 24: a sentence, enough for the surest log-probabilities to tell, some half a second of a busy 8B."""
    or_: Duration = Field(default=0.4, alias="or")
    """Time after the first token. 400ms: a pause that a reader of a chat hardly notices."""


class Cascade(Section):
    """Verified cascades: look at the answer, and climb when a better one is worth its price. `verify` says who looks."""

    mode: Literal["off", "threshold", "benefit"] = "off"
    """`benefit`: climb to the tier whose expected quality less price and delay is highest, if that beats the answer in hand;
    `threshold`: climb one tier when the verifiers' score is below `threshold`, which is the naive rule; `off`: no answer
    is looked at. Off by default: every climb is paid for and waited for."""
    threshold: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)
    """Mode `threshold`: the score that accepts an answer (a tier's `accept_at` overrides it). 0.5: likelier good than not."""
    max_climbs: int = Field(default=2, ge=1, le=2)
    """Climbs of one request because of its answers. 2: with the first try as many attempts as a request may have in all."""
    max_usd: Dollars | None = None
    """Expected dollars of all attempts of one request beyond which it climbs no further. Absent: the route's
    `max_usd_per_request`, which bounds the choice of the first tier."""
    price_weight: float = Field(default=0.2, ge=0, le=10, allow_inf_nan=False)
    """Mode `benefit`: what the price of the dearest tier's answer is worth in quality (0 to 1). 0.2: it must be likelier by a
    fifth to be acceptable; 0: quality at any price."""
    delay_weight: float = Field(default=0.01, ge=0, le=10, allow_inf_nan=False)
    """Mode `benefit`: what a second of waiting is worth in quality. 0.01: ten seconds for a tenth."""
    hold: Hold = Hold()
    """Streamed answers: how much is kept back. Verifiers that need the whole answer keep back all of it, where the request gives
    them something to go by."""
    on_abstain: Literal["accept", "climb"] = "accept"
    """What happens to an answer that no verifier could judge. `accept`: a verifier that is down must not send all traffic
    to the dearest tier."""
    hedged: Duration | None = None
    """Start the higher tier beside the lower one when that has said nothing for so long, or its beginning is doubtful; the
    first good one answers, the other is cancelled. Absent: one after the other, since each such start is paid for."""
