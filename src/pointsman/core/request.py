"""What a client asked, parsed once.

The original bytes stay in `body`; what goes upstream is `body` with a few spliced spans (`Edit`), so that
every byte that we have no business with arrives untouched.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class Kind(Enum):
    """Which API a request came through."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDING = "embedding"

    __hash__ = object.__hash__  # a member is itself: Enum's own hash is a Python function in the way of every table


class Message(msgspec.Struct, frozen=True, gc=False):
    """One turn: its text only. Images, audio and files are counted on the request."""

    role: str
    """As sent: `system`, `developer`, `user`, `assistant`, `tool`, or a stranger's own."""
    text: str
    """String content, or the text parts of a list joined by newlines; "" when there is none."""


class Needs(msgspec.Struct, frozen=True, gc=False):
    """What a model must be able to do to serve this request (the capability gate reads it)."""

    context: int = 0
    """Estimated tokens in and out: UTF-8 bytes / 3 + max_tokens."""
    tools: bool = False
    json_schema: bool = False
    vision: bool = False
    logprobs: bool = False
    dialect: str = ""
    """An API that the endpoint must be the origin of, since the request cannot be translated; "" = none."""


PRIORITIES = ("high", "normal", "low")
"""Priorities by their number, best first."""
PRIORITY_AGE_S = 10.0
"""After this long a waiting request counts as one priority better: most that wait longer are shed by their SLA anyway."""


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who asks, as the key says; never taken from a header."""

    name: str = "anonymous"
    tenant: str = ""
    routes: tuple[str, ...] = ()
    """Route names this key may use; empty = all."""
    pools: frozenset[str] | None = None
    """Pools this key's requests may reach (allow-list and region); None = all."""
    priority: int = 1
    """Place among those who wait when the request asks for none: 0 high, 1 normal, 2 low."""
    best_priority: int = 0
    """The best it may ask for."""


class Alternative(msgspec.Struct, frozen=True, gc=False):
    """A name that the client gives for the case that `model` cannot answer."""

    field: str
    """Where in the body it stands, for objections: `models`, `fallbacks[0]`."""
    name: str


class Limits(msgspec.Struct, frozen=True, gc=False):
    """What the client asks of the way itself. It only lowers what the route allows; None = as the route says."""

    max_sent: int | None = None
    """Attempts that may reach an engine."""
    deadline_s: float | None = None
    first_content_s: float | None = None
    """Of a stream: how long an attempt may take to its first content."""
    stays: bool = False
    """Only the first tier: no climb, no fallback, no last resort, no alternatives."""
    alternatives: tuple[Alternative, ...] = ()
    ttft_slo_s: float | None = None
    """Time to first token that it wants: a tier that is slower lately is passed over, and a line that is longer."""
    priority: int | None = None
    """As asked for, before what the key allows: 0 high, 1 normal, 2 low."""


UNLIMITED = Limits()


class Span(msgspec.Struct, frozen=True, gc=False):
    """Where a top-level value stands in `body`: [start, end)."""

    start: int
    end: int


class Native(msgspec.Struct, frozen=True, gc=False):
    """The request as the client wrote it, in another API than the chat that it was translated to."""

    dialect: str
    """`messages` or `responses`."""
    body: bytes
    model: Span
    fields_end: int
    """Index of the object's closing brace."""
    system: Span | None = None
    """Where `system` (Messages) or `instructions` (Responses) stands."""
    cuts: tuple[Span, ...] = ()
    """Fields for the router only."""
    billing: Span | None = None
    """A client's accounting for the API's own provider, different in each request: cut for everybody else, whose prefix
    cache it would spoil."""
    is_plain: bool = True
    """Nothing in it goes beyond what engines other than the API's own provider are known to understand."""
    for_origin: tuple[tuple[Span, bytes], ...] = ()
    """What the API's own provider must be told instead of these spans."""
    only_at_origin: str = ""
    """What only the API's own provider can do (its sentence for the client); then there is no translation."""
    betas: str = ""
    """The client's `anthropic-beta`, for Anthropic."""


class ChatRequest(msgspec.Struct, frozen=True):
    """One parsed request. Frozen: splices make new bytes, never a new request."""

    kind: Kind
    body: bytes
    model: str
    """What the client put into `model`."""
    messages: tuple[Message, ...] = ()
    """Completions: one `user` message with the prompt. Embeddings: none."""
    stream: bool = False
    include_usage: bool = False
    """The client asked for `stream_options.include_usage` itself."""
    max_tokens: int | None = None
    """`max_completion_tokens`, else `max_tokens`, else None (unknown)."""
    choices: int = 1
    """`n`: how many choices the answer must have (completions: prompts × n)."""
    inputs: int = 0
    """Embeddings: how many vectors the answer must have."""
    tools: int = 0
    """How many tools are offered."""
    images: int = 0
    needs: Needs = Needs()
    spans: dict[str, Span] = {}
    """Value spans of the top-level fields that we may splice (`model`, `stream_options`, and router-only fields)."""
    fields_end: int = 0
    """Index of the object's closing brace: where a new top-level field may be put in."""
    metadata: dict[str, str] = {}
    """The string members of the body's `metadata` object."""
    tags: tuple[str, ...] = ()
    """The strings of the body's `metadata.tags` and of `x-litellm-tags`: rules match any of them as metadata `tags`."""
    limits: Limits = UNLIMITED
    cuts: tuple[Span, ...] = ()
    """Spans of the fields that were for the router only: taken out of what goes upstream."""
    headers: dict[str, str] = {}
    """Lower-case names; only those that rules or logs may see (no credentials, no cookies)."""
    path: str = "/v1/chat/completions"
    caller: Caller = Caller()
    client_request_id: str = ""
    """The client's own `X-Request-ID`, sanitised; echoed and logged, never sent upstream."""
    session: str = ""
    """What the client calls the session that this belongs to; from headers only where tools are offered or a route pins."""
    native: Native | None = None
    """Set when the client spoke another API than the chat's: `body` is then its translation."""

    @property
    def is_embedding(self) -> bool:
        return self.kind is Kind.EMBEDDING

    @property
    def share_of(self) -> str:
        """Whose share of a queue it takes: its key's tenant, else the key itself."""
        return self.caller.tenant or self.caller.name

    @property
    def priority(self) -> int:
        """As asked for, at best as the key allows: 0 high, 1 normal, 2 low."""
        asked = self.limits.priority
        return max(self.caller.priority if asked is None else asked, self.caller.best_priority)


class Edit(msgspec.Struct, frozen=True, gc=False):
    """Replace `body[start:end]` by `text`. Edits of one request never overlap."""

    start: int
    end: int
    text: bytes
