"""What a balancer and the cascade see of the fleet: frozen views, never live objects."""

from __future__ import annotations

from enum import Enum

import msgspec

from pointsman.core.price import Price, TokenPrice

EndpointId = str
"""`pool/index`, for instance `small/0`: short, stable over reloads that keep the order, safe as a label."""


class EndpointState(Enum):
    HEALTHY = "healthy"
    EJECTED = "ejected"
    PROBING = "probing"
    DRAINING = "draining"


class Capabilities(msgspec.Struct, frozen=True, gc=False):
    """What a model can do. None = unknown: allowed and counted."""

    context: int | None = None
    tools: bool | None = None
    json_schema: bool | None = None
    vision: bool | None = None
    logprobs: bool | None = None


class EndpointSpec(msgspec.Struct, frozen=True, gc=False):
    """One URL serving a pool's model: everything needed to call it, nothing that changes while serving."""

    id: EndpointId
    pool: str
    url: str
    """Base URL including the API prefix, without trailing slash: `http://10.0.0.10:8001/v1`."""
    model: str
    """The name this endpoint knows the model by; spliced into the body."""
    api_key: str | None = None
    engine: str = "openai"
    """`vllm`, `sglang`, `tgi`, `llamacpp`, `trtllm`, `ollama` or `openai` (anything compatible)."""
    provider: str | None = None
    slots: int | None = None
    """Requests it runs at once; None = unknown."""
    price: Price | None = None
    connect_timeout_s: float = 2.0
    spot: bool = False
    """It may be taken away at short notice or none: its streams are kept such that another endpoint can go on with them."""
    max_in_flight: int | None = None
    """Attempts it is leased to at once at most; None = no bound of ours."""
    poll: str = "auto"
    """Whether its load is asked for: `on`, `off`, or `auto` = unless it is somebody else's."""
    metrics_url: str | None = None
    """Where its Prometheus page is, when not at `/metrics` beside `/v1`."""
    kv_events: str | None = None
    """Where its engine publishes what its prefix cache holds: `tcp://host:port`; None = it is not followed."""
    kv_replay: str | None = None
    """And where it says again what was missed."""
    dialects: tuple[str, ...] = ("chat",)
    """The APIs it speaks: `chat`, `messages`, `responses`. Without `chat`, chats are translated to Messages for it."""
    is_origin: bool = False
    """It is run by the maker of its API: hosted tools, files and the like work there."""
    max_output: int = 8192
    """Answer limit in tokens for a request that names none, where the API wants one."""
    headers: tuple[tuple[str, str], ...] = ()
    """More headers by which it knows us: names and secret values. Of services beside the models only."""

    @property
    def is_polled(self) -> bool:
        """Its load is asked for. Who sells tokens has no queue that we may see, and counts our questions."""
        return self.is_ours if self.poll == "auto" else self.poll == "on"

    @property
    def is_ours(self) -> bool:
        """A machine of our own or rented by the hour: it can be started and stopped. Not somebody's who sells tokens."""
        return self.provider is None and not isinstance(self.price, TokenPrice)


class Readiness(Enum):
    """What asking an endpoint showed. Only what is known to speak against it does."""

    READY = "ready"
    """It answers, and lists our model and is awake as far as it says."""
    UNKNOWN = "unknown"
    """Not asked, or no answer that would tell."""
    GONE = "gone"
    """Connections are refused, several in a row."""
    SICK = "sick"
    """Its own health answer says no: still loading, or its engine died."""
    ASLEEP = "asleep"
    UNLISTED = "unlisted"
    """It does not serve our model, and refuses names that it does not know."""

    @property
    def is_fit(self) -> bool:
        """Nothing is known against sending it a request."""
        return self in (Readiness.READY, Readiness.UNKNOWN)


class LoadReport(msgspec.Struct, frozen=True, gc=False):
    """What an engine said about itself. None = it did not say."""

    waiting: int | None
    running: int | None
    kv_usage: float | None
    """0..1, the fullest of its data-parallel engines."""
    at: float
    """Monotonic seconds when it was read."""
    queued_tokens: int | None = None
    """Prompt tokens that wait, where the engine counts them."""
    slots: int | None = None
    """Requests it runs at once, where it tells."""
    is_awake: bool | None = None
    models: tuple[str, ...] | None = None
    """Model names it lists."""
    engine: str = ""
    """What it was recognised as; "" = nobody knows."""
    version: str = ""
    context: int | None = None
    """Tokens in and out that it says our model takes."""
    progress: float | None = None
    """Its counters of tokens and requests, added up: stands still only while it does nothing."""
    doubt: str = ""
    """Why its figures were taken out: `frozen`, `understated`, `contradicted`; "" = believed."""


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """What one look at an endpoint showed. Times are monotonic seconds, which processes of one machine share."""

    endpoint: EndpointId
    report: LoadReport | None
    """None = it did not answer: unknown, not idle."""
    readiness: Readiness
    at: float
    why: str = ""
    """In words, when something is wrong."""
    is_back: bool = False
    """It had been gone or silent, and now answers."""


class Fitness(msgspec.Struct, frozen=True, gc=False):
    """Whether a tier should take ordinary traffic now, and why not."""

    is_fit: bool
    reason: str = ""
    """`waiting`, `kv`, `in_flight`, `backlog`, `ttft`, or `unavailable` (no endpoint in service); "" while fit."""
    since: float = 0.0
    """Monotonic seconds of the last change."""
    detail: str = ""
    """The signal and its limit, for people: `waiting 7 >= 5 on small/0`."""


TOKEN_S = 0.0002
"""Seconds to read a token of a prompt before any was measured: 7B on a common card. Only who compares it with a measured time
would notice that it is wrong, and nobody does."""


class EndpointView(msgspec.Struct, frozen=True, gc=False):
    """An endpoint as a balancer sees it."""

    id: EndpointId
    state: EndpointState
    in_flight: int
    in_flight_tokens: int
    slots: int | None
    """Declared or reported, and never above `max_in_flight`; None = unknown."""
    report: LoadReport | None = None
    excess_tokens: int = 0
    """Queue it reports beyond the middle of its pool. What a report says below that is worth nothing: a report may
    repel, never attract."""
    weight: float = 1.0
    """Share of the usual traffic it should get: below 1 while it starts slowly, or is slower than its siblings."""
    key: int = 0
    """32 bits that stand for this server (URL and model) in rendezvous hashing; the same in every process."""
    lateness: float = 0.0
    """What its queue adds to the next first token, as a share of what its tier's promise leaves for that: from 1 on it counts as
    full. 0 = no promise, or nobody can tell."""
    wait_s: float = 0.0
    """What a prompt that is sent there now is expected to wait before it is read. Where nothing has been measured yet, in units of
    `token_s`: the endpoints of a pool compare."""
    token_s: float = TOKEN_S
    """What a token of its prompt is expected to take there beyond that; more while it starts slowly, or is slower than its siblings."""
    awaited_tokens: int = 0
    """Prompt tokens sent there whose answers have not begun; without those that its cache is thought to hold, where the balancer
    knows."""
