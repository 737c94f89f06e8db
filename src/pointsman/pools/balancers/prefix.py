"""Requests that begin alike on the same endpoint, whose prefix cache then holds the beginning, as long as that is no burden.

Load and cache are one sum, in tokens: what is in flight on an endpoint, what it would have to compute of this prompt,
less a bonus for the part that it is thought to have. The lowest sum is picked. So a conversation goes home, unless home
has so much more to do than another endpoint that the bonus is used up; then the other endpoint gets it, and has the
beginning too from then on. A beginning that everybody asks for is soon everywhere, weighs the same everywhere, and load
alone decides.

Why not rendezvous hashing with bounded load, which needs no memory? It knows where a beginning should be, not where it is:
what has spilled over the bound is never found again, and a bound of 1.25 times the mean is passed by any large prompt while
few are in flight (ADR 11 has the figures).

Processes of one machine tell each other what they sent where (`journal`), and remember it as their own. Routers on several
machines do not. Equals are ordered by rendezvous, which is the same in all. And when conversations come back whose earlier
turns another router has seen, those turns are where that one chose; so the more often this happens, the more a text that
is unknown here draws to its endpoint by rendezvous. A router alone does not pay for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from random import Random

from pointsman.core.fleet import EndpointId, EndpointView
from pointsman.core.request import ChatRequest
from pointsman.pools.balancers.beginnings import Beginnings, read
from pointsman.pools.balancers.load import overbooking, tokens_of
from pointsman.pools.balancers.memory import Memory, Sent
from pointsman.pools.balancers.rendezvous import ranked
from pointsman.pools.journal import Journal

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

_column = itemgetter(0)


class Prefix:
    """Load less what is in the cache; what each endpoint was sent is remembered, within bounds."""

    def __init__(self) -> None:
        # By endpoint: only those of the pool's configuration, a few hundred KB each.
        self._memories: dict[EndpointId, Memory] = {}
        # Share of the conversations that come back of which nothing is known here.
        self._strange = 0.0
        # Where other processes of this router say what they sent where; None = there are none.
        self._journal: Journal | None = None
        self._columns: Mapping[EndpointId, int] = {}
        self._ids: dict[int, EndpointId] = {}
        # Told of every choice; None = nobody wants to know.
        self._sent: Sent | None = None

    def adopt(self, old: Prefix, same: Mapping[EndpointId, EndpointId]) -> None:
        """Goes on with the memories of the same servers."""
        self._memories = {id_: old._memories[then] for id_, then in same.items() if then in old._memories}
        self._strange = old._strange

    def share(self, journal: Journal, columns: Mapping[EndpointId, int]) -> None:
        """From now on other processes hear what was sent where, and we hear them."""
        self._journal = journal
        self._name(columns)

    def watch(self, sent: Sent) -> None:
        """`sent` is called with each choice, in the request's path: it must be quick."""
        self._sent = sent

    def believe(self, endpoint: EndpointId, numbers: Iterable[int]) -> None:
        """The endpoint is known to have these beginnings."""
        self._memory(endpoint).hear(numbers)

    def forget(self, endpoint: EndpointId, numbers: Iterable[int] | None) -> None:
        """It is known not to have these; None = to have none at all, or nobody knows."""
        self._memory(endpoint).forget(numbers)

    def _name(self, columns: Mapping[EndpointId, int]) -> None:
        self._columns, self._ids = columns, {column: id_ for id_, column in columns.items()}

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> EndpointId:
        """One of `views` (never empty). `rng` is not used: the same requests in the same order go the same ways."""
        self._hear()
        begun, tokens = read(request), tokens_of(request)
        if any(message.role == "assistant" for message in request.messages):
            self._learn(begun)
        ranking = ranked(views, begun.conversation)
        draw = HOME * self._strange
        burdens = [self._burden(view, begun, tokens, 0.0 if at else draw) for at, view in enumerate(ranking)]
        best = min(range(len(ranking)), key=burdens.__getitem__)
        chosen = ranking[best].id
        self._memory(chosen).add(begun.parts)
        if self._journal is not None and (column := self._columns.get(chosen)) is not None:
            self._journal.write(column, (number for number, _ in reversed(begun.parts)))
        if self._sent is not None:
            self._sent(chosen, request, begun.parts)
        return chosen

    def _hear(self) -> None:
        """Takes in what other processes have sent where since."""
        if self._journal is None:
            return
        for column, news in groupby(self._journal.news(), _column):
            if (id_ := self._ids.get(column)) is not None:
                self._memory(id_).hear([number for _, number in news])

    def _burden(self, view: EndpointView, begun: Beginnings, tokens: int, draw: float) -> tuple[bool, float]:
        """Whether another with room goes before it, and tokens between this request and its answer there, less the bonus.

        A full endpoint has a price, not a bar: the more it is overbooked, the less is left of the bonus, and where nothing
        is left it is passed over. Only the work is divided by the weight. A bonus that grew as an endpoint slowed down would hold its requests there.
        """
        known = self._memory(view.id).known(begun.parts)
        ahead = view.in_flight_tokens + view.excess_tokens
        bonus = min(BONUS * known + draw * (begun.tokens - known), BONUS * MOST_CREDITED)
        burden = (ahead + max(tokens - known, 0)) / view.weight
        if (over := overbooking(view)) > 0.0:
            bonus -= over * BONUS * MOST_CREDITED
            return bonus <= 0.0, burden - bonus
        return False, burden - bonus

    def _learn(self, begun: Beginnings) -> None:
        """A conversation came back: is it known here at all?"""
        is_strange = not any(begun.conversation in memory for memory in self._memories.values())
        self._strange += RECENT * (is_strange - self._strange)

    def _memory(self, endpoint: EndpointId) -> Memory:
        memory = self._memories.get(endpoint)
        if memory is None:
            memory = self._memories[endpoint] = Memory()
        return memory
