"""An endpoint held for one attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from pointsman.core.fleet import EndpointSpec
from pointsman.core.settings import HealthSettings
from pointsman.errors import UpstreamError
from pointsman.pools.endpoint import Endpoint
from pointsman.pools.forecast import Forecast
from pointsman.pools.health import Health, Signal, signal_of

Outcome = Literal["answered", "failed", "rejected", "cancelled"]
MAX_WHY = 200
"""Characters of an error that are kept with an endpoint's health."""


class Listener(Protocol):
    """A tier that counts what its endpoints do."""

    def heard(self, ttft_s: float, now: float) -> None:
        """A streamed answer began."""
        ...

    def waited(self, seconds: float, now: float) -> None:
        """A streamed attempt ended without a first token: it would have taken longer than this."""
        ...

    def answered(self, now: float) -> None: ...

    def look(self, now: float) -> None:
        """A signal may have changed."""
        ...


class Watchers:
    """Who hears of a pool's leases: the tiers over it, and whoever waits for a place."""

    __slots__ = ("changed", "first", "read", "released", "tiers")

    def __init__(self) -> None:
        self.tiers: tuple[Listener, ...] = ()
        self.released: list[Callable[[], None]] = []
        # Told that a lease has taken an endpoint out of service or brought it back.
        self.changed: list[Callable[[EndpointSpec, Health, float], None]] = []
        # Told that an endpoint may have less to read.
        self.read: Callable[[float], None] | None = None
        # A line through the first answers of all the pool's endpoints, until each has one of its own.
        self.first = Forecast()


class Lease:
    """Closing it reports the outcome; an unclosed lease would count for ever."""

    __slots__ = (
        "_ahead", "_awaited", "_first_at", "_is_stream", "_leased_at", "_settings", "_tokens", "_vitals", "_watchers", "endpoint",
        "is_closed", "kind",
    )  # fmt: skip

    def __init__(
        self, endpoint: Endpoint, tokens: int, now: float, settings: HealthSettings, watchers: Watchers, *,
        is_stream: bool = False, prompt_tokens: int = 0,
    ) -> None:  # fmt: skip
        self.endpoint: EndpointSpec = endpoint.spec
        self.is_closed = False
        self._vitals, self._tokens, self._settings, self._watchers = endpoint.vitals, tokens, settings, watchers
        self._leased_at, self._is_stream = now, is_stream
        self._first_at: float | None = None
        # Tokens of its prompt as long as its answer has not begun, and of all such prompts there when it came.
        self._awaited = prompt_tokens
        endpoint.vitals.await_(prompt_tokens)
        self._ahead = endpoint.vitals.awaited
        if is_stream:
            endpoint.vitals.awaiting[self] = now
            endpoint.vitals.awaited_streams += prompt_tokens
        self.kind = self._vitals.take(self, tokens, now)

    @property
    def engine(self) -> str:
        """What the endpoint was found to be, else what the configuration says."""
        return self._vitals.engine or self.endpoint.engine

    def began(self, now: float, ttft_s: float | None = None) -> None:
        """The answer is under way: a long stream need not end before its endpoint counts as well again."""
        if self.is_closed:
            return
        vitals = self._vitals
        vitals.answered(now, ttft_s)
        if self._first_at is None:
            self._first_at = now
            self._await_no_more()
            if self._is_stream:
                vitals.began_at = now
                if not vitals.forecast.is_known:
                    self._watchers.first.learn(self._ahead, now - self._leased_at)
                vitals.forecast.learn(self._ahead, now - self._leased_at)
            if ttft_s is not None:
                vitals.windows.ttft.add(now, ttft_s)
                for tier in self._watchers.tiers:
                    tier.heard(ttft_s, now)
            if self._watchers.read is not None:
                self._watchers.read(now)
        if self.kind != "ordinary":
            self._learn(Signal.ANSWERED, now, None)
            self.kind = "ordinary"

    def close(
        self,
        outcome: Outcome,
        now: float,
        error: UpstreamError | None = None,
        ttft_s: float | None = None,
        output_tokens: int | None = None,
    ) -> None:
        """Gives the endpoint back. Closing twice is closing once: the first outcome stands.

        `error` says what a failure means for the endpoint's health; `ttft_s` is for answers that `began` was not
        called for, and is no time to first token of a stream; `output_tokens` tell how fast the endpoint
        is, and of a stream that began the time between tokens.
        """
        if self.is_closed:
            return
        self.is_closed = True
        vitals = self._vitals
        vitals.give_back(self._tokens)
        self._await_no_more()
        if outcome == "answered":
            signal = Signal.ANSWERED
            vitals.answered(now, ttft_s)
            self._count_answer(now, output_tokens)
        elif outcome == "cancelled" or (outcome == "rejected" and error is None):
            signal = Signal.NOTHING
        else:
            signal = signal_of(error)
            if signal in _FAILURES:
                vitals.windows.failed(now)
        if self._first_at is None and self._is_stream and outcome in ("failed", "cancelled"):
            for tier in self._watchers.tiers:
                tier.waited(now - self._leased_at, now)
        self._learn(signal, now, error)
        for call in self._watchers.released:
            call()
        if self._watchers.read is not None:
            self._watchers.read(now)

    def _learn(self, signal: Signal, now: float, error: UpstreamError | None) -> None:
        """What this lease says about its endpoint; whoever watches hears when that changes its state."""
        vitals = self._vitals
        before = vitals.health.state
        if error is None:
            vitals.learn(signal, now, self._settings, self._trust())
        else:
            vitals.learn(signal, now, self._settings, self._trust(), error.retry_after_s, str(error)[:MAX_WHY] if signal in _FAILURES else "")
        if vitals.health.state is not before:
            for call in self._watchers.changed:
                call(self.endpoint, vitals.health, now)

    def _await_no_more(self) -> None:
        """Its answer has begun, or never will."""
        vitals = self._vitals
        if self._awaited:
            vitals.await_(-self._awaited)
            if self._is_stream:
                vitals.awaited_streams -= self._awaited
            self._awaited = 0
        vitals.awaiting.pop(self, None)

    def _count_answer(self, now: float, output_tokens: int | None) -> None:
        windows = self._vitals.windows
        windows.answered(now)
        self._vitals.completed(now - self._leased_at)
        for tier in self._watchers.tiers:
            tier.answered(now)
        if output_tokens is None or output_tokens <= 1:
            return
        if self._first_at is None:
            self._vitals.pace(now - self._leased_at, output_tokens)
        else:
            self._vitals.pace(now - self._first_at, output_tokens - 1)
            windows.paced(now, (now - self._first_at) / (output_tokens - 1))

    def _trust(self) -> Literal["ordinary", "probe", "desperate"]:
        """A probe counts as one only while it is the endpoint's current probe."""
        return "desperate" if self.kind == "probe" and self._vitals.probe is not self else self.kind

    def __repr__(self) -> str:
        return f"<Lease {self.endpoint.id} [{self.kind}, {'closed' if self.is_closed else 'open'}]>"


_FAILURES = (Signal.SICK, Signal.CREDENTIAL, Signal.MISCONFIGURED)
