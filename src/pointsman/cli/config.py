"""`pointsman config schema` and `pointsman config diff`: the configuration for editors, and what a reload would change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pointsman.cli.running import NotReached, address_of, ask, token_of

if TYPE_CHECKING:
    from pointsman.config.difference import Difference

config = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True,
    help="Print the configuration's JSON Schema, or what a reload would change.",
)


@config.command()
def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it there instead of printing it.")] = None,
) -> None:
    """Print the JSON Schema of the configuration, for editors.

    Keep it beside the configuration and begin that with `# yaml-language-server: $schema=pointsman.schema.json`.
    """
    from pointsman.config.jsonschema import json_schema

    text = json.dumps(json_schema(), indent=2) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, "utf-8")


@config.command()
def diff(
    file: Annotated[
        Path | None,
        typer.Argument(help="The configuration as it shall be. Default: $POINTSMAN_CONFIG, else pointsman.yaml.", show_default=False),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="URL|FILE", help="Admin address of a running router, or another file. Default: the admin listener that FILE names.",
                     show_default=False),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(metavar="REFERENCE", help="The admin token as ${NAME}, os.environ/NAME or file:PATH. Default: the one of FILE.",
                     show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show what a reload would change: FILE compared with a running router, or with another file.

    Exits 0 when they are equal, 1 when they differ, 2 when one of them cannot be read. Secrets are told apart, never shown.
    """
    from pointsman.config.difference import differences, plain
    from pointsman.config.load import find, load
    from pointsman.errors import ConfigError

    try:
        wanted = load(find(file))
        url = against or address_of(wanted)
        overridden: list[str] = []
        if url.startswith(("http://", "https://")):
            running = ask(url, "/config", token_of(wanted, token), "--against URL")
            if not isinstance(running.get("settings"), dict):
                raise NotReached(f"{url} answers, but not with a configuration; is it the admin listener (`admin.port`)?")
            old, overridden, name = running["settings"], running.get("overridden", []), url
        else:
            old, name = plain(load(Path(url))), url
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(2) from None
    except NotReached as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    found = [one for one in differences(old, plain(wanted)) if one.path not in overridden]
    _print(found, name, wanted.source, overridden, as_json=as_json)
    if found:
        raise typer.Exit(1)


def _print(found: list[Difference], old: str, new: str, overridden: list[str], *, as_json: bool) -> None:
    import msgspec

    if as_json:
        rows = [msgspec.to_builtins(one) | {"sentence": str(one)} for one in found]
        typer.echo(json.dumps({"equal": not found, "old": old, "new": new, "overridden": overridden, "differences": rows}, indent=2))
        return
    for one in found:
        typer.echo(str(one))
    for place in overridden:
        typer.echo(f"{place}: given on the command line of the running router; the file's is not used", err=True)
    count = "no difference" if not found else "1 difference" if len(found) == 1 else f"{len(found)} differences"
    typer.echo(f"{count} from {old} to {new}", err=True)
