"""`pointsman spot-agent`: beside an engine on a spot machine."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from pointsman.gateway.departures import SIGTERM
from pointsman.spot.agent import Agent
from pointsman.spot.clouds import Aws, Azure, Gcp
from pointsman.spot.hook import HookFile
from pointsman.spot.notice import Notice, Source
from pointsman.spot.teller import Teller

_log = logging.getLogger("pointsman.spot")
CLOUDS: dict[str, Callable[[str], Source]] = {"aws": Aws, "gcp": Gcp, "azure": Azure}
DEFAULT_BASE = {"aws": "http://169.254.169.254", "gcp": "http://metadata.google.internal", "azure": "http://169.254.169.254"}


def spot_agent(
    router: Annotated[list[str], typer.Option(help="Admin listener of a router, such as http://10.0.0.1:4001. Repeat it for several.")],
    endpoint: Annotated[str, typer.Option(help="This machine's endpoint as the router calls it: pool/index, such as small/0.")],
    key_env: Annotated[str, typer.Option(help="Environment variable with the router's admin.notice_key.")] = "POINTSMAN_NOTICE_KEY",
    cloud: Annotated[str, typer.Option(help="aws, gcp, azure, none, or auto: ask which one answers.")] = "auto",
    file: Annotated[Path | None, typer.Option(help="A file whose appearance is a notice, too: empty, or {\"deadline\": seconds, \"reason\": text}.")] = None,
    grace: Annotated[float, typer.Option(help="Seconds that are left after SIGTERM (Kubernetes: terminationGracePeriodSeconds less a margin).")] = 25.0,
    metadata: Annotated[str | None, typer.Option(help="Base URL of the metadata service, instead of the cloud's own.")] = None,
) -> None:
    """Tell the router before this machine is taken away.

    Watches the cloud's metadata service, a hook file and SIGTERM. On a notice it tells every router that the endpoint
    goes away (signed with admin.notice_key, repeated until heard): new requests go elsewhere within a second, streams that
    cannot finish in time go on on another machine. It ends once nothing runs here any more, so a preStop hook can wait for it.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    key = os.environ.get(key_env, "")
    if not key:
        _fail(f"${key_env} is empty: put the router's admin.notice_key there")
    if cloud not in (*CLOUDS, "auto", "none"):
        _fail(f"--cloud {cloud!r}: there are {', '.join(CLOUDS)}, auto and none")
    try:
        tellers = [Teller(url, endpoint, key) for url in router]
    except ValueError as exc:
        _fail(str(exc))
    sources = _sources(cloud, file, metadata)
    if not asyncio.run(_run(tellers, sources, grace)):
        raise typer.Exit(1)


def _sources(cloud: str, file: Path | None, metadata: str | None) -> list[Source]:
    names = () if cloud == "none" else tuple(CLOUDS) if cloud == "auto" else (cloud,)
    places: list[Source] = [CLOUDS[name](metadata or DEFAULT_BASE[name]) for name in names]
    here = [place for place in places if cloud != "auto" or place.is_here()]
    if cloud == "auto" and not here:
        _log.warning("no cloud's metadata service answers here; watching %s", "the hook file and SIGTERM" if file else "SIGTERM only")
    return [*here, *([HookFile(file)] if file is not None else [])]


async def _run(tellers: list[Teller], sources: list[Source], grace_s: float) -> bool:
    agent = Agent(tellers, sources, wall=time.time)
    terminated = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, terminated.set)
    arriving = loop.create_task(agent.arrive())
    _log.info("watching %s", ", ".join([*(source.name for source in sources), "SIGTERM"]))
    notice = await _first_notice(agent, sources, terminated, grace_s)
    arriving.cancel()
    _log.warning("leaving: %s", notice.reason)
    return await agent.leave(notice)


async def _first_notice(agent: Agent, sources: list[Source], terminated: asyncio.Event, grace_s: float) -> Notice:
    if not sources:
        await terminated.wait()
        return Notice(SIGTERM, lead_s=grace_s)
    told, seen = asyncio.ensure_future(terminated.wait()), asyncio.ensure_future(agent.watch())
    await asyncio.wait((told, seen), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if seen.done():
        return seen.result()
    seen.cancel()
    return Notice(SIGTERM, lead_s=grace_s)


def _fail(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(2)
