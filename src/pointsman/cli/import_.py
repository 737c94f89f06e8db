"""`pointsman import litellm|routellm|openrouter`: another router's configuration as ours, and what became of each part."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pointsman.migration.findings import Migrated

MAX_BYTES = 1024 * 1024

OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write the configuration there; the report then goes to standard output.", show_default=False),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print configuration and report as one JSON object, for scripts.")]

import_ = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True,
    help="Write a configuration from that of LiteLLM, RouteLLM or OpenRouter.\n\n"
         "Exits 0 when there is a configuration, 1 when nothing could be carried or the result has problems, 2 when the input cannot be read.",
)


@import_.command()
def litellm(
    file: Annotated[Path, typer.Argument(help="The proxy's config.yaml; - reads standard input.", show_default=False)],
    output: OutputOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """From the config.yaml of LiteLLM's proxy: models, fallbacks, aliases, tags, auto routers, prices, health."""
    from pointsman.migration.litellm import import_litellm

    text, source = _read(file)
    _finish(lambda: import_litellm(text, source, os.environ), output, force=force, as_json=as_json)


@import_.command(context_settings={"ignore_unknown_options": True})
def routellm(
    words: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The command line, behind `--`; add the model names that clients "
                                                                         "use, such as router-mf-0.11593.", show_default=False)],
    output: OutputOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """From the command line of RouteLLM's OpenAI server: two tiers and a route."""
    from pointsman.migration.routellm import import_routellm

    _finish(lambda: import_routellm(words), output, force=force, as_json=as_json)


@import_.command()
def openrouter(
    file: Annotated[Path, typer.Argument(help="A request's body as JSON; - reads standard input.", show_default=False)],
    output: OutputOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """From a request to OpenRouter: its models as tiers, its fallbacks as a route."""
    from pointsman.migration.openrouter import import_openrouter

    text, source = _read(file)
    _finish(lambda: import_openrouter(text, source), output, force=force, as_json=as_json)


# ---------------------------------------------------------------------------------------------------------


def _read(file: Path) -> tuple[str, str]:
    """Text and the name it goes by in the report."""
    try:
        if str(file) == "-":
            raw, name = sys.stdin.buffer.read(MAX_BYTES + 1), "standard input"
        else:
            with file.open("rb") as stream:
                raw, name = stream.read(MAX_BYTES + 1), file.name
        if len(raw) > MAX_BYTES:
            raise _unreadable(f"{file} is larger than {MAX_BYTES} bytes; is it the right file?")
        return raw.decode("utf-8-sig"), name
    except UnicodeDecodeError as exc:
        raise _unreadable(f"{file} is not UTF-8 text; save it as UTF-8") from exc
    except OSError as exc:
        raise _unreadable(f"{file} cannot be read: {exc.strerror or 'not a usable path'}") from exc


def _unreadable(sentence: str) -> typer.Exit:
    typer.echo(sentence, err=True)
    return typer.Exit(2)


def _finish(migrate: Callable[[], Migrated], output: Path | None, *, force: bool, as_json: bool) -> None:
    """Imports, checks the result as `pointsman check` would, writes and reports it."""
    from pointsman.errors import ConfigError

    try:
        migrated = migrate()
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(2) from None
    problems = _problems(migrated, str(output or "the result"))
    if output is not None and migrated.text:
        _write(output, migrated.text, force=force)
    if as_json:
        _print_json(migrated, problems)
    else:
        if output is None:
            typer.echo(migrated.text, nl=False)
        _print_report(migrated, problems, output)
    if problems or not migrated.text:
        raise typer.Exit(1)


def _problems(migrated: Migrated, name: str) -> tuple[str, ...]:
    """What `pointsman check` would say, were all variables set."""
    from pointsman.config.load import load_text
    from pointsman.errors import ConfigError

    if not migrated.text:
        return ()
    try:
        load_text(migrated.text, name, {variable: f"value-of-{variable}" for variable in migrated.variables})
    except ConfigError as error:
        return error.problems
    return ()


def _write(output: Path, text: str, *, force: bool) -> None:
    try:
        with output.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _unreadable(f"{output} exists; nothing was written. Name another file, or add --force") from None
    except OSError as exc:
        raise _unreadable(f"{output} cannot be written: {exc.strerror}") from exc


def _print_json(migrated: Migrated, problems: tuple[str, ...]) -> None:
    import msgspec

    typer.echo(json.dumps({
        "ok": bool(migrated.text) and not problems, "source": migrated.source, "configuration": migrated.text,
        "variables": migrated.variables, "findings": [msgspec.to_builtins(finding) for finding in migrated.findings],
        "problems": problems,
    }, indent=2))


def _print_report(migrated: Migrated, problems: tuple[str, ...], output: Path | None) -> None:
    """The table: beside the configuration on standard error, else on standard output."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=output is None, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=output is None, highlight=False, width=140)
    colours = {"carried": "green", "changed": "yellow", "dropped": "red"}
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("line", justify="right")
    table.add_column("where", overflow="fold", max_width=52)
    table.add_column("what became of it", overflow="fold")
    for finding in migrated.findings:
        table.add_row(Text(finding.fate, style=colours[finding.fate]), "" if finding.line is None else str(finding.line),
                      Text(finding.place), Text(finding.sentence))
    console.print(table)
    fates: list[str] = [finding.fate for finding in migrated.findings]
    console.print(Text(f"\n{', '.join(f'{fates.count(fate)} {fate}' for fate in colours)}", style="bold"))
    for problem in problems:
        console.print(Text(f"problem: {problem}", style="red"))
    if not migrated.text:
        console.print(Text("nothing that could serve was left, so no configuration was written", style="red"))
        return
    for variable, what in migrated.variables.items():
        is_set = " (it is set here)" if os.environ.get(variable) else ""
        console.print(Text(f"set {variable}: {what}{is_set}"))
    if output is not None:
        console.print(Text(f"wrote {output}; next: pointsman check {output} --live"))
