"""`pointsman serve`: read the configuration, take the addresses, then load the rest and run it.

Why is the rest (`serving`) imported within the command? What serves takes most of a second to load; a typo in the file or a
port that is taken is said before that.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer
from rich.console import Console

from pointsman.cli.options import PortsOption, ProbeOption
from pointsman.config.check import is_loopback
from pointsman.config.load import find, is_configured, load
from pointsman.config.watch import WatchedFiles
from pointsman.core.settings import Settings
from pointsman.errors import ConfigError, PointsmanError
from pointsman.server.address import Addresses
from pointsman.supervisor.cores import usable_cores

BLAS_THREADS = "OPENBLAS_NUM_THREADS"
"""What numpy's wheels go by when they are first imported, which is after the command line has been read."""


def serve(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file [default: $POINTSMAN_CONFIG or pointsman.yaml].")] = None,
    host: Annotated[str | None, typer.Option(help="Listen here instead of server.host.")] = None,
    port: Annotated[int | None, typer.Option(help="Listen here instead of server.port.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write what is found to the configuration file, then serve it.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Let --write replace a file that is there.")] = False,
    probe: ProbeOption = None,
    usual_ports: PortsOption = None,
    watch: Annotated[bool, typer.Option("--watch/--no-watch", help="Read the configuration again when its file changes.")] = True,
    log_requests: Annotated[bool, typer.Option("--log-requests/--no-log-requests", help="One JSON line per request on standard output.")] = True,
    log_level: Annotated[str, typer.Option(help="How much the router itself says: debug, info, warning, error.")] = "info",
    log_format: Annotated[Literal["text", "json"], typer.Option(help="Its own messages on standard error as text or json.")] = "text",
) -> None:
    """Run the router.

    Without a configuration it looks for model servers on this machine and for provider keys in the environment, says
    what it found, and serves that.

    A changed file, or SIGHUP, makes it read the configuration again (a bad file keeps the old one). SIGTERM or Ctrl-C drains: no new requests,
    streams under way end; a second one ends them at once.
    """
    # One request's scores are too small to be shared between cores, and every core has requests of its own.
    os.environ.setdefault(BLAS_THREADS, "1")
    console = Console(stderr=True)
    path = find(config)
    read = functools.partial(_read, path, host, port)
    try:
        if write or not is_configured(config):
            from pointsman.cli.first_run import Around
            from pointsman.cli.unconfigured import read_found, write_found

            around = Around.of(probe, usual_ports, port)
            if write:
                write_found(path, around, host=host, port=port, force=force)
            else:
                read = read_found(path, around, host, port, read)
                watch = False  # there is no file; SIGHUP reads one that has come
        watched = WatchedFiles(path) if watch else None
        settings = read()
        workers = settings.server.workers or usable_cores()
        # Workers are forked before the operator's address is bound, or they would hold it when the router is gone.
        addresses = Addresses.hold(settings.server, settings.admin if workers == 1 else None)
        try:
            from pointsman.cli.serving import Wishes, run

            is_left = run(settings, addresses, workers, read, watched, Wishes(
                log_level, log_format, log_fd=1 if log_requests else None, overridden=_overridden(host, port)))
        finally:
            addresses.close()
        if is_left:
            raise typer.Exit(1)
    except ConfigError as error:
        for problem in error.problems:
            console.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
        console.print(f"{len(error.problems)} problem(s); nothing was started", markup=False)
        raise typer.Exit(1) from None
    except PointsmanError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None


def _read(path: Path, host: str | None, port: int | None) -> Settings:
    """The file's settings with the command line's on top."""
    settings = load(path)
    changes = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    if not changes:
        return settings
    if host is not None and not is_loopback(host) and not settings.keys:
        raise ConfigError((f"--host {host}: it can be reached from a network, but there are no client keys; "
                           "add auth.keys, or bind 127.0.0.1",))
    return msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, **changes))


def _overridden(host: str | None, port: int | None) -> tuple[str, ...]:
    """Settings that the command line replaces."""
    return tuple(name for name, value in (("server.host", host), ("server.port", port)) if value is not None)
