"""What the trained stages cost the whole path: the same router with and without them, behind the same C load generator.

Every prompt of the load is another one, 4,096 of them: no memory of earlier scores answers. One core each for router and
load, as in ../throughput, whose programs this uses.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path

THROUGHPUT = Path(__file__).resolve().parent.parent / "throughput"
sys.path.insert(0, str(THROUGHPUT))

import workload  # noqa: E402
from contestants import BIN, Contestant, pointsman_config, wait_ready  # noqa: E402
from measure import _compile, _cores, _pinned  # noqa: E402
from processes import Processes, cpu_s, free_port, rss_bytes  # noqa: E402

from pointsman.classify.kernel.build import NUMPY, VARIABLE  # noqa: E402

BODIES, CONNECTIONS, SECONDS, WARMUP_S = 4096, 32, 1.0, 0.25
TURNS = 4
"""Turns of every router in a round, each in another order: a machine's own moods last for seconds, and with cells of two of them in one order one and the
same code came out between -11 and -26 %."""
TRAINED = "[rules, heuristic, embedding]"
ROUTERS = {"rules, heuristic": ("[rules, heuristic]", "off", ""), "shipped": (TRAINED, "off", "default"), "static": (TRAINED, "off", ""),
           "static, numpy": (TRAINED, "off", ""), "static, sentence": (TRAINED, "auto", "")}
"""Name -> pipeline, the sentence embedder, and the artifact when it is not the one that is measured. What is called `numpy` runs
without the compiled kernel."""


def throughput(artifact: Path, folder: Path, rounds: int) -> str:
    """A markdown section: requests per second, CPU per request and memory of each, medians of interleaved rounds."""
    folder = folder / "path"
    folder.mkdir()
    notes: list[str] = []
    router_core, load_core = _cores(notes)
    _compile(folder)
    bodies = folder / "bodies.jsonl"
    bodies.write_text("".join(workload.body(prompt, None) + "\n" for prompt in _prompts()))
    processes = Processes()
    try:
        port = free_port()
        upstream = Contestant("upstream", "direct", port=port)
        upstream.process = processes.start([folder / "upstream", "--port", str(port), "--events", "66"], core=load_core, log=folder / "up.log")
        wait_ready(upstream, folder / "up.log")
        routers = {name: _router(name, artifact, folder, port, processes, router_core) for name in ROUTERS}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in routers}
        for turn in range((rounds + 1) * TURNS):
            for name in _in_turn(list(routers), turn):
                measured = _measured(routers[name], bodies, folder, load_core)
                if turn >= TURNS:  # the first round warms up
                    found[name].append(measured)
        memory = {name: rss_bytes(router.pid) or 0 for name, router in routers.items()}
    finally:
        processes.stop_all()
    return _section(found, memory, notes)


def _in_turn(names: list[str], turn: int) -> list[str]:
    """Each begins once, and goes both before and after every other."""
    first = turn // 2 % len(names)
    order = names[first:] + names[:first]
    return order if turn % 2 == 0 else order[::-1]


def _prompts() -> list[str]:
    """As the throughput bench's, only that none comes twice."""
    rng = random.Random(11)
    return [" ".join([*prompt.split()[: workload.WORDS - 1], f"(case {rng.randrange(10**9)})"])
            for prompt in workload.prompts(BODIES, seed=13)]


def _router(name: str, artifact: Path, folder: Path, upstream: int, processes: Processes, core: int | None) -> Contestant:
    pipeline, sentence, other = ROUTERS[name]
    place = folder / name.replace(", ", "-").replace(" ", "-")
    place.mkdir()
    router = Contestant(name, "router", port=free_port(), ready_path="/health/readiness")
    text = pointsman_config(place, router.port, free_port(), upstream, 1024).replace("[rules, heuristic]", pipeline)
    if "embedding" in pipeline:
        text += f'classifier: {{artifact: "{other or artifact}", sentence: {sentence}}}\n'
    (place / "pointsman.yaml").write_text(text)
    router.process = processes.start([BIN / "pointsman", "serve", "--config", place / "pointsman.yaml"], core=core, log=place / "out.log", cwd=place,
                                     env=os.environ | {"POINTSMAN_ADMIN_TOKEN": "bench-" + os.urandom(12).hex(), VARIABLE: NUMPY if name.endswith(NUMPY) else ""})
    router.pid = router.process.pid
    wait_ready(router, place / "out.log")
    return router


def _measured(router: Contestant, bodies: Path, folder: Path, load_core: int | None) -> tuple[float, float]:
    """Requests per second, and microseconds of CPU per request."""
    before = cpu_s(router.pid) or 0.0
    done = subprocess.run(_pinned([str(folder / "load"), "--port", str(router.port), "--path", router.path, "--bodies", str(bodies),
                                   "--connections", str(CONNECTIONS), "--seconds", str(SECONDS), "--warmup", str(WARMUP_S)], load_core),
                          capture_output=True, text=True, check=True, timeout=SECONDS + 30)
    said = json.loads(done.stdout)
    if said["errors"] or said["non_2xx"]:
        raise SystemExit(f"{router.name}: {said['errors']} errors, {said['non_2xx']} answers that are no 200")
    return said["requests_per_s"], ((cpu_s(router.pid) or 0.0) - before) / max(1, said["all_requests"]) * 1e6


def _section(found: dict[str, list[tuple[float, float]]], memory: dict[str, int], notes: list[str]) -> str:
    first = next(iter(found.values()))
    lines = ["## The whole path", "",
             f"{CONNECTIONS} connections, plain answers, {BODIES:,} different prompts of 60 words, router on a core of its own. Medians of {len(first)} turns of "
             f"{SECONDS:g} s, every one paired with that of rules and heuristic beside it; in brackets where the median lies in 95 of 100 resamplings. "
             "Target: at most 20 % below.", "", "| pipeline | requests/s | against the first | CPU us/request | RSS MiB |", "|---|---:|---:|---:|---:|"]
    for name, rows in found.items():
        rate, cpu = statistics.median(row[0] for row in rows), statistics.median(row[1] for row in rows)
        ratios = [row[0] / base[0] - 1 for row, base in zip(rows, first, strict=True)]
        low, high = _interval(ratios)
        against = "" if rows is first else f"{statistics.median(ratios):+.1%} ({low:+.1%} to {high:+.1%})"
        lines.append(f"| {name} | {rate:.0f} | {against} | {cpu:.0f} | {memory[name] / 2**20:.0f} |")
    return "\n".join([*lines, "", *notes, ""])


def _interval(numbers: list[float], draws: int = 2000) -> tuple[float, float]:
    """Where the median lies in 95 of 100 bootstrap draws (percentiles)."""
    rng = random.Random(3)
    medians = sorted(statistics.median(rng.choices(numbers, k=len(numbers))) for _ in range(draws))
    return medians[round(0.025 * draws)], medians[round(0.975 * draws) - 1]
