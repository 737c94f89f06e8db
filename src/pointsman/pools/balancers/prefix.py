"""Requests that begin alike on the same endpoint, whose prefix cache then holds the beginning, as long as that is no burden.

Each endpoint has a price for a request, in time, and the lowest is picked. It is made of two waits:

- its own: until the prompts before it are read there, and what of its own that endpoint is not thought to have;
- that of others: whoever comes after it waits for as long as it is read. So what is read twice is paid for twice or more, and a
  conversation goes home unless the queue there is longer than that.

As long as some endpoint is idle the price is their plain sum. Where even the shortest queue is long there is more work than time,
and waits weigh less the longer they are: `1 - exp(-wait / late)`. Who waits for a minute already hardly minds a second more,
who waits for nothing would. So one queue grows instead of all: long prompts that nobody has stand there behind each other,
and short ones, and conversations at home, are nearly as quick as ever elsewhere. The longer the shortest queue, the more others
each request delays, and the sooner it comes to this. Everything is measured in the mean prompt's reading time, so that it holds
for a hundred tokens a second as for a hundred thousand.

Why not rendezvous hashing with bounded load, which needs no memory? It knows where a beginning should be, not where it is:
what has spilled over the bound is never found again, and a bound of 1.25 times the mean is passed by any large prompt while
few are in flight (ADR 11 has the figures; ADR 19 those of this price).

Processes of one machine tell each other what they sent where (`journal`), and remember it as their own. Routers on several
machines do not. Equals are ordered by rendezvous, which is the same in all. And when conversations come back whose earlier
turns another router has seen, those turns are where that one chose; so the more often this happens, the more a text that
is unknown here draws to its endpoint by rendezvous. A router alone does not pay for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from math import exp
from operator import itemgetter
from random import Random

from pointsman.core.fleet import EndpointId, EndpointView
from pointsman.core.request import ChatRequest
from pointsman.pools.balancers.beginnings import Beginnings, read
from pointsman.pools.balancers.load import is_full, overbooking, prompt_tokens_of
from pointsman.pools.balancers.memory import Memory, Sent
from pointsman.pools.balancers.rendezvous import ranked
from pointsman.pools.journal import Journal

LATE = 60.0
"""Mean prompts' reading times after which waiting longer hardly matters: some ten seconds for chat on a common card. With 20 and 40
more are in time at 100 % of capacity, and bursts of long prompts at 60 % leave one queue too long."""
OTHERS, MORE_OTHERS = 3.0, 1.6
"""How many others each request delays, and how many more for each mean prompt that the shortest queue is long. With 1 two points fewer
are found in the caches at 60 % of capacity; 8 find one more, and the first tokens of the slowest twentieth take a fifth longer."""
CROWDED = 2.0
"""Mean prompts in the shortest queue from which on waits weigh by `LATE` alone; below, in part, and not at all at none."""
RUNNING = 3 / 16
"""Of a token to read, what a token in flight that is not awaited any more weighs: answers under way slow each other a little, and take
room in the cache. It also bounds what a text that everybody has gathers before the next endpoint gets it: 21 times its tokens."""
LEAST_MEAN = 150
"""Tokens: below, a prompt takes what an engine's step takes anyway."""
MOST_CREDITED = 2_000
"""Tokens of a beginning that keep a request at a home that is full."""
HOME = 0.5
"""Share of an unknown token that is taken for known at its endpoint by rendezvous, times the share of conversations that come back
unknown. With four processes it finds a quarter more; always on, it would cost a single one a third of its p95."""
RECENT = 0.05
"""Weight of the latest conversation that came back in that share: some twenty of them."""
MEAN_WEIGHT = 0.02
"""Weight of the latest request in the mean of what is read: some fifty of them."""

_column = itemgetter(0)


class Prefix:
    """The price of a wait; what each endpoint was sent is remembered, within bounds."""

    def __init__(self) -> None:
        self.unread = 0
        """Tokens of the prompt last picked for that the chosen endpoint is not thought to have."""
        # Of all of them, the latest counting most.
        self._mean = 0.0
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
        self._strange, self._mean = old._strange, old._mean

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
        begun, prompt = read(request), prompt_tokens_of(request)
        if any(message.role == "assistant" for message in request.messages):
            self._learn(begun)
        ranking = ranked(views, begun.conversation)
        chosen, known = self._cheapest(ranking, begun, prompt)
        self.unread = max(prompt - known, 0)
        self._mean += MEAN_WEIGHT * (self.unread - self._mean)
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

    def _cheapest(self, ranking: Sequence[EndpointView], begun: Beginnings, prompt: int) -> tuple[EndpointId, int]:
        """The endpoint with the lowest price, the first of equals; and the tokens that it is thought to have."""
        mean, parts, memories = max(self._mean, LEAST_MEAN), begun.parts, self._memories
        mean_s = mean * ranking[0].token_s * ranking[0].weight
        waits = [view.wait_s / mean_s for view in ranking]
        least = min(waits)
        others, crowd = OTHERS + MORE_OTHERS * least, min(1.0, least / CROWDED)
        draw = HOME * self._strange
        best: tuple[bool, float] | None = None
        chosen, found = ranking[0].id, 0
        for view, wait in zip(ranking, waits, strict=True):
            memory = memories.get(view.id)
            taken = known = 0 if memory is None else memory.known(parts)
            if draw:
                taken, draw = known + int(draw * (begun.tokens - known)), 0.0
            is_over = False
            if is_full(view):
                is_over, taken = _overbooked(view, taken)
            token = 1.0 / (mean * view.weight)
            own, running = max(prompt - taken, 0) * token, max(view.in_flight_tokens - view.awaited_tokens, 0) * token
            price = (1.0 - crowd) * (wait + own * (1.0 + others)) + RUNNING * running
            if crowd:
                price += crowd * (LATE * (1.0 - exp(-(wait + own) / LATE)) + others * own * exp(-wait / LATE))
            if best is None or (is_over, price) < best:
                best, chosen, found = (is_over, price), view.id, known
        return chosen, found

    def _learn(self, begun: Beginnings) -> None:
        """A conversation came back: is it known here at all?"""
        is_strange = not any(begun.conversation in memory for memory in self._memories.values())
        self._strange += RECENT * (is_strange - self._strange)

    def _memory(self, endpoint: EndpointId) -> Memory:
        memory = self._memories.get(endpoint)
        if memory is None:
            memory = self._memories[endpoint] = Memory()
        return memory


def _overbooked(view: EndpointView, known: int) -> tuple[bool, int]:
    """Whether another with room goes before this full one, and what of `known` is left as a reason to go there.

    It has a price, not a bar: the more it is overbooked, the less is left, and where nothing is left it is passed over.
    """
    left = int(min(known, MOST_CREDITED) - overbooking(view) * MOST_CREDITED)
    return left <= 0, max(left, 0)
