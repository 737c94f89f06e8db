"""Stage `remote`: asks an operator's own classifier over HTTP about what rules, clients and sessions have left open.

`classify.remote` knows what is asked and what an answer means; here is what stands between a request and that service: a share of
requests, a limit, a breaker, a deadline, and answers that are known already. Whatever goes wrong, the stage abstains, says why and is
counted, and what had been decided stands: the scores of the stages before, else `default_tier`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from pointsman.classify.remote import MOST_BYTES, Garbage, meaning, question, tiers_of
from pointsman.classify.subject import subject
from pointsman.core.breaker import Breaker
from pointsman.core.decision import Answered, Decision, Refine, StageResult, StageView
from pointsman.core.fleet import EndpointSpec
from pointsman.core.protocols import BilledAsks, Posts
from pointsman.core.request import ChatRequest
from pointsman.core.settings import RemoteSettings, RouteSettings, Settings
from pointsman.errors import UpstreamError
from pointsman.gateway.allowance import Share
from pointsman.gateway.consulting import StageBusy
from pointsman.gateway.silence import silence

NAME: Final = "remote"
REMEMBERED: Final = 2048
"""Answers kept, some 500 bytes each."""
ALWAYS: Final = 1.0
"""The `band` that means every open request."""
SLACK_S: Final = 0.005
"""Who is cancelled this close to its deadline was late; earlier, the client left."""


class Standing:
    """What an outside classifier has used up, shown and said so far: stays over a reload that leaves its settings as they are."""

    def __init__(self, settings: RemoteSettings, ladder: tuple[str, ...], tiers: dict[str, str]) -> None:
        self.made_of = (settings, ladder, tiers)
        self.share, self.breaker = Share(settings.share), Breaker()
        # Questions under way. Returns to zero when the last one has ended.
        self.in_flight = 0
        # Digest of a question -> (until when it is taken, what was said), the oldest first.
        self.said: OrderedDict[bytes, tuple[float, StageResult]] = OrderedDict()


class RemoteStage:
    """The outside classifier of one route, as all its requests in this process use it."""

    name = NAME
    not_asked = "no score near the bar"

    def __init__(self, route: RouteSettings, settings: Settings, posts: Posts | None, standing: Standing | None = None) -> None:
        """`posts` None: nobody is asked here (a check of the configuration, `explain`)."""
        self._route, self._ladder, self._settings, self._posts = route.name, route.ladder, route.remote, posts
        self._tiers = tiers_of(settings, route.ladder, route.remote.names)
        self.deadline_s = route.remote.deadline_s
        made_of = (route.remote, route.ladder, self._tiers)
        self.standing = standing if standing is not None and standing.made_of == made_of else Standing(*made_of)
        self._endpoint = EndpointSpec(id=f"classifier of route {route.name}", pool="", url=route.remote.url, model="",
                                      headers=route.remote.headers)

    def saw(self) -> None:
        self.standing.share.saw()

    def wants(self, decision: Decision) -> bool:
        """All that is open, or what hangs on `band` at most. Where only one tier fits there is nothing to ask."""
        if decision.decided_by not in ("policy", "default"):
            return False
        return self._settings.band >= ALWAYS or decision.margin is None or decision.margin <= self._settings.band

    def refusal(self, decision: Decision) -> StageView | None:
        """None: whether it may be asked is known when it is."""
        return None

    async def consult(self, request: ChatRequest, so_far: Refine | None, asks: BilledAsks) -> StageResult | Answered:
        about = subject(request)
        if about.is_empty():
            return None
        body = question(self._settings, self._route, self._ladder, request, about)
        key, now = blake2b(body, digest_size=16).digest(), _now()
        known = self.standing.said.get(key)
        if known is not None and known[0] > now:
            return Answered(known[1], "remembered")
        said = await self._said(body, now)
        self._remember(key, said)
        return Answered(said, "answered")

    async def _said(self, body: bytes, now: float) -> StageResult:
        """Raises StageSilent, StageBusy and CancelledError only. All that may not be asked is refused before anything is sent."""
        posts, standing, by = self._let_in(now), self.standing, now + self.deadline_s
        standing.in_flight += 1
        try:
            answer = await posts(self._endpoint, "", body, until=by, most=MOST_BYTES)
            said = meaning(self._settings, self._ladder, self._tiers, answer)
        except asyncio.CancelledError:
            if _now() >= by - SLACK_S:
                standing.breaker.failed(_now())
            raise
        except (UpstreamError, Garbage) as error:
            standing.breaker.failed(_now())
            raise silence(error) from error
        finally:
            standing.in_flight -= 1
        standing.breaker.succeeded()
        return said

    def _let_in(self, now: float) -> Posts:
        """Raises StageBusy with what there is too little of."""
        standing = self.standing
        if self._posts is None:
            raise StageBusy(f"{self._settings.url} would be asked; here nothing is", "nobody")
        if standing.in_flight >= self._settings.max_in_flight:
            raise StageBusy("too many questions are under way", "busy")
        if not standing.share.has_some:
            raise StageBusy("its share of requests is used up", "share")
        if not standing.breaker.lets(now):
            raise StageBusy("it failed too often lately", "resting")
        standing.share.take()
        return self._posts

    def _remember(self, key: bytes, said: StageResult) -> None:
        if not self._settings.remember_s:
            return
        kept = self.standing.said
        kept[key] = (_now() + self._settings.remember_s, said)
        kept.move_to_end(key)
        if len(kept) > REMEMBERED:
            kept.popitem(last=False)

    def __repr__(self) -> str:
        standing = self.standing
        return f"<RemoteStage {self._settings.url} [{standing.in_flight} in flight | {standing.share!r} | {standing.breaker!r} | {len(standing.said)} known]>"


def _now() -> float:
    return asyncio.get_running_loop().time()
