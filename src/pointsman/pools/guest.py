"""One who waits in an anteroom, and its place in the order of those that an endpoint may be given."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from pointsman.core.fleet import EndpointId
from pointsman.pools.balancers.beginnings import Beginnings
from pointsman.pools.balancers.load import LATE_S, LATE_TIMES
from pointsman.pools.endpoint import Vitals

OVERTAKEN, AWAY = 20.0, 150.0
"""Seconds that a second more to read weighs, and one that a home would save. Without the second the caches find 26 instead of 32 % at
150 % of capacity; with 5 instead of 40 for the first, 30 instead of 74 % of Mooncake's are in time there, and 20 is as good as 40."""
STAYS = 30.0
"""Seconds that a second less to read is waited for. With 10 the caches find 36.4 instead of 37.1 % at 100 % of capacity, with 60 no
more; 33.5 where nobody stays."""
ALIKE = 1 / 3
"""Of a prompt, what must begin as another's before they are compared in earnest: less saves little."""
LATE_WEIGHS_S = 10.0
"""As much as half a second to read: whoever can still be in time goes first. A round number; others were not tried."""
MOST_S = 30.0
"""What a place in the order is worth, and how long anybody is held back, at most: so nobody starves."""

Homes = Mapping[EndpointId, tuple[float, float]]
"""Of each endpoint in service, what a token takes there, and what it has to read, in seconds."""


class Guest:
    """`endpoint` is where it may go from `call` on; "" = wherever it likes; None = nowhere, it would be late."""

    __slots__ = ("_leaves", "at", "begun", "call", "endpoint", "held", "home", "is_over", "known", "least", "mark", "number", "priority", "prompt",
                 "second", "tenant", "until")  # fmt: skip

    def __init__(self, at: float, prompt: int, begun: Beginnings, known: Mapping[EndpointId, int], call: Callable[[], None],
                 leaves: Callable[[Guest, float], None], *, until: float, tenant: str = "", priority: int = 1) -> None:  # fmt: skip
        """`until`: when it is known that it would be late; `leaves` is told when it leaves."""
        self.at, self.prompt, self.begun, self.until, self.call, self._leaves = at, prompt, begun, until, call, leaves
        self.tenant, self.priority = tenant, priority
        # What endpoints in service have of it, which has most ("" = none has anything), and what the best of the others has.
        self.known = dict(known)
        self.home: EndpointId = ""
        self.least, self.second = prompt, 0
        self._settle()
        # The number of its first third.
        self.mark = begun.mark(ALIKE)
        # Its place in the order of arrival.
        self.number = 0
        self.endpoint: EndpointId | None = None
        # Where other processes see its place as taken, until it leaves.
        self.held: Vitals | None = None
        self.is_over = False

    def leave(self, now: float) -> None:
        """It holds its lease, or wants none any more. Idempotent."""
        self._leaves(self, now)

    def _settle(self) -> None:
        if self.known:
            self.home = max(self.known, key=self.known.__getitem__)
            self.least = max(0, self.prompt - self.known[self.home])
            self.second = max((tokens for id_, tokens in self.known.items() if id_ != self.home), default=0)

    def learn(self, endpoint: EndpointId, numbers: Container[int]) -> None:
        """The endpoint is going to have these beginnings."""
        for number, tokens in reversed(self.begun.parts):
            if number in numbers:
                if tokens > self.known.get(endpoint, 0):
                    self.known[endpoint] = tokens
                    self._settle()
                return

    def rank(self, endpoint: EndpointId, token_s: float, now: float, homes: Homes, behind: float = 0.0) -> float:
        """The lowest goes first; infinite = it would rather wait for its home. `behind`: what its tenant's share and its priority set it
        back by, in seconds."""
        own = max(0, self.prompt - self.known.get(endpoint, 0))
        if own > self.least and (home := homes.get(self.home)) is not None:
            worth_s = STAYS * (own * token_s - self.least * home[0])
            if now - self.at + home[1] < worth_s and now - self.at < MOST_S:
                return _NEVER
        weighs = (OVERTAKEN * own + AWAY * (own - self.least)) * token_s
        if now - self.at > LATE_S + LATE_TIMES * self.prompt * token_s:
            weighs += LATE_WEIGHS_S
        return self.at + min(weighs, MOST_S) + behind

    def __repr__(self) -> str:
        return f"<Guest [{self.prompt} tokens since {self.at:.3f}, home {self.home or 'nowhere'}]>"


_NEVER = float("inf")
