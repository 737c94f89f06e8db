"""Structure-aware fuzzing of the router over real sockets: heads, bodies, framing, JSON, credentials, paths, methods.

`python bench/fuzz/run.py [--requests 1000000] [--seed N] [--only NUMBER] [--save FOLDER]`

The router must live on with the same pid, never say 5xx for a request of ours but 503 for the model that is down, always
speak HTTP and OpenAI-shaped errors, take no second of CPU for one request, and keep its memory. Behind it stands a model
server that complains about every byte that should not have reached it. Exit code 1 when anything of this does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import uvloop
from cases import KEY, Case, case_of
from oracle import NotHttp, Reading, complaint, read
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from target import Target
from upstream import StrictUpstream

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the bench folders are no packages
from processes import free_port

WORKERS = 24
WHOLE_S = 25.0
"""How long a whole request may wait for its answer before it counts as hanging; the machine may be busy elsewhere."""
QUIET_S = 0.06
"""How long to wait for (more) answers to bytes of which nobody knows whether they are a request."""
SLOW_S = 1.0
"""A wall time that makes us look how much CPU the request takes when it is alone."""
STILL_S = 1.0
RSS_SAMPLE = 2000
RSS_GROWTH_MB = 30.0
RSS_MAX_MB = 400.0
MAX_FAILURES = 25
CONFIG = """
server: {{host: 127.0.0.1, port: {port}, max_body: 256KiB}}
admin: {{host: 127.0.0.1, port: {admin_port}}}
auth: {{keys: [{{name: fuzz, key: "file:key", tenant: acme}}]}}
records: {{path: state/records.db}}
tiers:
  small: {{model: small-model, capabilities: {{context: 1000000}}, endpoints: [{{url: "http://127.0.0.1:{upstream}/v1", model: small-7b, slots: 256,
           gpu: {{type: RTX 4090, usd_per_hour: 0.51, tokens_per_s: 1000}}}}]}}
  large: {{model: large-model, capabilities: {{context: 10000000}}, endpoints: [{{url: "http://127.0.0.1:{upstream}/v1", model: large-70b,
           usd_per_million: {{input: 0.88, output: 0.88}}}}]}}
pools:
  vectors: {{model: vectors, capabilities: {{embeddings: true, context: 1000000}}, endpoints: [{{url: "http://127.0.0.1:{upstream}/v1"}}]}}
  dead: {{model: dead, endpoints: [{{url: "http://127.0.0.1:{dead}/v1", model: small-7b}}]}}
routes:
  auto:
    ladder: [small, large]
    quality: 0.8
    rules:
      - {{when: {{regex: "(?i)\\\\border[- ]?\\\\d{{6,}}\\\\b"}}, tier: small, reason: order lookup}}
      - {{when: {{keywords: [agent]}}, tier: large, system: "You are a support agent."}}
      - {{when: {{header: {{x-team: legal}}}}, tier: large, system: "You are a lawyer."}}
      - {{when: {{metadata: {{a: b}}}}, tier: small}}
"""


@dataclass
class Failure:
    number: int
    case: Case
    why: str


@dataclass
class Results:
    """What came back, counted."""

    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    slow: list[tuple[int, Case]] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    done: int = 0
    stood_still_s: float = 0.0
    """How long this process itself did not run: a machine that sleeps is no router that hangs."""


class Client:
    """One worker: takes numbers, sends their cases, judges the answers."""

    def __init__(self, port: int, place: int) -> None:
        self._port, self._place = port, place
        self._rng = Random(place)
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self, case: Case) -> Reading:
        """Sends a case. A connection that was kept from the one before is used where the case lets it."""
        if self._open is None or not case.keeps_open:
            self.close()
            self._open = await self._connect()
        reader, writer = self._open
        reading = await self._talk(case, reader, writer)
        is_last = any("close" in answer.headers.get("connection", "") for answer in reading.answers)
        if reading.is_closed or is_last or not case.keeps_open or len(reading.answers) != 1 or reading.rest:
            self.close()
        return reading

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # Many source addresses: the ports of one would be used up by connections that have just been closed.
        source = f"127.1.{self._place}.{self._rng.randrange(1, 255)}"
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(source, 0), limit=1 << 20)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return reader, writer

    async def _talk(self, case: Case, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Reading:
        is_head, data, reading = case.data.startswith(b"HEAD "), b"", Reading()
        try:
            for i, segment in enumerate(case.segments):
                if i:
                    await asyncio.sleep(0.001)
                writer.write(segment)
            until = time.monotonic() + WHOLE_S
            while True:
                finals = sum(answer.status >= 200 for answer in reading.answers)
                patience = until - time.monotonic() if case.is_whole and finals == 0 else QUIET_S
                if case.keeps_open and finals == 1 and not reading.rest:
                    return reading
                async with asyncio.timeout(max(0.0, patience)):
                    more = await reader.read(1 << 18)
                data += more
                reading = read(data, is_closed=not more, is_head=is_head)
                if not more:
                    return reading
        except TimeoutError:
            return reading
        except (OSError, RuntimeError):  # RuntimeError: uvloop's word for writing to a connection that was closed
            return read(data, is_closed=True, is_head=is_head)

    def close(self) -> None:
        if self._open is not None:
            self._open[1].transport.abort()
            self._open = None


class Fuzz:
    """One run."""

    def __init__(self, options: argparse.Namespace, target: Target, upstream: StrictUpstream, progress: Progress) -> None:
        self.options, self.target, self.upstream, self.progress = options, target, upstream, progress
        self.results = Results()
        self._numbers = iter([options.only] if options.only is not None else range(options.requests))
        self._pid = target.pid

    async def run(self) -> Results:
        task = self.progress.add_task("fuzzing", total=1 if self.options.only is not None else self.options.requests)
        ticking = asyncio.create_task(self._tick())
        workers = [asyncio.create_task(self._work(Client(self.target.port, place), task)) for place in range(WORKERS)]
        await asyncio.gather(*workers)
        ticking.cancel()
        await self._weigh_slow_ones()
        self._judge_process()
        return self.results

    async def _tick(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.1)
            late = time.monotonic() - began - 0.1
            if late > STILL_S:
                self.results.stood_still_s += late

    async def _work(self, client: Client, task: object) -> None:
        results = self.results
        for number in self._numbers:
            if len(results.failures) >= MAX_FAILURES or not self.target.is_alive:
                break
            case = case_of(self.options.seed, number)
            began, still, violations = time.monotonic(), results.stood_still_s, len(self.upstream.violations)
            try:
                reading = await client.exchange(case)
                why = complaint(case, reading)
            except (NotHttp, OSError) as exc:
                client.close()
                reading, why = Reading(is_closed=True), f"{type(exc).__name__}: {exc}"
            if len(self.upstream.violations) > violations and not why:
                why = f"the upstream got what it should not (this case, or one of the {WORKERS} at the same time): " \
                      f"{self.upstream.violations[-1]}"
            if case.is_whole and time.monotonic() - began > SLOW_S:
                results.slow.append((number, case))
            if why and results.stood_still_s > still:
                results.slow.append((number, case))
            elif why:
                self._fail(number, case, why)
            finals = [answer.status for answer in reading.answers if answer.status >= 200]
            told = str(finals[0]) if finals else "closed" if reading.is_closed else "no answer yet"
            results.statuses[case.family, told] += 1
            results.done += 1
            self.progress.advance(task)  # type: ignore[arg-type]
            if results.done % RSS_SAMPLE == 0 and self.target.is_alive:
                results.rss_mb.append(self.target.rss_mb())
                self.progress.update(task, description=f"fuzzing, {results.rss_mb[-1]:.0f} MB")  # type: ignore[arg-type]
        client.close()

    def _fail(self, number: int, case: Case, why: str) -> None:
        self.results.failures.append(Failure(number, case, why))
        self.progress.console.print(f"[red]#{number}[/] {case.family}: ", end="")
        self.progress.console.print(why[:400], markup=False, highlight=False)

    async def _weigh_slow_ones(self) -> None:
        """What was slow beside others is sent again alone: more than a second of CPU is the router's fault."""
        client = Client(self.target.port, WORKERS)
        for number, case in self.results.slow[:50]:
            if not self.target.is_alive:
                break
            before = self.target.cpu_s()
            try:
                why = complaint(case, await client.exchange(case))
            except (NotHttp, OSError) as exc:
                why = f"{type(exc).__name__}: {exc}"
            if why:
                self._fail(number, case, why)
            used = self.target.cpu_s() - before
            client.close()
            if used > SLOW_S:
                self._fail(number, case, f"takes {used:.1f} s of CPU")

    def _judge_process(self) -> None:
        nobody = Case("process", (b"",))
        if not self.target.is_alive or self.target.pid != self._pid:
            self._fail(-1, nobody, f"the router ended: {self.target.log()[-2000:]}")
            return
        rss = [*self.results.rss_mb, self.target.rss_mb()]
        warm = rss[len(rss) // 4]
        if max(rss) > RSS_MAX_MB or (len(rss) > 8 and rss[-1] - warm > RSS_GROWTH_MB):
            self._fail(-1, nobody, f"memory grows: {warm:.0f} MB after warm-up, {max(rss):.0f} at most, {rss[-1]:.0f} at the end")
        log = self.target.log()
        if "Traceback" in log:
            at = log.index("Traceback")
            self._fail(-1, nobody, f"a traceback in the log: {log[max(0, at - 300) : at + 3000]}")


def table(results: Results) -> Table:
    """Answers by family and status."""
    told = sorted({status for _, status in results.statuses})
    made = Table("family", *told, title="answers")
    for column in made.columns[1:]:
        column.justify = "right"
    for family in sorted({family for family, _ in results.statuses}):
        made.add_row(family, *(str(results.statuses[family, status] or "") for status in told))
    return made


def save(results: Results, options: argparse.Namespace, console: Console) -> None:
    """Each failure's bytes as a file, and the line that sends them again."""
    folder = Path(options.save or tempfile.mkdtemp(prefix="pointsman-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    for failure in results.failures:
        console.print(f"\n#{failure.number} {failure.case.family}: {failure.why[:3000]}", markup=False, highlight=False)
        if failure.number >= 0:
            file = folder / f"seed{options.seed}-{failure.number}.http"
            file.write_bytes(failure.case.data)
            console.print(f"  again: python bench/fuzz/run.py --seed {options.seed} --only {failure.number}   bytes: {file}",
                          markup=False, highlight=False)


async def fuzz(options: argparse.Namespace, folder: Path, progress: Progress) -> Results:
    upstream = StrictUpstream()
    await upstream.start()
    port = free_port()
    (folder / "key").write_text(KEY)
    (folder / "key").chmod(0o600)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # never listens: refused for as long as this lasts, and no other program can come to live there
        dead = nobody.getsockname()[1]
        target = Target(folder, CONFIG.format(port=port, admin_port=free_port(), upstream=upstream.port, dead=dead), port)
        try:
            target.start()
            return await Fuzz(options, target, upstream, progress).run()
        finally:
            target.stop()
            await upstream.aclose()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="send this one case again")
    parser.add_argument("--save", help="folder for the bytes of failures")
    options = parser.parse_args()
    console, began = Console(width=None if sys.stdout.isatty() else 150), time.monotonic()
    columns = (*Progress.get_default_columns()[:-1], TextColumn("{task.completed:.0f}/{task.total:.0f}"), TimeRemainingColumn())
    with tempfile.TemporaryDirectory(prefix="pointsman-fuzz-run-") as folder, Progress(
        *columns, console=Console(stderr=True), disable=not sys.stderr.isatty(),
    ) as progress:
        results = uvloop.run(fuzz(options, Path(folder), progress))
    took = time.monotonic() - began
    console.print(table(results))
    memory = f"memory {results.rss_mb[len(results.rss_mb) // 4]:.0f} MB after warm-up, {max(results.rss_mb):.0f} MB at most, " \
             f"{results.rss_mb[-1]:.0f} MB at the end" if results.rss_mb else "too short to watch memory"
    console.print(f"seed {options.seed}: {results.done} requests in {took:.0f} s, {memory}; {len(results.failures)} failures",
                  highlight=False)
    if results.stood_still_s:
        console.print(f"this process itself stood still for {results.stood_still_s:.0f} s; what was under way then was sent again")
    if results.failures:
        save(results, options, console)
    return 1 if results.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
