"""Cascades replayed: recorded outcomes go through the machine that serves, no sockets, no clock.

For each query the machine (`cascade.machine`) gets a plan and asks for calls; what the called tier really answered, cost and took is
looked up, its verifiers' word is given back, and the machine climbs or accepts. A replay so shows what the rule would have done,
with everything the rule knows of: bounds on climbs, the best answer in hand, rungs that are skipped.

Ways to send a query: `routing` (the tier that is worth most, and nobody looks), `threshold` (from the cheapest, one rung up below a score),
`benefit` (from the cheapest, by expected benefit), `both` (where the policy says or below, then by benefit).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from random import Random

import msgspec
import numpy as np
from numpy.typing import NDArray

from pointsman.cascade.benefit import Benefit, Prospect, Words
from pointsman.cascade.budget import RetryBudget
from pointsman.cascade.deferral import WHOLE, Deferral, Hold
from pointsman.cascade.events import Accept, Call, GiveUp, Replied, Verified, Verify
from pointsman.cascade.ladder import CHOSEN, FAILED, MAX_SENT, Plan, Rung
from pointsman.cascade.machine import Machine
from pointsman.core.reply import Reply
from pointsman.learn.choosing import at_worth
from pointsman.learn.rungs import Rungs
from pointsman.learn.table import Floats

MAX_CLIMBS = 2
AGES_S = 1e9
_REPLY = Reply()
_WHOLE = Hold(WHOLE, float("inf"))
_BUDGET = RetryBudget()


@dataclass(frozen=True)
class Ways:
    """What became of every query at one setting."""

    given: NDArray[np.intp]
    """(n,) the tier whose answer was given."""
    asked: NDArray[np.bool_]
    """(n, m) the tiers that were asked."""
    quality: Floats
    usd: Floats
    seconds: Floats

    @property
    def climbs(self) -> float:
        """Mean number per query."""
        return float(self.asked.sum(axis=1).mean() - 1)


class Way(msgspec.Struct, frozen=True, gc=False):
    """One query's."""

    given: int
    asked: tuple[int, ...]
    judged: tuple[int, ...]
    seconds: float


def walk(plan: Plan, places: dict[str, int], seconds: Floats, scores: Floats, check_s: Floats) -> Way:
    """One query through the machine. Arrays are by place: what each tier took, what its verifiers said (NaN = nothing), and how
    long they looked."""
    machine = Machine(plan, _BUDGET, Random(0))
    now, asked, judged, given = plan.now, [], [], -1
    commands = list(machine.start())
    while commands:
        command = commands.pop(0)
        if isinstance(command, Call):
            asked.append(places[command.tier])
            now += float(seconds[asked[-1]])
            commands += machine.on(Replied(command.attempt, _REPLY, now))
        elif isinstance(command, Verify):
            at = asked[command.attempt - 1]
            judged.append(at)
            now += float(check_s[at])
            score = float(scores[at])
            commands += machine.on(Verified(command.attempt, score if score == score else None, now))
        elif isinstance(command, Accept):
            given = asked[command.attempt - 1]
        elif isinstance(command, GiveUp):
            raise command.error
    return Way(given, tuple(asked), tuple(judged), now - plan.now)


class Cascade:
    """One ladder's queries, and every way to send them."""

    def __init__(self, rungs: Rungs, *, delay_weight: float = 0.0, max_climbs: int = MAX_CLIMBS, deadline_s: float = AGES_S) -> None:
        self.rungs, self._delay_weight, self._max_climbs, self._deadline_s = rungs, delay_weight, max_climbs, deadline_s
        self._places = {tier: place for place, tier in enumerate(rungs.tiers)}
        self._ladders = [tuple(Rung(tier, (f"{tier}/0",), FAILED if i else CHOSEN) for i, tier in enumerate(rungs.tiers[start:]))
                         for start in range(len(rungs.tiers))]
        self._price = rungs.price
        self._rows = [self._row(row) for row in range(len(rungs))]

    # -----------------------------------------------------------------------------------------------------
    # Ways

    def always(self, place: int) -> Ways:
        """One tier for all."""
        return self._straight(np.full(len(self.rungs), place, dtype=np.intp))

    def routing(self, weight: float) -> Ways:
        """The tier with the most expected quality less price and delay, and its answer as it is."""
        return self._straight(self.decided(weight))

    def threshold(self, accept_at: float, places: tuple[int, ...] | None = None) -> Ways:
        """From the cheapest; below the score one rung up. `places`: the rungs of the ladder, None = all."""
        ladder = self._ladders[0] if places is None else tuple(self._ladders[0][place] for place in places)
        return self._walked([self.threshold_plan(row, accept_at, ladder) for row in range(len(self.rungs))])

    def ladders(self) -> list[tuple[int, ...]]:
        """Every ladder that ends on the top rung and is no higher than a request may climb: what an owner of plain thresholds could
        have chosen."""
        top = len(self.rungs.tiers) - 1
        return [(*below, top) for count in range(1, self._max_climbs + 1) for below in combinations(range(top), count)]

    def benefit(self, weight: float) -> Ways:
        """From the cheapest, up by expected benefit."""
        return self._walked([self.benefit_plan(row, weight) for row in range(len(self.rungs))])

    def both(self, weight: float) -> Ways:
        """From where the policy says, or from a lower tier where looking at its answer is worth more; then by expected benefit."""
        decided = self.decided(weight)
        return self._walked([self.routed_plan(row, weight, int(decided[row])) for row in range(len(self.rungs))])

    def oracle(self, weight: float) -> Ways:
        """The tier that would have been worth most: knows the outcomes."""
        return self._straight(at_worth(self.rungs.quality, self._price, weight))

    def decided(self, weight: float) -> NDArray[np.intp]:
        """Where the policy sends each query at this weight of price."""
        return at_worth(self.rungs.p - self._delay_weight * self.rungs.expected_s, self._price, weight)

    # -----------------------------------------------------------------------------------------------------
    # Plans

    def threshold_plan(self, row: int, accept_at: float, ladder: tuple[Rung, ...]) -> Plan:
        prospects, words = self._rows[row]
        holds = dict.fromkeys((rung.tier for rung in ladder if rung.tier in words), _WHOLE)
        return self._plan(ladder, Deferral(holds, prospects, None, dict.fromkeys(holds, accept_at), self._max_climbs) if holds else None)

    def benefit_plan(self, row: int, weight: float) -> Plan:
        return self._benefit_plan(row, weight, 0, 1.0)

    def routed_plan(self, row: int, weight: float, decided: int) -> Plan:
        prospects, words = self._rows[row]
        promise = prospects[self.rungs.tiers[decided]].p
        start = decided
        if decided and words:
            whole = Benefit(prospects, overlaps=self.rungs.overlaps_of(row), words=words, price_weight=weight, delay_weight=self._delay_weight, enough=promise)
            start = self._places[whole.entry(self.rungs.tiers[decided], self._max_climbs)]
        return self._benefit_plan(row, weight, start, promise)

    def _benefit_plan(self, row: int, weight: float, start: int, enough: float) -> Plan:
        """As `gateway.cascades` makes it: a rung is looked at only where a no would lead somewhere."""
        known, said = self._rows[row]
        tiers = self.rungs.tiers[start:]
        prospects = {tier: known[tier] for tier in tiers}
        words = {tier: said[tier] for tier in tiers if tier in said}
        benefit = Benefit(prospects, overlaps=self.rungs.overlaps_of(row), words=words, price_weight=weight, delay_weight=self._delay_weight, enough=enough)
        holds = {tier: _WHOLE for tier in words
                 if tier == tiers[-1] or benefit.matters(tier, words[tier].no, tiers[tiers.index(tier) + 1 :], self._max_climbs)}
        if not any(tier in holds for tier in tiers[:-1]):
            return self._plan(self._ladders[start], None)
        return self._plan(self._ladders[start], Deferral(holds, prospects, benefit, {}, self._max_climbs))

    def _plan(self, ladder: tuple[Rung, ...], deferral: Deferral | None) -> Plan:
        return Plan(ladder, False, 0.0, self._deadline_s, self._deadline_s, self._deadline_s, MAX_SENT, None, deferral)

    def _row(self, row: int) -> tuple[dict[str, Prospect], dict[str, Words]]:
        rungs, prospects, words = self.rungs, {}, {}
        for place, tier in enumerate(rungs.tiers):
            prospects[tier] = Prospect(float(rungs.p[row, place]), float(self._price[row, place]), float(rungs.expected_s[row, place]))
            if rungs.no[row, place] == rungs.no[row, place]:
                words[tier] = Words(float(rungs.no[row, place]), float(rungs.yes[row, place]))
        return prospects, words

    # -----------------------------------------------------------------------------------------------------
    # Outcomes

    def _walked(self, plans: list[Plan]) -> Ways:
        rungs = self.rungs
        shape = rungs.quality.shape
        asked, judged = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
        given, seconds = np.zeros(shape[0], dtype=np.intp), np.zeros(shape[0])
        for row, plan in enumerate(plans):
            if plan.deferral is None:  # one call, and its answer is given: what the machine does too, as a test says
                start = self._places[plan.rungs[0].tier]
                given[row], asked[row, start], seconds[row] = start, True, rungs.seconds[row, start]
                continue
            way = walk(plan, self._places, rungs.seconds[row], rungs.score[row], rungs.check_s)
            given[row], seconds[row] = way.given, way.seconds
            asked[row, list(way.asked)] = True
            judged[row, list(way.judged)] = True
        usd = (rungs.usd * asked).sum(axis=1) + judged @ rungs.check_usd
        return Ways(given, asked, rungs.quality[np.arange(shape[0]), given], usd, seconds)

    def _straight(self, places: NDArray[np.intp]) -> Ways:
        rows = np.arange(len(self.rungs))
        asked = np.zeros(self.rungs.quality.shape, dtype=np.bool_)
        asked[rows, places] = True
        return Ways(places, asked, self.rungs.quality[rows, places], self.rungs.usd[rows, places], self.rungs.seconds[rows, places])

    def __repr__(self) -> str:
        return f"<Cascade {self.rungs!r}>"
