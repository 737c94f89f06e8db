"""The doors between rooms that do not know each other: who calls what, with which shapes.

`gateway` receives these; `wiring` builds what satisfies them; `pointsman.testing` has the fakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol

from pointsman.core.answer import Answer
from pointsman.core.decision import Answered, Decision, Refine, StageResult, StageView
from pointsman.core.fleet import EndpointId, EndpointSpec, EndpointView, LoadReport
from pointsman.core.record import Question, Record
from pointsman.core.reply import Batch, Heard, Reply
from pointsman.core.request import ChatRequest
from pointsman.core.verdict import Findings, Rates, Traits, Verdict


class Stage(Protocol):
    """One classifier in a pipeline: synchronous and pure."""

    name: str

    def classify(self, request: ChatRequest, so_far: StageResult) -> StageResult:
        """Decide, refine or abstain (None). May raise: the pipeline counts it and goes on."""
        ...


class ConsultingStage(Protocol):
    """A stage that needs the world or a thread of its own (sentence embeddings, judge, remote classifier).

    Asked after the synchronous stages, and only about a decision that it `wants`: one that hangs on little.
    """

    name: str
    deadline_s: float
    """How long a decision waits for it: later counts as `late`, and what was decided before stands."""
    not_asked: str
    """What is said of a decision that it does not want to be asked about."""

    def saw(self) -> None:
        """One more request of its route has been decided, by whomever: what it takes its share of."""
        ...

    def wants(self, decision: Decision) -> bool:
        """What it says may change this decision. Pure and quick: asked of every request."""
        ...

    def refusal(self, decision: Decision) -> StageView | None:
        """Of a decision that it wants: its view, with the reason, when asking now would be no use. None = it may be asked. Quick."""
        ...

    async def consult(self, request: ChatRequest, so_far: Refine | None, asks: BilledAsks) -> StageResult | Answered:
        """Decide, refine or abstain (None). `so_far`: the scores that the decision was made by. May raise; may be cancelled."""
        ...


class Verifier(Protocol):
    """Reads request and answer, returns a score in [0, 1] or abstains. Pure: no I/O, no clock, no chance."""

    name: str
    traits: Traits
    rates: Rates

    def verify(self, request: ChatRequest, answer: Answer) -> Verdict:
        """Never raises by design; the composite counts it as crashed if it does."""
        ...


class Asks(Protocol):
    """Puts a verifier's own question to a pool, within the request's deadline and the caller's rights, and charges it."""

    async def __call__(self, pool: str, body: bytes, *, until: float) -> Heard:
        """`body`: a plain chat request (`model` is filled in). Raises subclasses of `UpstreamError` and `Forbidden`."""
        ...


class Posts(Protocol):
    """Sends JSON to a service of the operator's that is no model of the fleet."""

    async def __call__(self, endpoint: EndpointSpec, suffix: str, body: bytes, *, until: float, most: int) -> bytes:
        """The body of a 2xx answer, of `most` bytes at most. Redirects are not followed. Raises subclasses of `UpstreamError`."""
        ...


class BilledAsks(Asks, Protocol):
    """The same for stages of a pipeline, with the bill."""

    @property
    def questions(self) -> Sequence[Question]:
        """What has been asked so far on behalf of this request, whatever came of it."""
        ...


class ConsultingVerifier(Protocol):
    """A verifier that needs the world: a model, an operator's service, a process that runs tests."""

    name: str
    traits: Traits
    rates: Rates

    async def consult(self, request: ChatRequest, answer: Answer, asks: Asks, *, pool: str, until: float) -> Verdict:
        """`pool` answered. May raise: the composite counts it, and the verifier abstains."""
        ...


class Verification(Protocol):
    """Everything that looks at the answers of one rung."""

    traits: Traits
    """Of all its verifiers together."""
    rates: Rates | None
    """Of the one that errs least: what all of them together can be trusted to tell, cautiously; None = there are none."""
    lowest_evidence: float
    """The lowest that all of them can bring, in log-odds; minus infinity where one may reject outright."""

    def traits_for(self, request: ChatRequest) -> Traits | None:
        """Of those that may have something to say of this request's answer; None = nobody may."""
        ...

    def glance(self, request: ChatRequest, answer: Answer) -> Findings:
        """What can be said at once, also of an answer that is still being written. Never raises, never waits."""
        ...

    async def verify(self, request: ChatRequest, answer: Answer, asks: Asks, *, pool: str, until: float) -> Findings:
        """All verifiers, those that ask somebody at the same time. Never raises but for being cancelled; done by `until`."""
        ...


class RungVerifications(Protocol):
    """Who looks at the answers of which rung."""

    def of(self, route: str, tier: str, task: str = "") -> Verification | None:
        """None = nobody does. `task`: the kind of work (`core.task`), where that makes a difference."""
        ...


class Balancer(Protocol):
    """Picks one endpoint among frozen views (never empty)."""

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> EndpointId: ...


class ReplyStream(Protocol):
    """A streamed answer under way. Exactly one of: `next` returns None, `next` raises, `close` is called first."""

    @property
    def reply(self) -> Reply:
        """What is known so far; complete once `next` has returned None."""
        ...

    async def next(self, until: float) -> Batch | None:
        """The next events, or None when the answer ended in success.

        `until` is monotonic seconds. Raises a subclass of `UpstreamError`: FirstTokenTimeout before the first
        content-bearing event, StreamStalled after it, ConnectionLost, BadAnswer, UpstreamFailed.
        """
        ...

    def close(self) -> None:
        """Give up: the socket is closed now unless the answer is complete. Idempotent."""
        ...


class Upstream(Protocol):
    """The only way to a model. All times are monotonic seconds of the running event loop (`loop.time()`).

    Cancelling the awaiting task closes the upstream socket at once. Raises subclasses of `UpstreamError`, with
    `sent=False` when certainly no byte of the request was written.
    """

    async def ask(self, endpoint: EndpointSpec, request: ChatRequest, body: Sequence[bytes], *, until: float) -> Reply:
        """A plain call: the whole, successful answer, or an error. `until` bounds it to the last byte."""
        ...

    async def stream(
        self, endpoint: EndpointSpec, request: ChatRequest, body: Sequence[bytes], *, until: float
    ) -> ReplyStream:
        """Sends a streamed call and returns once the upstream's headers say 200 and event-stream.

        `until` bounds connecting, sending and headers; the first content-bearing event has its own bound in `next`.
        """
        ...

    async def aclose(self) -> None:
        """Closes pooled connections."""
        ...


class LoadReader(Protocol):
    """Asks an endpoint how busy it is and what it serves. Never in the request path, never over its connections."""

    async def read(self, endpoint: EndpointSpec, until: float) -> LoadReport:
        """The report, its unknown parts None; `until` is monotonic seconds of the running event loop.

        Raises subclasses of `UpstreamError`: ConnectFailed, ConnectionLost, UpstreamTimeout, CredentialRefused, and
        UpstreamFailed when its own health answer says no. An endpoint that is not to be polled (`is_polled`) is asked
        for its models only.
        """
        ...

    async def aclose(self) -> None: ...


class Sink(Protocol):
    """Takes records. Synchronous and quick: the record is safe against kill -9 when `write` returns."""

    def write(self, record: Record) -> None:
        """Never raises: what cannot be kept is counted."""
        ...
