"""`pointsman serve` where nobody has written a configuration: look around, say it, and serve or write that."""

from __future__ import annotations

import functools
from pathlib import Path

import typer
from rich.text import Text

from pointsman.cli.first_run import (
    SOURCE_NAME,
    Around,
    FirstRun,
    console_for,
    file_at,
    look_around,
    nothing_in_words,
    settings_found,
    show_findings,
    show_ladder,
    write_hint,
)
from pointsman.config.draft_file import Choices, text_of
from pointsman.config.load import load_text
from pointsman.core.settings import Settings
from pointsman.errors import ConfigError


def read_found(
    path: Path, around: Around, host: str | None, port: int | None, read_file: functools.partial[Settings],
) -> functools.partial[Settings]:
    """Looks around and says so; returns what reads the settings: first what was found now, then, on a reload, the file that
    has come to `path` since, else whatever is there by then. Exits 1 when there is nothing to route to."""
    first, choices = _looked(around, host, port)
    console_for(stderr=True).print(Text(write_hint(path)), soft_wrap=True)
    found = [load_text(text_of(first.draft, choices), SOURCE_NAME)]
    return functools.partial(_read, found, path, around, choices, read_file)


def _read(found: list[Settings], path: Path, around: Around, choices: Choices, read_file: functools.partial[Settings]) -> Settings:
    if found:
        return found.pop()
    return read_file() if path.exists() else settings_found(around, choices)


def write_found(path: Path, around: Around, *, host: str | None, port: int | None, force: bool) -> None:
    """Looks around, says so, and writes the file. Raises ConfigError when one is there; exits 1 when nothing was found."""
    if path.exists() and not force:
        raise ConfigError((f"{path} is there already and stays as it is; serve it without --write, or add --force to replace it",))
    first, choices = _looked(around, host, port, path.name)
    file_at(path, text_of(first.draft, choices), force=force)
    console_for(stderr=True).print(Text(f"Wrote {path}."), soft_wrap=True)


def _looked(around: Around, host: str | None, port: int | None, name: str = "pointsman.yaml") -> tuple[FirstRun, Choices]:
    console = console_for(stderr=True)
    first = look_around(around)
    if not first.draft.rungs:
        for number, line in enumerate(nothing_in_words(first)):
            console.print(Text(line, style="red" if number == 0 else ""), soft_wrap=True)
        raise typer.Exit(1)
    show_findings(console, first)
    show_ladder(console, first)
    # Where it listens goes into the text, so that opening it to a network without keys is refused as in any file.
    return first, Choices(host=host or Choices().host, port=Choices().port if port is None else port, name=name)
