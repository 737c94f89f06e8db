"""The file an operator writes, field by field: meaning, unit, default and why that default.

The reference page is generated from the docstrings here. What one field cannot know by itself (does that tier
exist?) is in `check.py`; what a value may look like is in `fields.py`. Why pydantic here and msgspec elsewhere? It
reports every wrong field, not the first.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pointsman.config.cascade import Cascade, Hold
from pointsman.config.fields import (
    Dollars,
    Duration,
    ModelName,
    Name,
    Port,
    Secret,
    Size,
    Words,
    on_or_off,
)
from pointsman.config.learned import Classifier
from pointsman.config.measured import TaskOfTier, Unit
from pointsman.config.pools import BalancerName, CapabilityList, Endpoint, Health, Pool
from pointsman.config.promises import Hedge, Queue, Saturation, Scale, Sla
from pointsman.config.remote import Remote
from pointsman.config.section import Section
from pointsman.config.verifiers import Verifiers
from pointsman.core.task import Task


class Server(Section):
    """Where clients connect."""

    host: str = "127.0.0.1"
    """Address to bind. Loopback by default: opening the router to a network is a decision, and needs `auth.keys`."""
    port: Port = 4000
    """TCP port; 0 lets the system choose. 4000, where clients of other LLM proxies already look."""
    workers: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = 1
    """Processes that answer clients; `auto`: one for each core that we may use. 1: a core routes some thousands of requests a
    second, which few fleets of GPUs ask for, and one process knows at every moment what it has in flight. Needs a restart."""
    max_body: Size = 32 * 1024 * 1024
    """Largest request body, in bytes with a unit. 32MiB: a long conversation with several images, as base64."""
    max_depth: int = Field(default=64, ge=4, le=256)
    """Deepest JSON nesting of a request body. 64: real tool schemas stay below 20; the bound keeps parsing cheap."""
    hosts: list[Annotated[str, Field(min_length=1, max_length=255)]] = []
    """More names accepted in the Host header. Loopback names, `host` and literal addresses always are; others get
    a 421, which stops DNS rebinding. Empty by default: add the names your clients use."""
    huge_pages: Annotated[Literal["auto", "off"], BeforeValidator(on_or_off)] = "auto"
    """Whether a router of one process moves what it has in memory onto pages of 2 MiB, on Linux 6.1 and later. `auto`: where the
    administrator has not turned huge pages off (`never`); a request after an idle moment is some hundredths quicker. `off`: never, where
    memory is counted page by page. Needs a restart."""


class Admin(Section):
    """The admin listener: state, records, reload, drain."""

    host: str = "127.0.0.1"
    """Address to bind. Loopback: the admin API can drain the router."""
    port: Port = 4001
    """TCP port; 0 lets the system choose. Its own listener, so that a firewall can tell it from the clients'."""
    token: Secret | None = None
    """Bearer token, a secret reference. Absent: one is generated at start and written to `token_file`."""
    token_file: str = Field(default=".pointsman/admin.token", min_length=1)
    """Where a generated token is written, mode 0600, relative to the working directory."""
    notice_key: Secret | None = None
    """What `pointsman spot-agent` signs with, a secret reference: good for saying that an endpoint goes away or is back, and
    for nothing else. Absent: only the token will do, and that belongs on no rented machine."""


class Key(Section):
    """One client key. Only its SHA-256 stays in memory."""

    name: Name
    """What logs and records call this key."""
    key: Secret
    """The key itself, a secret reference. Clients send it as `Authorization: Bearer` or `x-api-key`."""
    tenant: Annotated[str, Field(max_length=128)] = ""
    """Who pays. Taken from the key and never from a header, which anyone could write. Empty: no tenant."""
    routes: list[str] = []
    """Route names this key may use. Empty: all of them, and every model by name."""
    pools: list[str] = []
    """Pools this key's requests may reach, whatever the route. Empty: all of them."""
    priority: Literal["high", "normal", "low"] = "normal"
    """Its place where requests wait, in the line of a full tier or to be read (`prefix`), and the best that the header `x-priority` may ask
    for. `normal`: everyone alike."""
    regions: list[str] = []
    """Regions this key's requests may be served in; a pool that declares none is then out, since nobody knows where it
    is. Empty: anywhere."""


class Auth(Section):
    """Who may ask."""

    keys: list[Key] = []
    """Client keys. Empty: everybody may, and then only a loopback `server.host` is allowed."""


class Records(Section):
    """The row every request leaves."""

    path: str = Field(default=".pointsman/records.db", min_length=1)
    """SQLite file, relative to the working directory. In a folder of its own, beside the spool and the generated token."""
    content: Literal["none", "all"] = "none"
    """Whether prompt and answer text are stored. `none`: they are other people's words; `all` is for training data."""
    flush: Literal["system", "disk"] = "system"
    """Where a record is before an answer's last byte is sent: with the operating `system`, where it survives the router's end however that
    comes, or on the `disk`, where it survives a power cut. `system`: the disk costs a flush for each request, in which its process
    does nothing else; on common drives that leaves some hundred requests a second and worker. What it changes takes a restart."""


class Polling(Section):
    """How endpoints are asked for their load and readiness; never while a request waits."""

    every: Duration = 2.0
    """Between two questions to one endpoint, give or take a tenth so that routers do not ask in step. 2s: a queue that
    builds up is known before a third of its requests have joined it. Idle endpoints are asked half as often."""
    timeout: Duration = 1.0
    """Wait for an endpoint's answers. 1s: metrics take milliseconds; an engine that cannot say in a second is unknown."""
    stale_after: Duration = 6.0
    """Age at which a report stops counting: unknown, never zero. 6s, three questions: one lost answer is no news."""


class Tier(Section):
    """A rung: one or more pools of about the same ability and price. With `model` and `endpoints` in place it is
    also a pool of the same name."""

    pools: list[str] | None = Field(default=None, min_length=1)
    """Pools in order: the first that passes the gate and has a healthy endpoint serves. Or give `model` and `endpoints`."""
    sla: Sla = Sla()
    """What the tier promises."""
    saturation: Saturation = Saturation()
    """When it counts as full."""
    queue: Queue = Queue()
    """Who waits when it is full."""
    scale: Scale = Scale()
    """How its machines come and go."""
    hedge: Hedge | None = None
    """Hedging. Absent: none, since every hedge is paid for."""
    hold: Hold | None = None
    """Where a route's cascade looks at this tier's answers: how much of a stream is kept back. Absent: as the route says."""
    accept_at: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    """Where a route's cascade goes by `threshold`: the score that accepts an answer of this tier. Absent: as the route says."""
    verify: Verifiers | None = Field(default=None, max_length=32)
    """Who looks at this tier's answers, on every route with a cascade. Absent: as the route says; an empty list: nobody."""
    overlap: dict[str, Unit] = Field(default={})
    """Where a route's cascade goes by `benefit`: higher tier -> how far the two succeed on the same queries beyond what their scores say,
    0 (by chance) to 1 (the higher one wherever the lower one does). A bad answer here says the more about that tier the higher it is.
    `pointsman calibrate --cascade` measures it. Empty: 0.5, the middle of what pairs of public models showed."""
    by_task: dict[Task, TaskOfTier] = Field(default={})
    """What is different on one kind of work (`tools`, `json`, `code`, `maths`, `choices`, `text`: told from the request). Empty: the same
    everywhere; `pointsman calibrate --cascade` writes what your labels suffice for."""
    model: ModelName | None = None
    """Inline pool: the model's name."""
    endpoints: list[Endpoint] | None = Field(default=None, min_length=1, max_length=1000)
    """Inline pool: where it is served."""
    capabilities: CapabilityList | None = None
    """Inline pool: what the model can do."""
    region: Annotated[str, Field(max_length=64)] | None = None
    """Inline pool: where the data goes."""
    health: Health | None = None
    """Inline pool: when its endpoints are ejected."""
    balancer: BalancerName | None = None
    """Inline pool: which endpoint serves."""


class When(Section):
    """Conditions of a rule: all that are given must hold. Text is matched within its first 32 KiB, by RE2."""

    regex: str | None = None
    """RE2 pattern searched in the last user message."""
    text: str | None = None
    """RE2 pattern searched in the text of any message."""
    keywords: Words = []
    """Any of these as a whole word in the last user message, ignoring case."""
    path: str | None = None
    """RE2 pattern searched in the request path."""
    header: dict[str, str] = {}
    """Header name -> RE2 pattern that must match the whole value. Credentials and cookies are never seen by rules."""
    metadata: dict[str, str] = {}
    """Key of the body's `metadata` -> RE2 pattern that must match the whole value."""
    tenant: Words = []
    """The caller's tenant is one of these."""
    tools: bool | None = None
    """Whether the request offers tools."""
    min_chars: int | None = Field(default=None, ge=0)
    """The last user message has at least this many characters."""
    max_chars: int | None = Field(default=None, ge=0)
    """The last user message has at most this many characters."""
    all: list[When] = []
    """Every one of these conditions holds."""
    any: list[When] = []
    """At least one of these conditions holds."""
    not_: When | None = Field(default=None, alias="not")
    """This condition does not hold."""


class RouteRule(Section):
    """If `when` holds, the request goes to exactly one of `tier`, `pool` and `model`. The first rule that holds wins."""

    name: str | None = Field(default=None, min_length=1, max_length=64)
    """How the decision names this rule. Absent: `rule-1`, `rule-2`, ... by place."""
    when: When
    """The conditions."""
    tier: str | None = None
    """Go to this tier."""
    pool: str | None = None
    """Go to this pool."""
    model: str | None = None
    """Go to the pool of this model (`<pool model>` or `<provider>/<pool model>`)."""
    system: str | None = Field(default=None, min_length=1, max_length=32768)
    """Extra system prompt for whoever answers: a specialised agent. Absent: none."""
    reason: str = Field(default="", max_length=256)
    """Why, in the words your users will read in headers and records. Empty: the rule's name."""


class Judge(Section):
    """The stage `judge`: a small model says in one digit how hard a prompt is, where the scores leave that open. Read where `judge`
    stands last in the `pipeline`."""

    pool: str | None = None
    """Who is asked. Absent: the first pool of the ladder's first tier, which is the cheapest and is there anyway. Its questions take
    that pool's slots and are in its bill. A client key that may not reach the pool is not judged."""
    band: float = Field(default=0.1, gt=0, le=0.5, allow_inf_nan=False)
    """It is asked only where another tier would be chosen if a score were wrong by so much, and it moves no score by more: what a
    prompt that talks to the judge can do is bounded by this. 0.1: about what scores are wrong by themselves."""
    below: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    """And only where the chosen tier's own score is below this. 1: whatever it is; the published recipe says 0.7."""
    deadline: Duration = 0.3
    """How long a decision waits for it; late counts as abstained. 300ms: one token after a short prompt takes 50 to 200 on an engine
    that is not full, and one that is full is not asked at all."""
    max_chars: int = Field(default=500, ge=100, le=8000)
    """Characters of the user's own words that it is shown: head and tail of what is longer. 500, as published: its price and delay
    stay the same whatever is pasted."""
    share: float = Field(default=0.2, gt=0, le=1, allow_inf_nan=False)
    """Of the route's last hundred requests in each process, how many it may be asked about. 0.2, the upper end of what is
    published: asked about everything, it would be a tier of its own."""
    usd_per_hour: Annotated[Dollars | Literal["off"], BeforeValidator(on_or_off)] = 1.0
    """Dollars that it may spend in sixty minutes in each process; then it is silent. `off`: no limit. 1.0: some tens of thousands of
    questions to a small model. Where its pool has no price, only `share` bounds it."""
    max_in_flight: int = Field(default=8, ge=1, le=1024)
    """Questions at once in each process; more abstain at once. 8: judging must not fill the tier that answers."""
    reliability: float = Field(default=0.3, ge=0, le=0.95, allow_inf_nan=False)
    """How much its word is worth, from 0 (nothing: it is asked and moves no score) to 1: of what could be told at best, how much it
    tells (Youden's J, hits less false alarms, where it says either as often). 0.3: an assumption, two verdicts in three right, for a
    model of a few billion parameters. Measure yours on labelled prompts."""
    learns_from: int = Field(default=20, ge=0, le=100_000)
    """Its words count by how they differ from what it usually says, and this many must have been heard before half of its
    `reliability` counts: a model that says the same of everything moves nothing. 20: a habit shows by then. 0: its word counts in
    full from the first, habit or not; only for a judge that was measured."""
    form: Literal["auto", "logprobs", "enum", "word"] = "auto"
    """How it answers. `logprobs`: one token and the probabilities of its alternatives; `enum`: JSON held to the digits by a schema;
    `word`: one token. `auto`: `logprobs` where the pool's engines or `capabilities` are known to have them, else `word`."""


class Route(Section):
    """What a client may put into `model`: a ladder, and how to choose on it."""

    ladder: list[str] | None = Field(default=None, min_length=1)
    """Tiers from the cheapest and weakest to the dearest and strongest. Absent: all tiers in the order of the file."""
    default_tier: str | None = None
    """Serves when every stage abstains. Absent: the last of the ladder, since a needless dollar beats a wrong answer."""
    quality: float = Field(default=0.8, ge=0, le=1, allow_inf_nan=False)
    """What is to be kept: with an artifact trained on your labels a share of the reference's quality in the mean over requests, else the
    probability of an acceptable answer that a tier must reach (`quality_of`). 0.8: the cheapest tier that is right four times in five;
    raise it to pay for more."""
    quality_of: Literal["auto", "reference", "absolute"] = "auto"
    """What `quality` is a share of. `reference`: of the quality of `default_tier` (where that does not fit, of the best that fits), so
    that 0.95 gives away a twentieth of its good answers at most. `absolute`: a probability by itself. `auto`: `reference` where
    scores are calibrated on your labels, else `absolute`, since shares of a guess mean nothing."""
    max_usd_per_request: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Dollars that a request may be expected to cost. Tiers beyond it, or without a known price, are not chosen by scores; when none is
    left the cheapest serves. Absent: no limit. It binds the choice; what a request that climbs really costs may be more."""
    usd_per_second: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """What a second until the first token is worth, in dollars: added to a tier's price, by its p95 of the last minute, when tiers
    are compared. 0: speed decides nothing but saturation."""
    session: Literal["free", "pin"] = "free"
    """Whether a conversation may go back down the ladder. `free`: each turn is decided by itself (a turn whose tools are in flight
    always stays), the price of a cold prompt cache included where it is known. `pin`: upwards only, until an hour of silence."""
    fallbacks: list[str] = []
    """Tiers tried, in order, when the ladder above the chosen tier has nothing left. Empty: only the ladder is climbed."""
    deadline: Duration = 600.0
    """The whole request, all attempts included. 600s, the official SDK's own timeout."""
    ttft_timeout: Duration = 60.0
    """Streamed: one attempt, to its first content-bearing event. 60s: a full queue with a long prompt still makes it."""
    stall_timeout: Duration = 30.0
    """Streamed: between two events. 30s: engines pause for seconds under preemption, not for half a minute."""
    continue_streams: Literal["always", "spot", "never"] = "always"
    """Which streams go on on another endpoint of the pool when theirs breaks after its first words. `always`: those of every endpoint
    known as vLLM, SGLang or llama.cpp, since an answer that goes on beats one that ends in an error, and costs the reading of what was
    said; `spot`: only those of endpoints that say `spot`; `never`: none, for who must have each answer from one engine. Plain text with
    one choice alone."""
    answer_timeout: Duration = 120.0
    """Plain: one attempt, to the last byte. 120s: some 4,000 tokens at the speed of a busy 70B."""
    open_after: Duration = 15.0
    """Streamed: headers and keep-alive comments go out when nothing has been answered after this. 15s: half of the
    shortest idle timeout of common proxies."""
    pipeline: list[str] = ["rules", "heuristic", "embedding"]
    """Stages in order: `rules`, `heuristic`, `embedding` (see `classifier`), `published`, `pinned:<tier>`, `random:<share>`, `largest`, and last,
    where you want them, `remote` (your own classifier) and `judge`. The default
    costs a tenth of a millisecond for an ordinary prompt and needs no training: `embedding` goes by the shipped artifact until you
    name your own."""
    rules: list[RouteRule] = Field(default=[], max_length=500)
    """Rules in order, at most 500: the first that holds decides."""
    remote: Remote = Remote()
    """What the stage `remote` asks: your own classifier behind HTTP."""
    judge: Judge = Judge()
    """What the stage `judge` asks, and what that may cost and do."""
    priors: Annotated[Literal["learn", "off"], BeforeValidator(on_or_off)] = "learn"
    """Whether what verifiers find of a tenant's and a key's own answers moves their scores: after 30 looks, shrunken, by two logits at
    most, in each process by itself. `learn`: who always asks simple things stays cheap, who always climbs does not. Only a route
    with a `cascade` has verifiers to learn from."""
    cascade: Cascade = Cascade()
    """When an answer is not good enough."""
    verify: Verifiers = Field(default=[], max_length=32)
    """Who looks at the answers of every rung but the last, which has nowhere to climb to (a tier's own `verify` replaces this
    list for it). Empty: nobody."""


class Root(Section):
    """Its sections. Only `tiers` is required."""

    server: Server = Server()
    """Where clients connect."""
    admin: Admin = Admin()
    """The admin listener."""
    auth: Auth = Auth()
    """Who may ask."""
    records: Records = Records()
    """The row every request leaves."""
    polling: Polling = Polling()
    """How endpoints are asked for their load."""
    classifier: Classifier = Classifier()
    """What the stage `embedding` goes by."""
    tiers: dict[Name, Tier] = Field(min_length=1)
    """Rungs by name, cheapest first."""
    pools: dict[Name, Pool] = {}
    """Pools by name, for tiers with several and for embeddings."""
    routes: dict[Name, Route] = {}
    """Routes by name. Absent: one route `auto` over all tiers."""
