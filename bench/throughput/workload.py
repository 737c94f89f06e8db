"""What is sent: 64 different 60-word prompts, so that no cache of bodies can answer for the router.

The `user` field tells the C upstream how to write a stream (see upstream.c); routers pass it on untouched.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

WORDS = 60
PROMPTS = 64
EVENTS = 66
"""Events of one stream: role, 64 content deltas, finish. [DONE] and injected usage chunks do not count."""
PACE_US = 10_000
"""Paced streams: 256 of them, one event each per 10 ms, offer 25,600 events/s (512: 51,200), each its own read at the router."""
IDLE_PACE_US = 5_000_000
"""Open but idle streams: one event in 5 s, well inside every stall timeout."""

SENTENCES = (
    "my order {n} has not arrived and the tracking page has shown the same city for four days",
    "please summarise the paragraph below for a colleague who has never worked in our department",
    "write a function that reads a list of dates and returns the weeks in which none of them falls",
    "explain why the sum of the first {n} odd numbers is a perfect square and give one example",
    "which of these three contracts lets either side leave with less than {n} days of notice",
    "translate the following sentence into French and keep the product names as they are",
    "the invoice lists {n} units but the delivery note says something else so which one is right",
    "compare two ways of storing time series for a small factory with {n} sensors on one machine",
    "extract the name, the street and the postal code from the text and answer in JSON",
    "our printer reports error {n} after every second page and the manual does not mention it",
    "draft a friendly reply to a guest who asks whether late arrival after midnight is possible",
    "what does the law of large numbers promise and what does it not promise about {n} coin tosses",
)


def prompts(count: int = PROMPTS, words: int = WORDS, seed: int = 7) -> list[str]:
    """`count` different prompts of exactly `words` words, the same in every run."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        text: list[str] = []
        while len(text) < words:
            text += rng.choice(SENTENCES).format(n=rng.randrange(100, 1_000_000)).split()
        made.append(" ".join(text[:words]))
    return made


def body(prompt: str, writing: str | None) -> str:
    """One chat body on one line. `writing`: None = plain, else how the upstream writes the stream."""
    fields: dict[str, object] = {
        "model": "auto",
        "messages": [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": prompt}],
        "temperature": 0.2, "max_tokens": 256,
    }
    if writing is not None:
        fields |= {"stream": True, "user": writing}
    return json.dumps(fields, separators=(",", ":"))


WRITINGS: dict[str, str | None] = {
    "plain": None, "segment": "segment", "burst": "burst", "paced": f"pace-{PACE_US}", "idle": f"pace-{IDLE_PACE_US}",
}


def write_bodies(folder: Path) -> dict[str, Path]:
    """One file per kind of row, one body per line."""
    files = {}
    for kind, writing in WRITINGS.items():
        files[kind] = folder / f"{kind}.jsonl"
        files[kind].write_text("".join(body(prompt, writing) + "\n" for prompt in prompts()))
    return files
