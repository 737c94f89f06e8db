"""Does it stay as it was? The router for minutes under good and bad days, watched from outside.

`python bench/soak/run.py [--minutes 10] [--rate 250] [--streams 1000] [--write]`

Every endpoint that has bad days has a neighbour that never fails, so that a client may see no error but what breaks
after the first answer byte. Every request leaves exactly one record. Memory, descriptors and leases are where they
were at the end. Exit code 1 when a row of the table says no; `--write` puts the table into RESULTS.md.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import uvloop
from fleet import Fleet
from rich.console import Console
from rich.progress import Progress
from traffic import KEY, Clients, Tally

sys.path += [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "fuzz")]
from processes import free_port
from target import Target
from trend import theil_sen

EVERY_S = 10.0
TOKEN = "soak-admin-token-0123456789"
QUIESCE_S = 45.0
"""Idle connections to upstreams are kept for 20 s and swept every 5 s; ejected endpoints and timers are long done."""
WARM_SHARE = 0.35
"""Share of the run that is warm-up: allocators, caches and SQLite's page cache fill up."""
MOST_ATTEMPTS = 3
"""That reach an engine, over all tiers of a request."""
MAX_GROWTH = 0.05
MAX_SLOPE_MB = 2.0
SLOPE_NEEDS = 100_000
"""Requests after warm-up below which a slope per 100,000 is an extrapolation, shown and not judged."""
MAX_STREAM_KB = 50.0


@dataclass
class Sample:
    """The router as seen from outside, at one moment."""

    at_s: float
    requests: int
    rss_mb: float
    fds: int
    threads: int
    in_flight: int
    leases: int
    p50_ms: float
    p99_ms: float


@dataclass
class Results:
    samples: list[Sample] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    fds_before: int = 0
    quiet: Sample | None = None
    stored: Counter[str] = field(default_factory=Counter)
    record_ids: set[str] = field(default_factory=set)
    exit_code: int | None = None
    errors_in_log: int = 0
    failed_attempts: Counter[str] = field(default_factory=Counter)
    """Error code -> attempts that ended with it, whatever the client saw."""
    several_attempts: int = 0
    stream_kb: float | None = None
    restarts: int = 0


class Soak:
    """One run."""

    def __init__(self, options: argparse.Namespace, folder: Path, progress: Progress) -> None:
        self.options, self.folder, self.progress = options, folder, progress
        self.results = Results()
        self.rng = Random(options.seed)
        self.fleet = Fleet(self.rng)
        self._admin_port = free_port()
        self._began = 0.0

    async def run(self) -> Results:
        await self.fleet.start()
        try:
            target = self._target("router")
            try:
                target.start()  # not in a thread: the router dies with the thread that started it
                await self._under_load(target)
            finally:
                self.results.exit_code = await asyncio.to_thread(target.stop)
            log = target.log()
            self.results.errors_in_log = log.count("Traceback") + log.count(" ERROR ")
            if self.results.errors_in_log:
                self.progress.console.print(log[-4000:], markup=False, highlight=False)
            self._read_records(target.folder / "state" / "records.db")
            if self.options.streams:
                await self._weigh_streams()
        finally:
            self.results.restarts = self.fleet.restarts
            await self.fleet.aclose()
        return self.results

    def _target(self, name: str) -> Target:
        folder = self.folder / name
        folder.mkdir()
        for file, secret in (("key", KEY), ("token", TOKEN)):
            (folder / file).write_text(secret)
            (folder / file).chmod(0o600)
        port = free_port()
        return Target(folder, self.fleet.config(port, self._admin_port), port)

    async def _under_load(self, target: Target) -> None:
        clients = Clients(target.port, self.rng, self.options.rate)
        self.results.tally = clients.tally
        await clients.warm()  # opens what stays open, such as the store
        await asyncio.sleep(2.0)
        self.results.fds_before = target.fds()
        self._began = time.monotonic()
        seconds = self.options.minutes * 60
        task = self.progress.add_task("soaking", total=seconds)
        load = asyncio.create_task(clients.run(seconds))
        while not load.done() and target.is_alive:
            await asyncio.wait([load], timeout=min(EVERY_S, max(seconds / 20, 1.0)))
            if not load.done():
                await asyncio.to_thread(self._ask_admin, "/reload", "POST")  # lets quarantined endpoints in again
            sample = await self._sample(target, clients.tally)
            self.results.samples.append(sample)
            self.progress.update(task, completed=min(sample.at_s, seconds), description=f"{sample.requests} requests, "
                                 f"{sample.rss_mb:.0f} MB, {sum(clients.tally.violations.values())} wrong")
        await load
        self.results.quiet = await self._quiesce(target, clients.tally)

    async def _quiesce(self, target: Target, tally: Tally) -> Sample:
        """Waits until descriptors are back and no lease is open, or gives up."""
        until = time.monotonic() + QUIESCE_S
        while True:
            sample = await self._sample(target, tally)
            is_back = sample.leases == 0 and sample.in_flight == 0 and sample.fds <= self.results.fds_before + 3
            if is_back or time.monotonic() > until:
                return sample
            await asyncio.sleep(1.0)

    async def _sample(self, target: Target, tally: Tally) -> Sample:
        state = await asyncio.to_thread(self._ask_admin, "/state")
        took = sorted(tally.took_ms[-5000:]) or [0.0]
        leases = sum(pool["in_flight"] for pool in state["pools"].values())
        return Sample(time.monotonic() - self._began, tally.requests, target.rss_mb(), target.fds(), target.threads(),
                      state["in_flight"], leases, took[len(took) // 2], took[int(len(took) * 0.99)])

    def _ask_admin(self, path: str, method: str = "GET") -> dict[str, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self._admin_port}{path}", method=method,
                                         headers={"authorization": f"Bearer {TOKEN}", "connection": "close"})
        with urllib.request.urlopen(request, timeout=20) as reply:
            told: dict[str, Any] = json.load(reply)
            return told

    def _read_records(self, store: Path) -> None:
        with closing(sqlite3.connect(store)) as db:
            rows = db.execute("SELECT id, json_extract(document, '$.client_request_id') FROM records")
            for record, client_request_id in rows:
                self.results.record_ids.add(record)
                self.results.stored[client_request_id] += 1
            failed = db.execute("SELECT json_extract(a.value, '$.error'), count(*) FROM records, json_each(document, '$.attempts') a"
                                " WHERE json_extract(a.value, '$.error') IS NOT NULL GROUP BY 1")
            self.results.failed_attempts.update(dict(failed.fetchall()))
            self._judge_refusals(db)
            self.results.several_attempts = db.execute("SELECT count(*) FROM records WHERE attempts > 1").fetchone()[0]

    def _judge_refusals(self, db: sqlite3.Connection) -> None:
        """An error is right after the most attempts that may reach engines, and wrong while one was left."""
        tally = self.results.tally
        sent = dict(db.execute(
            "SELECT json_extract(document, '$.client_request_id'), sum(ifnull(json_extract(a.value, '$.sent'), 1))"
            " FROM records, json_each(document, '$.attempts') a WHERE status >= 429 GROUP BY records.id"))
        for request, what in tally.refused.items():
            if sent.get(request, 0) >= MOST_ATTEMPTS:
                tally.told[f"{MOST_ATTEMPTS} engines failed one after another, which is the most that are tried"] += 1
            else:
                tally.violations[f"{what} after {sent.get(request, 0)} attempts, although somebody could answer"] += 1

    async def _weigh_streams(self) -> None:
        """Memory per open stream, on a fresh router: after the load its allocator would hide them."""
        count = min(self.options.streams, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200) // 3)
        target = self._target("streams")
        try:
            target.start()  # not in a thread: the router dies with the thread that started it
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as session:
                warm = await self._open_streams(session, target.port, 20)
                before = target.rss_mb()
                streams = await self._open_streams(session, target.port, count)
                await asyncio.sleep(1.0)
                self.results.stream_kb = (target.rss_mb() - before) * 1024 / count
                for stream in (*warm, *streams):
                    stream.close()
        finally:
            await asyncio.to_thread(target.stop)

    async def _open_streams(self, session: aiohttp.ClientSession, port: int, count: int) -> list[aiohttp.ClientResponse]:
        body = json.dumps({"model": "patient", "stream": True, "messages": [{"role": "user", "content": "hi"}]}).encode()
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
        opened = []
        for _ in range(count):
            stream = await session.post(f"http://127.0.0.1:{port}/v1/chat/completions", data=body, headers=headers)
            await stream.content.readany()
            opened.append(stream)
        return opened


# ---------------------------------------------------------------------------------------------------------------------
# What the numbers say


@dataclass
class Row:
    what: str
    found: str
    allowed: str
    holds: bool | None
    """None = too little to judge."""


def rows_of(results: Results) -> list[Row]:
    """The verdicts."""
    tally, warm = results.tally, warm_samples(results.samples)
    rss = [sample.rss_mb for sample in warm]
    third = max(1, len(rss) // 3)
    growth = statistics.median(rss[-third:]) / statistics.median(rss[:third]) - 1 if rss else 0.0
    slope = theil_sen((sample.requests / 1e5, sample.rss_mb) for sample in warm)
    many = bool(warm) and warm[-1].requests - warm[0].requests >= SLOPE_NEEDS
    lost = sum(results.stored[request] == 0 for request in tally.expected)
    twice = sum(count > 1 for request, count in results.stored.items() if request)
    told_only = sum(record not in results.record_ids for record in tally.records.values())
    strangers = len(set(results.stored) - tally.expected - tally.maybe)
    quiet = results.quiet
    fallbacks = results.several_attempts * 3600 / max(1.0, results.samples[-1].at_s) if results.samples else 0.0
    made = [
        Row("memory growth after warm-up", f"{growth:+.1%}", "< 5 %", growth < MAX_GROWTH),
        Row("memory slope per 100,000 requests (Theil-Sen)", f"{slope:+.2f} MB", f"≤ {MAX_SLOPE_MB:g} MB",
            slope <= MAX_SLOPE_MB if many else None),
        Row("descriptors after quiesce", f"{quiet.fds if quiet else '?'} (before: {results.fds_before})", "± 3",
            quiet is not None and abs(quiet.fds - results.fds_before) <= 3),
        Row("leases and requests in flight after quiesce", f"{quiet.leases if quiet else '?'} and {quiet.in_flight if quiet else '?'}",
            "0", quiet is not None and quiet.leases == quiet.in_flight == 0),
        Row("answered requests without a record", str(lost), "0", lost == 0),
        Row("record ids told to clients that are not in the store", str(told_only), "0", told_only == 0),
        Row("requests with more than one record", str(twice), "0", twice == 0),
        Row("records of nobody's request", str(strangers), "0", strangers == 0),
        Row("wrong ends that clients saw", str(sum(tally.violations.values())), "0", not tally.violations),
        Row("S-04: requests an hour that went on after a failed attempt", f"{fallbacks:,.0f}", "≥ 1,000", fallbacks >= 1000),
        Row("hung requests", str(tally.hung), "0", tally.hung == 0),
        Row("errors in the router's log", str(results.errors_in_log), "0", results.errors_in_log == 0),
        Row("exit code after SIGTERM", str(results.exit_code), "0", results.exit_code == 0),
    ]
    if results.stream_kb is not None:
        made.append(Row("memory per idle open stream", f"{results.stream_kb:.0f} KB", "≤ 50 KB", results.stream_kb <= MAX_STREAM_KB))
    return made


def warm_samples(samples: list[Sample]) -> list[Sample]:
    return samples[int(len(samples) * WARM_SHARE):]


def report(results: Results, rows: list[Row], options: argparse.Namespace) -> str:
    """RESULTS.md."""
    now = datetime.datetime.now(datetime.UTC)
    tally, shown = results.tally, results.samples[:: max(1, len(results.samples) // 12)]
    verdict = {True: "yes", False: "**no**", None: "too few requests to judge"}
    lines = [
        "# Does it stay as it was?", "",
        f"The router for {options.minutes:g} minutes at about {options.rate:g} requests/s, over seven endpoints of which four have bad days"
        f" (three in ten requests) and were restarted {results.restarts} times; the configuration was reloaded at every"
        f" sample. Made by `make soak` on {now:%Y-%m-%d}, Python"
        f" {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, seed {options.seed}.", "",
        "| what | found | allowed | holds |", "|---|---:|---:|---|",
        *(f"| {row.what} | {row.found} | {row.allowed} | {verdict[row.holds]} |" for row in rows), "",
        "| requests | sent |", "|---|---:|", *(f"| {kind} | {count:,} |" for kind, count in tally.sent.most_common()),
        f"| together | {tally.requests:,} |", "",
        "| ends that are no answers, and right | times |", "|---|---:|", *(f"| {what} | {count:,} |" for what, count in tally.told.most_common()),
        "", f"{results.several_attempts:,} requests took more than one attempt. What failed behind the router:", "",
        "| attempts that ended with | times |", "|---|---:|", *(f"| {what} | {count:,} |" for what, count in results.failed_attempts.most_common()),
        "", "| minute | requests | RSS MB | descriptors | threads | in flight | leases | p50 ms | p99 ms |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(f"| {s.at_s / 60:.1f} | {s.requests:,} | {s.rss_mb:.1f} | {s.fds} | {s.threads} | {s.in_flight} | {s.leases} | {s.p50_ms:.1f} |"
          f" {s.p99_ms:.0f} |" for s in shown), "",
        "Times are of answered requests, bad days and retries included; the endpoints and the clients share one process and the machine.", "",
    ]
    if tally.violations:
        lines += ["| wrong end | times |", "|---|---:|", *(f"| {what} | {count} |" for what, count in tally.violations.most_common()), ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=250.0, help="requests per second that the clients aim at")
    parser.add_argument("--streams", type=int, default=1000, help="idle streams to weigh on a fresh router; 0 = none")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write RESULTS.md beside this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pointsman-soak-") as folder, Progress(console=Console(stderr=True)) as progress:
        results = uvloop.run(Soak(options, Path(folder), progress).run())
    rows = rows_of(results)
    text = report(results, rows, options)
    print(text)
    if options.write:
        Path(__file__).with_name("RESULTS.md").write_text(text)
    return 1 if any(row.holds is False for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
