"""Stage `judge`: asks a small model how hard a prompt is, where the scores leave that open.

`classify.judge` knows what is asked and what the word may do; here is what stands between a request and its judge: a share of
requests, a purse, a breaker, a limit, and the tier's own load. Whatever goes wrong, the judge abstains, at once where that is
possible, and what had been decided stands.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Final

from pointsman.classify.decider import FOREIGN
from pointsman.classify.judge import Form, Habit, Word, alone, moved, question, told, word_of
from pointsman.classify.subject import subject
from pointsman.core.answer import answer_of
from pointsman.core.breaker import Breaker
from pointsman.core.decision import Decide, Decision, Refine, StageResult, StageView, Target
from pointsman.core.protocols import BilledAsks
from pointsman.core.request import ChatRequest
from pointsman.core.settings import JudgeSettings, RouteSettings
from pointsman.errors import Forbidden, RateLimited, UpstreamError, UpstreamOverloaded, UpstreamTimeout
from pointsman.gateway.allowance import Purse, Share
from pointsman.gateway.consulting import StageBusy, StageSilent
from pointsman.pools.fleet import Fleet

NAME: Final = "judge"
SLACK_S: Final = 0.005
"""Who is cancelled this close to its deadline was late; earlier, the client left."""
SPEAKS_LOGPROBS: Final = frozenset(("vllm", "sglang", "llamacpp", "tgi", "trtllm"))
"""Engines that tell the probabilities of a token when they are asked; of others the word alone is taken."""


class Standing:
    """What a judge has used up and shown so far: stays over a reload that leaves its settings as they are."""

    def __init__(self, settings: JudgeSettings, rungs: int) -> None:
        self.made_of = (settings, rungs)
        self.share, self.purse, self.breaker = Share(settings.share), Purse(settings.usd_per_hour), Breaker()
        self.habit = Habit(rungs, settings.learns_from)
        # Questions under way. Returns to zero when the last one has ended.
        self.in_flight = 0


class JudgeStage:
    """The judge of one route, as all its requests in this process use it."""

    name = NAME
    not_asked = "no score near the bar"

    def __init__(self, route: RouteSettings, pool: str, fleet: Fleet, rng: Random, standing: Standing | None = None) -> None:
        """`pool`: who is asked."""
        self._ladder, self._default, self._settings = route.ladder, route.default_tier, route.judge
        self.pool, self._fleet, self._rng = pool, fleet, rng
        self.deadline_s = route.judge.deadline_s
        made_of = (route.judge, len(route.ladder))
        self.standing = standing if standing is not None and standing.made_of == made_of else Standing(*made_of)

    def saw(self) -> None:
        self.standing.share.saw()

    def wants(self, decision: Decision) -> bool:
        """The borderline: another tier would be chosen if a score were wrong by `band`, and the chosen one's is below `below`.
        Or nobody scored. Never what is unlike all that was labelled, for that goes to the reference tier."""
        if decision.decided_by == "policy":
            return decision.margin is not None and decision.margin <= self._settings.band and decision.confidence < self._settings.below
        return decision.decided_by == "default" and decision.margin is None and not decision.reason.startswith(FOREIGN)

    def refusal(self, decision: Decision) -> StageView | None:
        """None: whether it may be asked is known when it is."""
        return None

    async def consult(self, request: ChatRequest, so_far: Refine | None, asks: BilledAsks) -> StageResult:
        about = subject(request)
        if about.is_empty():
            return None
        rungs, form = len(self._ladder), self._form()
        word = await self._word(question(about.text, rungs, form, self._settings.max_chars, self._rng), form, asks)
        habit, reliability = self.standing.habit, self._settings.reliability
        said: StageResult
        if so_far is not None:
            said = moved(so_far.scores, self._ladder, word, habit, reliability, self._settings.band)
        else:
            tier = alone(self._ladder, self._default, word, habit, reliability)
            said = None if tier is None else Decide(Target("tier", tier), f"the judge says {told(word)}, and nobody else scored")
        habit.hear(word)
        if said is None:
            raise StageSilent(f"the judge says {told(word)}, which is nothing new", "answered")
        return said

    async def _word(self, body: bytes, form: Form, asks: BilledAsks) -> Word:
        """Raises StageSilent, StageBusy and CancelledError only. All that may not be asked is refused before anything is sent."""
        now, standing, before = _now(), self.standing, len(asks.questions)
        self._let_in(now)
        by = now + self.deadline_s
        standing.in_flight += 1
        try:
            heard = await asks(self.pool, body, until=by)
        except asyncio.CancelledError:
            if _now() >= by - SLACK_S:
                standing.breaker.failed(_now())
            raise
        except Forbidden as error:
            raise StageSilent(str(error), "not_allowed") from error
        except UpstreamError as error:
            standing.breaker.failed(_now())
            raise _silence(error) from error
        finally:
            standing.in_flight -= 1
            for asked in asks.questions[before:]:
                standing.purse.pay(asked.cost_nano_usd or 0, _now())
        word = word_of(answer_of(heard.reply), len(self._ladder), form)
        if word is None:
            standing.breaker.failed(_now())
            raise StageSilent("the judge named no rung of the ladder", "garbage")
        standing.breaker.succeeded()
        return word

    def _let_in(self, now: float) -> None:
        """Raises StageBusy with what there is too little of."""
        standing, fitness = self.standing, self._fleet.fitness(self.pool, now)
        if not fitness.is_fit:
            raise StageBusy(f"pool {self.pool!r} has no room for questions: {fitness.detail}", "busy")
        if not self._fleet.has_room(self.pool, now) or standing.in_flight >= self._settings.max_in_flight:
            raise StageBusy(f"pool {self.pool!r} has no free slot, or too many questions are under way", "busy")
        if not standing.purse.has_some(now):
            raise StageBusy("what it may spend in an hour is spent", "spent")
        if not standing.share.has_some:
            raise StageBusy("its share of requests is used up", "share")
        if not standing.breaker.lets(now):
            raise StageBusy("it failed too often lately", "resting")
        standing.share.take()

    def _form(self) -> Form:
        """How the answer is wanted: as the settings say, or as every endpoint of the pool is known to understand."""
        if self._settings.form != "auto":
            return self._settings.form
        pool = self._fleet.pools.get(self.pool)
        if pool is None or pool.settings.capabilities.logprobs is False:
            return "word"
        knows = pool.settings.capabilities.logprobs or all(one.engine in SPEAKS_LOGPROBS for one in pool.settings.endpoints)
        return "logprobs" if knows and not any(one.id in self._fleet.without_logprobs for one in pool.settings.endpoints) else "word"

    def __repr__(self) -> str:
        standing = self.standing
        return f"<JudgeStage {self.pool} [{standing.in_flight} in flight | {standing.share!r} | {standing.purse!r} | {standing.breaker!r} | {standing.habit!r}]>"


def _silence(error: UpstreamError) -> StageSilent:
    if isinstance(error, UpstreamTimeout):
        return StageSilent("it did not answer in time", "slow", "late")
    if isinstance(error, UpstreamOverloaded | RateLimited):
        return StageBusy(f"its endpoint is full: {error}"[:200], "busy")
    return StageSilent(str(error)[:200], "down", "failed")


def _now() -> float:
    return asyncio.get_running_loop().time()
