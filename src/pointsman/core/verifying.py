"""What a route or a tier says about verifying: one struct per verifier, in the order in which they are asked."""

from __future__ import annotations

from typing import Final

import msgspec

from pointsman.core.verdict import Rates

GUESSED_CURVE: Final = ((-2.5, 0.1), (-1.0, 0.3), (-0.5, 0.45), (-0.2, 0.6), (-0.05, 0.75), (0.0, 0.8))
"""Mean log-probability -> score, where nobody has calibrated: a guess that no more than leans one way or the other."""


class WellFormed(msgspec.Struct, frozen=True, tag=True):
    """Is it an answer at all?"""

    name: str = "well_formed"
    rates: Rates = Rates(0.9, 0.01)
    refusals: bool = True
    repetition: bool = True
    language: bool = True
    truncation: bool = True


class JsonSchema(msgspec.Struct, frozen=True, tag=True):
    """Does it keep to the request's own `response_format`?"""

    name: str = "json_schema"
    rates: Rates = Rates(0.7, 0.01)


class ToolCalls(msgspec.Struct, frozen=True, tag=True):
    """Do its tool calls keep to the request's own tools?"""

    name: str = "tool_calls"
    rates: Rates = Rates(0.6, 0.01)
    max_errors: int = 2
    """Tool results in a row that were errors before the answer counts as doubtful."""


class Logprobs(msgspec.Struct, frozen=True, tag=True):
    """How sure was the model of its words?"""

    name: str = "logprobs"
    rates: Rates = Rates(0.35, 0.35)
    signal: str = "mean"
    curve: tuple[tuple[float, float], ...] = GUESSED_CURVE
    """Rising points (signal, score), straight lines between them."""
    floor: float | None = None
    """Of the signal: below it the answer is rejected outright."""
    weights: dict[str, float] = {}
    """Feature -> weight of a logistic score, `bias` among them; replaces signal and curve."""
    window: int = 8
    """Tokens of the window whose worst mean is a feature."""
    alternatives: int = 0
    """Likeliest tokens to ask for at each place: margin and entropy need 2 or more."""


class Consulting(msgspec.Struct, frozen=True):
    """What all verifiers share that ask somebody."""

    timeout_s: float = 2.0
    max_in_flight: int = 64
    """Checks at once in one process; more abstain at once."""


class Judged(msgspec.Struct, frozen=True, tag=True):
    """A model reads the answer and says one word about it."""

    name: str = "model"
    rates: Rates = Rates(0.15, 0.15)
    how: str = "model"
    """`model` (another one), `p_true` or `self_report` (the one that answered, or `pool`)."""
    pool: str = ""
    """Who is asked; "" = the pool that answered."""
    form: str = "logprobs"
    """`logprobs` (of one token), `enum` (a JSON schema with two words), or `word` (one token's text)."""
    max_chars: int = 4000
    """Of the question and of the answer each: head and tail of what is longer."""
    bound: Consulting = Consulting()


class Agreement(msgspec.Struct, frozen=True, tag=True):
    """Do further samples of the same model say the same?"""

    name: str = "agreement"
    rates: Rates = Rates(0.2, 0.2)
    samples: int = 2
    temperature: float = 0.7
    bound: Consulting = Consulting(timeout_s=30.0)


class HttpCheck(msgspec.Struct, frozen=True, tag=True):
    """An operator's own service."""

    url: str
    name: str = "http"
    rates: Rates = Rates(0.05, 0.05)
    token: str | None = None
    """Sent as a bearer token."""
    max_chars: int = 262_144
    bound: Consulting = Consulting()


class CommandCheck(msgspec.Struct, frozen=True, tag=True):
    """An operator's own command, run on the answer in a sandbox."""

    run: tuple[str, ...]
    name: str = "command"
    rates: Rates = Rates(0.02, 0.02)
    file: str = "answer.py"
    """Where the answer is written, in the working directory of the command."""
    takes: str = "code"
    """`code` (its code blocks, one after the other) or `text` (all of it)."""
    beside: str | None = None
    """A directory whose files are laid beside it, read only: the tests."""
    reads: tuple[str, ...] = ()
    """More paths that the command may read: interpreters and libraries outside of the system's own."""
    cpu_s: float = 5.0
    memory_bytes: int = 512 * 1024 * 1024
    file_bytes: int = 16 * 1024 * 1024
    open_files: int = 64
    processes: int = 16
    accepts_no_isolation: bool = False
    bound: Consulting = Consulting(timeout_s=10.0, max_in_flight=2)


class Measured(msgspec.Struct, frozen=True):
    """How a verifier does on one kind of work."""

    rates: Rates
    weights: dict[str, float] = {}
    """Of `logprobs`; empty = as its settings say."""


VerifierSettings = WellFormed | JsonSchema | ToolCalls | Logprobs | Judged | Agreement | HttpCheck | CommandCheck
