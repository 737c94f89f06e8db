"""Asks a real small model every task on three rungs, and keeps what it said: `python bench/cascade/collect.py --tasks 2000`.

Rungs, dearer and mostly better: `zero` (the question alone), `few` (solved examples first), `vote` (four answers at
temperature 0.7 after the same examples; the most frequent one). Log-probabilities are the engine's own. Appends to
`answers.jsonl.gz` beside this file and goes on where it was stopped. Whoever collects on a machine that does other work says `--busy`:
rows are marked so, and nobody takes their seconds for the model's.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from programs import runs
from rich.progress import Progress
from tasks import Task, tasks

from pointsman.testing.llamacpp import MODEL, LlamaCpp

FILE = Path(__file__).with_name("answers.jsonl.gz")
SEED = 20261122
SAMPLES = 4
CHUNK = 40
_TIMEOUT_S = 600


def ask(url: str, task: Task, shots: bool, samples: int) -> tuple[dict[str, Any], float]:
    """The whole reply, and its seconds."""
    messages = []
    for question, answer in task.examples if shots else ():
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    body: dict[str, Any] = {"model": MODEL, "messages": [*messages, {"role": "user", "content": task.prompt}], "max_tokens": task.max_tokens,
                            "temperature": 0.0 if samples == 1 else 0.7, "n": samples, "seed": 1, "logprobs": True, "cache_prompt": True}
    if task.schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": task.schema}}
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
    started = time.monotonic()
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:
        return json.loads(reply.read()), time.monotonic() - started


def row(task: Task, rung: str, reply: dict[str, Any], took_s: float) -> dict[str, Any]:
    """What is kept of a reply: the answer given, whether it is right, and what verifiers may read."""
    choices = reply["choices"]
    said = [(choice["message"]["content"] or "").strip() for choice in choices]
    best = Counter(said).most_common(1)[0][0]
    at = said.index(best)
    logprobs = [round(token["logprob"], 3) for token in (choices[at].get("logprobs") or {}).get("content") or ()]
    return {
        "task": task.id, "kind": task.kind, "level": task.level, "rung": rung, "answer": best, "right": task.is_right(best, runs),
        "finish": choices[at]["finish_reason"], "logprobs": logprobs, "agreement": said.count(best) / len(said), "samples": len(said),
        "input_tokens": reply["usage"]["prompt_tokens"], "output_tokens": reply["usage"]["completion_tokens"], "seconds": round(took_s, 3),
    }


def known() -> list[dict[str, Any]]:
    """All rows so far; none when nothing was collected."""
    if not FILE.exists():
        return []
    with gzip.open(FILE, "rt") as lines:
        return [json.loads(line) for line in lines]


def answers_of(url: str, task: Task) -> Iterator[dict[str, Any]]:
    for rung, shots, samples in (("zero", False, 1), ("few", True, 1), ("vote", True, SAMPLES)):
        yield row(task, rung, *ask(url, task, shots, samples))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--busy", action="store_true", help="the machine does other work meanwhile: mark the seconds as no measurement")
    options = parser.parse_args()
    done = {line["task"] for line in known()}
    wanted = [task for task in tasks(options.tasks, SEED) if task.id not in done]
    with LlamaCpp(slots=4, threads=options.threads) as engine, Progress(transient=not sys.stdout.isatty()) as progress:
        bar = progress.add_task("asking", total=len(wanted))
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            with ThreadPoolExecutor(2) as pool:
                found = [line for lines in pool.map(lambda task: list(answers_of(engine.url, task)), chunk) for line in lines]
            if options.busy:
                found = [line | {"busy": True} for line in found]
            with gzip.open(FILE, "at") as file:
                file.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in found)
            progress.advance(bar, len(chunk))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
