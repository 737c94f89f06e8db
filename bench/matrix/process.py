"""Faults of the process and of what it stands on: signals, reloads, descriptors, disks, a locked store, a blocked log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from flushing import Watched, answers_in, may_watch
from measures import Found, Measure, Traffic
from world import SCALED, Plan, Router, Tier, is_root

from pointsman.testing import fault_answers as answers
from pointsman.testing.fault_oracle import Oracle
from pointsman.testing.fault_server import FaultServer
from pointsman.testing.fault_steps import Asked, Complete, Drip, Scenario, Send, Step


def _slowly(seconds: float) -> Scenario:
    """A right stream that takes about so long; plain answers come at once."""

    def plan(asked: Asked) -> list[Step]:
        if not asked.stream:
            return list(answers.right(asked))
        texts = answers.text_events(asked.id)
        drips: list[Step] = [Drip(answers.chunk(data), seconds / len(texts), 100_000, 1) for data in texts]
        finish = b"".join(map(answers.chunk, answers.finish_events(asked)))
        return [*answers.sends(asked, 0), *drips, Send(finish + answers.END), Complete()]

    return Scenario(plan)


STUCK_S = 23.0
"""Long enough for the supervisor to give a silent worker up."""


class ProcessFaults:
    """Each case starts its own router over one endpoint that answers."""

    FLUSHED = 100
    """Requests that are watched through strace."""

    def __init__(self, folder: Path, *, seed: int, quick: bool) -> None:
        self.folder, self.seed, self.quick = folder, seed, quick
        self.found = Found()
        self._again = f"make matrix ARGS='--part process --seed {seed}'"
        self.server = FaultServer(name="good")

    async def run(self) -> Found:
        await self.server.start()
        try:
            for case in (self.reload, self.broken_reload, self.term, self.term_twice, self.frozen, self.stuck_worker, self.descriptors, self.disk_full,
                         self.small_disk, self.locked_store, self.blocked_log, self.port_in_use, self.flushed):
                if self.quick and case in (self.small_disk, self.term_twice, self.frozen, self.stuck_worker, self.broken_reload, self.descriptors, self.locked_store,
                                           self.blocked_log):
                    continue
                self.found.executed += 1
                await self.found.judged(case, self.folder)
        finally:
            await self.server.aclose()
        return self.found

    def _router(self, name: str, **changes: object) -> Router:
        self.server.scenario = Scenario(answers.right)
        plan = Plan(clock=replace(SCALED, **changes))  # type: ignore[arg-type]
        plan.add("one", Tier("one-t", [self.server.url]))
        return Router(self.folder / name, plan)

    def _measure(self, id: str, what: str, value: str, target: str, holds: bool) -> None:
        self.found.measure(id, what, value, target, holds, self._again)

    def _seconds(self, full: float) -> float:
        return full / 2 if self.quick else full

    # -- reload

    async def reload(self) -> None:
        """The configuration is read again 40 times under traffic, each time with another pool in it."""
        self.server.scenario = _slowly(0.3)
        async with self._router("reload") as router:
            self.server.scenario = _slowly(0.3)

            async def again() -> None:
                for i in range(40):
                    router.plan.routes.pop(f"extra{i - 1}", None)
                    router.plan.tiers[:] = [t for t in router.plan.tiers if not t.name.startswith("extra")]
                    router.plan.add(f"extra{i}", Tier(f"extra{i}-t", [self.server.url]))
                    (router.folder / "router.yaml").write_text(router.plan.yaml(router.port, router.admin_port, "state/records.db"))
                    await router.admin("/reload", "POST")
                    await asyncio.sleep(0.02)

            traffic = Traffic(router, "one", 100, "reload", seed=self.seed)
            await traffic.run(self._seconds(5), again)
            leaks = await router.leaks(len(self.server.connections))
        self._measure("M4", "40 reloads under 100 requests/s", traffic.summary(), "0", not traffic.failed)
        self._measure("M4", "left behind by reloads", "; ".join(leaks) or "nothing", "nothing", not leaks)

    async def broken_reload(self) -> None:
        """A configuration that cannot be used changes nothing."""
        async with self._router("broken") as router:
            oracle = Oracle(router.port, allowed_s=5)
            refused = 0
            for text in (b"", b"tiers: [", b"\x00\xff" * 1000, b"tiers: {a: {model: m}}\n", b"x" * 1_000_000):
                (router.folder / "router.yaml").write_bytes(text)
                try:
                    await router.admin("/reload", "POST")
                except OSError:  # an HTTP error: it says why
                    refused += 1
            seen = await oracle.ask(f"broken.{self.seed}", model="one", stream=True)
        self._measure("M4", "unusable configurations refused, the old one serves on", f"{refused} of 5, then {seen}", "5, complete",
                      refused == 5 and seen.ended == "complete")

    # -- signals

    async def term(self) -> None:
        """S-24: SIGTERM in the middle of 60 streams: all end well, newcomers are told, the exit is clean."""
        async with self._router("term", deadline=10) as router:
            self.server.scenario = _slowly(1.5)
            oracle = Oracle(router.port, allowed_s=12)
            streams = [asyncio.create_task(oracle.ask(f"term.{i}", model="one", stream=True)) for i in range(60)]
            await asyncio.sleep(0.6)
            os.kill(router.target.pid, signal.SIGTERM)
            late, refused = [], 0
            while not all(s.done() for s in streams[:1]):
                late.append(await oracle.ask(f"late.{len(late)}", model="one", stream=False))
                await asyncio.sleep(0.05)
            seen = await asyncio.gather(*streams)
            refused = sum(s.ended == "unreachable" for s in late)
            told = sum(s.ended == "status" and s.status == 503 for s in late)
        cut = [s for s in seen if s.ended != "complete"]
        self._measure("S-24", "SIGTERM during 60 streams: streams cut", f"{len(cut)}" + (f"; {cut[0]}" if cut else ""), "0", not cut)
        self._measure("S-24", "requests that came while draining: told 503 with Retry-After, refused", f"{told} of {len(late)}, {refused} refused",
                      "all, 0", told == len(late) and not refused)
        self._measure("S-24", "exit code", str(router.exit_code), "0", router.exit_code == 0)
        records = router.records()
        lost = sum(len(records.get(f"term.{i}", [])) != 1 for i in range(60))
        self._measure("S-24", "streams without exactly one record", str(lost), "0", lost == 0)

    async def term_twice(self) -> None:
        """A second SIGTERM cuts what still runs, with an end that a client understands."""
        async with self._router("twice", deadline=20, stall=10, ttft=10) as router:
            self.server.scenario = _slowly(15)
            oracle = Oracle(router.port, allowed_s=20)
            streams = [asyncio.create_task(oracle.ask(f"twice.{i}", model="one", stream=True)) for i in range(20)]
            await asyncio.sleep(3)
            began = time.monotonic()
            os.kill(router.target.pid, signal.SIGTERM)
            await asyncio.sleep(0.3)
            os.kill(router.target.pid, signal.SIGTERM)
            seen = await asyncio.gather(*streams)
            took = time.monotonic() - began
        ended = sum(s.ended == "error" for s in seen)
        self._measure("M3", "a second SIGTERM: streams that end in one error frame, after", f"{ended} of 20, {took:.1f} s; {seen[0]}", "20, ≤ 5 s",
                      ended == 20 and took <= 5)

    async def frozen(self) -> None:
        """M5: the router stands still for 1.5 s, longer than every timeout: no endpoint is blamed for it."""
        async with self._router("frozen") as router:
            self.server.scenario = _slowly(0.3)

            async def freeze() -> None:
                os.kill(router.target.pid, signal.SIGSTOP)
                await asyncio.sleep(1.5)
                os.kill(router.target.pid, signal.SIGCONT)

            traffic = Traffic(router, "one", 60, "frozen", seed=self.seed)
            await traffic.run(5, freeze)
            state = await router.admin("/state")
        ejected = sum(e["state"] != "healthy" for e in state["pools"]["one-t"]["endpoints"])
        wrong = [s for s in traffic.seen if s.ended in ("hung", "broken", "unreachable")]
        self._measure("M5", "the router stopped for 1.5 s (SIGSTOP): endpoints ejected, clients without a proper end",
                      f"{ejected}, {len(wrong)}", "0, 0", not ejected and not wrong)
        self._measure("M5", "requests around it that still got their answer", f"{len(traffic.seen) - len(traffic.failed)} of {len(traffic.seen)}",
                      "≥ 90 %", len(traffic.failed) <= 0.1 * len(traffic.seen))

    async def stuck_worker(self) -> None:
        """M5: one of two workers stands still for good: the other serves, and it is replaced."""
        router = self._router("stuck")
        router.plan.workers = 2
        (router.folder / "router.yaml").write_text(router.plan.yaml(router.port, router.admin_port, "state/records.db"))
        async with router:
            victims: list[int] = []

            async def stop() -> None:
                victims.append((await router.admin("/state"))["workers"][0]["process"])
                os.kill(victims[0], signal.SIGSTOP)

            traffic = Traffic(router, "one", 40, "stuck", seed=self.seed)
            await traffic.run(STUCK_S, stop)
            now = [seat["process"] for seat in (await router.admin("/state"))["workers"]]
        hung = [s for s in traffic.failed if s.began > 0]
        self._measure("M5", f"one of two workers stopped for good: replaced within {STUCK_S * 0.8:.0f} s; requests it took along",
                      f"{victims[0] not in now}; {len(hung)} of {len(traffic.seen)}", "True; ≤ 1 %",
                      victims[0] not in now and len(hung) <= 0.01 * len(traffic.seen))

    # -- what runs out

    async def descriptors(self) -> None:
        """M6: 40 descriptors above what it has open, 150 idle clients: it waits, says so, and recovers."""
        async with self._router("descriptors") as router:
            limit = router.target.fds() + 40
            hard = resource.prlimit(router.target.pid, resource.RLIMIT_NOFILE)[1]
            resource.prlimit(router.target.pid, resource.RLIMIT_NOFILE, (limit, hard))
            idle = []
            for _ in range(150):
                sock = socket.socket()
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    sock.connect(("127.0.0.1", router.port))
                idle.append(sock)
            await asyncio.sleep(1.5)
            alive = router.target.is_alive
            for sock in idle:
                sock.close()
            await asyncio.sleep(1.2)
            oracle = Oracle(router.port, allowed_s=5)
            seen = [await oracle.ask(f"descriptors.{i}", model="one", stream=i % 2 == 0) for i in range(20)]
            resource.prlimit(router.target.pid, resource.RLIMIT_NOFILE, (hard, hard))
            leaks = await router.leaks(len(self.server.connections))
        right = sum(s.ended == "complete" for s in seen)
        self._measure("M6", "descriptors ran out: alive, then requests answered", f"{alive}, {right} of 20", "True, 20", alive and right == 20)
        self._measure("M6", "left behind", "; ".join(leaks) or "nothing", "nothing", not leaks)

    async def disk_full(self) -> None:
        """S-22: files may not grow any more (as on a full disk): requests go on, records are dropped with a count, then kept again."""
        async with self._router("disk") as router:
            async def fill() -> None:
                _, hard = resource.prlimit(router.target.pid, resource.RLIMIT_FSIZE)
                resource.prlimit(router.target.pid, resource.RLIMIT_FSIZE, (4096, hard))
                await asyncio.sleep(self._seconds(3))
                warned.append((await router.readiness())[1])
                resource.prlimit(router.target.pid, resource.RLIMIT_FSIZE, (hard, hard))

            warned: list[dict[str, object]] = []
            traffic = Traffic(router, "one", 80, "disk", seed=self.seed)
            await traffic.run(self._seconds(8), fill)
            oracle = Oracle(router.port, allowed_s=5)
            await asyncio.sleep(1.2)
            after = [await oracle.ask(f"disk.after.{i}", model="one", stream=False) for i in range(20)]
            dropped = (await router.metrics()).get("pointsman_records_dropped_total", 0.0)
        records = router.records()
        kept = sum(len(records.get(s.id, [])) for s in traffic.seen)
        kept_after = sum(len(records.get(s.id, [])) for s in after)
        self._measure("S-22", "files may not grow for some seconds: requests without their answer", traffic.summary(), "0", not traffic.failed)
        self._measure("S-22", "its records: kept + counted as dropped = requests", f"{kept} + {dropped:.0f} = {len(traffic.seen)}", "equal",
                      kept + int(dropped) == len(traffic.seen) and dropped > 0)
        self._measure("S-22", "readiness warned; records of the 20 requests after", f"{bool(warned and warned[0]['warnings'])}, {kept_after}",
                      "True, 20", bool(warned and warned[0]["warnings"]) and kept_after == 20)

    async def small_disk(self) -> None:
        """S-22: spool and store on a file system of 1 MB that fills up under traffic."""
        place = self.folder / "small-disk"
        place.mkdir(parents=True)
        if not is_root() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True,
                                           check=False).returncode:
            self.found.skipped["small disk"] = "mounting a file system needs root; the limit on file sizes stood in for it"
            return
        try:
            plan = Plan()
            plan.add("one", Tier("one-t", [self.server.url]))
            async with Router(self.folder / "small", plan, records=str(place / "records.db")) as router:
                traffic = Traffic(router, "one", 150, "small", seed=self.seed)
                await traffic.run(8)
                metrics, (_, ready) = await router.metrics(), await router.readiness()
                dropped = metrics.get("pointsman_records_dropped_total", 0.0)
            self._measure("S-22", "a file system of 1 MB fills up: requests without their answer", traffic.summary(), "0", not traffic.failed)
            self._measure("S-22", "it is told (dropped, or waiting with an error)", f"{dropped:.0f} dropped; {str(ready['records'].get('last_error')).replace(f'{place}/', '')[:60]}",
                          "told", dropped > 0 or bool(ready["records"].get("last_error")))
        finally:
            subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)

    async def locked_store(self) -> None:
        """S-22: somebody holds the store's lock: records wait in the spool and arrive exactly once."""
        async with self._router("locked") as router:
            async def lock() -> None:
                db = sqlite3.connect(router.records_path, timeout=5, isolation_level=None)
                db.execute("BEGIN EXCLUSIVE")
                await asyncio.sleep(self._seconds(4))
                db.execute("ROLLBACK")
                db.close()

            traffic = Traffic(router, "one", 100, "locked", seed=self.seed)
            await traffic.run(self._seconds(7), lock)
        records = router.records()
        wrong = sum(len(records.get(s.id, [])) != 1 for s in traffic.seen)
        self._measure("S-22", "the store is locked for seconds: requests without their answer; without exactly one record",
                      f"{len(traffic.failed)}; {wrong} of {len(traffic.seen)}", "0; 0", not traffic.failed and not wrong)

    async def blocked_log(self) -> None:
        """M10: the log goes into a pipe that nobody reads."""
        router = self._router("blocked")
        (router.folder / "pipe").unlink(missing_ok=True)
        reading, writing = os.pipe()
        process = subprocess.Popen([sys.executable, "-m", "pointsman", "serve", "-c", "router.yaml", "--log-level", "debug"], cwd=router.folder,
                                   stdin=subprocess.DEVNULL, stdout=writing, stderr=writing)
        os.close(writing)
        try:
            oracle = Oracle(router.port, allowed_s=5)
            for _ in range(400):
                if (await oracle.ask("blocked.first", model="one", stream=False)).ended == "complete":
                    break
                await asyncio.sleep(0.05)
            seen = []
            for start in range(0, 400, 20):  # some 400 bytes a line: 64 KiB of pipe are full after a third of them
                seen += await asyncio.gather(*(oracle.ask(f"blocked.{start + i}", model="one", stream=i % 2 == 0) for i in range(20)))
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, 10)
            code = process.returncode
        finally:
            process.kill()
            process.wait()
            os.close(reading)
        bad = [s for s in seen if s.ended != "complete"]
        self._measure("M10", "log and errors into a full pipe: requests without their answer; exit code after SIGTERM",
                      f"{len(bad)} of 400{f'; {bad[0]}' if bad else ''}; {code}", "0; 0", not bad and code == 0)

    async def port_in_use(self) -> None:
        """M11: the port is taken: one line and an exit, at once."""
        router = self._router("port")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", router.port))
            taken.listen()
            began = time.monotonic()
            done = await asyncio.to_thread(
                subprocess.run, [sys.executable, "-m", "pointsman", "serve", "-c", "router.yaml", "--no-log-requests"], cwd=router.folder,
                capture_output=True, timeout=20, check=False)
            took = time.monotonic() - began
        said = (done.stdout + done.stderr).decode()
        self._measure("M11", "the port is taken: exit code, seconds, traceback", f"{done.returncode}, {took:.1f} s, {'Traceback' in said}",
                      "not 0, ≤ 4 s, False", done.returncode != 0 and took <= 4 and "Traceback" not in said)

    async def flushed(self) -> None:
        """S-21, D2: records are on the disk before the last byte of their answer."""
        what, target = "D2, `records.flush: disk`: answers whose last bytes left before their record was flushed, of one after the other", "0"
        if why := may_watch():
            self.found.measures.append(Measure("S-21", what, why, target, None))
            return
        router = self._router("flushed")
        router.plan.flush = "disk"
        (router.folder / "router.yaml").write_text(router.plan.yaml(router.port, router.admin_port, "state/records.db"))
        asked, trace = self.FLUSHED, router.folder / "trace"
        async with router:
            oracle = Oracle(router.port, allowed_s=20)
            try:
                async with Watched(router.target.pid, trace):
                    seen = [await oracle.ask(f"flushed.{i}", model="one", stream=i % 2 == 0) for i in range(asked)]
            except RuntimeError as exc:
                self.found.measures.append(Measure("S-21", what, str(exc), target, None))
                return
        bad = [one for one in seen if one.ended != "complete"]
        answers, late = answers_in(trace.read_text(errors="replace"), router.port)
        self._measure("S-21", what, f"{late} of {answers}{f'; {bad[0]}' if bad else ''}", f"0 of {asked}", not late and not bad and answers == asked)


__all__ = ["ProcessFaults"]
