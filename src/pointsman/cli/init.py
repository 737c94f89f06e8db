"""`pointsman init`: a few questions, and a commented configuration of what was found."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from pointsman.cli.first_run import (
    Around,
    FirstRun,
    console_for,
    file_at,
    look_around,
    nothing_in_words,
    show_findings,
    show_ladder,
)
from pointsman.cli.options import PortsOption, ProbeOption
from pointsman.config.draft import Model, chat_models, draft
from pointsman.config.draft_file import Choices, text_of, variables_of
from pointsman.config.load import DEFAULT_FILE
from pointsman.errors import ConfigError

KEY_FILE: Final = Path(".pointsman") / "client.key"
KEY_VARIABLE: Final = "POINTSMAN_CLIENT_KEY"
SHOWN: Final = 40
"""Models in the list to choose from; of more, the ends would scroll away."""
_T = TypeVar("_T")


def init(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PATH", help="The file to write.")] = Path(DEFAULT_FILE),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: what was found, and the defaults.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    probe: ProbeOption = None,
    usual_ports: PortsOption = None,
) -> None:
    """Ask a few questions and write a commented configuration.

    Looks for model servers on this machine and for provider keys in the environment first. Answers may come through a
    pipe, one a line; when they run out, the defaults in brackets are taken.
    """
    console = console_for(stderr=False)
    try:
        _init(console, Around.of(probe, usual_ports, None), output, yes=yes, force=force)
    except ConfigError as error:
        for problem in error.problems:
            console_for(stderr=True).print(Text(problem, style="red"), soft_wrap=True)
        raise typer.Exit(1) from None


def _init(console: Console, around: Around, output: Path, *, yes: bool, force: bool) -> None:
    if output.exists() and not force:
        raise ConfigError((f"{output} is there already and stays as it is; --force writes over it, --output names another",))
    ask = Asked(is_silent=yes)
    first = _found(console, around, ask)
    show_findings(console, first)
    first = msgspec.structs.replace(first, draft=draft(first.findings, _chosen(console, first, ask)))
    show_ladder(console, first)
    choices, key = _choices(output, ask)
    if key is not None:
        _keep_key(output.parent / KEY_FILE, key)
    file_at(output, text_of(first.draft, choices), force=force)
    for line in _next(output, choices, variables_of(first.draft)):
        console.print(Text(line), soft_wrap=True)


class Asked:
    """Asks a person or a pipe. Silent, or when the pipe has run out: every answer is its default."""

    def __init__(self, *, is_silent: bool) -> None:
        self._is_silent = is_silent

    def __call__(self, question: str, default: _T, read: Callable[[str], _T]) -> _T:
        """The answer as `read` makes it, which raises typer.BadParameter (then it is asked again) for one it cannot take."""
        if self._is_silent:
            return default
        try:
            answer: _T = typer.prompt(question, default=default, value_proc=lambda given: read(str(given)))
        except typer.Abort:
            if sys.stdin.isatty():
                raise
            self._is_silent = True
            answer = default
        if not sys.stdin.isatty():
            typer.echo(answer)  # no one has typed it where it shows
        return answer


# ---------------------------------------------------------------------------------------------------------
# The questions


def _found(console: Console, around: Around, ask: Asked) -> FirstRun:
    """What there is, after asking where else to look when there is nothing. Raises ConfigError."""
    first = look_around(around)
    while not first.draft.rungs:
        place = ask("No model found. Address of an OpenAI-compatible server (host:port or URL; empty gives up)", "", str.strip)
        if not place:
            show_findings(console, first)
            raise ConfigError(tuple(nothing_in_words(first, "init")))
        try:
            first = look_around(msgspec.structs.replace(around, probe=(*around.probe, place)))
        except typer.BadParameter as error:
            typer.echo(f"Error: {error.message}")
            continue
        if not first.draft.rungs:
            show_findings(console, first)
    return first


def _chosen(console: Console, first: FirstRun, ask: Asked) -> tuple[str, ...]:
    """Names of the models to use."""
    offered = chat_models(first.findings, everything=True)
    suggested = [model for _, model in first.draft.rungs]
    # The suggestion must be among what is shown, however long the list is.
    by_name = {model.name: model for model in offered}
    shown = [by_name.get(model.name, model) for model in suggested]
    shown += [model for model in offered if model not in shown][: SHOWN - len(shown)]
    shown.sort(key=lambda model: model.weight)
    if len(offered) == 1:
        return (offered[0].name,)
    console.print("\nModels to chat with, the smallest first", style="bold")
    for number, model in enumerate(shown, start=1):
        where = ", ".join(dict.fromkeys(offer.source.title for offer in model.offers))
        console.print(Text(f"  {number:>2}. {model.name}  ({where}; {model.why})"), soft_wrap=True)
    if len(shown) < len(offered):
        console.print(f"  and {len(offered) - len(shown)} more: write their names instead of numbers", markup=False)
    suggestion = ",".join(str(shown.index(by_name.get(model.name, model)) + 1) for model in suggested)
    answer = ask("Which of them, one to three, with commas between them", suggestion,
                 lambda text: _checked_models(text, shown, offered))
    return tuple(model.name for model in _read_models(answer, shown, offered))


def _checked_models(text: str, shown: Sequence[Model], offered: Sequence[Model]) -> str:
    _read_models(text, shown, offered)
    return text


def _read_models(text: str, shown: Sequence[Model], offered: Sequence[Model]) -> list[Model]:
    by_name = {model.name: model for model in offered} | {offer.id: model for model in offered for offer in model.offers}
    picked: list[Model] = []
    for word in (part.strip() for part in text.split(",") if part.strip()):
        if word.isdecimal() and 1 <= int(word) <= len(shown):
            picked.append(shown[int(word) - 1])
        elif word in by_name:
            picked.append(by_name[word])
        else:
            raise typer.BadParameter(f"{word[:60]!r} is neither a number of the list nor a model's name")
    if not 1 <= len(set(picked)) <= 3:
        raise typer.BadParameter("name one to three models: a rung each")
    return picked


def _choices(output: Path, ask: Asked) -> tuple[Choices, str | None]:
    """What goes into the file, and a key to keep beside it."""
    quality = ask("Quality: P(acceptable answer) that a tier must reach, 0 to 1; higher costs more", 0.8, _share)
    port = ask("Port for clients", 4000, _port)
    kind = ask("Key for clients: none (this machine only), generate, or env", "none", _one_of("none", "generate", "env"))
    content = ask("Keep prompts and answers in the records: none, or all (they are people's words)", "none", _one_of("none", "all"))
    key = f"pm-{secrets.token_urlsafe(32)}" if kind == "generate" else None
    reference = {"none": None, "generate": f"file:{KEY_FILE.as_posix()}", "env": f"${{{KEY_VARIABLE}}}"}[kind]
    return Choices(quality=quality, port=port, key=reference, content=content, name=output.name), key


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise typer.BadParameter("a number from 0 to 1, such as 0.8")
    return value


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise typer.BadParameter("a port from 1 to 65535")
    return int(text)


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        found = [word for word in words if text.strip() and word.startswith(text.strip().lower())]
        if len(found) != 1:
            raise typer.BadParameter(f"one of {', '.join(words)}")
        return found[0]

    return read


# ---------------------------------------------------------------------------------------------------------
# The end


def _keep_key(path: Path, key: str) -> None:
    """A generated key goes beside the configuration, for its owner only; one that is there is kept. Raises ConfigError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key + "\n")
    except FileExistsError:
        return
    except OSError as error:
        raise ConfigError((f"{path} cannot be written: {error.strerror or error}",)) from error


def _next(output: Path, choices: Choices, variables: Sequence[str]) -> list[str]:
    lines = ["", f"Wrote {output}."]
    if choices.key is not None and choices.key.startswith("file:"):
        lines.append(f"The clients' key is in {output.parent / KEY_FILE}, readable by you only.")
    if choices.key is not None and KEY_VARIABLE in choices.key:
        lines.append(f"Set the clients' key first: export {KEY_VARIABLE}=\"pm-$(openssl rand -hex 24)\"")
    if variables:
        lines.append(f"It takes its keys from {', '.join(f'${name}' for name in variables)}: keep them set where the router runs.")
    command = "pointsman serve" if output == Path(DEFAULT_FILE) else f"pointsman serve --config {output}"
    return [*lines, f"Next: {command}"]
