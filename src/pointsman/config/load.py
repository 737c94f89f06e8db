"""From a file to settings, or to every problem at once. The only place that reads the environment.

Steps: read the file, take the text apart (`document`), hold it against the schema, check the whole, resolve it. A file
that fails the schema is checked as well, with its broken parts taken out: a typo in one place does not hide another.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from pointsman.config.check import check, names_in
from pointsman.config.document import MAX_BYTES, Document
from pointsman.config.faults import place_of, problems_of
from pointsman.config.problems import Loc, Problem, Report, render
from pointsman.config.schema import Root
from pointsman.config.secrets import BadReference, Secrets
from pointsman.config.settings import settings_of
from pointsman.config.sources import PROVIDERS, Credential, Source, provider_at, url_fault
from pointsman.core.settings import Settings
from pointsman.errors import ConfigError

DEFAULT_FILE: Final = "pointsman.yaml"
FILE_VARIABLE: Final = "POINTSMAN_CONFIG"
MOVED_BY: Final = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
"""Variables that move OpenAI's address; the second is the SDK's old name, which LiteLLM still reads. A key that is meant for
another server must not go to OpenAI."""


class Loaded(msgspec.Struct, frozen=True):
    """A usable configuration and what to think about."""

    settings: Settings
    warnings: tuple[str, ...] = ()


def find(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """The file to read: the one named, else `$POINTSMAN_CONFIG`, else `pointsman.yaml` in the working directory."""
    return path or Path((os.environ if environ is None else environ).get(FILE_VARIABLE) or DEFAULT_FILE)


def secret(reference: str, environ: Mapping[str, str] | None = None) -> str:
    """What a reference on a command line stands for; files are relative to the working directory. Raises ConfigError."""
    try:
        return Secrets(os.environ if environ is None else environ, Path()).resolve(reference)
    except BadReference as exc:
        raise ConfigError((str(exc),)) from exc


def is_configured(path: Path | None = None, environ: Mapping[str, str] | None = None) -> bool:
    """Somebody named a file, or `pointsman.yaml` is in the working directory."""
    named = path or (os.environ if environ is None else environ).get(FILE_VARIABLE)
    return bool(named) or Path(DEFAULT_FILE).exists()


def provider_keys(environ: Mapping[str, str] | None = None) -> tuple[Source, ...]:
    """The providers whose key is set; `$OPENAI_BASE_URL` (or its old name) moves OpenAI's to another address, with or
    without a key."""
    environ = os.environ if environ is None else environ
    found = []
    for provider in PROVIDERS:
        variable = next((name for name in provider.variables if environ.get(name)), None)
        moved = next((name for name in MOVED_BY if environ.get(name)), None) if provider.name == "openai" else None
        if moved is not None:
            found.append(_moved(moved, variable, environ))
        elif variable is not None:
            found.append(_keyed(Source(
                provider.title, provider.url, provider.name, variable, note=provider.note, engine=provider.engine), environ))
    return tuple(found)


def _moved(named: str, variable: str | None, environ: Mapping[str, str]) -> Source:
    url = environ[named]
    if (fault := url_fault(url)) is not None:
        return Source(named, "", variable=named, fault=f"{fault}; write it as http://host:port/v1")
    url, known = url.rstrip("/"), provider_at(url)
    source = Source(known.title if known else named, url, known.name if known else None, variable)
    return _keyed(source, environ)


def _keyed(source: Source, environ: Mapping[str, str]) -> Source:
    if source.variable is None:
        return source
    try:
        key = Secrets(environ, Path()).resolve(f"${{{source.variable}}}")
    except BadReference as exc:
        return msgspec.structs.replace(source, fault=str(exc))
    return msgspec.structs.replace(source, key=Credential(key))


def load(path: Path | str, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings of a file. Raises `ConfigError` with every problem as `file:line: path: sentence; hint`."""
    return load_with_warnings(path, environ).settings


def load_beside(path: Path | str, environ: Mapping[str, str] | None = None) -> Settings:
    """As `load`, for a command beside the running router: secrets that are not to be had here read as `secrets.WITHHELD`."""
    file = Path(path)
    return _loaded(_read(file), str(path), file.parent, environ, may_lack=True).settings


def load_with_warnings(path: Path | str, environ: Mapping[str, str] | None = None) -> Loaded:
    """As `load`, with the warnings that `pointsman check` prints."""
    file = Path(path)
    return _loaded(_read(file), str(path), file.parent, environ)


def load_text(text: str, source: str = "configuration", environ: Mapping[str, str] | None = None) -> Settings:
    """Settings of a text; `source` names it in problems, `file:` secrets are relative to the working directory."""
    return load_text_with_warnings(text, source, environ).settings


def load_text_with_warnings(
    text: str, source: str = "configuration", environ: Mapping[str, str] | None = None
) -> Loaded:
    """As `load_text`, with warnings."""
    return _loaded(text, source, Path(), environ)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else "not a usable path"
        hint = f"name one with --config or {FILE_VARIABLE}, or let `pointsman init` write {DEFAULT_FILE}"
        raise ConfigError((f"{file}:1: file: cannot be read: {why}; {hint}",)) from exc
    if len(raw) > MAX_BYTES:
        raise ConfigError((f"{file}:1: file: is larger than {MAX_BYTES} bytes; is it the right file?",))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise ConfigError((f"{file}:{line}: file: is not UTF-8 text; save it as UTF-8",)) from exc


def _loaded(text: str, source: str, base: Path, environ: Mapping[str, str] | None, *, may_lack: bool = False) -> Loaded:
    document = Document(text)
    if is_of_litellm(document.data):
        raise ConfigError(render([Problem(("model_list",), "this is a configuration of LiteLLM's",
                                          f"`pointsman import litellm {source} --output {DEFAULT_FILE}` makes one of it")],
                                 source, document.lines))
    report = Report(problems=list(document.problems))
    secrets = Secrets(os.environ if environ is None else environ, base, may_lack=may_lack)
    root = _validated(document, secrets, report)
    if root is None or report.problems:
        raise ConfigError(render(report.problems, source, document.lines))
    return Loaded(settings_of(root, source), render(report.warnings, source, document.lines))


def is_of_litellm(data: object) -> bool:
    """Somebody has come with the file of the router that they used before."""
    return isinstance(data, dict) and "model_list" in data and "tiers" not in data


def _validated(document: Document, secrets: Secrets, report: Report) -> Root | None:
    """The root, which is incomplete when `report` has problems; None when nothing is left of it."""
    if not isinstance(document.data, dict):
        if not report.problems:
            what = "is empty" if document.data is None else "is not a mapping"
            report.problems.append(Problem((), f"the file {what}", "start with `tiers:`"))
        return None
    unread = {problem.loc for problem in report.problems}
    data, broken, first = document.data, set(unread), True
    while True:
        try:
            root = Root.model_validate(data, context={"secrets": secrets})
            break
        except ValidationError as exc:
            if first:
                # A value that could not be read is absent now; its absence is no second problem.
                report.problems += [p for p in problems_of(exc) if p.loc not in unread]
            first = False
            places = {place_of(error["loc"]) for error in exc.errors(include_url=False)}
            broken |= places
            pruned = _without(data, places)
            if pruned is None:
                return None
            data = pruned
    check(root, names_in(document.data, frozenset(broken)), report)
    return root


def _without(data: dict[str, Any], places: set[Loc]) -> dict[str, Any] | None:
    """The data without the mapping entries that hold these places; None when a required section is gone.

    Lists lose nothing but themselves: taking one item out would give the others wrong numbers.
    """
    data = copy.deepcopy(data)
    entries = [_entry_of(data, place) for place in places]
    for entry in entries:
        if entry is None:
            return None
        holder, key = entry
        holder.pop(key, None)
    return data


def _entry_of(data: dict[str, Any], place: Loc) -> tuple[dict[str, Any], str] | None:
    """The innermost existing mapping entry at or above a place; a missing key blames the mapping without it."""
    entry: tuple[dict[str, Any], str] | None = None
    here: Any = data
    for part in place:
        if isinstance(here, dict) and isinstance(part, str) and part in here:
            entry = (here, part)
            here = here[part]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            return entry
    return entry
