"""The list under `verify`: what no field of it can know by itself, and the same as settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from pydantic import SecretStr

from pointsman.config.problems import Loc, Report, near
from pointsman.config.section import Section
from pointsman.config.verifiers import CommandCheck, HttpCheck, Logprobs, Verifier
from pointsman.core import verifying
from pointsman.core.verdict import Rates
from pointsman.core.verifying import Consulting, VerifierSettings

FEATURES: Final = ("bias", "mean", "min", "q05", "q10", "q20", "median", "worst_window", "margin", "entropy", "first", "tokens",
                   "unknown_share")

_NOT_TO_BE_READ: Final = ("/", "//", "/dev", "/etc", "/home", "/old", "/proc", "/root", "/run", "/sys", "/tmp", "/var", "/work")  # noqa: S108  refused
"""Places whose whole content is either everybody's secrets or the sandbox's own."""


def check_verifiers(verifiers: Sequence[Verifier], loc: Loc, pools: frozenset[str], report: Report,
                    check_url: Callable[[str, Loc, Report], object]) -> None:
    """One verifier each, names that tell them apart, pools that exist, commands that may run."""
    names: dict[str, int] = {}
    for i, verifier in enumerate(verifiers):
        place: Loc = (*loc, i)
        given = _given(verifier)
        if len(given) != 1:
            report.problem(place, f"has {' and '.join(f'`{key}`' for key in given) or 'no verifier'}", "give exactly one in each item")
            continue
        (kind, settings), = given.items()
        name = getattr(settings, "name", None) or kind
        if (first := names.setdefault(name, i)) != i:
            report.problem(place, f"has the same name as [{first}]: {name!r}", "give it a `name`, or remove it")
        pool = getattr(settings, "pool", None)
        if pool is not None and pool not in pools:
            report.problem((*place, kind, "pool"), f"pool {pool!r} does not exist", near(pool, pools))
        if isinstance(settings, HttpCheck):
            check_url(settings.url, (*place, kind, "url"), report)
        if isinstance(settings, CommandCheck):
            _check_command(settings, (*place, kind), report)
        if isinstance(settings, Logprobs):
            _check_logprobs(settings, (*place, kind), report)


def _check_command(command: CommandCheck, loc: Loc, report: Report) -> None:
    if not command.sandbox:
        report.warning(loc, "is off: it would run what a model wrote", "give `sandbox: true` if that is what you want")
    if command.i_accept_no_isolation:
        report.warning((*loc, "i_accept_no_isolation"), "where the kernel gives no namespaces, what a model wrote runs with the "
                       "router's own rights")
    if command.beside is not None and not os.path.isdir(command.beside):
        report.warning((*loc, "beside"), f"{command.beside[:120]!r} is no directory on this machine: here the check would abstain",
                       "give the directory that the tests are in")
    elif command.beside is not None and os.path.lexists(os.path.join(command.beside, command.file)):
        report.problem((*loc, "file"), f"{command.file!r} is in {command.beside[:120]!r} already, where it could not be written",
                       "give the answer's file another name")
    for i, path in enumerate(command.reads):
        if not os.path.isabs(path):
            report.problem((*loc, "reads", i), f"{path[:120]!r} is not an absolute path")
        elif os.path.normpath(path) in _NOT_TO_BE_READ:
            report.problem((*loc, "reads", i), f"{path[:120]!r} would be seen by what a model wrote, or is its own already",
                           "name the interpreter's or library's own directory")


def _check_logprobs(logprobs: Logprobs, loc: Loc, report: Report) -> None:
    if logprobs.signal in ("margin", "entropy") and logprobs.alternatives < 2:
        report.problem((*loc, "alternatives"), f"is below 2, and `{logprobs.signal}` compares alternatives", "give 5")
    if logprobs.curve is None and not logprobs.weights and logprobs.signal not in ("mean", "median"):
        report.problem((*loc, "curve"), f"is not given, and the default is for the mean, not for `{logprobs.signal}`",
                       "give points from your own records: their `checks` have the figures")
    if logprobs.curve is None and not logprobs.weights:
        report.warning(loc, "is not calibrated: its score is a guess that leans one way or the other",
                       "give `curve` points from your own records: their `checks` have the figures")
    for point, score in logprobs.curve or ():
        if not 0 <= score <= 1:
            report.problem((*loc, "curve"), f"the score {score:g} at {point:g} is not between 0 and 1")
    for name in logprobs.weights:
        if name not in FEATURES:
            report.problem((*loc, "weights"), f"there is no figure {name[:40]!r}", near(name, FEATURES))


def verifiers_of(verifiers: Sequence[Verifier]) -> tuple[VerifierSettings, ...]:
    """In the order of the file; command checks without `sandbox: true` are left out."""
    made = []
    for verifier in verifiers:
        (kind, settings), = _given(verifier).items()
        if not isinstance(settings, CommandCheck) or settings.sandbox:
            made.append(_made(kind, settings))
    return tuple(made)


def _made(kind: str, section: Any) -> VerifierSettings:
    rates = Rates(section.misses, section.false_alarms)
    common: dict[str, Any] = {"name": getattr(section, "name", None) or kind, "rates": rates}
    match kind:
        case "well_formed":
            return verifying.WellFormed(**common, refusals=section.refusals, repetition=section.repetition,
                                        language=section.language, truncation=section.truncation)
        case "json_schema":
            return verifying.JsonSchema(**common)
        case "tool_calls":
            return verifying.ToolCalls(**common, max_errors=section.max_errors)
        case "logprobs":
            curve = verifying.GUESSED_CURVE if section.curve is None else tuple((x, y) for x, y in section.curve)
            return verifying.Logprobs(**common, signal=section.signal, curve=curve, floor=section.floor,
                                      weights=dict(section.weights), window=section.window, alternatives=section.alternatives)
    bound = Consulting(timeout_s=section.timeout, max_in_flight=section.max_in_flight)
    match kind:
        case "agreement":
            return verifying.Agreement(**common, samples=section.samples, temperature=section.temperature, bound=bound)
        case "http":
            token = section.token.get_secret_value() if isinstance(section.token, SecretStr) else None
            return verifying.HttpCheck(**common, url=section.url, token=token, max_chars=section.max_chars, bound=bound)
        case "command":
            return verifying.CommandCheck(
                **common, run=tuple(section.run), file=section.file, takes=section.takes, reads=tuple(section.reads),
                beside=None if section.beside is None else os.path.abspath(section.beside), cpu_s=section.cpu,
                memory_bytes=section.memory, file_bytes=section.disk, open_files=section.open_files,
                processes=section.processes, accepts_no_isolation=section.i_accept_no_isolation, bound=bound)
    form = getattr(section, "form", "logprobs")
    return verifying.Judged(**common, how=kind, pool=section.pool or "", form=form, max_chars=section.max_chars, bound=bound)


def plain_verifiers(verifiers: Sequence[VerifierSettings], digest: Callable[[str], str | None]) -> list[Any]:
    """For comparing configurations: secrets only as digests."""
    made = []
    for verifier in verifiers:
        data = msgspec.to_builtins(verifier)
        if data.get("token"):
            data["token"] = digest(data["token"])
        made.append(data)
    return made


def names_of(verifiers: Sequence[Verifier]) -> set[str]:
    """What findings call them."""
    return {getattr(settings, "name", None) or kind for verifier in verifiers for kind, settings in _given(verifier).items()}


def _given(verifier: Verifier) -> dict[str, Section]:
    return {key: value for key in type(verifier).model_fields if (value := getattr(verifier, key)) is not None}
