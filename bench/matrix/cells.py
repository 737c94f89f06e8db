"""The upstream matrix: every fault x {stream, plain} x {another endpoint, another tier, nobody}, judged request by request."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Literal

from evidence import Evidence, attempts_as_json, seen_as_json
from world import LoopLag, Plan, Router, Tier

from pointsman.testing.fault_catalogue import Fault, Kind
from pointsman.testing.fault_connections import CONNECTIONS, LINES
from pointsman.testing.fault_ledger import Entry, Ledger
from pointsman.testing.fault_oracle import Oracle, Seen
from pointsman.testing.fault_proxy import FaultProxy
from pointsman.testing.fault_replies import STATUSES, STREAMS
from pointsman.testing.fault_server import FaultServer
from pointsman.testing.fault_steps import Scenario

FAULTS: tuple[Fault, ...] = (*CONNECTIONS, *STATUSES, *STREAMS, *LINES)
Alternative = Literal["endpoint", "tier", "none", "heir"]
"""endpoint, tier, none: who else is there · heir: another endpoint, and both of an engine that can go on with a broken stream."""
ALTERNATIVES: tuple[Alternative, ...] = ("endpoint", "tier", "none")
VOID_TRIES = 6
HINDSIGHT_S = 0.2
"""Who stood still is known a moment later than what came of it: the router's pulse is answered after the requests that it was late with."""
VOID_PAUSE_S = 0.6
"""What made somebody late is often still there a moment later: each try waits so much longer. All of them together outlast the 10 s for which a
retry budget remembers a failure that was ours."""
AFTERMATH_S = 10.0
"""That long: a try that comes after one that was void, and before the budget has forgotten it, is none either."""


@dataclass
class Problem:
    """What went wrong, and how to see it again."""

    case: str
    request: str
    what: str
    again: str
    evidence: Evidence | None = None
    """Of a request's end: all that is known of it. None where no single request is at fault."""

    def __str__(self) -> str:
        return f"{self.case} {self.request}: {self.what}\n    again: {self.again}"


@dataclass
class Tallies:
    """What a part of the matrix counted."""

    cases: int = 0
    executed: int = 0
    """Requests that did meet their fault."""
    requests: int = 0
    void: int = 0
    """Repeated because our own loop was late."""
    hung: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    during: int = 0
    during_ended_well: int = 0
    breaks: int = 0
    """Streams that broke although another endpoint could go on with them."""
    breaks_hidden: int = 0
    hidden: int = 0
    visible: int = 0
    """Errors seen although somebody could have answered."""
    attempts: int = 0
    longest_s: float = 0.0
    skipped: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    voided: list[Problem] = field(default_factory=list)
    """Wrong ends of requests that were repeated, since somebody had been late: no verdict, but kept. A race shows when a process stands still."""


class Cell:
    """One case: a fault, a mode, an alternative. Its endpoints and its route are its own."""

    def __init__(self, fault: Fault, alternative: Alternative, *, stream: bool, ledger: Ledger, second: Fault | None = None) -> None:
        """`second`: another faulty endpoint beside the first (fault pairs)."""
        self.fault, self.alternative, self.stream, self.second = fault, alternative, stream, second
        mode = "stream" if stream else "plain"
        self.name = "/".join(filter(None, (fault.id, second.id if second else "", mode, alternative)))
        self.route = self.name.replace("/", "-")
        self.kind: Kind = fault.kind(stream=stream) or "before"
        self.bad = FaultServer(fault.scenario, name=f"{self.name} bad", ledger=ledger)
        self.worse = FaultServer(second.scenario, name=f"{self.name} worse", ledger=ledger) if second else None
        self.good = FaultServer(name=f"{self.name} good", ledger=ledger)
        self.proxy: FaultProxy | None = None
        self.ids: list[str] = []
        self.seen: dict[str, Seen] = {}

    @property
    def servers(self) -> list[FaultServer]:
        return [server for server in (self.bad, self.worse, self.good if self.alternative != "none" else None) if server]

    async def start(self) -> None:
        for server in self.servers:
            await server.start()
        if self.fault.toxics is not None:
            self.proxy = FaultProxy(self.bad.port)
            await self.proxy.start()

    async def aclose(self) -> None:
        if self.proxy is not None:
            await self.proxy.aclose()
        for server in self.servers:
            await server.aclose()

    def configure(self, plan: Plan) -> None:
        url = self.fault.url or (self.proxy.url if self.proxy else self.bad.url)
        if self.fault.tls:
            url = url.replace("http://", "https://").replace("127.0.0.1", "localhost")
        urls = [url, *([self.worse.url] if self.worse else [])]
        if self.alternative == "endpoint":
            plan.add(self.route, Tier(f"{self.route}-a", [*urls, self.good.url]))
        elif self.alternative == "heir":
            plan.add(self.route, Tier(f"{self.route}-a", [*urls, self.good.url], engine="vllm"))
        elif self.alternative == "tier":
            plan.add(self.route, Tier(f"{self.route}-a", urls), Tier(f"{self.route}-b", [self.good.url]))
        else:
            plan.add(self.route, Tier(f"{self.route}-a", urls))

    @property
    def open_upstream(self) -> int:
        open_lines = self.proxy.open_lines if self.proxy else 0
        behind = 0 if self.proxy else len(self.bad.connections)
        return open_lines + behind + sum(len(s.connections) for s in self.servers if s is not self.bad)

    def was_met(self, asked_id: str, ledger: Ledger) -> bool:
        """Whether this request met the fault; endpoints that read no request cannot say whose it was."""
        if self.fault.url or not self.fault.scenario.listens or not self.fault.scenario.accepts or self.fault.tls:
            return True
        if self.fault.toxics is not None or self.fault.scenario.reads != "whole":
            return True
        return any(entry.endpoint != self.good.name for entry in ledger.of(asked_id))


class Matrix:
    """Runs cells against one router."""

    def __init__(self, cells: list[Cell], router: Router, ledger: Ledger, lag: LoopLag, *, runs: int, seed: int,
                 parallel: int) -> None:
        self.cells, self.router, self.ledger, self.lag = cells, router, ledger, lag
        self.runs, self.seed = runs, seed
        self._places = asyncio.Semaphore(parallel)
        self.tallies = Tallies(cases=len(cells))

    async def run(self) -> Tallies:
        await asyncio.gather(*(self._cell(cell) for cell in self.cells))
        return self.tallies

    async def _cell(self, cell: Cell) -> None:
        oracle = Oracle(self.router.port, allowed_s=self.router.plan.clock.allowed_s)
        rng = Random(f"{self.seed} {cell.name}")
        wanted = min(self.runs, cell.fault.most_runs)
        async with self._places:
            met, is_first = 0, True
            for number in range(max(24, wanted * 4)):
                met += await self._request(cell, oracle, rng, number, is_first=is_first)
                is_first = False
                if met >= wanted:
                    return
        if not met:
            self.tallies.problems.append(Problem(cell.name, "", "the fault was never met: nothing was tested", self._again(cell)))

    async def _request(self, cell: Cell, oracle: Oracle, rng: Random, number: int, *, is_first: bool) -> bool:
        for again in count():
            asked_id = f"{cell.route}.{self.seed}.{number}" + (f".{again}" if again else "")
            if cell.fault.toxics is not None and cell.proxy is not None:
                cell.proxy.toxics = cell.fault.toxics(rng)
            seen = await oracle.ask(asked_id, model=cell.route, stream=cell.stream, padding=cell.fault.padding)
            entries = self.ledger.of(asked_id)
            wrong = judge(cell, seen, entries, is_first=is_first and not again)
            if wrong:
                await asyncio.sleep(HINDSIGHT_S)
            since = seen.began - (AFTERMATH_S if again else 0.0)
            if wrong and again < VOID_TRIES and self.lag.between(since, seen.began + seen.took_s):
                self.tallies.void += 1
                self.tallies.voided.append(self._problem(cell, seen, wrong, expectation(cell, is_first=is_first and not again)))
                await asyncio.sleep(VOID_PAUSE_S * (again + 1))
                continue
            break
        self._count(cell, seen, entries, wrong, is_first=is_first and not again)
        return cell.was_met(asked_id, self.ledger)

    def _count(self, cell: Cell, seen: Seen, entries: list[Entry], wrong: str, *, is_first: bool) -> None:
        t = self.tallies
        cell.ids.append(seen.id)
        cell.seen[seen.id] = seen
        t.requests += 1
        t.attempts += len(entries)
        t.hung += seen.ended == "hung"
        t.longest_s = max(t.longest_s, seen.took_s)
        if cell.was_met(seen.id, self.ledger):
            t.executed += 1
            t.by_kind[cell.kind] += 1
            if cell.kind in ("during", "either") and cell.stream and seen.ended in ("error", "broken", "hung"):
                t.during += 1
                t.during_ended_well += seen.ended == "error" and not wrong
            if cell.alternative == "heir":
                t.breaks += 1
                t.breaks_hidden += seen.ended == "complete"
            if cell.alternative != "none" and cell.kind in ("before", "either"):
                t.hidden += seen.ended == "complete"
                t.visible += seen.ended not in ("complete", "error") or bool(wrong)
        if wrong:
            t.problems.append(self._problem(cell, seen, wrong, expectation(cell, is_first=is_first)))

    def _problem(self, cell: Cell, seen: Seen, wrong: str, expected: str) -> Problem:
        mode, second = "stream" if cell.stream else "plain", cell.second.id if cell.second else ""
        evidence = Evidence(cell.fault.id, mode, cell.alternative, expected, seen_as_json(seen), attempts_as_json(self.ledger.of(seen.id)), second)
        return Problem(cell.name, seen.id, wrong, self._again(cell), evidence)

    def _again(self, cell: Cell) -> str:
        return f"make matrix ARGS='--only {cell.name} --runs {self.runs} --seed {self.seed}'"

    def audit(self, records: dict[str, list[dict[str, Any]]]) -> None:
        """One record per request, its attempts what the upstream saw, its status what the client saw."""
        for cell in self.cells:
            for asked_id in cell.ids:
                wrong = audited(cell, cell.seen[asked_id], records.get(asked_id, []), self.ledger.of(asked_id))
                if wrong:
                    problem = self._problem(cell, cell.seen[asked_id], wrong, "one record that says what client and upstream saw")
                    self.tallies.problems.append(problem)

    def add_books(self, records: dict[str, list[dict[str, Any]]], log: str) -> None:
        """What the router wrote down of the requests that ended wrong; to be had once it has stopped."""
        for problem in (*self.tallies.problems, *self.tallies.voided):
            if problem.evidence is not None:
                problem.evidence.records = records.get(problem.request, [])
                problem.evidence.add_log(log, (f"{problem.request.partition('.')[0]}-", problem.request))


def expectation(cell: Cell, *, is_first: bool) -> str:
    """What `judge` goes by, in words."""
    statuses = cell.fault.alone | (frozenset() if is_first else cell.fault.later)
    return f"the fault strikes {cell.kind}" + (f"; a client alone with it may see {sorted(statuses)}" if cell.alternative == "none" else "")


def judge(cell: Cell, seen: Seen, entries: list[Entry], *, is_first: bool) -> str:
    """What was wrong with this end; "" = nothing."""
    if seen.ended in ("hung", "unreachable", "broken"):
        return f"the client saw: {seen}"
    served_by_bad = bool(entries) and not answering(entries).endpoint.endswith(" good")
    fault, alone = cell.fault, cell.alternative == "none"
    statuses = fault.alone | (frozenset() if is_first else fault.later)
    match cell.kind:
        case "fine":
            right = seen.ended == "complete"
        case "before" if alone:
            opened_early = cell.stream and seen.ended == "error" and seen.headers.get("x-route-tier") == "pending"
            right = (seen.ended == "status" and seen.status in statuses) or opened_early
        case "before":
            right = seen.ended == "complete"
        case "during" | "either" if cell.alternative == "heir":
            right = seen.ended == "complete"
        case "during" if served_by_bad:
            right = seen.ended == "error"
        case "during":
            right = seen.ended == "complete" or (alone and seen.ended == "status" and seen.status == 503)
        case "either":
            right = seen.ended == "complete" or (seen.ended == "error" and cell.stream) or (alone and seen.status in statuses)
        case "refusal":
            right = (seen.ended == "status" and seen.status in statuses and len(entries) == 1) or \
                (seen.ended == "complete" and not served_by_bad)
    return "" if right else f"the client saw: {seen}; {len(entries)} attempts were seen upstream ({cell.kind}, alone: {sorted(statuses)})"


def answering(entries: list[Entry]) -> Entry:
    """Whose answer the client got: the one that was complete, or else the last. An attempt that was given up may be read long after
    the next one was answered, where the endpoint's process had stood still: the order of arrival is not that of attempts."""
    return next((entry for entry in reversed(entries) if entry.is_complete and entry.ended != "rst"), entries[-1])


def audited(cell: Cell, seen: Seen, records: list[dict[str, Any]], entries: list[Entry]) -> str:
    """What was wrong with the record of a request; "" = nothing."""
    if len(records) != 1:
        return f"{len(records)} records"
    (record,) = records
    if seen.status and record["status"] != seen.status:
        return f"the record says status {record['status']}, the client saw {seen.status}"
    if seen.records and record["id"] != seen.records[-1]:
        return "the client was told another record id"
    if (seen.ended == "complete") != (record["outcome"] == "answered"):
        return f"the record says {record['outcome']}, the client saw {seen.ended}"
    return _audited_attempts(cell, record, entries)


def _audited_attempts(cell: Cell, record: dict[str, Any], entries: list[Entry]) -> str:
    attempts = [a for a in record.get("attempts", []) if a.get("sent", True)]
    costs = [a.get("cost_nano_usd") for a in record.get("attempts", [])]
    if None not in costs and record.get("cost_nano_usd") != sum(costs):
        return f"the record costs {record.get('cost_nano_usd')}, its attempts {sum(costs)}"
    reads_all = cell.fault.scenario.reads == "whole" and not cell.fault.toxics and (cell.second is None or cell.second.scenario.reads == "whole")
    seen_upstream = [entry for entry in entries if not entry.is_race]
    # A kept connection that closes at once is dialled again in silence; one that took its time about it has cost an attempt.
    if reads_all and not len(seen_upstream) <= len(attempts) <= len(entries):
        return f"the record counts {len(attempts)} attempts, the upstreams saw {len(seen_upstream)} to {len(entries)}"
    last = answering(seen_upstream) if seen_upstream else None
    usage = record.get("usage") or {}
    if record["outcome"] == "answered" and any(attempt.get("reason") == "continued" for attempt in attempts):
        # How much of what was sent before the break has arrived nobody can say.
        return "" if last is not None and last.billed <= usage.get("output_tokens", 0) else f"the record of a continued answer has {usage}"
    if record["outcome"] == "answered" and last is not None and not cell.fault.id.startswith("U35") and last.billed != usage.get("output_tokens"):
        return f"the upstream billed {last.billed} tokens, the record has {usage.get('output_tokens')}"
    return ""


def chosen(only: str | None, faults: Iterable[Fault], ledger: Ledger) -> list[Cell]:
    """All cells, or those whose name begins with `only`."""
    cells = [Cell(fault, alternative, stream=stream, ledger=ledger)
             for fault in faults for stream in (True, False) if fault.kind(stream=stream) is not None
             for alternative in (*ALTERNATIVES, *_heirs(fault, stream=stream))]
    return [cell for cell in cells if only is None or cell.name == only or cell.name.startswith(only.rstrip("/") + "/")]


def _heirs(fault: Fault, *, stream: bool) -> tuple[Alternative, ...]:
    return ("heir",) if stream and fault.stream in ("during", "either") else ()


def pairs(seed: int, number: int, ledger: Ledger) -> list[Cell]:
    """Two faulty endpoints with different faults, and one that answers, on one tier or above it."""
    rng = Random(f"pairs {seed}")
    can = {stream: [f for f in FAULTS if f.kind(stream=stream) == "before" and not f.toxics and not f.url and not f.tls and not f.padding
                    and f.most_runs > 10] for stream in (True, False)}
    made: dict[str, Cell] = {}
    while len(made) < number:
        stream = len(made) % 2 == 0
        one, other = rng.sample(can[stream], 2)
        cell = Cell(one, rng.choice(("endpoint", "tier")), stream=stream, ledger=ledger, second=other)
        made[cell.name] = cell
    return list(made.values())


class SelfSigned:
    """A TLS endpoint whose certificate nobody vouches for (U48); needs openssl for the certificate."""

    @staticmethod
    def possible() -> bool:
        return shutil.which("openssl") is not None

    @staticmethod
    def certificate(folder: Path) -> tuple[Path, Path]:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
            check=True, capture_output=True)
        return folder / "cert.pem", folder / "key.pem"


__all__ = ["FAULTS", "Cell", "LoopLag", "Matrix", "Scenario", "chosen", "pairs"]
