"""`pointsman config schema` and `pointsman config diff`: the configuration for editors, and what a reload would change."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pointsman.config.difference import Difference
    from pointsman.core.settings import Settings

ASK_TIMEOUT_S = 10.0
MAX_ANSWER = 16 * 1024 * 1024

config = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True,
    help="Print the configuration's JSON Schema, or what a reload would change.",
)


class CannotCompare(Exception):
    """The other side cannot be had; the sentence says why and what to do."""


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
        url = against or f"http://{_dialled(wanted.admin.host)}:{wanted.admin.port}"
        overridden: list[str] = []
        if url.startswith(("http://", "https://")):
            running = ask(url, _token(wanted, token))
            old, overridden, name = running["settings"], running.get("overridden", []), url
        else:
            old, name = plain(load(Path(url))), url
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(2) from None
    except CannotCompare as error:
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


# ---------------------------------------------------------------------------------------------------------
# The running router


def ask(url: str, token: str) -> dict[str, Any]:
    """What the admin listener at this address says it runs on. Raises CannotCompare."""
    request = urllib.request.Request(f"{url.rstrip('/')}/config", headers={"authorization": f"Bearer {token}"})  # noqa: S310  # http or https, checked
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=ASK_TIMEOUT_S) as answer:
            said = json.loads(answer.read(MAX_ANSWER))
            if isinstance(said, dict) and isinstance(said.get("settings"), dict):
                return said
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 401:
            raise CannotCompare(f"{url} does not take the token; name the right one with --token file:PATH") from error
        raise CannotCompare(f"{url} answers {error.code}; is it the admin listener of this version (`admin.port`)?") from error
    except (OSError, urllib.error.URLError) as error:
        why = getattr(error, "reason", error)
        raise CannotCompare(f"no router answers at {url} ({why}); start it, or name another file with --against") from error
    except ValueError as error:
        raise CannotCompare(f"{url} does not answer with JSON; is it the admin listener (`admin.port`)?") from error
    raise CannotCompare(f"{url} answers, but not with a configuration; is it the admin listener (`admin.port`)?")


def _token(settings: Settings, reference: str | None) -> str:
    """The one that is named, else the configured one, else the one that a running router has generated."""
    from pointsman.config.secrets import BadReference, Secrets

    if reference is not None:
        try:
            return Secrets(os.environ, Path()).resolve(reference)
        except BadReference as error:
            raise CannotCompare(f"--token: {error}") from error
    if settings.admin.token:
        return settings.admin.token
    generated = Path(settings.admin.token_file)
    places = dict.fromkeys((Path(settings.records.path).parent / generated.name, generated))
    for place in places:
        try:
            return place.read_text("utf-8").strip()
        except (OSError, ValueError):
            continue
    raise CannotCompare(f"no admin token: there is no {' and no '.join(str(place) for place in places)}; run this where the "
                        "router runs, or name the token with --token file:PATH")


def _dialled(host: str) -> str:
    """An address to connect to, for one that was bound."""
    if host in ("0.0.0.0", ""):  # noqa: S104  # compared, not bound
        return "127.0.0.1"
    return f"[{host if host != '::' else '::1'}]" if ":" in host and not host.startswith("[") else host
