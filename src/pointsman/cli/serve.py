"""`pointsman serve`: run the router until a signal says stop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer
import uvloop
from rich.console import Console

from pointsman.cli.first_run import Around, PortsOption, ProbeOption
from pointsman.cli.unconfigured import read_found, write_found
from pointsman.config.check import is_loopback
from pointsman.config.load import find, is_configured, load
from pointsman.config.watch import Seen, WatchedFiles
from pointsman.core.settings import Settings
from pointsman.core.verifying import HttpCheck
from pointsman.errors import ConfigError, PointsmanError
from pointsman.supervisor.cores import usable_cores
from pointsman.supervisor.crew import Crew
from pointsman.supervisor.supervisor import Supervisor
from pointsman.telemetry.logs import configure_logging
from pointsman.verification.rungs import every_verifier
from pointsman.wiring import Service

_log = logging.getLogger(__name__)
SWITCH_INTERVAL_S = 0.0005
"""How long the importer's thread may keep the interpreter while a request waits. Python's 5 ms would show in p99."""
WATCH_EVERY_S = 1.0
"""How often the configuration file is looked at. A change is read once it has been left alone for one look."""


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
        if write:
            write_found(path, Around.of(probe, usual_ports, port), host=host, port=port, force=force)
        elif not is_configured(config):
            read = read_found(path, Around.of(probe, usual_ports, port), host, port, read)
            watch = False  # there is no file; SIGHUP reads one that has come
        watched = WatchedFiles(path) if watch else None
        settings = read()
        configure_logging(log_level, log_format, secrets=_secrets(settings))
        log_fd = 1 if log_requests else None
        with _service(settings, read, log_fd, _overridden(host, port)) as make:
            is_left = uvloop.run(_run(make, console, watched))
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


def _secrets(settings: Settings) -> tuple[str, ...]:
    """What must never be logged: our credentials. Clients' keys are known by their digests only."""
    keys = (endpoint.api_key for pool in settings.pools.values() for endpoint in pool.endpoints)
    checks = (verifier.token for verifier in every_verifier(settings) if isinstance(verifier, HttpCheck))
    return tuple(secret for secret in (*keys, *checks, settings.admin.token, settings.admin.notice_key) if secret)


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


@contextlib.contextmanager
def _service(settings: Settings, read: Callable[[], Settings], log_fd: int | None, overridden: tuple[str, ...],
             ) -> Iterator[Callable[[], Service]]:
    """One process, or the supervisor of several. What must be there before an event loop is made now. Raises CannotListen."""
    size = settings.server.workers or usable_cores()
    if size == 1:
        yield functools.partial(Service, settings, load=read, log_fd=log_fd, overridden=overridden)
        return
    crew = Crew.assemble(settings.server, size, log_fd)
    try:
        yield functools.partial(Supervisor, settings, crew, load=read, overridden=overridden)
    finally:
        crew.disband()


async def _keep_watch(watched: WatchedFiles, service: Service) -> None:
    """Reloads whenever the files have changed and settled."""
    while True:
        await asyncio.sleep(WATCH_EVERY_S)
        match await asyncio.to_thread(watched.look):
            case Seen.CHANGED:
                await _reload(service)
            case Seen.VANISHED:
                _log.warning("the configuration file is gone; what was read from it stays in use")


async def _run(make: Callable[[], Service], console: Console, watched: WatchedFiles | None) -> bool:
    """Until a signal says stop. True: it stopped by itself, since nobody was left to serve."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    service = make()
    stop = asyncio.Event()
    reloads: set[asyncio.Task[None]] = set()

    def asked_to_stop() -> None:
        if stop.is_set():
            service.hurry()
        stop.set()

    def asked_to_reload() -> None:
        if watched is not None:
            watched.loaded()
        task = asyncio.get_running_loop().create_task(_reload(service))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop)
    loop.add_signal_handler(signal.SIGHUP, asked_to_reload)
    await service.start()
    if sys.stderr.isatty():
        _banner(console, service)
    else:
        _log.info("serving on http://%s:%d/v1, admin on port %d", service.settings.server.host, service.port, service.admin_port)
    watching = loop.create_task(_keep_watch(watched, service)) if watched is not None else None
    left = loop.create_task(service.failed.wait())
    left.add_done_callback(lambda _: stop.set())
    await stop.wait()
    if watching is not None:
        watching.cancel()
    service.drain()
    if service.in_flight:
        _log.info("draining: %d request(s) under way; signal again to cut them", service.in_flight)
    await service.aclose()
    left.cancel()
    return service.failed.is_set()


async def _reload(service: Service) -> None:
    try:
        done = await service.reload()
    except ConfigError as error:
        _log.error("the new configuration is not used; the old one stays:\n%s", error)
        return
    for name in done.get("needs_restart", ()):
        _log.warning("%s has changed; that takes a restart", name)


def _banner(console: Console, service: Service) -> None:
    settings = service.settings
    console.print(f"[bold]Pointsman[/] serves [cyan]http://{settings.server.host}:{service.port}/v1[/]")
    for route in settings.routes.values():
        console.print(f"  model [bold]{route.name}[/]: {' → '.join(route.ladder)}  (quality {route.quality:g})")
    token = service.admin_token_file or "the one in the configuration"
    console.print(f"  admin http://{settings.admin.host}:{service.admin_port}  token: {token}")
    console.print("  Ctrl-C drains and stops; a changed configuration is read again")
