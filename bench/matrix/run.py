"""What happens when: every fault of endpoints, lines, clients, pools and the process that this machine can make, and the scorecard.

`python bench/matrix/run.py [--quick] [--part cells,pairs,leaving,fleet,process,states,kills] [--only U41/stream] [--seed 7] [--write]`

The upstreams, the clients and the TCP proxy are `pointsman.testing.fault_*`, on raw sockets; the router is a process of its own.
A failing case prints the command that runs it again alone, and all that is known of it is appended to
`build/matrix/wrong-ends.jsonl`. Nothing executed is a failure. Exit code 1 when a number misses its target; `--write` puts
the scorecard into RESULTS.md. `--unscaled` runs the upstream cells once with the deadlines that users have.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import os
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path

from cells import FAULTS, Cell, Matrix, Problem, Tallies, chosen, pairs
from evidence import WRONG_ENDS, keep
from fleet import FleetFaults, spool_cost_us
from kills import Kills
from leaving import MOST_S, Leaving
from measures import Found, Measure
from process import ProcessFaults
from states import States
from world import QUIESCE_S, SCALED, UNSCALED, LoopLag, Plan, Pulse, Router, raise_fd_limit

from pointsman.testing.fault_ledger import Ledger

PARTS = ("cells", "pairs", "leaving", "fleet", "process", "states", "kills")
SHOWN = 20
"""Problems that a part prints."""
NOT_HERE = {
    "U04": "part `fleet`: an endpoint in a process of its own is stopped (S-07)",
    "U46 by a pulled cable": "needs a network namespace; the proxy's black hole stands in for it, the kernel's own timeouts are not tried",
    "U47 SERVFAIL, flaps, 0-TTL": "needs a name server of our own in a mount namespace; only an unknown name is tried",
    "U48 expired, wrong host, mid-stream alert": "tests/integration/test_upstream_tls.py has them",
    "P4 the clouds' own notices": "tests/integration/test_spot.py: AWS, GCP, Azure, a hook file, SIGTERM, signed and told again",
    "S-04 the way round, all the time": "`make soak` counts it, among three bad days in ten",
    "C12 odd bodies": "`make fuzz` sends a million of them",
    "C13 idempotency keys": "there are none yet",
    "clock steps, libfaketime": "needs libfaketime; unit tests move fake clocks",
    "M7 memory limit, M8 starved CPU, M9 overload": "need control groups or a machine that nobody else uses; `bench-fleet` drives overload",
    "M4 hot upgrade of the binary": "there is none yet; reloads are tried",
    "Valkey, Postgres": "not installed here; the store is SQLite",
}
"""Cells of the fault model that are not executed, and why."""


class Session:
    """One run of the matrix: its parts in order, and what they found."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.found = Found()
        self.tallies = Tallies()
        self.took: dict[str, float] = {}
        self.slowest_pulse_s = 0.0
        self.voided: list[Problem] = []
        """Wrong ends of the part under way that are no verdict: kept like the others, counted as repeated."""
        self.kept = 0
        """Problems that were appended to the file of wrong ends."""
        self.runs = options.runs or (2 if options.quick else 25)

    async def run(self) -> None:
        for part in self.options.part:
            began, known = time.monotonic(), len(self.found.problems)
            print(f"-- {part}", flush=True)
            await getattr(self, f"_{part}")()
            self.took[part] = time.monotonic() - began
            self.kept += keep(self.found.problems[known:], self.options.evidence, part=part, seed=self.options.seed)
            keep(self.voided, self.options.evidence, part=part, seed=self.options.seed, is_void=True)
            self.voided.clear()
            print(f"   {self.took[part]:.0f} s, {self.found.executed:,} executed so far, {len(self.found.problems)} problems", flush=True)
            for problem in self.found.problems[known:known + SHOWN]:
                print(problem, flush=True)

    def _add(self, found: Found) -> None:
        self.found.add(found)

    def _again(self, part: str) -> str:
        return f"make matrix ARGS='--part {part} --seed {self.options.seed}'"

    # -- the upstream matrix

    async def _cells(self) -> None:
        ledger = Ledger()
        tallies, leaks = await self._run_cells("cells", chosen(self.options.only, FAULTS, ledger), ledger, self.runs)
        self.tallies = tallies
        m = self.found.measure
        m("S-01", f"{tallies.cases} cases (fault x stream or plain x another endpoint, another tier, nobody, an heir), {tallies.executed:,} requests that met"
          " their fault: wrong ends", f"{len(tallies.problems)}", "0", not tallies.problems and tallies.executed > 0, self._again("cells"))
        m("S-01", "errors that clients saw before the commit although somebody could answer", f"{tallies.visible} of {tallies.hidden + tallies.visible:,}",
          "0", tallies.visible == 0, self._again("cells"))
        m("S-01", f"clients that waited past their deadline and a second (longest: {tallies.longest_s:.2f} s)", str(tallies.hung), "0", tallies.hung == 0,
          self._again("cells"))
        m("S-01", "leases, tokens, sockets, descriptors, threads left behind", "; ".join(leaks) or "nothing", "nothing", not leaks, self._again("cells"))
        m("M8", "meanwhile, with hundreds of endpoints: slowest answer of /health/liveness", f"{self.slowest_pulse_s * 1000:.0f} ms", "≤ 1000 ms",
          self.slowest_pulse_s <= 1.0, self._again("cells"))
        m("S-02", f"streams that broke although another endpoint of their engine could go on ({tallies.breaks:,}): answers that were not whole",
          str(tallies.breaks - tallies.breaks_hidden), "0", tallies.breaks == tallies.breaks_hidden if tallies.breaks else None, self._again("cells"))
        share = tallies.during_ended_well / tallies.during if tallies.during else 1.0
        m("S-02", f"streams that broke after the commit and ended in exactly one error frame ({tallies.during:,})", f"{share:.1%}", "100 %",
          share == 1.0 if tallies.during else None, self._again("cells"))

    async def _run_cells(self, name: str, cells: list[Cell], ledger: Ledger, runs: int) -> tuple[Tallies, list[str]]:
        async with contextlib.AsyncExitStack() as stack:
            plan = Plan(clock=UNSCALED if self.options.unscaled else SCALED)
            for cell in cells:
                await cell.start()
                stack.push_async_callback(cell.aclose)
                cell.configure(plan)
            async with Router(self.folder / name, plan) as router, LoopLag() as lag:
                matrix = Matrix(cells, router, ledger, lag, runs=1 if self.options.unscaled else runs, seed=self.options.seed,
                                parallel=1000 if self.options.unscaled else self.options.parallel)
                pulse = Pulse(router, lag)
                tallies, self.slowest_pulse_s = await matrix.run(), await pulse.stop()
                leaks = await router.leaks(sum(cell.open_upstream for cell in cells))
                # Without an id it may be a poll of the engine's load; U08 with real deadlines ends by the kernel's own, which tells nobody.
                running = [e for e in ledger.running if e.id and not (self.options.unscaled and e.endpoint.startswith("U08"))]
                if running:
                    leaks.append(f"{len(running)} requests still run upstream, the first at {running[0].endpoint}")
                if not self.options.quick and not self.options.only and not leaks:
                    leaks += await self._idle_ones_go(router, len(cells) * 3)
            records = router.records()
            matrix.audit(records)
            matrix.add_books(records, router.target.log())
            tallies.problems += [Problem("log", "", line, self._again(name)) for line in router.log_errors()[:3]]
            if router.exit_code != 0:
                tallies.problems.append(Problem("exit", "", f"exit code {router.exit_code} after SIGTERM", self._again(name)))
        self.found.executed += tallies.executed
        self.found.problems += tallies.problems
        self.voided += tallies.voided
        return tallies, leaks

    async def _idle_ones_go(self, router: Router, endpoints: int) -> list[str]:
        """Idle connections to upstreams are closed in their time; one per endpoint stays, on which its load is asked for."""
        until = time.monotonic() + QUIESCE_S
        while time.monotonic() < until:
            if router.target.fds() <= router.fds_before + endpoints + 3:
                return []
            await asyncio.sleep(0.5)
        return [f"{router.target.fds() - router.fds_before} descriptors more than before after {QUIESCE_S:g} s"]

    async def _pairs(self) -> None:
        ledger = Ledger()
        tallies, leaks = await self._run_cells("pairs", pairs(self.options.seed, 24 if self.options.quick else 120, ledger), ledger, max(2, self.runs // 5))
        self.found.measure("S-03", f"{tallies.cases} pairs of faulty endpoints beside one that answers, {tallies.executed:,} requests: wrong ends, left behind",
                           f"{len(tallies.problems)}, {'; '.join(leaks) or 'nothing'}", "0, nothing", not tallies.problems and not leaks,
                           self._again("pairs"))

    # -- the rest

    async def _leaving(self) -> None:
        left = await Leaving(self.folder / "leaving", runs=3 if self.options.quick else max(25, self.runs), seed=self.options.seed).run()
        self.found.executed += left.executed
        self.found.problems += left.problems
        took = sorted(left.took_s)
        p50, p99, worst = took[len(took) // 2], took[int(len(took) * 0.99)], took[-1]
        self.found.measures.append(Measure(
            "S-06", f"{len(took):,} clients left (5 phases, connecting, half a request; FIN and RST): upstream's socket closed after p50, p99, worst",
            f"{p50 * 1000:.0f}, {p99 * 1000:.0f}, {worst * 1000:.0f} ms", f"p99 ≤ {MOST_S * 1000:g} ms, all of them", p99 <= MOST_S and not left.never))
        self.found.measures.append(Measure("S-06", "odd clients: " + "; ".join(f"{k}: {v}" for k, v in left.notes.items()),
                                           f"{len(left.problems)} wrong", "0", not left.problems))

    async def _fleet(self) -> None:
        self._add(await FleetFaults(self.folder / "fleet", seed=self.options.seed, quick=self.options.quick).run())

    async def _process(self) -> None:
        self._add(await ProcessFaults(self.folder / "process", seed=self.options.seed, quick=self.options.quick).run())
        cost = spool_cost_us()
        self.found.measure("S-21", "D1, the record is written before the last byte: what it costs (median)", f"{cost:.0f} µs", "≤ 100 µs", cost <= 100,
                           self._again("process"))
        self.found.measures.append(Measure("S-23", "budget overshoot", "there are no budgets yet", "≤ 0", None))

    async def _states(self) -> None:
        self._add(await States(self.folder / "states", seed=self.options.seed, quick=self.options.quick).run())
        if not self.options.quick:
            self._add(await States(self.folder / "steady", seed=self.options.seed, quick=False).steady(self.options.steady))

    async def _kills(self) -> None:
        for workers in self.options.workers[-1:] if self.options.quick else self.options.workers:
            full = self.options.kill_requests if workers > 1 or len(self.options.workers) == 1 else self.options.kill_requests // 10
            self._add(await Kills(self.folder / f"kills{workers}", seed=self.options.seed, requests=600 if self.options.quick else full,
                                  workers=workers).run())


def scorecard(session: Session) -> list[str]:
    """The rows, by their number."""
    verdict = {True: "yes", False: "**no**", None: "–"}
    rows = sorted(session.found.measures, key=lambda m: (m.id[0] != "S", m.id))
    return ["| id | measure | value | target | holds |", "|---|---|---|---|---|",
            *(f"| {m.id} | {m.what} | {m.value} | {m.target} | {verdict[m.holds]} |" for m in rows)]


def report(session: Session) -> str:
    """RESULTS.md."""
    o, t = session.options, session.tallies
    now = datetime.datetime.now(datetime.UTC)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return "\n".join([
        "# What happens when", "",
        f"Made by `make matrix` on {now:%Y-%m-%d}: seed {o.seed}, {session.found.executed:,} faults executed in {sum(session.took.values()):.0f} s"
        f" ({', '.join(f'{p} {s:.0f}' for p, s in session.took.items())}). Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
        f" shared by router, upstreams and clients; largest router {peak:.0f} MB."
        f" Deadlines are scaled (stream: {SCALED.ttft:g} s to the first token, {SCALED.stall:g} s between two; plain: {SCALED.answer:g} s;"
        f" {SCALED.deadline:g} s in all); `--unscaled` runs the cells with the defaults."
        " Endpoints are balanced by load alone (`power_of_two`), so that each gets its share of requests."
        f" {t.void} requests and {session.found.void} cases were repeated because harness or router had been late by more than 100 ms (M8 tells the router's worst).", "",
        *scorecard(session), "",
        "Retries of a client are no success of a router: all numbers are of single requests, but for S-20, whose clients retry twice as the official"
        " SDKs do; what needed a retry is shown there.", "",
        *_wrong_ends(session),
        "## Not executed", "", "| what | why |", "|---|---|",
        *(f"| {what} | {why} |" for what, why in (NOT_HERE | session.found.skipped).items()), ""])


def _wrong_ends(session: Session) -> list[str]:
    """Each of them with what was seen and expected: the scorecard counts them, and a count cannot be looked into."""
    if not session.found.problems:
        return []
    rows = [f"| {p.case} | {p.request} | {p.what} | {p.evidence.expected if p.evidence else ''} | {_said(p)} |".replace("\n", " ")
            for p in session.found.problems]
    return ["## Wrong ends", "", f"All that is known of each (answer, attempts, record, log) is in `{session.options.evidence.name}` beside the build.", "",
            "| case | request | seen | expected | record and log |", "|---|---|---|---|---|", *rows, ""]


def _said(problem: Problem) -> str:
    if problem.evidence is None:
        return ""
    records = ", ".join(f"{r.get('outcome')} {r.get('status')} after {len(r.get('attempts') or [])} attempts" for r in problem.evidence.records)
    return f"{records or 'no record'}; {problem.evidence.log[-1] if problem.evidence.log else 'no line of the log'}"


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a minute instead of ten")
    parser.add_argument("--part", default=",".join(PARTS), help="some of " + ", ".join(PARTS))
    parser.add_argument("--only", help="cells by the beginning of their name, such as U41 or U41/stream/none")
    parser.add_argument("--runs", type=int, help="requests per cell that must meet their fault")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--parallel", type=int, default=40, help="cells at a time")
    parser.add_argument("--workers", default="1,2", help="S-20 with so many processes, one after the other")
    parser.add_argument("--kill-requests", type=int, default=10_000)
    parser.add_argument("--steady", type=float, default=75.0, help="seconds of S-30")
    parser.add_argument("--unscaled", action="store_true", help="cells only, once each, with the default deadlines (up to ten minutes)")
    parser.add_argument("--evidence", type=Path, default=WRONG_ENDS, help="where wrong ends are appended, one JSON object a line")
    parser.add_argument("--list", action="store_true", help="name the cells and stop")
    parser.add_argument("--write", action="store_true", help="put the scorecard into RESULTS.md")
    options = parser.parse_args(arguments)
    options.part = ["cells"] if options.only or options.unscaled else options.part.split(",")
    options.workers = [int(w) for w in options.workers.split(",")]
    unknown = set(options.part) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return options


def main() -> int:
    options = parsed()
    if options.list:
        print("\n".join(cell.name for cell in chosen(options.only, FAULTS, Ledger())))
        return 0
    raise_fd_limit()
    with tempfile.TemporaryDirectory(prefix="pointsman-matrix-") as folder:
        session = Session(options, Path(folder))
        asyncio.run(session.run())
    print("\n".join(scorecard(session)))
    if session.kept:
        print(f"{session.kept} wrong ends are kept in {options.evidence}")
    if options.write:
        (Path(__file__).parent / "RESULTS.md").write_text(report(session))
    if not session.found.executed:
        print("nothing was executed: that is a failure")
        return 1
    return 1 if session.found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
