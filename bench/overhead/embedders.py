"""What an embedding costs: `python bench/overhead/embedders.py`. By length, by batch, and in memory.

Each text is measured by itself, on one thread, with nothing remembered. Wall time is what a request waits; CPU time is
what a busy machine cannot blur.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import random
import subprocess
import sys
import time
from pathlib import Path

from pointsman.classify.embedders.sentence import find_sentence
from pointsman.classify.embedders.static import shipped_static

WORDS = ("the", "of", "a", "in", "to", "is", "what", "how", "water", "money", "country", "list", "number", "energy", "people", "write",
         "function", "explain", "best", "time", "history", "small", "large", "school", "city", "night", "power", "music", "language", "law",
         "game", "market", "light", "story", "river", "heart", "price", "paper", "health", "science", "family", "car", "food", "war", "house",
         "field", "name", "state", "order", "book", "air", "land", "color", "body", "horse", "tree", "plan", "bank", "road", "doctor")
"""Each is one token of the sentence models."""
TOKENS = (8, 16, 24, 32, 48, 64, 256)
BATCHES = (1, 4, 16)
MEMORY = """
import sys
from pathlib import Path
def resident():
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
import numpy, pointsman.cli.main
before = resident()
if sys.argv[1] == "static":
    from pointsman.classify.embedders.static import shipped_static
    model = shipped_static()
else:
    from pointsman.classify.embedders.sentence import load_sentence
    model = load_sentence(sys.argv[1])
for n in range(50):
    model.embed([f"question number {n} " + "about water and music " * 30])
print(round(resident() - before))
"""


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="What an embedding costs.")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="write EMBEDDERS.md beside this file")
    said = parser.parse_args()
    models = {"static": shipped_static(), "l3": find_sentence("l3"), "l6": find_sentence("l6")}
    page = report({name: model for name, model in models.items() if model is not None}, said.rounds)
    print(page)
    if said.write:
        Path(__file__).with_name("EMBEDDERS.md").write_text(heading() + page + "\n", "utf-8")


def report(models, rounds: int) -> str:
    """The tables."""
    lines = ["| tokens | " + " | ".join(f"{name} p50 | p99 | CPU p50 | p99" for name in models) + " |",
             "| ---: |" + " ---: | ---: | ---: | ---: |" * len(models)]
    for tokens in TOKENS:
        cells = []
        for model in models.values():
            cells += timed(model, tokens - 2, rounds)
        lines.append(f"| {tokens} | " + " | ".join(cells) + " |")
    lines += ["", "Milliseconds a text, one at a time, one thread; CPU time beside wall time: where the two differ, something else had the core. Sentence models read at most "
              "64 tokens, so 256 costs what 64 cost, and the tokenising of two ends.", "",
              "| texts a call | " + " | ".join(models) + " |", "| ---: |" + " ---: |" * len(models)]
    for size in BATCHES:
        lines.append(f"| {size} | " + " | ".join(batched(model, size, max(10, rounds // size)) for model in models.values()) + " |")
    lines += ["", "Milliseconds a text at 24 tokens when a call brings several: texts are computed one at a time, so a batch saves only the hop "
              "between threads.", "", "| | memory, MB |", "| --- | ---: |"]
    lines += [f"| {name} | {memory(name)} |" for name in models]
    return "\n".join(lines)


def texts(words: int, count: int, seed: int = 0) -> list[str]:
    """Texts of so many tokens, no two alike, and with another seed none that was seen before."""
    rng = random.Random(1000 * seed + words)
    return [" ".join(rng.choices(WORDS, k=words)) for _ in range(count)]


def timed(model, words: int, rounds: int) -> list[str]:
    """Median and 99th percentile, of the wall and of the CPU."""
    wall, cpu = [], []
    for text in texts(words, rounds + 5):
        began, worked = time.perf_counter_ns(), time.thread_time_ns()
        model.embed([text])
        cpu.append(time.thread_time_ns() - worked)
        wall.append(time.perf_counter_ns() - began)
    wall, cpu = sorted(wall[5:]), sorted(cpu[5:])
    return [f"{spent[int(rounds * share)] / 1e6:.3g}" for spent in (wall, cpu) for share in (0.5, 0.99)]


def batched(model, size: int, rounds: int) -> str:
    """Median CPU milliseconds a text in calls of `size`."""
    said, spent = texts(22, size * rounds, seed=size), []
    for turn in range(rounds):
        worked = time.thread_time_ns()
        model.embed(said[turn * size : (turn + 1) * size])
        spent.append((time.thread_time_ns() - worked) / size)
    return f"{sorted(spent)[rounds // 2] / 1e6:.3g}"


def memory(name: str) -> str:
    """What a process grows by when it loads a model and answers fifty pages."""
    done = subprocess.run([sys.executable, "-c", MEMORY, name], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def heading() -> str:
    """Where this was measured."""
    today = datetime.datetime.now(datetime.UTC).date()
    return (f"# What an embedding costs\n\nMade by `python bench/overhead/embedders.py --write` on {today}, Python {platform.python_version()}, "
            f"{platform.machine()}, {processor()}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n\n")


def processor() -> str:
    """The name the kernel gives to it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "an unnamed processor")


if __name__ == "__main__":
    main()
