"""Requests that begin alike on the same endpoint, whose prefix cache then holds the beginning, as long as that is no burden.

Each endpoint has a price for a request, in time, and the lowest is picked. It is made of two waits:

- its own: until the prompts before it are read there, and what of its own that endpoint is not thought to have;
- that of others: whoever comes after it waits for as long as it is read. So what is read twice is paid for ten times over, and a
  conversation goes home unless the queue there is longer than that.

As long as some endpoint is idle the price is their plain sum. Where even the shortest queue is long there is more work than time,
and waits weigh less the longer they are: `1 - exp(-wait / late)`. Who waits for a minute already hardly minds a second more,
who waits for nothing would. So one queue grows instead of all: long prompts that nobody has stand there behind each other,
and short ones, and conversations at home, are nearly as quick as ever elsewhere. The longer the shortest queue, the more others
each request delays, and the sooner it comes to this. All of this is measured in the mean prompt's reading time, so that it holds
for a hundred tokens a second as for a hundred thousand.

The sum has one exception. Where some endpoint has less than `room_s` to read, nobody is sent behind more than that to one that has not a third of
the prompt: what runs there, or a slow start, is a reason to prefer another among those who would begin at once, and none to stand in a queue. (While
one has room nobody waits in the anteroom either: so without this a crowd went past the free place into all the others' queues.)

And who can wait at home and still be in time, does: the price would have it leave for the sake of a wait that does it no harm. Only a wait is
overlooked so, up to `PATIENT` times what is saved; what runs at home counts as ever, so that a text which everybody has still spreads.

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
from math import exp, inf
from operator import itemgetter
from random import Random

from pointsman.core.fleet import EndpointId, EndpointView
from pointsman.core.request import ChatRequest
from pointsman.pools.balancers.beginnings import Beginnings, read
from pointsman.pools.balancers.load import LATE_S, LATE_TIMES, overbooking, prompt_tokens_of, room_s
from pointsman.pools.balancers.memory import Memory, Sent
from pointsman.pools.balancers.rendezvous import score
from pointsman.pools.journal import Journal

LATE = 60.0
"""Mean prompts' reading times after which waiting longer hardly matters: some ten seconds for chat on a common card. With 20 and 40
more are in time at 100 % of capacity, and bursts of long prompts at 60 % leave one queue too long."""
OTHERS, MORE_OTHERS = 10.0, 1.6
"""How many others each request delays, and how many more for each mean prompt that the shortest queue is long. With 3 half a point less
is found in the caches up to 80 % of capacity, one point more is in time at 80 %, and the p95 is a tenth lower; 20 find no more."""
CROWDED = 2.0
"""Mean prompts in the shortest queue from which on waits weigh by `LATE` alone; below, in part, and not at all at none."""
RUNNING = 0.3
"""Of a token to read, what a token in flight that is not awaited any more weighs: answers under way slow each other a little, and take
room in the cache. It also bounds what a text that everybody has gathers before the next endpoint gets it: 37 times its tokens. With 0.5 it
would be 22 times, and six points fewer are in time on Azure's trace at 150 % of capacity."""
LEAST_MEAN = 150
"""Tokens: below, a prompt takes what an engine's step takes anyway."""
STRANGER = 1 / 3
"""Of a prompt, what an endpoint must have before it may be worth waiting for there while another has nothing to do."""
PATIENT, IN_TIME, WORTH = 100.0, 0.5, 0.2
"""Seconds of wait that a second less to read is worth at a home where the first token is in time; which share of the time until it is late the
home's queue and the reading may take, as expectations are means; and of a prompt, what must be saved. See ADR 20 for what each brings."""
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
        if self._journal is not None:
            self._hear(self._journal)
        begun, prompt = read(request), prompt_tokens_of(request)
        for message in request.messages:
            if message.role == "assistant":
                self._learn(begun)
                break
        chosen, known = self._cheapest(views, begun, prompt)
        self.unread = max(prompt - known, 0)
        self._mean += MEAN_WEIGHT * (self.unread - self._mean)
        # The shortest last: more requests have it, and an engine overwrites the end of a prompt before its beginning.
        numbers = [number for number, _ in begun.parts[::-1]]
        self._memory(chosen).hear(numbers)
        if self._journal is not None and (column := self._columns.get(chosen)) is not None:
            self._journal.write(column, numbers)
        if self._sent is not None:
            self._sent(chosen, request, begun.parts)
        return chosen

    def known_at(self, begun: Beginnings) -> Mapping[EndpointId, int]:
        """Tokens of a prompt that each endpoint is thought to have."""
        parts = begun.parts
        return {id_: known for id_, memory in self._memories.items() if (known := memory.known(parts))}

    def _hear(self, journal: Journal) -> None:
        """Takes in what other processes have sent where since."""
        for column, news in groupby(journal.news(), _column):
            if (id_ := self._ids.get(column)) is not None:
                self._memory(id_).hear([number for _, number in news])

    def _cheapest(self, views: Sequence[EndpointView], begun: Beginnings, prompt: int) -> tuple[EndpointId, int]:
        """The endpoint with the lowest price, by rendezvous among equals; and the tokens that it is thought to have.

        One loop, written out: it is run for each endpoint of a pool for every request. The property tests have the price in plain words.
        """
        mean, memories = max(self._mean, LEAST_MEAN), self._memories
        waits, weights, first = [view.wait_s for view in views], [view.weight for view in views], views[0]
        draw = HOME * self._strange
        if draw or weights.count(first.weight) < len(views) or [view.token_s for view in views].count(first.token_s) < len(views):
            first = _preferred(views, begun.conversation)
        token_s = first.token_s * first.weight
        mean_s, least_s, stranger = mean * token_s, min(waits), STRANGER * prompt
        # Waits from which on whoever is no home is passed over: some endpoint would begin to read at once.
        room = room_s(token_s)
        bar = least_s + room if views[waits.index(least_s)].awaited_tokens * token_s < room else inf
        least = least_s / mean_s
        others, crowd = OTHERS + MORE_OTHERS * least, min(1.0, least / CROWDED)
        longest_first = begun.parts[::-1]
        uncrowded, alone = 1.0 - crowd, 1.0 + others
        best, is_best_over = inf, True
        equals: list[tuple[EndpointView, int]] = []
        home, home_known = first, 0
        for view, wait, weight in zip(views, waits, weights, strict=True):
            known = 0
            if (memory := memories.get(view.id)) is not None:
                numbers = memory.numbers
                for number, tokens in longest_first:
                    if number in numbers:
                        known = tokens
                        break
            taken = known
            if draw and view is first:
                taken = known + int(draw * (begun.tokens - known))
            is_over, slots = wait > bar and taken < stranger, view.slots
            if view.lateness >= 1.0 or (slots is not None and view.in_flight >= slots):
                is_booked, taken = _overbooked(view, taken)
                is_over = is_over or is_booked
            elif known > home_known or (known and known == home_known and wait < home.wait_s):
                home, home_known = view, known
            wait /= mean_s
            token = 1.0 / (mean * weight)
            own = (prompt - taken) * token if prompt > taken else 0.0
            price = uncrowded * (wait + own * alone) if uncrowded else 0.0
            if (running := view.in_flight_tokens - view.awaited_tokens) > 0:
                price += RUNNING * (running * token)
            if crowd:
                price += crowd * (LATE * (1.0 - exp(-(wait + own) / LATE)) + others * own * exp(-wait / LATE))
            if is_over is not is_best_over:
                if is_over:
                    continue
            elif price > best:
                continue
            elif price == best:
                equals.append((view, known))
                continue
            best, is_best_over, equals = price, is_over, [(view, known)]
        chosen, known = equals[0]
        if len(equals) > 1:
            chosen = _preferred([view for view, _ in equals], begun.conversation)
            known = next(known for view, known in equals if view is chosen)
        is_worth = home_known > known and home_known - known >= WORTH * prompt
        if is_worth and _is_patient(home, prompt - home_known, chosen, prompt - known, LATE_S + LATE_TIMES * prompt * token_s):
            return home.id, home_known
        return chosen.id, known

    def _learn(self, begun: Beginnings) -> None:
        """A conversation came back: is it known here at all?"""
        is_strange = not any(begun.conversation in memory for memory in self._memories.values())
        self._strange += RECENT * (is_strange - self._strange)

    def _memory(self, endpoint: EndpointId) -> Memory:
        memory = self._memories.get(endpoint)
        if memory is None:
            memory = self._memories[endpoint] = Memory()
        return memory


def _preferred(views: Sequence[EndpointView], key: int) -> EndpointView:
    """The first by rendezvous."""
    return max(views, key=lambda view: score(view, key))


def _is_patient(home: EndpointView, here: int, other: EndpointView, there: int, late_s: float) -> bool:
    """Whether who has `here` tokens to read at home waits for that, rather than read `there` at the other: nothing but the wait speaks
    against it, and its first token would not be late."""
    own_s = max(here, 0) * home.token_s
    saved_s = max(there, 0) * other.token_s - own_s
    if home.wait_s + own_s > IN_TIME * late_s or home.wait_s - other.wait_s > PATIENT * saved_s:
        return False
    runs_s = RUNNING * (_running(home) - _running(other))
    return runs_s <= (1.0 + OTHERS) * saved_s


def _running(view: EndpointView) -> float:
    """Seconds that it would take to read what is in flight there and not awaited any more."""
    return max(view.in_flight_tokens - view.awaited_tokens, 0) * view.token_s


def _overbooked(view: EndpointView, known: int) -> tuple[bool, int]:
    """Whether another with room goes before this full one, and what of `known` is left as a reason to go there.

    It has a price, not a bar: the more it is overbooked, the less is left, and where nothing is left it is passed over.
    """
    left = int(min(known, MOST_CREDITED) - overbooking(view) * MOST_CREDITED)
    return left <= 0, max(left, 0)
