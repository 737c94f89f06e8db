"""The sections of a pool: its endpoints, what each costs, what the model can do, and when an endpoint is out of service."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pointsman.config.fields import Dollars, Duration, ModelName, Name, Pause, Secret, on_or_off, one_or_more
from pointsman.config.section import Section

ZMQ_ADDRESS = r"^tcp://[^\s/:*]+:[0-9]{1,5}$|^tcp://\[[0-9a-fA-F:]+\]:[0-9]{1,5}$"
BalancerName = Literal["power_of_two", "least_loaded", "round_robin", "session", "prefix"]


class Gpu(Section):
    """A price by the GPU-hour, for endpoints you run."""

    type: str = Field(min_length=1, max_length=64)
    """GPU model, such as `RTX 4090`, `A100`, `H100`, `H200`: the catalogue's nominal throughput goes by it."""
    count: int = Field(default=1, ge=1, le=1024)
    """GPUs behind this one endpoint. 1: most engines run on one."""
    usd_per_hour: Dollars
    """Dollars one GPU costs for an hour. No default: an invented price would make every saving untrue."""
    tokens_per_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Tokens (in and out) the endpoint does in a second. Absent: the catalogue's midpoint, and costs say `gpu-nominal`."""


class TokenPrices(Section):
    """A price by the token, in dollars per million."""

    input: Dollars
    """Prompt tokens. No default: unknown is unpriced, never free."""
    output: Dollars
    """Generated tokens. No default, as `input`."""
    cached_input: Dollars | None = None
    """Prompt tokens read from the provider's cache. Absent: they cost the input price."""
    cache_write: Dollars | None = None
    """Prompt tokens written to the provider's cache, where it counts them apart (Anthropic). Absent: a quarter more than
    `input`, Anthropic's price for five minutes; give twice `input` if your clients ask for an hour."""


class Endpoint(Section):
    """One URL serving a pool's model."""

    url: str
    """Base URL with the API prefix: `http://10.0.0.10:8001/v1`. No credentials or query in it."""
    provider: Name | None = None
    """Whose it is, such as `together`; makes `<provider>/<pool model>` a model name. Absent: your own."""
    engine: Literal["openai", "anthropic", "vllm", "sglang", "tgi", "llamacpp", "trtllm", "ollama"] = "openai"
    """What runs there. `openai`: anything compatible; what it really is, is found out by asking, and a name that turns out
    to be another's is warned about. `anthropic`: Anthropic's own API at `https://api.anthropic.com/v1`, key in `x-api-key`."""
    dialects: Annotated[list[Literal["chat", "messages", "responses"]], BeforeValidator(one_or_more)] | None = Field(
        default=None, min_length=1)
    """The APIs it speaks: a client of one of them gets its bytes handed on as they are, any other is translated. With `chat`
    or `messages` among them, or nothing could be translated. Absent: what `engine` is known to speak."""
    max_output: int = Field(default=8192, ge=1, le=10_000_000)
    """Tokens that an answer may have when the request gives no limit, sent where the API wants one (Messages); no other engine
    is told. 8192: a long answer, and no more than the smallest current Anthropic model gives."""
    model: ModelName | None = None
    """The name this endpoint knows the model by. Absent: the pool's `model`."""
    api_key: Secret | None = None
    """Our credential there, a secret reference. Absent: none is sent; the client's never is."""
    slots: int | None = Field(default=None, ge=1, le=1_000_000)
    """Requests it runs at once; more in flight counts as saturated. Absent: unknown, and never saturated by count."""
    max_in_flight: int | None = Field(default=None, ge=1, le=1_000_000)
    """Attempts that it is given at once at most, whatever it could take: for quotas, and servers that break instead of
    queueing. Absent: no bound; a full engine queues."""
    spot: bool = False
    """A machine that may be taken away. Its plain-text streams are then kept such that another endpoint of the pool can go on
    with them (about 60 bytes a token, and a microsecond an event). False: what breaks in the middle ends with an error."""
    usd_per_million: TokenPrices | None = None
    """Token price. Give this or `gpu`; with neither the endpoint is unpriced, which is counted and warned about."""
    gpu: Gpu | None = None
    """GPU-hour price. Give this or `usd_per_million`."""
    connect_timeout: Duration = 2.0
    """Wait for the TCP (and TLS) connection. 2s: a reachable host answers within one; nothing was sent yet, so
    giving up early costs only the next try."""
    poll: Annotated[Literal["auto", "on", "off"], BeforeValidator(on_or_off)] = "auto"
    """Whether its load and readiness are asked for. `auto`: yes, unless it has a `provider` or a price by the token; who sells
    tokens shows no queue, and may count the questions."""
    kv_events: Annotated[str, Field(pattern=ZMQ_ADDRESS)] | None = None
    """Where vLLM publishes what its prefix cache holds (`--kv-events-config`): `tcp://host:port`. `balancer: prefix` then knows which
    beginnings the endpoint really has, and asks it for the tokens of some prompts in the background. Needs the extra
    `events`. Absent: it is guessed from what was sent there, which costs nothing and is right most of the time."""
    kv_replay: Annotated[str, Field(pattern=ZMQ_ADDRESS)] | None = None
    """Its `replay_endpoint`: `tcp://host:port`, asked for what was missed. Absent: after a loss everything known about this
    endpoint's cache is forgotten, and learned anew."""
    metrics_url: str | None = None
    """Its Prometheus page, when that is not `/metrics` beside `/v1` (another port, a sidecar). Absent: beside `/v1`. The
    endpoint's key is sent to its own host and port only."""


class CapabilityList(Section):
    """What a model can do. Absent is asked from the endpoint's `/v1/models` where it tells, else unknown:
    allowed, and counted."""

    context: int | None = Field(default=None, ge=1, le=100_000_000)
    """Tokens in and out together. Absent: asked, else unknown."""
    tools: bool | None = None
    """Can call tools. Absent: unknown."""
    json_schema: bool | None = None
    """Can follow a JSON schema. Absent: unknown."""
    vision: bool | None = None
    """Reads images. Absent: unknown."""
    logprobs: bool | None = None
    """Returns log-probabilities. Absent: unknown."""
    embeddings: bool = False
    """Serves `/v1/embeddings`. False: most models talk, and an embedding request to one of them is a mistake."""


class Health(Section):
    """When an endpoint is ejected, and for how long."""

    eject_after: int = Field(default=5, ge=1, le=1000)
    """Failures in a row. 5, as Envoy: rides out one bad restart."""
    eject_share: float = Field(default=0.5, gt=0, le=1, allow_inf_nan=False)
    """Share of failures that ejects, once there are enough. 0.5: worse than a coin is no endpoint."""
    eject_share_min: int = Field(default=20, ge=1, le=100_000)
    """Requests before the share counts. 20: below, one failure moves it by more than 5 points."""
    eject_for: Duration = 10.0
    """First ejection; doubles with each next one. 10s: an engine restart without loading weights."""
    eject_max: Duration = 120.0
    """Longest ejection. 120s: a repaired endpoint is back within two minutes."""
    cooldown_max: Duration = 60.0
    """Longest rest after a 429, whatever Retry-After says. 60s: one minute is the usual rate window."""
    slow_start: Pause = 10.0
    """Time in which an endpoint that is back, or new after a reload, goes from a tenth to its full share of traffic. 10s: empty
    caches fill, and a relapse shows before everybody is there. `0s`: at once."""


class Pool(Section):
    """Interchangeable endpoints of one model."""

    model: ModelName
    """The model's name here: clients may ask for it, and endpoints get it unless they have their own."""
    capabilities: CapabilityList = CapabilityList()
    """What the model can do."""
    endpoints: list[Endpoint] = Field(min_length=1, max_length=1000)
    """Where it is served. Interchangeable: any of them may answer any request of the pool."""
    region: Annotated[str, Field(max_length=64)] = ""
    """Where the data goes (`eu`, `us-east`), for keys with `regions`. Empty: undeclared."""
    health: Health = Health()
    """When endpoints of this pool are ejected."""
    balancer: BalancerName | None = None
    """Which endpoint serves: `prefix` (where a first token is soonest, by what waits there and what its prefix cache should hold of the
    prompt), `power_of_two` (the less loaded of two at random), `least_loaded`, `round_robin`, or `session` (each session on one
    endpoint). Absent: `prefix` for up to 32 engines of your own, whose time to first token it keeps lowest (13 us a request
    among eight); `power_of_two` where tokens are bought (`provider`, `usd_per_million`), which have no cache of yours, or are more."""
