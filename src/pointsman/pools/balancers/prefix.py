"""Requests that begin alike on the same endpoint, whose prefix cache then holds the beginning, as long as that is no burden.

Load and cache are one sum, in tokens: what is in flight on an endpoint, what it would have to compute of this prompt,
less a bonus for the part that it is thought to have. The lowest sum is picked. So a conversation goes home, unless home
has so much more to do than another endpoint that the bonus is used up; then the other endpoint gets it, and has the
beginning too from then on. A beginning that everybody asks for is soon everywhere, weighs the same everywhere, and load
alone decides.

Why not rendezvous hashing with bounded load, which needs no memory? It knows where a beginning should be, not where it is:
what has spilled over the bound is never found again, and a bound of 1.25 times the mean is passed by any large prompt while
few are in flight (ADR 11 has the figures).

Each process has a memory of its own. Equals are ordered by rendezvous, which is the same in all. And when conversations
come back whose earlier turns another process has seen, those turns are where that process chose; so the more often this
happens, the more a text that is unknown here draws to its endpoint by rendezvous. A process alone does not pay for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pointsman.core.fleet import EndpointId, EndpointView
from pointsman.core.request import ChatRequest
from pointsman.pools.balancers.beginnings import Beginnings, read
from pointsman.pools.balancers.load import is_full, tokens_of
from pointsman.pools.balancers.memory import Memory
from pointsman.pools.balancers.rendezvous import ranked

BONUS = 16.0
"""What a token in the cache is worth, in tokens in flight. One would be the work saved now. But most of what is in flight was
found in the cache itself or is done but for its answer, and a second copy takes room from what others could find."""
MOST_CREDITED = 2_000
"""Tokens of a beginning that earn the bonus: 32,000 tokens more than elsewhere may be in flight before it spills, however
long it is. Without this bound a document of a card's size would gather half of a pool's traffic on one endpoint."""
HOME = 8.0
"""What an unknown token is worth at its endpoint by rendezvous, times the share of conversations that come back unknown:
half of the bonus. With four processes it finds a quarter more; always on, it would cost a single one a third of its p95."""
RECENT = 0.05
"""Weight of the latest conversation that came back in that share: some twenty of them."""


class Prefix:
    """Load less what is in the cache; what each endpoint was sent is remembered, within bounds."""

    def __init__(self) -> None:
        # By endpoint: only those of the pool's configuration, a few hundred KB each.
        self._memories: dict[EndpointId, Memory] = {}
        # Share of the conversations that come back of which nothing is known here.
        self._strange = 0.0

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> EndpointId:
        """One of `views` (never empty). `rng` is not used: the same requests in the same order go the same ways."""
        begun, tokens = read(request), tokens_of(request)
        if any(message.role == "assistant" for message in request.messages):
            self._learn(begun)
        ranking = ranked(views, begun.conversation)
        draw = HOME * self._strange
        burdens = [self._burden(view, begun, tokens, 0.0 if at else draw) for at, view in enumerate(ranking)]
        best = min(range(len(ranking)), key=lambda at: (is_full(ranking[at]), burdens[at]))
        chosen = ranking[best].id
        self._memory(chosen).add(begun.parts)
        return chosen

    def _burden(self, view: EndpointView, begun: Beginnings, tokens: int, draw: float) -> float:
        """Tokens between this request and its answer there, less the bonus.

        Only the work is divided by the weight. A bonus that grew as an endpoint slowed down would hold its requests there.
        """
        known = self._memory(view.id).known(begun.parts)
        ahead = view.in_flight_tokens + view.excess_tokens
        bonus = min(BONUS * known + draw * (begun.tokens - known), BONUS * MOST_CREDITED)
        return (ahead + max(tokens - known, 0)) / view.weight - bonus

    def _learn(self, begun: Beginnings) -> None:
        """A conversation came back: is it known here at all?"""
        is_strange = not any(begun.conversation in memory for memory in self._memories.values())
        self._strange += RECENT * (is_strange - self._strange)

    def _memory(self, endpoint: EndpointId) -> Memory:
        memory = self._memories.get(endpoint)
        if memory is None:
            memory = self._memories[endpoint] = Memory()
        return memory
