"""A router in this process, until a signal says stop: one service, or the supervisor of several.

Apart from `serve`, which has read the configuration and holds the addresses before any of this is loaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import uvloop
from rich.console import Console

from pointsman.cli.huge_pages import keep_gathered
from pointsman.config.watch import Seen, WatchedFiles
from pointsman.core.settings import Settings
from pointsman.core.verifying import HttpCheck
from pointsman.errors import ConfigError
from pointsman.server.address import Addresses
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


class Wishes(NamedTuple):
    """What the command line says beside the configuration."""

    log_level: str = "info"
    log_format: Literal["text", "json"] = "text"
    log_fd: int | None = None
    """Where one JSON line per request goes; None = nowhere."""
    overridden: tuple[str, ...] = ()
    """Settings that the command line replaces."""


def run(settings: Settings, addresses: Addresses, workers: int, read: Callable[[], Settings], watched: WatchedFiles | None,
        wishes: Wishes) -> bool:
    """Serves on `addresses` with so many processes. True: it stopped by itself, since nobody was left to serve.

    `read` reads the configuration again. Raises CannotListen (where the operator's address is not held yet) and ConfigError.
    """
    configure_logging(wishes.log_level, wishes.log_format, secrets=_secrets(settings))
    with _service(settings, addresses, workers, read, wishes) as make:
        return uvloop.run(_run(make, Console(stderr=True), watched))


def _secrets(settings: Settings) -> tuple[str, ...]:
    """What must never be logged: our credentials. Clients' keys are known by their digests only."""
    keys = (endpoint.api_key for pool in settings.pools.values() for endpoint in pool.endpoints)
    checks = (verifier.token for verifier in every_verifier(settings) if isinstance(verifier, HttpCheck))
    return tuple(secret for secret in (*keys, *checks, settings.admin.token, settings.admin.notice_key) if secret)


@contextlib.contextmanager
def _service(settings: Settings, addresses: Addresses, workers: int, read: Callable[[], Settings], wishes: Wishes,
             ) -> Iterator[Callable[[], Service]]:
    """One process, or the supervisor of several. What must be there before an event loop is made now."""
    if workers == 1:
        yield functools.partial(Service, settings, load=read, log_fd=wishes.log_fd, overridden=wishes.overridden, addresses=addresses)
        return
    crew = Crew.assemble(addresses.front, workers, wishes.log_fd)
    try:
        yield functools.partial(Supervisor, settings, crew, load=read, overridden=wishes.overridden)
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
    gathering = loop.create_task(keep_gathered()) if gathers(service) else None
    watching = loop.create_task(_keep_watch(watched, service)) if watched is not None else None
    left = loop.create_task(service.failed.wait())
    left.add_done_callback(lambda _: stop.set())
    await stop.wait()
    for task in (watching, gathering):
        if task is not None:
            task.cancel()
    service.drain()
    if service.in_flight:
        _log.info("draining: %d request(s) under way; signal again to cut them", service.in_flight)
    await service.aclose()
    left.cancel()
    return service.failed.is_set()


def gathers(service: Service) -> bool:
    """Its memory is to be moved onto huge pages: it serves alone, and nobody has said no."""
    return service.serves and service.settings.server.huge_pages == "auto"


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
