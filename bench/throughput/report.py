"""The tables of a run, as markdown. Reads a finished `Bench`; measures nothing."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

import workload
from contestants import Contestant, nginx_binary
from figures import (
    Row,
    added,
    bytes_per_stream,
    faults,
    is_void,
    layer_costs,
    markdown_table,
    median,
    mib,
    number,
    row_of,
)
from measure import CELLS, CONCURRENCY, KINDS, LAYER_CELLS, OPEN_LOOP, OPEN_LOOP_RATE, Bench, Cell, Results
from rivals import settings_table

STRANGERS_TOLERATED = 0.05
"""Share of the contestant's core that other processes may take before the report says so: what medians absorb."""

TITLES = {"plain": "Plain", "segment": "Streamed, one event per segment", "burst": "Streamed, in bursts",
          "paced": f"Streamed, paced: one event per stream each {workload.PACE_US // 1000} ms"}


def report(bench: Bench, seconds_taken: float) -> str:
    """All tables as markdown."""
    results = bench.results
    rows = {key: row_of(samples) for key, samples in results.matrix.items()}
    parts = ["# Throughput", _about(bench, seconds_taken), "## Numbers to meet", _verdicts(bench, rows)]
    for kind in (*KINDS, "paced"):
        if tables := _matrix_tables(bench, rows, kind):
            parts += [f"## {TITLES[kind]}", *tables]
    parts += [f"## Added latency at {OPEN_LOOP_RATE} requests/s (open loop)", _open_loop_table(bench),
              *(["## The cost of each layer", layers] if (layers := _layers_table(rows)) else []),
              "## Memory of open streams", _memory_table(results), "## Start", _start_table(results),
              *(["## Rivals", rivals] if (rivals := _rivals_table(bench)) else [])]
    if (share := _strangers(results)) > STRANGERS_TOLERATED:
        results.notes.append(f"Processes outside this bench took {share:.0%} of the contestant's core: indicative numbers only.")
    if results.notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in results.notes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _strangers(results: Results) -> float:
    return results.strangers_s / results.measured_s if results.measured_s else 0.0


def _about(bench: Bench, seconds_taken: float) -> str:
    options = bench.options
    command = " ".join(["make bench-throughput", *([f"ARGS={shlex.quote(shlex.join(sys.argv[1:]))}"] if sys.argv[1:] else [])])
    pins = ("unpinned" if bench.contestant_core is None
            else f"upstream and load on core {bench.load_core}, contestant on core {bench.contestant_core}")
    return "\n".join([
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC · {_machine()}  ",
        f"{_versions()}  ",
        f"`{command}` · {options.rounds} interleaved rounds of {options.seconds:g} s, medians · {pins}, of which others used "
        f"{_strangers(bench.results):.0%} · took {seconds_taken:.0f} s",
        "",
        f"Prompts: {workload.PROMPTS} different ones of {workload.WORDS} words. Streams: {workload.EVENTS} events. "
        "Added: over the direct call at the same concurrency. Latencies in µs. Errors are summed over all rounds.",
    ])


def _machine() -> str:
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} cores, {model}, Linux {platform.release()}"


def _versions() -> str:
    parts = [f"Python {platform.python_version()}"]
    for name in ("pointsman", "uvicorn", "uvloop", "httptools", "aiohttp", "msgspec", "granian"):
        try:
            parts.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    if binary := nginx_binary():
        said = subprocess.run([binary, "-v"], capture_output=True, text=True, check=False).stderr
        parts.append("nginx " + said.strip().rpartition("/")[2])
    return ", ".join(parts)


def _matrix_tables(bench: Bench, rows: dict[tuple[Cell, str], Row], kind: str) -> list[str]:
    tables = []
    for cell in (c for c in CELLS if c[0] == kind):
        connections = cell[1]
        lines = [_matrix_line(bench, rows, cell, c) for c in bench.contestants if (cell, c.name) in rows]
        if lines:
            unit = "events/s" if kind != "plain" else None
            headers = [f"{connections} at once", "req/s", *([unit, "events/read", "TTFT p50", "TTFT p99"] if unit else []),
                       "p50", "p99", "added p50", "added p99", "CPU s /1k req", "RSS MiB", "errors"]
            tables.append(markdown_table(headers, lines) + _void_note(bench, rows, cell))
    return tables


def _matrix_line(bench: Bench, rows: dict[tuple[Cell, str], Row], cell: Cell, contestant: Contestant) -> list[str]:
    row, direct = rows[cell, contestant.name], rows[cell, "direct"]
    is_direct = contestant.role == "direct"
    name = contestant.name + (" (void)" if contestant.role == "router" and _void(rows, cell, contestant.name) else "")
    streamed = [number(row.events_per_s), number(row.events_per_read, 2), number(row.ttft_p50_us), number(row.ttft_p99_us)]
    return [name, number(row.requests_per_s), *(streamed if cell[0] != "plain" else []),
            number(row.p50_us), number(row.p99_us),
            "" if is_direct else number(added(row.p50_us, direct.p50_us)),
            "" if is_direct else number(added(row.p99_us, direct.p99_us)),
            number(row.cpu_s_per_1k, 3), mib(row.rss_bytes), faults(row)]


def _rate(row: Row, cell: Cell) -> float:
    return row.requests_per_s if cell[0] == "plain" else row.events_per_s


def _void(rows: dict[tuple[Cell, str], Row], cell: Cell, name: str) -> bool:
    """Is direct too slow to judge this router by? A faster rival voids its own number only: it may be understated, ours is not.

    What paced streams offer is fixed, so there direct is judged by the same streams unpaced.
    """
    full_speed: Cell = ("segment", 256) if cell[0] == "paced" else cell
    return is_void(_rate(rows[full_speed, "direct"], full_speed), [_rate(rows[cell, name], cell)])


def _void_note(bench: Bench, rows: dict[tuple[Cell, str], Row], cell: Cell) -> str:
    void = any(_void(rows, cell, c.name) for c in bench.contestants if c.role == "router" and (cell, c.name) in rows)
    return "\n\nVoid: direct is not three times as fast, so the load or the upstream may be what was measured." if void else ""


def _open_loop_table(bench: Bench) -> str:
    lines = []
    words = {"plain": "plain, whole answer", "segment": "streamed, first content"}
    for kind, is_awake in OPEN_LOOP:
        what = f"{words[kind]}{', cores kept awake' if is_awake else ''}"
        samples = {name: row_of(s) for (k, a, name), s in bench.results.open_loop.items() if (k, a) == (kind, is_awake)}
        for name, row in samples.items():
            (p50, p99), (d50, d99) = _first_or_whole(row, kind), _first_or_whole(samples["direct"], kind)
            lines.append([f"{name}: {what}", number(row.requests_per_s), number(p50), number(p99),
                          "" if name == "direct" else number(added(p50, d50)),
                          "" if name == "direct" else number(added(p99, d99)), faults(row)])
    return markdown_table(["", "req/s", "p50", "p99", "added p50", "added p99", "errors"], lines)


def _first_or_whole(row: Row, kind: str) -> tuple[float | None, float | None]:
    return (row.p50_us, row.p99_us) if kind == "plain" else (row.ttft_p50_us, row.ttft_p99_us)


def _layers_table(rows: dict[tuple[Cell, str], Row]) -> str:
    """CPU per request from the bare server up to the router: the same load, one thing more in each row."""
    lines = []
    for cell in LAYER_CELLS:
        names = [n for n in ("uvicorn echo", "uvicorn + http1", "pointsman") if (cell, n) in rows]
        chain = layer_costs([(name, rows[cell, name].cpu_s_per_1k) for name in names])
        lines += [[f"{cell[0]}, {cell[1]} at once: {name}", number(micros), number(more), number(_rate(rows[cell, name], cell))]
                  for name, micros, more in chain]
    return markdown_table(["", "CPU µs per request", "more than the row before", "req/s or events/s"], lines) if lines else ""


def _memory_table(results: Results) -> str:
    lines = [[name, number(count), mib(memory.before), mib(rss), number((kb := bytes_per_stream(memory.before, rss, count)) and kb / 1024, 1),
              "" if count >= asked else f"**{asked - count:,} of {asked:,} did not open**"]
             for name, memory in results.memory.items()
             for asked, count, rss in memory.steps]
    table = markdown_table(["", "open streams", "RSS before, MiB", "RSS, MiB", "KiB per stream", "missing"], lines) if lines else ""
    return table and table + "\n\nKernel socket buffers are not in RSS; a router holds two sockets per stream."


def _start_table(results: Results) -> str:
    lines = [[name, number(len(times)), number(median(times), 2), mib(median(results.start_rss[name]))]
             for name, times in results.starts.items()]
    return markdown_table(["", "starts", "start to ready, s (median)", "RSS when ready, MiB"], lines) if lines else ""


def _rivals_table(bench: Bench) -> str:
    """Who else ran, and how it was started."""
    ran = {contestant.name for contestant in bench.contestants}
    lines = [line for line in settings_table() if line[0] in ran and bench.options.rivals]
    return markdown_table(["", "version", "settings"], lines) if lines else ""


def _verdicts(bench: Bench, rows: dict[tuple[Cell, str], Row]) -> str:
    """The targets this bench can judge, each with the number that was measured. Unknown is never `met`."""
    results, name = bench.results, "pointsman"

    def best(kind: str) -> float | None:
        cells = [cell for cell in CELLS if cell[0] == kind and (cell, name) in rows and not _void(rows, cell, name)]
        return max((_rate(rows[cell, name], cell) for cell in cells), default=None)

    def at_100(is_awake: bool) -> list[float | None]:
        plain = results.open_loop.get(("plain", is_awake, name))
        direct = results.open_loop.get(("plain", is_awake, "direct"))
        if not plain or not direct:
            return [None, None]
        ours, theirs = row_of(plain), row_of(direct)
        return [_ms(added(ours.p50_us, theirs.p50_us)), _ms(added(ours.p99_us, theirs.p99_us))]

    asleep, awake = at_100(False), at_100(True)
    memory = results.memory.get(name)
    _, opened, rss = memory.steps[-1] if memory and memory.steps else (0, 0, None)
    per_stream = bytes_per_stream(memory.before, rss, opened) if memory else None
    start_rss = median(results.start_rss.get(name, []))
    targets: list[tuple[str, float | None, float, float, bool, int]] = [
        ("plain requests/s, one core", best("plain"), 2000, 3000, True, 0),
        ("events/s, one per segment (paced)", best("paced"), 12_000, 24_000, True, 0),
        ("events/s, in bursts", best("burst"), 60_000, 120_000, True, 0),
        ("added p50 at 100 req/s, ms", asleep[0], 1, 0.5, False, 2),
        ("added p99 at 100 req/s, ms", asleep[1], 4, 3, False, 2),
        ("the same p50, cores kept awake", awake[0], 1, 0.5, False, 2),
        ("the same p99, cores kept awake", awake[1], 4, 3, False, 2),
        ("RSS at start, MiB", start_rss and start_rss / 2**20, 150, 150, False, 0),
        ("KiB per open stream", per_stream and per_stream / 1024, 50, 50, False, 1),
        ("open streams on one core", float(opened) or None, 8000, 8000, True, 0),
        ("start to ready, s", median(results.starts.get(name, [])), 1.5, 1.5, False, 2),
    ]
    if all((("plain", c), "litellm") in rows for c in CONCURRENCY):
        theirs = max(_rate(rows[("plain", c), "litellm"], ("plain", c)) for c in CONCURRENCY)
        ours = best("plain")
        targets.append(("times LiteLLM, plain requests/s", ours / theirs if ours and theirs else None, 20, 20, True, 1))
    lines = [[what, number(value, digits), number(must, digits), number(aim, digits), _verdict(value, must, aim, more_is_better)]
             for what, value, must, aim, more_is_better, digits in targets]
    return markdown_table(["Pointsman", "measured", "must", "aim", ""], lines)


def _ms(micros: float | None) -> float | None:
    return None if micros is None else micros / 1000


def _verdict(value: float | None, must: float, aim: float, more_is_better: bool) -> str:
    if value is None:
        return "not measured"
    sign = 1 if more_is_better else -1
    return "aim met" if sign * value >= sign * aim else "met" if sign * value >= sign * must else "**missed**"
