"""What the answers of one request are worth, and where to climb from them: the deferral rule on the request's own way.

The rule (`cascade.deferral`) knows tiers; the machine knows rungs by their index, attempts, and who has been tried. Here the one is
put to the other.

With `plan.deferral` nothing of a judged rung is committed before its verifier has spoken. A plain answer is judged when it is there, a streamed one when its first `Call.hold` tokens are (`Held`) or it ended before. An answer
that is not worth giving is left for a higher rung: a stream that is still going on gets a `Cancel`, a whole answer stays in hand,
and is what the client gets when nothing above works out. The caller may so be told to commit an earlier attempt than the last.
A rung that was left is not judged when the way leads back to it.
"""

from __future__ import annotations

from pointsman.cascade.answers import Answers
from pointsman.cascade.benefit import Judgement
from pointsman.cascade.deferral import Deferral, Hold
from pointsman.cascade.ladder import FAILED, Plan
from pointsman.cascade.trail import Trail
from pointsman.cascade.tried import Tried


class Appraisal:
    """Of the answers of one request. Rungs are meant by their index in the plan."""

    __slots__ = ("_deferral", "_max_sent", "_rungs", "_trail", "_tried", "answers", "judged")

    def __init__(self, deferral: Deferral, plan: Plan, trail: Trail, tried: Tried) -> None:
        self._deferral, self._rungs, self._max_sent = deferral, plan.rungs, plan.max_sent
        self._trail, self._tried = trail, tried
        self.answers = Answers()
        # Attempts whose answers wait for a verdict.
        self.judged: set[int] = set()

    @property
    def best(self) -> int | None:
        """The attempt with the best answer in hand."""
        return self.answers.best(self._deferral)

    def hold(self, rung: int) -> Hold | None:
        """How much of this rung's next answer is kept back. None = it is not judged: not where the way led on from before, nor
        where nothing could come of it."""
        hold = self._deferral.holds.get(self._rungs[rung].tier)
        if hold is None or rung in self.answers.weak:
            return None
        return hold if self.answers.climbs < self._deferral.max_climbs or self.best is not None else None

    def judge(self, attempt: int, rung: int, score: float | None) -> None:
        """A verdict. What is no score from 0 to 1 is an abstention."""
        is_score = score is not None and 0.0 <= score <= 1.0
        self.answers.add(attempt, Judgement(self._rungs[rung].tier, score if is_score else None))

    def to_give(self, attempt: int) -> int:
        """Whose answer is given when there is no climb from the one of `attempt`, which was just judged."""
        if self._deferral.is_accepted(self.answers.judgements[-1]):
            return attempt
        return self.best or attempt

    def climbs_to(self, rung: int, sent: int, other: int | None, left_s: float) -> int | None:
        """The rung to climb to from the answer of `rung` that was just judged; None = no further.

        `sent`: attempts that have reached an engine; `other`: an attempt that runs beside, the only way to go then.
        """
        visits, climbs = self._trail.visits, self.answers.climbs
        if other is not None:
            above, visits, climbs = [self._trail.rung_of(other)], visits[:-1], climbs - 1  # it is paid for and counted already
        elif sent >= self._max_sent:
            return None
        else:
            above = self._above(rung)
        tiers = {self._rungs[i].tier: i for i in above}
        tier = self._deferral.next(self.answers.judgements, tuple(tiers), self._tiers(visits), climbs, left_s)
        return None if tier is None else tiers[tier]

    def beside(self, rung: int, sent: int, left_s: float) -> int | None:
        """The rung to start beside `rung`, of which nothing is heard; None = none is worth it."""
        if not self.goes_beside(sent) or self.answers.climbs >= self._deferral.max_climbs:
            return None
        tiers = {self._rungs[i].tier: i for i in self._above(rung)}
        tier = self._deferral.beside(tuple(tiers), self._tiers(self._trail.visits), left_s)
        return None if tier is None else tiers[tier]

    def goes_beside(self, sent: int) -> bool:
        """A higher rung may run beside a lower one."""
        return self._deferral.beside_after_s is not None and sent + 1 < self._max_sent

    @property
    def beside_after_s(self) -> float:
        return self._deferral.beside_after_s or 0.0

    def is_affordable(self, rung: int) -> bool:
        return self._deferral.is_affordable(self._rungs[rung].tier, self._tiers(self._trail.visits))

    def _above(self, rung: int) -> list[int]:
        return [i for i in range(rung + 1, len(self._rungs)) if self._rungs[i].reason == FAILED and self._tried.offers(i)]

    def _tiers(self, visits: tuple[int, ...]) -> list[str]:
        return [self._rungs[i].tier for i in visits]


def appraisal_of(plan: Plan, trail: Trail, tried: Tried) -> Appraisal | None:
    """None = an answer that is there is good enough."""
    return None if plan.deferral is None else Appraisal(plan.deferral, plan, trail, tried)
