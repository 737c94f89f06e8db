"""A second attempt beside a slow first one: the first good answer wins, the other is cancelled.

Opt-in, for the tail of the time to first token. It costs what the loser had done by then, so it is bounded twice: one
hedge a request, and a share of a pool's attempts (`RetryBudget.open_hedge`). Only the first attempt is hedged: after a
failure the retry is already the second try. Dean and Barroso, "The Tail at Scale" (2013): hedging after the 95th
percentile adds about 5 % of requests and cuts most of the tail.
"""

from __future__ import annotations

import msgspec

HEDGE = "hedge"


class HedgePlan(msgspec.Struct, frozen=True, gc=False):
    """When a request is hedged."""

    after_s: float
    """Seconds after the first attempt began without a sign of an answer."""
    share: float
    """Hedges as a share of the pool's attempts of the last 10 s, at most."""
