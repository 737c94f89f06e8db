"""`pointsman demo`: three simulated or real tiers, the router and a client, in one command."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.text import Text

from pointsman.cli.demonstration.bill import bill_of
from pointsman.cli.demonstration.client import Answer
from pointsman.cli.demonstration.fleet import configuration, near_port
from pointsman.cli.demonstration.prompts import Arrival, arrivals
from pointsman.cli.demonstration.real import REQUESTS as REAL_REQUESTS
from pointsman.cli.demonstration.real import real_stage, small_arrivals
from pointsman.cli.demonstration.report import Report, as_data, show
from pointsman.cli.demonstration.row import Row, row_of, why
from pointsman.cli.demonstration.screen import dollars, seconds, watch
from pointsman.cli.demonstration.stage import Stage, simulated_stage
from pointsman.cli.demonstration.summary import summaries
from pointsman.cli.demonstration.tour import Tour
from pointsman.cli.demonstration.visitors import visitors
from pointsman.cli.demonstration.workspace import workspace
from pointsman.config.load import load
from pointsman.core.settings import Settings
from pointsman.errors import PointsmanError
from pointsman.server.address import Addresses, bound
from pointsman.telemetry.logs import configure_logging
from pointsman.wiring import Service

HOST = "127.0.0.1"
PIPE_WIDTH = 140
"""Columns when the output is no terminal."""
REQUESTS = 240
FAST = 4.0
"""Two simulated minutes of traffic then take half a real one, and two slow cores still keep up with the engines."""


class DemoFailed(PointsmanError):
    """The demo ran, and something that should not happen did."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class Wishes(msgspec.Struct, frozen=True):
    """What the command line asked for."""

    requests: int
    seed: int
    fast: float
    port: int | None
    real: bool
    once: bool
    everything: bool
    json_file: Path | None


def demo(
    once: Annotated[bool, typer.Option("--once", help="Exit after the table instead of serving on.")] = False,
    real: Annotated[bool, typer.Option("--real", help="Three llama.cpp servers with a small model instead of simulated engines.")] = False,
    requests: Annotated[int | None, typer.Option(
        min=1, show_default=False,
        help="How many prompts to send; more than 240 repeats them. Default: 240, with --real 24.")] = None,
    fast: Annotated[float | None, typer.Option(
        min=0.1, max=1000, show_default=False,
        help="How many times faster than true the simulated engines' clock runs. Default: 4.")] = None,
    seed: Annotated[int, typer.Option(help="Decides order, moments and streaming.")] = 1,
    port: Annotated[int | None, typer.Option(help="The router's port. Default: 4000, or the next free one.", show_default=False)] = None,
    all: Annotated[bool, typer.Option("--all", help="Print every row of the table.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write everything to this file as JSON.")] = None,
) -> None:
    """See it work: three simulated tiers, the router, and a client that sends varied prompts.

    Ends with a table, the bill against sending everything to the largest tier, and a router that you can point your
    own client at (Ctrl-C stops it). Real: routing, HTTP, records, prices. Modelled: the engines' speed and tokens.
    With --real it is the other way round: engines, times and tokens are real, the prices are assumed.
    """
    if real and fast is not None:
        raise typer.BadParameter("real engines have no other clock than ours: leave --fast out", param_hint="--fast")
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(highlight=False, width=PIPE_WIDTH)
    configure_logging("warning", "text")
    wishes = Wishes(
        requests or (REAL_REQUESTS if real else REQUESTS), seed, fast or FAST, port, real, once, all, json_file)
    try:
        is_complete = uvloop.run(_until_stopped(console, wishes))
    except (PointsmanError, OSError) as error:
        Console(stderr=True).print(Text(str(error), style="red"))
        raise typer.Exit(1) from None
    if not is_complete:
        console.print("stopped")
        raise typer.Exit(130)


async def _until_stopped(console: Console, wishes: Wishes) -> bool:
    """Runs the demo; the first Ctrl-C or SIGTERM takes everything down in order. False: it came before the table."""
    task = asyncio.create_task(_Demo(console, wishes).run())
    stopping: list[int] = []

    def stop(number: int) -> None:
        # Once: a second Ctrl-C must not cut the cleaning up, which takes a moment at most.
        if not stopping:
            stopping.append(number)
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        return False
    return True


class _Demo:
    """Fleet, router, tour, report, in that order; everything that was started ends with `run`."""

    def __init__(self, console: Console, wishes: Wishes) -> None:
        self._console, self._wishes = console, wishes
        self._began = time.monotonic()

    async def run(self) -> None:
        """Raises DemoFailed, other PointsmanErrors and OSError. Cancelling it after the table is its ordinary end."""
        async with AsyncExitStack() as stack:
            directory = stack.enter_context(workspace())
            stage = await stack.enter_async_context(self._stage())
            front = near_port(HOST) if self._wishes.port is None else bound(HOST, self._wishes.port)
            stack.callback(front.close)
            settings = self._settings(stage, directory, front.getsockname()[1])
            service = Service(settings, seed=self._wishes.seed, addresses=Addresses(front))
            stack.push_async_callback(service.aclose, at_once=True)
            await service.start()
            self._introduce(stage, service.port)
            report = await self._toured(stage, service)
            show(self._console, report, everything=self._wishes.everything)
            self._save(report)
            _check(report)
            if not self._wishes.once:
                await self._stay(service, stage, report)

    def _stage(self) -> AbstractAsyncContextManager[Stage]:
        return real_stage() if self._wishes.real else simulated_stage(self._wishes.fast)

    def _settings(self, stage: Stage, directory: Path, port: int) -> Settings:
        file = directory / "pointsman.yaml"
        file.write_text(configuration(stage, host=HOST, port=port, records=f"{directory}/records.db"))
        return msgspec.structs.replace(load(file), simulated=stage.simulated)

    def _introduce(self, stage: Stage, port: int) -> None:
        wishes, console = self._wishes, self._console
        for line in stage.introduced:
            console.print(line, markup=False, soft_wrap=True)
        if wishes.port is None and port != 4000:
            console.print(f"port 4000 is taken, the router is on {port}")
        console.print(f"router: http://{HOST}:{port}/v1, up after {time.monotonic() - self._began:.1f} s; sending {wishes.requests} "
                      f"prompts, {stage.clock_shown}, seed {wishes.seed}\n", markup=False, soft_wrap=True)

    async def _toured(self, stage: Stage, service: Service) -> Report:
        wishes, tiers, before_s = self._wishes, stage.tiers, time.monotonic() - self._began
        crowd = (small_arrivals if wishes.real else arrivals)(wishes.requests, wishes.seed)
        tour = Tour(crowd, HOST, service.port, stage.pace)
        watching = asyncio.create_task(watch(self._console, tour.progress, tiers))
        try:
            seen = await tour.run()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        _check_answers(seen)
        rows = [await self._row(service, arrival, answer, stage.clock) for arrival, answer in seen]
        self._console.print(f"{wishes.requests} requests in {tour.progress.elapsed_s:.1f} s; the first answer came "
                            f"{before_s + (tour.progress.first_answer_s or 0.0):.1f} s after the start\n")
        settings = service.settings
        largest = settings.pools[settings.tiers[tiers[-1]].pools[0]].endpoints[0].price
        return Report(
            tuple(rows), tuple(summaries(rows, tiers)), bill_of(rows, largest), stage.served_by,
            stage.clock, wishes.seed, settings.records.path)

    async def _row(self, service: Service, arrival: Arrival, answer: Answer, clock: float) -> Row:
        record = await service.record(answer.record_id)
        if record is None:
            raise DemoFailed(f"request {arrival.number} left no record {answer.record_id!r}; the store may be damaged")
        return row_of(arrival, answer, record, clock)

    def _save(self, report: Report) -> None:
        if self._wishes.json_file is not None:
            self._wishes.json_file.write_text(json.dumps(as_data(report), indent=2, ensure_ascii=False) + "\n")

    async def _stay(self, service: Service, stage: Stage, report: Report) -> None:
        """Serves on, and shows each visitor, until cancelled."""
        for line in _invitation(f"http://{HOST}:{service.port}/v1", stage.clock_shown):
            self._console.print(line, markup=False, soft_wrap=True)
        try:
            async for record in visitors(service.settings.records.path, (row.record for row in report.rows)):
                self._console.print(f"{record.kind}: {record.routing_tier or record.outcome}, {why(record)}, "
                                    f"{seconds(record.duration_s)}, {dollars(record.cost_nano_usd)}, record {record.id}",
                                    markup=False, soft_wrap=True)
        except asyncio.CancelledError:
            self._console.print("\nstopping")


def _invitation(base: str, clock_shown: str) -> tuple[str, ...]:
    """What a person needs to point their own client here."""
    return (
        f"\nThe router stays up ({clock_shown}). Point your own client at it, any key will do; Ctrl-C stops it:",
        f"  export OPENAI_BASE_URL={base} OPENAI_API_KEY=any",
        "  curl -i $OPENAI_BASE_URL/chat/completions -H 'Content-Type: application/json' "
        """-d '{"model": "auto", "messages": [{"role": "user", "content": "Who wrote Emma?"}]}'""",
        """  python -c 'from openai import OpenAI; print(OpenAI().chat.completions.create(model="auto", """
        """messages=[{"role": "user", "content": "Prove that 7 is prime."}]).choices[0].message.content)'""",
    )


def _check_answers(seen: list[tuple[Arrival, Answer]]) -> None:
    """Raises DemoFailed when a request was not answered."""
    failed = [(arrival, answer) for arrival, answer in seen if answer.error is not None]
    if failed:
        arrival, answer = failed[0]
        raise DemoFailed(f"{len(failed)} of {len(seen)} requests failed; the first was number {arrival.number} "
                         f"({arrival.prompt.level} {arrival.prompt.kind}): {answer.error}")


def _check(report: Report) -> None:
    """Raises DemoFailed when the client was told another cost than the record holds."""
    false = [row for row in report.rows if not row.is_told_truly]
    if false:
        raise DemoFailed(f"{len(false)} answers told another cost than their records hold; the first is record {false[0].record}")
