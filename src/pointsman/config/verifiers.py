"""The list under `verify`: who looks at answers, and how far each is believed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pointsman.config.fields import Duration, Name, Secret, Size, one_or_more
from pointsman.config.section import Section

Share = Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)]
"""Of answers on which a verifier errs. Half of them is a coin's share."""
Checks = Annotated[int, Field(ge=1, le=10_000)]
Path = Annotated[str, Field(min_length=1, max_length=4096)]


class WellFormed(Section):
    """Is it an answer at all: not empty, refused, cut off, stuck in a loop, or in another language than the question."""

    refusals: bool = True
    """Whether a refusal fails. True: a larger model refuses less; turn it off where refusing is the right answer."""
    repetition: bool = True
    """Whether an end that repeats itself fails. True: it never stops by itself, and never helps."""
    language: bool = True
    """Whether another script or language than the question's counts against it (not when the question speaks of languages)."""
    truncation: bool = True
    """Whether an answer that was cut off fails. True; a limit of the client's own (`max_tokens`) never counts against it."""
    misses: float = Field(default=0.9, ge=0, le=1, allow_inf_nan=False)
    """Share of bad answers that it passes. 0.9: what is wrong is mostly well formed."""
    false_alarms: Share = 0.01
    """Share of good answers that it fails. 0.01: some questions are well answered by a refusal."""


class JsonSchema(Section):
    """Is it the JSON that the request's own `response_format` asks for; abstains where none is asked for."""

    misses: float = Field(default=0.7, ge=0, le=1, allow_inf_nan=False)
    """Share of bad answers that it passes. 0.7: the right shape with the wrong content is the commoner mistake."""
    false_alarms: Share = 0.01
    """Share of good answers that it fails. 0.01: what does not parse cannot be used."""


class ToolCalls(Section):
    """Do its tool calls keep to the request's own tools; abstains where no tool is offered or called."""

    max_errors: int = Field(default=2, ge=1, le=100)
    """Turns in a row whose tool results were errors, before the answer, that make it doubtful. 2: one is learned from."""
    misses: float = Field(default=0.6, ge=0, le=1, allow_inf_nan=False)
    """Share of bad answers that it passes. 0.6: the wrong tool with good arguments passes."""
    false_alarms: Share = 0.01
    """Share of good answers that it fails. 0.01: a call that breaks the schema cannot be carried out."""


class Logprobs(Section):
    """How sure the model was of its words, from the log-probabilities of its tokens; thoughts are left out."""

    signal: Literal["mean", "min", "q05", "q10", "q20", "median", "worst_window", "margin", "entropy", "first"] = "mean"
    """Which figure is the score's: `mean`, a low quantile (better on long answers), the `worst_window`, `margin` or `entropy` of
    the alternatives, or the `first` token's (right for one-word answers). `mean`: the best that needs no training."""
    curve: list[Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=2, max_length=2)]] | None = (
        Field(default=None, min_length=2, max_length=64))
    """Points `[signal, score]`, straight lines between them: at this figure, this share of answers is good where half of all are.
    Absent: a guess for the mean that leans one way or the other and never decides."""
    floor: float | None = Field(default=None, allow_inf_nan=False)
    """Of the signal: an answer below it is rejected outright. Absent: none is."""
    weights: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default={})
    """Weights of a logistic score over several figures, with `bias`; replaces `signal` and `curve`. Empty: one figure."""
    window: int = Field(default=8, ge=1, le=256)
    """Tokens of the worst window. 8: about a clause."""
    alternatives: int = Field(default=0, ge=0, le=20)
    """Likeliest tokens asked for at each place. 0: only `margin` and `entropy` need them, and they make answers ten times longer
    on the wire."""
    misses: Share = 0.35
    """Share of bad answers that it passes. 0.35: published AUROCs are .65 to .83."""
    false_alarms: Share = 0.35
    """Share of good answers that it fails. 0.35, as `misses`."""


class Model(Section):
    """Another model says in one token whether the answer is right."""

    name: Name | None = None
    """What findings and metrics call it. Absent: `model`."""
    pool: str
    """The pool that is asked. No default: who judges is a decision."""
    form: Literal["logprobs", "enum", "word"] = "logprobs"
    """How it is to say so: the `logprobs` of one token (a degree), an `enum` in a JSON schema, or one `word`. `logprobs`: a degree
    is worth more than a word; without any in the reply the word is read."""
    max_chars: int = Field(default=4000, ge=500, le=1_000_000)
    """Characters of question and answer each that it sees, head and tail. 4000: a page of each."""
    timeout: Duration = 2.0
    """Wait for its word. 2s: one token after a page of prompt."""
    max_in_flight: Checks = 64
    """Checks at once per process; more abstain. 64: a quarter of what one busy engine serves."""
    misses: Share = 0.15
    """Share of bad answers that it passes. 0.15: a judge of twice the size; measure yours."""
    false_alarms: Share = 0.15
    """Share of good answers that it fails. 0.15, as `misses`."""


class PTrue(Section):
    """The model that answered says in one token whether its answer is right (P(True)): cheap where prefixes are cached."""

    pool: str | None = None
    """Ask this pool instead. Absent: the one that answered."""
    max_chars: int = Field(default=4000, ge=500, le=1_000_000)
    """Characters of question and answer each that it sees, head and tail. 4000: a page of each."""
    timeout: Duration = 2.0
    """Wait for its word. 2s: one token after a page of prompt."""
    max_in_flight: Checks = 64
    """Checks at once per process; more abstain. 64, as `model`."""
    misses: Share = 0.35
    """Share of bad answers that it passes. 0.35: weak below 10B parameters."""
    false_alarms: Share = 0.35
    """Share of good answers that it fails. 0.35, as `misses`."""


class SelfReport(Section):
    """The model that answered says in one digit how sure it is. Published figures find it no better than log-probabilities."""

    pool: str | None = None
    """Ask this pool instead. Absent: the one that answered."""
    max_chars: int = Field(default=4000, ge=500, le=1_000_000)
    """Characters of question and answer each that it sees, head and tail. 4000: a page of each."""
    timeout: Duration = 2.0
    """Wait for its word. 2s: one token after a page of prompt."""
    max_in_flight: Checks = 64
    """Checks at once per process; more abstain. 64, as `model`."""
    misses: Share = 0.42
    """Share of bad answers that it passes. 0.42: GPT-4's verbalised confidence had an AUROC of .63."""
    false_alarms: Share = 0.42
    """Share of good answers that it fails. 0.42, as `misses`."""


class Agreement(Section):
    """Further samples of the same model on the same question: do they agree? Abstains, and asks nobody, where answers are prose."""

    samples: int = Field(default=2, ge=1, le=16)
    """Further samples, each at the price of an answer. 2: with the answer itself the smallest vote."""
    temperature: float = Field(default=0.7, ge=0, le=2, allow_inf_nan=False)
    """Of the samples. 0.7, as in the paper that introduced it: without chance they could not disagree."""
    timeout: Duration = 30.0
    """Wait for all of them. 30s: they are whole answers."""
    max_in_flight: Checks = 32
    """Checks at once per process; more abstain. 32: each is several requests."""
    misses: Share = 0.2
    """Share of bad answers that it passes. 0.2: models agree on their favourite mistakes."""
    false_alarms: Share = 0.2
    """Share of good answers that it fails. 0.2, as `misses`."""


class HttpCheck(Section):
    """Your own service: it gets request and answer as JSON and says a score."""

    name: Name | None = None
    """What findings and metrics call it. Absent: `http`."""
    url: str
    """Where answers are posted. It comes from here and from nowhere else."""
    token: Secret | None = None
    """Bearer token, a secret reference. Absent: none is sent."""
    max_chars: int = Field(default=262_144, ge=500, le=10_000_000)
    """Characters of the conversation and of the answer each that it is sent. 262144: all but the longest."""
    timeout: Duration = 2.0
    """Wait for its word. 2s: everybody waits for it."""
    max_in_flight: Checks = 64
    """Checks at once per process; more abstain. 64: what a small service does at once."""
    misses: Share = 0.05
    """Share of bad answers that it passes. 0.05: you wrote it for this; measure it."""
    false_alarms: Share = 0.05
    """Share of good answers that it fails. 0.05, as `misses`."""


class CommandCheck(Section):
    """Your own command decides, run on the answer in a sandbox: the code is written to a file, the tests are run."""

    name: Name | None = None
    """What findings and metrics call it. Absent: `command`."""
    run: list[Annotated[str, Field(min_length=1, max_length=4096)]] = Field(min_length=1, max_length=64)
    """The command and its arguments, run without a shell in a directory of its own. Exit code 0 accepts, 75 abstains, others reject."""
    sandbox: bool = False
    """Whether it runs at all. False: running what a model wrote is a decision."""
    i_accept_no_isolation: bool = False
    """Run it even where the kernel gives no namespaces: then only limits lie between the code and everything the router may
    read and reach. False: it abstains there, and readiness says so."""
    file: str = Field(default="answer.py", pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")
    """The file that the answer is written to."""
    takes: Literal["code", "text"] = "code"
    """`code`: the answer's fenced code blocks, one after the other, and it abstains without any; `text`: all of it."""
    beside: Path | None = None
    """A directory whose files lie beside the answer's, read only: the tests. Absent: none."""
    reads: Annotated[list[Path], BeforeValidator(one_or_more)] = Field(default=[])
    """More paths that it may read: interpreters and libraries outside of /usr, /bin and /lib. Empty: none."""
    timeout: Duration = 10.0
    """Wall time. 10s: unit tests take less, and a client is waiting."""
    cpu: Duration = 5.0
    """Processor time of each process."""
    memory: Size = 512 * 1024 * 1024
    """Of all its processes together, and address space of each. 512MiB: an interpreter with its libraries."""
    disk: Size = 16 * 1024 * 1024
    """Largest file; four times that in all. 16MiB."""
    open_files: int = Field(default=64, ge=16, le=65536)
    """Open files of each process. 64."""
    processes: int = Field(default=16, ge=1, le=4096)
    """Processes and threads at once. 16: a test runner and a few workers."""
    max_in_flight: Checks = 2
    """Checks at once per process of the router; more abstain. 2: they take processor time from the router's own machine."""
    misses: Share = 0.02
    """Share of bad answers that it passes. 0.02: tests miss what they do not test."""
    false_alarms: Share = 0.02
    """Share of good answers that it fails. 0.02, as `misses`."""


class Verifier(Section):
    """One verifier: exactly one of these. One without settings may be written as its name alone."""

    well_formed: WellFormed | None = None
    """Is it an answer at all? Free."""
    json_schema: JsonSchema | None = None
    """Is it the JSON that was asked for? Free and exact."""
    tool_calls: ToolCalls | None = None
    """Can its tool calls be carried out? Free and exact."""
    logprobs: Logprobs | None = None
    """How sure was the model? Free on engines of your own."""
    model: Model | None = None
    """What does another model say? One token of it."""
    p_true: PTrue | None = None
    """What does the model itself say? One token of it."""
    self_report: SelfReport | None = None
    """How sure does it say it is? One token of it."""
    agreement: Agreement | None = None
    """Do further samples agree? Each is another answer."""
    http: HttpCheck | None = None
    """What does your service say?"""
    command: CommandCheck | None = None
    """What do your tests say?"""


def read_verifier(value: Any) -> Any:
    """`well_formed` alone is `{well_formed: {}}`, and so is `well_formed:` with nothing behind it."""
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, dict):
        return {key: {} if inner is None else inner for key, inner in value.items()}
    return value


Verifiers = list[Annotated[Verifier, BeforeValidator(read_verifier)]]
