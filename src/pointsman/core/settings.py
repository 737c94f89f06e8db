"""The configuration as serving reads it: checked, with units resolved (seconds, bytes), secrets filled in.

`config/` makes these from YAML; nothing else does. Defaults and their reasons are documented in
`config/schema.py`, which the reference is generated from.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from pointsman.core.fleet import Capabilities, EndpointSpec
from pointsman.core.schedule import Hours
from pointsman.core.verifying import Measured, VerifierSettings


class ServerSettings(msgspec.Struct, frozen=True):
    host: str = "127.0.0.1"
    port: int = 4000
    max_body: int = 32 * 1024 * 1024
    max_depth: int = 64
    workers: int | None = 1
    """Processes that answer clients; None = one for each core."""
    hosts: tuple[str, ...] = ()
    """Extra names accepted in the Host header; loopback names, IP literals we bind and `host` always are."""
    huge_pages: str = "auto"
    """`auto` or `off`: whether a process alone moves its memory onto huge pages."""


class AdminSettings(msgspec.Struct, frozen=True):
    host: str = "127.0.0.1"
    port: int = 4001
    token: str | None = None
    """None = generate one and write it to `token_file` with mode 0600."""
    token_file: str = ".pointsman/admin.token"
    notice_key: str | None = None
    """What notices of departing endpoints may be signed with; None = only the token will do."""


class KeySettings(msgspec.Struct, frozen=True):
    name: str
    sha256: bytes
    """Digest of the key; the key itself is forgotten when the configuration is loaded."""
    tenant: str = ""
    routes: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    """Pools it may reach; empty = all."""
    regions: tuple[str, ...] = ()
    """Regions it may be served in; empty = anywhere."""
    priority: str = "normal"
    """`high`, `normal` or `low`: its place where requests wait, and the best that a request may ask for."""


class RecordsSettings(msgspec.Struct, frozen=True):
    path: str = ".pointsman/records.db"
    content: str = "none"
    """`none` or `all`: whether prompt and answer text are stored."""
    flush: str = "system"
    """`system` or `disk`: where a record is before an answer's last byte is sent."""


class PollingSettings(msgspec.Struct, frozen=True):
    every_s: float = 2.0
    timeout_s: float = 1.0
    stale_after_s: float = 6.0


class SlaSettings(msgspec.Struct, frozen=True):
    ttft_target_s: float | None = None
    ttft_p95_max_s: float | None = None
    on_breach: str = "escalate"
    """`escalate` or `report`: whether a p95 above its maximum diverts traffic, or is only told."""


class SaturationSettings(msgspec.Struct, frozen=True):
    waiting: int = 5
    kv_usage: float = 0.9
    leave_share: float = 0.8
    leave_after_s: float = 15.0
    window_s: float = 60.0
    min_answers: int = 20
    probe_share: float = 0.05


class QueueSettings(msgspec.Struct, frozen=True):
    """The line of a tier: who waits when it is full and nothing above it is fit."""

    size: int | None = None
    """None = twice the tier's slots."""
    max_wait_s: float | None = None
    """None = half of the tier's `sla.ttft_p95_max`, else `DEFAULT_WAIT_S`."""

    def longest_wait_s(self, sla: SlaSettings) -> float:
        """Half of the promise is for the line, the other half for the engine's own queue and the prompt: who waits the whole of it
        cannot have a first token in time, and would only make those behind wait as well."""
        if self.max_wait_s is not None:
            return self.max_wait_s
        return DEFAULT_WAIT_S if sla.ttft_p95_max_s is None else sla.ttft_p95_max_s / 2


DEFAULT_WAIT_S = 10.0


class ScheduleHint(msgspec.Struct, frozen=True):
    """At least so many machines in these hours."""

    when: str
    """As written, for people."""
    hours: Hours
    min: int

    def holds(self, at: datetime) -> bool:
        return self.hours.holds(at)


class ScaleSettings(msgspec.Struct, frozen=True):
    """How a tier's machines come and go."""

    min: int = 1
    max: int | None = None
    target_use: float = 0.7
    boot_s: float = 180.0
    billing_s: float = 1.0
    min_billing_s: float = 0.0
    down_after_s: float = 300.0
    on_demand: int = 0
    schedule: tuple[ScheduleHint, ...] = ()
    timezone: str = "UTC"


class HedgeSettings(msgspec.Struct, frozen=True):
    """A second attempt beside a slow first one."""

    after_s: float | None = None
    """None = the 95th percentile of the tier's times to first token, once enough are known."""
    max_share: float = 0.05


class HealthSettings(msgspec.Struct, frozen=True):
    eject_after: int = 5
    eject_share: float = 0.5
    eject_share_min: int = 20
    eject_s: float = 10.0
    eject_max_s: float = 120.0
    cooldown_max_s: float = 60.0
    slow_start_s: float = 10.0


class PoolSettings(msgspec.Struct, frozen=True):
    name: str
    model: str
    endpoints: tuple[EndpointSpec, ...]
    capabilities: Capabilities = Capabilities()
    embeddings: bool = False
    """Serves /v1/embeddings (capabilities.embeddings in the file)."""
    health: HealthSettings = HealthSettings()
    region: str = ""
    """Where the data goes; empty = undeclared."""
    balancer: str = "power_of_two"


class TaskSettings(msgspec.Struct, frozen=True):
    """What was measured of a tier's answers on one kind of work (`core.task`)."""

    accept_at: float | None = None
    """None = as the tier says."""
    overlap: dict[str, float] = {}
    """Higher tier -> as the tier's own, which holds for tiers that are missing."""
    verify: dict[str, Measured] = {}
    """Verifier's name -> how it does here."""


class TierSettings(msgspec.Struct, frozen=True):
    name: str
    pools: tuple[str, ...]
    sla: SlaSettings = SlaSettings()
    saturation: SaturationSettings = SaturationSettings()
    queue: QueueSettings = QueueSettings()
    hedge: HedgeSettings | None = None
    """None = no hedging."""
    scale: ScaleSettings = ScaleSettings()
    hold: HoldSettings | None = None
    """None = as the route's cascade says."""
    accept_at: float | None = None
    """The route's `cascade.threshold` for this tier; None = as the route says."""
    verify: tuple[VerifierSettings, ...] | None = None
    """Who looks at this tier's answers, on every route and wherever it stands; None = as the route says, () = nobody."""
    overlap: dict[str, float] = {}
    """Higher tier -> how far the two succeed on the same queries, 0 (by chance) to 1 (as far as possible), given their scores; for
    those that are missing `cascade.benefit` has a figure."""
    by_task: dict[str, TaskSettings] = {}
    """Kind of work (`core.task.TASKS`) -> what is different there."""


class Condition(msgspec.Struct, frozen=True):
    """All given parts must hold; `any`/`all`/`not` combine. Text is matched within 32 KiB."""

    regex: str | None = None
    """On the last user message."""
    text: str | None = None
    """Regex on any message's text."""
    keywords: tuple[str, ...] = ()
    """Any of them as whole words in the last user message, ignoring case."""
    path: str | None = None
    """Regex on the request path."""
    header: dict[str, str] = {}
    """Lower-case name -> regex that must match the whole value."""
    metadata: dict[str, str] = {}
    """Key -> regex that must match the whole value."""
    tenant: tuple[str, ...] = ()
    tools: bool | None = None
    """Whether tools are offered."""
    min_chars: int | None = None
    max_chars: int | None = None
    """Length of the last user message in characters."""
    all: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()
    not_: Condition | None = None


class Rule(msgspec.Struct, frozen=True):
    """Exactly one of tier, pool and model is set; `system` may add a system prompt for whoever answers."""

    name: str
    when: Condition
    tier: str | None = None
    pool: str | None = None
    model: str | None = None
    system: str | None = None
    reason: str = ""


class HoldSettings(msgspec.Struct, frozen=True):
    """How much of a streamed answer is kept back while its verifiers watch."""

    tokens: int = 24
    for_s: float = 0.4
    """Seconds after the first token, whichever comes first."""


class CascadeSettings(msgspec.Struct, frozen=True):
    """Climbing because of what an answer is worth."""

    mode: str = "benefit"
    """`benefit` or `threshold`."""
    threshold: float = 0.5
    max_climbs: int = 2
    max_usd: float | None = None
    price_weight: float = 0.2
    delay_weight: float = 0.01
    hold: HoldSettings = HoldSettings()
    on_abstain: str = "accept"
    """`accept` or `climb`."""
    hedged_after_s: float | None = None
    """None = one rung at a time."""


class JudgeSettings(msgspec.Struct, frozen=True):
    """What the stage `judge` asks, of whom, and what that may cost and do."""

    pool: str = ""
    """Who is asked; "" = the first pool of the ladder's first tier."""
    band: float = 0.1
    below: float = 1.0
    deadline_s: float = 0.3
    max_chars: int = 500
    share: float = 0.2
    usd_per_hour: float | None = 1.0
    max_in_flight: int = 8
    reliability: float = 0.3
    learns_from: int = 20
    form: Literal["auto", "logprobs", "enum", "word"] = "auto"


class RemoteSettings(msgspec.Struct, frozen=True):
    """What the stage `remote` asks: an operator's own classifier."""

    url: str = ""
    form: Literal["pointsman", "vllm", "labels"] = "pointsman"
    model: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """Names and values; the values are secrets."""
    names: dict[str, str] = {}
    """Tier -> what its answers call it, where that is another name."""
    classes: tuple[str, ...] = ()
    """Tiers in the order of its head; empty = the ladder's."""
    calibrated: bool = False
    min_confidence: float = 0.0
    band: float = 1.0
    deadline_s: float = 0.2
    max_chars: int = 8000
    share: float = 1.0
    max_in_flight: int = 32
    remember_s: float = 300.0
    """0 = every request asks."""


class RouteSettings(msgspec.Struct, frozen=True):
    name: str
    ladder: tuple[str, ...]
    default_tier: str
    quality: float = 0.8
    quality_of: str = "auto"
    """`reference`, `absolute`, or `auto` = of the reference where scores are calibrated."""
    max_usd_per_request: float | None = None
    usd_per_second: float = 0.0
    """What a second until the first token is worth, when tiers are compared."""
    session: str = "free"
    """`free` or `pin`: whether a conversation may go back down the ladder."""
    fallbacks: tuple[str, ...] = ()
    deadline_s: float = 600.0
    ttft_timeout_s: float = 60.0
    stall_timeout_s: float = 30.0
    continue_streams: Literal["always", "spot", "never"] = "always"
    """Which broken streams another endpoint may go on with."""
    answer_timeout_s: float = 120.0
    open_after_s: float = 15.0
    pipeline: tuple[str, ...] = ("rules", "heuristic")
    """A file's default has `embedding` too; settings made by hand come without an artifact for it."""
    rules: tuple[Rule, ...] = ()
    judge: JudgeSettings = JudgeSettings()
    """Read where `judge` stands in the pipeline."""
    remote: RemoteSettings = RemoteSettings()
    """Read where `remote` stands in the pipeline."""
    priors: Literal["learn", "off"] = "learn"
    """Whether verifiers' words about a caller's answers move that caller's scores."""
    cascade: CascadeSettings | None = None
    """None = an answer that is there is good enough."""
    verify: tuple[VerifierSettings, ...] = ()
    """Who looks at the answers of every rung but the last."""


class RemoteEmbedderSettings(msgspec.Struct, frozen=True):
    """An OpenAI-compatible embedder elsewhere."""

    url: str = ""
    """Without trailing slash; `/embeddings` is put behind it."""
    model: str = ""
    api_key: str | None = None
    dims: int | None = None
    deadline_s: float = 0.05
    max_chars: int = 4000
    together: int = 16
    max_in_flight: int = 2


class ClassifierSettings(msgspec.Struct, frozen=True):
    """What the stage `embedding` knows, and what it may spend."""

    artifact: str = "default"
    """A directory, or `default`: what is shipped."""
    sentence: str = "auto"
    """`auto`, `off`, `l3`, `l6`, `remote` or a directory."""
    sentence_deadline_s: float = 0.010
    sentence_cpu: float = 0.05
    """Share of one core, averaged over a few seconds."""
    sentence_share: float = 0.03
    """Of a route's requests, those that may be asked about."""
    remote: RemoteEmbedderSettings = RemoteEmbedderSettings()
    """Read where `sentence` is `remote`."""
    models: dict[str, str] = {}
    """Tier -> the artifact's name for its model, where they differ."""


class Settings(msgspec.Struct, frozen=True):
    """A whole, consistent configuration."""

    tiers: dict[str, TierSettings]
    pools: dict[str, PoolSettings]
    routes: dict[str, RouteSettings]
    server: ServerSettings = ServerSettings()
    admin: AdminSettings = AdminSettings()
    keys: tuple[KeySettings, ...] = ()
    records: RecordsSettings = RecordsSettings()
    polling: PollingSettings = PollingSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    source: str = ""
    """The file this was read from."""
    simulated: bool = False
    """Records and answers are marked: the tiers are simulators."""
