"""Whom a decision may ask over HTTP: an operator's own classifier, and an embedder of theirs. Both are data flows: prompts go there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pointsman.config.fields import Duration, ModelName, Name, Pause, Secret
from pointsman.config.section import Section

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Label = Annotated[str, Field(min_length=1, max_length=256)]


class Remote(Section):
    """The stage `remote`: your own classifier behind HTTP. Read where `remote` stands in the `pipeline`, behind all others but `judge`.
    The user's words go there, cut to `max_chars`; no credentials of a client do."""

    url: str | None = None
    """Where questions are posted, the whole URL. It comes from here and from nowhere else, and redirects are not followed. No default:
    who reads your prompts is a decision."""
    form: Literal["pointsman", "vllm", "labels"] = "pointsman"
    """What it speaks. `pointsman`: text and facts in, `{tier}` or `{scores}` out, for a service of your own; `vllm`: `/classify` of vLLM
    and SGLang, a head with one class per tier; `labels`: `/predict` of text-embeddings-inference and others that answer with a list
    of `label` and `score`. `pointsman`: it alone says more than a class."""
    model: ModelName | None = None
    """Form `vllm`: the model's name there. Absent: none is sent, and a server of one model needs none."""
    headers: dict[HeaderName, Secret] = {}
    """Headers that are sent, each value a secret reference, such as `{Authorization: "${CLASSIFIER_AUTH}"}`; a value without spaces in
    `Authorization` is sent as a bearer token. Empty: none."""
    names: dict[Name, Label] = {}
    """Tier -> what its answers call it. Absent: the tier's own name."""
    classes: list[Name] = []
    """Form `vllm`: what the classes of its head mean, tiers in the head's order. Empty: the ladder's order."""
    calibrated: bool = False
    """Its scores are probabilities on your traffic, so that `quality` may be a share of the reference's. False: nobody but you knows."""
    min_confidence: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    """An answer `{tier, confidence}` below this abstains. 0: what it names is taken."""
    band: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    """It is asked only where another tier would be chosen if a score were wrong by so much. 1: about every request that no rule, client or
    session has settled, as a classifier trained on your labels should be."""
    deadline: Duration = 0.2
    """How long a decision waits for it; late counts as abstained, and what had been decided stands (`default_tier` where nobody
    scored). 200ms: an 8B with a head reads a page in 50, and everybody waits for it."""
    max_chars: int = Field(default=8000, ge=100, le=64_000)
    """Characters of the user's own words that it is shown: head and tail of what is longer. 8000: two pages, what heads are trained on."""
    share: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    """Of the route's last hundred requests in each process, how many it may be asked about. 1: all; less bounds its load and bill."""
    max_in_flight: int = Field(default=32, ge=1, le=1024)
    """Questions at once in each process; more abstain at once. 32: what one engine with a head batches."""
    remember: Pause = 300.0
    """How long an answer is taken again for the same words and facts; 2,048 of them are kept. 5m: a harness asks again with every tool's
    result, and who replaces a classifier waits no longer than that. 0s: every request asks."""


class RemoteEmbedder(Section):
    """A sentence embedder behind an OpenAI-compatible `/v1/embeddings` (text-embeddings-inference, vLLM, SGLang, llama.cpp, Ollama, a
    provider). Read where `classifier.sentence` is `remote`. The user's words go there, cut to `max_chars`."""

    url: str | None = None
    """Base URL with the API prefix, such as http://10.0.0.14:8080/v1; `/embeddings` is put behind it. No default: who reads your
    prompts is a decision."""
    model: ModelName | None = None
    """The model's name there. It must be the one that the artifact was trained beside (`pointsman train DATA --embedder URL#MODEL`)."""
    api_key: Secret | None = None
    """Bearer token, a secret reference. Absent: none is sent."""
    dims: int | None = Field(default=None, ge=1, le=65_536)
    """Asked for as `dimensions`, for models that can be cut. Absent: nothing is asked, the model's own length comes."""
    deadline: Duration = 0.05
    """How long a decision waits for a vector; late counts as abstained, and the static scores decide. 50ms: a network and a small model on
    a GPU take 10, and `sentence_deadline` is for an embedder in this process."""
    max_chars: int = Field(default=4000, ge=100, le=64_000)
    """Characters of a text that it is sent: head and tail of what is longer. 4000: about a thousand tokens. An artifact remembers what it
    was trained with; another value is refused."""
    together: int = Field(default=16, ge=1, le=256)
    """Texts in one question: those that wait while another is under way go together. 16: what a small model does at the price of one."""
    max_in_flight: int = Field(default=2, ge=1, le=64)
    """Questions at once in each process; what waits meanwhile is sent together. 2: one is read while the other is on the wire."""
