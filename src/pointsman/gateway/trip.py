"""One request on its way: what has been decided, tried and spent so far, and the one Record it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from pointsman.classify.subject import turn_of
from pointsman.core.decision import Decision
from pointsman.core.fleet import EndpointId
from pointsman.core.protocols import Verification
from pointsman.core.record import Attempt, Check, Escalation, Outcome, Question, Record
from pointsman.core.reply import Usage
from pointsman.core.request import ChatRequest
from pointsman.core.settings import RouteSettings
from pointsman.errors import ClientGone, PointsmanError, RequestError, Shed, UpstreamError
from pointsman.gateway.continuation import Told
from pointsman.gateway.port import Facts
from pointsman.money.ledger import sum_costs
from pointsman.pools.guest import Guest

BETWEEN = "\n\n"
"""What stands between two turns in a prompt that is kept."""


class Trip:
    """Filled in as the request goes; read once, when it ends."""

    def __init__(self, id: str, request: ChatRequest, route: RouteSettings, *, now: float, wall: float,
                 simulated: bool = False) -> None:
        self.id, self.request, self.route = id, request, route
        self.arrived, self.wall, self.simulated = now, wall, simulated
        self.decision: Decision | None = None
        self.pools: Mapping[str, tuple[str, ...]] = {}
        """Per rung: the pools that pass the gate, in order of preference."""
        self.barred: Mapping[str, frozenset[EndpointId]] = {}
        """Per rung: endpoints that the client's choice leaves out."""
        self.models: Mapping[str, str] = {}
        """Pool -> its model's name, for the facts."""
        self.ladder: tuple[str, ...] = route.ladder
        self.attempts: list[Attempt] = []
        self.verifications: Mapping[str, Verification] = {}
        """Per rung that is judged: who looks at its answers."""
        self.checks: list[Check] = []
        self.questions: Sequence[Question] = ()
        """What its decision has asked of models so far."""
        self.hold = ""
        """How much of the answer was kept back until it was judged, for the facts."""
        self.answered: int | None = None
        """The attempt whose answer it is, once that is another than the last."""
        self.escalations: tuple[Escalation, ...] = ()
        self.entry: tuple[Escalation, ...] = ()
        """The step before any attempt, when the decided tier was not fit."""
        self.queued_s: float | None = None
        # Where it was let out of an anteroom, until it holds a lease there.
        self.guest: Guest | None = None
        self.told: Told | None = None
        """Set for streams that could go on elsewhere."""
        self.deadline = float("inf")
        """Monotonic seconds."""
        self.committed_at: float | None = None
        self.usage: Usage | None = None
        self.keeps_content = False
        """The configuration asks for prompts and answers to be stored."""
        self.heard: list[bytes] = []
        """Then: the event data of a stream, or the body of a plain reply."""

    @property
    def request_id(self) -> str:
        return self.request.client_request_id or self.id

    def rung(self, tier: str) -> int:
        """1-based place on the ladder; 0 for a tier or pool that is not on it."""
        return self.ladder.index(tier) + 1 if tier in self.ladder else 0

    def cost(self) -> tuple[int | None, str]:
        """Of all attempts, checks and questions."""
        nano, basis = sum_costs(self.attempts)
        if not self.checks and not self.questions:
            return nano, basis
        for more in (*[check.cost_nano_usd for check in self.checks], *[asked.cost_nano_usd for asked in self.questions]):
            if more is None or nano is None:
                return None, "unpriced"
            nano += more
        return nano, basis

    @property
    def last(self) -> Attempt | None:
        """The attempt that answered, or was last tried."""
        if self.answered is not None:
            return next((attempt for attempt in self.attempts if attempt.number == self.answered), None)
        return self.attempts[-1] if self.attempts else None

    def facts(self, *, tier: str = "", pool: str = "", endpoint: str = "", attempts: int | None = None,
              cost_nano_usd: int | None = None, cost_basis: str = "unpriced", outside: float | None = None,
              native: bool = False) -> Facts:
        """What to tell the client now. `outside`: when the time outside of attempts ended."""
        decision, overhead = self.decision, None
        if outside is not None:
            overhead = outside - self.arrived
            for attempt in self.attempts:
                overhead -= attempt.duration_s
        is_first = len(self.attempts) == 1 and attempts is None and decision is not None and decision.tier == tier
        retries, changes = (0, 0) if is_first else self._steps(tier, attempts)
        return Facts(
            record_id=self.id, request_id=self.request_id, route=self.route.name,
            tier=tier, rung=self.rung(tier), model=self.models.get(pool, ""),
            decided_by=decision.decided_by if decision else "", reason=self.reason(tier),
            attempts=len(self.attempts) if attempts is None else attempts,
            cost_nano_usd=cost_nano_usd, cost_basis=cost_basis, simulated=self.simulated,
            requested=self.request.model, endpoint=endpoint, retries=retries, changes=changes, overhead_s=overhead,
            is_native=native, hold=self.hold,
        )

    def _steps(self, tier: str, attempts: int | None) -> tuple[int, int]:
        """Retries and changes of tier so far, the running attempt on `tier` included when `attempts` counts it."""
        tiers = [attempt.tier for attempt in self.attempts]
        if attempts is not None and attempts > len(tiers):
            tiers.append(tier)
        changes = sum(1 for one, other in pairwise(tiers) if one != other)
        retries = max(0, len(tiers) - 1 - changes)
        # The decided tier may have had no endpoint to try.
        is_elsewhere = bool(tiers and self.decision and self.decision.tier and tiers[0] != self.decision.tier)
        return retries, changes + is_elsewhere

    def reason(self, tier: str) -> str:
        """Why this tier: the decision's reason, and how it came to another tier when it did."""
        if self.decision is None:
            return ""
        if not tier or tier == self.decision.tier:
            return self.decision.reason
        if not self.escalations or self.escalations[-1].to_tier != tier:  # fallbacks and last resorts are no climbs
            return f"{self.decision.reason}; {self.decision.tier} -> {tier}: fallback"
        last = self.escalations[-1]
        return f"{self.decision.reason}; {last.from_tier} -> {last.to_tier}: {last.reason}"

    def record(self, now: float, error: PointsmanError | None, status: int, *, kind: str = "") -> Record:
        """The row. `error` None: answered; else it learns the record's id."""
        if error is not None:
            error.record_id = self.id
        request, decision = self.request, self.decision
        last = self.last
        original = decision.tier if decision else ""
        tier = last.tier if last else original
        nano, basis = self.cost()
        return Record(
            id=self.id, at=self.wall, kind=kind or request.kind._value_, requested_model=request.model[:200],
            route=self.route.name, tenant=request.caller.tenant, key=request.caller.name, stream=request.stream,
            outcome=self._outcome(error), status=status, duration_s=now - self.arrived,
            ttft_s=None if self.committed_at is None else self.committed_at - self.arrived,
            routing_tier=tier, original_tier=original if original != tier else "", rung=self.rung(tier),
            pool=last.pool if last else "", model_id=self.models.get(last.pool, "") if last else "",
            endpoint=last.endpoint if last else "", decision=decision, attempts=tuple(self.attempts),
            escalations=self.escalations, usage=self.usage, cost_nano_usd=nano, cost_basis=basis,
            error=error.code if error else None, error_message=str(error)[:500] if error else None,
            client_request_id=request.client_request_id,
            request_bytes=len(request.body), messages=len(request.messages), tools=request.tools,
            images=request.images, simulated=self.simulated,
            queued_s=self.queued_s, checks=tuple(self.checks), questions=tuple(self.questions),
            prompt=BETWEEN.join(m.text for m in request.messages) if self.keeps_content else None,
            subject=self._subject() if self.keeps_content else None,
            answer=b"\n".join(self.heard).decode("utf-8", "replace") if self.heard else None,
        )

    def _subject(self) -> tuple[int, int] | None:
        """Where the turn that was classified stands in the prompt that is kept."""
        messages = self.request.messages
        at = turn_of(messages)
        if at is None:
            return None
        start = sum(len(message.text) for message in messages[:at]) + at * len(BETWEEN)
        return start, start + len(messages[at].text)

    def _outcome(self, error: PointsmanError | None) -> Outcome:
        if error is None:
            return "answered"
        if isinstance(error, ClientGone):
            return "cancelled"
        seen = any(attempt.sent for attempt in self.attempts)
        if isinstance(error, RequestError | Shed) or (isinstance(error, UpstreamError) and not seen):
            return "rejected"
        return "failed"
