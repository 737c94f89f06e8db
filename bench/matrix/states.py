"""Fault pairs with what the router stands on (S-03), and the same faults for a long time (S-30).

The faults of endpoints are chosen, with a healthy neighbour each, and run while the configuration is read again and again, while
the store is locked, while files may not grow, or for a minute while memory is watched.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from cells import FAULTS, Cell, Matrix, Tallies
from measures import Found
from trend import theil_sen
from world import LoopLag, Plan, Router

from pointsman.testing.fault_ledger import Ledger

CHOSEN = ("U01", "U05", "U06-fin", "U09", "U11", "U13-neg", "U17", "U20", "U21-502", "U23-401", "U24", "U29", "U30", "U34", "U39-first",
          "U40", "U41", "U42", "U43", "L-limit", "L-corrupt")
MAX_SLOPE_MB = 0.5
SLOPE_NEEDS = 200_000
"""Requests after warm-up below which half a megabyte is in the noise (allocators settle for some 80,000): shown, not judged."""


def chosen_cells(ledger: Ledger, prefix: str) -> list[Cell]:
    cells = [Cell(fault, "endpoint" if i % 2 else "tier", stream=stream, ledger=ledger)
             for i, fault in enumerate(f for f in FAULTS if f.id in CHOSEN) for stream in (True, False) if fault.kind(stream=stream)]
    for cell in cells:
        cell.route = f"{prefix}-{cell.route}"
    return cells


class States:
    """`pairs` of a fault and a state; `steady` for memory."""

    def __init__(self, folder: Path, *, seed: int, quick: bool) -> None:
        self.folder, self.seed, self.quick = folder, seed, quick
        self.found = Found()
        self._again = f"make matrix ARGS='--part states --seed {seed}'"

    async def run(self) -> Found:
        states: dict[str, Callable[[Router], Awaitable[None]]] = {
            "reloading": self._reloading, "locked": self._locked, "no-room": self._no_room, "frozen-disk-thread": self._asking}
        for name, state in list(states.items())[: 1 if self.quick else None]:
            await self._while(name, state)
        return self.found

    async def _while(self, name: str, state: Callable[[Router], Awaitable[None]]) -> None:
        ledger = Ledger()
        cells = chosen_cells(ledger, name)
        async with contextlib.AsyncExitStack() as stack:
            plan = Plan()
            for cell in cells:
                await cell.start()
                stack.push_async_callback(cell.aclose)
                cell.configure(plan)
            async with Router(self.folder / name, plan) as router, LoopLag() as lag:
                matrix = Matrix(cells, router, ledger, lag, runs=2 if self.quick else 6, seed=self.seed, parallel=24)
                holding = asyncio.create_task(state(router))
                tallies = await matrix.run()
                holding.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await holding
                _, hard = resource.prlimit(router.target.pid, resource.RLIMIT_FSIZE)
                resource.prlimit(router.target.pid, resource.RLIMIT_FSIZE, (hard, hard))
                leaks = await router.leaks(sum(cell.open_upstream for cell in cells))
            if name != "no-room":  # there records are dropped, with a count: `process` holds that
                matrix.audit(router.records())
        self.found.executed += tallies.executed
        self.found.problems += tallies.problems
        bad = len(tallies.problems) + len(leaks)
        self.found.measure("S-03", f"{len(cells)} faults with a healthy neighbour while {_SAID[name]}", f"{bad} wrong of {tallies.requests} requests"
                           + (f"; {leaks[0]}" if leaks else ""), "0", not bad, self._again)

    async def _reloading(self, router: Router) -> None:
        while True:
            await router.admin("/reload", "POST")
            await asyncio.sleep(0.05)

    async def _locked(self, router: Router) -> None:
        db = sqlite3.connect(router.records_path, timeout=5, isolation_level=None)
        db.execute("BEGIN EXCLUSIVE")
        try:
            await asyncio.Event().wait()
        finally:
            db.execute("ROLLBACK")
            db.close()

    async def _no_room(self, router: Router) -> None:
        _, hard = resource.prlimit(router.target.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(router.target.pid, resource.RLIMIT_FSIZE, (4096, hard))
        await asyncio.Event().wait()

    async def _asking(self, router: Router) -> None:
        """The operator's questions, as fast as they are answered."""
        while True:
            await asyncio.gather(router.admin("/state"), router.metrics(), router.readiness())

    # -- S-30

    async def steady(self, seconds: float) -> Found:
        """The chosen faults for a while: memory per 100,000 requests, descriptors, threads, tail latency."""
        ledger = Ledger()
        cells = [cell for cell in chosen_cells(ledger, "steady") if cell.fault.id not in _RARE]
        found = Found()
        async with contextlib.AsyncExitStack() as stack:
            plan = Plan()
            for cell in cells:
                await cell.start()
                stack.push_async_callback(cell.aclose)
                cell.configure(plan)
            async with Router(self.folder / "steady", plan) as router, LoopLag() as lag:
                samples, tallies = await self._watched(cells, router, ledger, lag, seconds)
                leaks = await router.leaks(sum(cell.open_upstream for cell in cells))
        found.executed, found.problems = tallies.executed, list(tallies.problems)
        self._judge_memory(found, samples, tallies, leaks)
        return found

    async def _watched(self, cells: list[Cell], router: Router, ledger: Ledger, lag: LoopLag,
                       seconds: float) -> tuple[list[tuple[int, float]], Tallies]:
        total, samples, until, number = Tallies(), [], time.monotonic() + seconds, 0
        while time.monotonic() < until:
            number += 1
            matrix = Matrix(cells, router, ledger, lag, runs=12, seed=self.seed * 1000 + number, parallel=24)
            done = await matrix.run()
            total.requests, total.executed = total.requests + done.requests, total.executed + done.executed
            total.problems += [problem for problem in done.problems if problem.request]  # not every round meets every fault
            total.longest_s = max(total.longest_s, done.longest_s)
            samples.append((total.requests, router.target.rss_mb()))
            ledger.__init__()  # type: ignore[misc]  # an hour of entries would be our own leak
            for cell in cells:
                cell.ids.clear()
                cell.seen.clear()
        return samples, total

    def _judge_memory(self, found: Found, samples: list[tuple[int, float]], tallies: Tallies, leaks: list[str]) -> None:
        warm = samples[len(samples) // 2 :]
        slope = theil_sen(warm) * 1e5 if len(warm) > 1 else 0.0
        growth = warm[-1][1] / warm[0][1] - 1 if warm else 0.0
        judged = bool(warm) and warm[-1][0] - warm[0][0] >= SLOPE_NEEDS
        found.measure("S-30", f"memory per 100,000 requests, over {tallies.requests:,} with faults (Theil-Sen of the last half)",
                      f"{slope:+.2f} MB" + ("" if judged else " (too few to judge; `make soak` has the long run)"), f"< {MAX_SLOPE_MB} MB",
                      slope < MAX_SLOPE_MB if judged else None, self._again)
        found.measure("S-30", "memory at the end against the middle", f"{growth:+.1%}", "< 5 %", growth < 0.05, self._again)
        found.measure("S-30", "left behind; requests that ended wrong", f"{'; '.join(leaks) or 'nothing'}; {len(tallies.problems)}", "nothing; 0",
                      not leaks and not tallies.problems, self._again)


_RARE = ("U09", "U40", "U41", "U23-401", "U24")
"""Wait for a timeout, or quarantine their endpoint for a minute: too few requests for memory."""
_SAID = {"reloading": "the configuration is read again every 50 ms", "locked": "the store is locked",
         "no-room": "files may not grow", "frozen-disk-thread": "the operator asks for everything all the time"}
