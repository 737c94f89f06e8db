"""The whole decision alone, by prompt length: gate, rules, heuristic, policy; no HTTP, no parsing, no upstream.

`python bench/overhead/run.py [--rounds 5] [--write]` prints a markdown table; `--write` puts it into RESULTS.md.
Prompts differ from call to call, so that no automaton or branch predictor sees the same text twice in a round.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from pointsman.classify.decider import Decider
from pointsman.core.fleet import Capabilities, EndpointSpec
from pointsman.core.price import GpuPrice
from pointsman.core.request import ChatRequest, Kind, Message, Needs
from pointsman.core.settings import Condition, PoolSettings, RouteSettings, Rule, Settings, TierSettings

VOCABULARY = ["the", "a", "of", "to", "and", "in", "is", "that", "for", "it", "as", "was", "with", "be", "by", "on", "not", "he", "his", "but", "at", "are", "this", "have", "from", "or", "had", "an", "they", "which", "one", "you", "were", "all", "her", "she", "there", "would", "their", "we", "him", "been", "has", "when", "who", "will", "no", "more", "if", "out", "so", "up", "said", "what", "its", "about", "than", "into", "them", "can", "only", "other", "time", "new", "some", "could", "these", "two", "may", "first", "then", "do", "any", "like", "my", "now", "over", "such", "our", "man", "me", "even", "most", "made", "after", "also", "did", "many", "off", "before", "must", "well", "back", "through", "years", "where", "much", "your", "way", "down", "should", "because", "long", "each", "just", "state", "those", "people", "too", "mr", "how", "little", "good", "world", "make", "very", "year", "still", "see", "own", "work", "men", "day", "get", "here", "between", "both", "life", "being", "under", "three", "never", "know", "same", "last", "another", "while", "us", "might", "great", "old", "go", "come", "since", "against", "right", "came", "take", "used", "himself", "few", "house", "refund", "order", "invoice", "delivery", "account", "password", "analyze", "compare", "design", "function", "class", "method", "python", "explain", "derive", "matrix"]
CHINESE = "的一是不了在人有我他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长"
CASES = ("60 words", "600 words", "10k words", "1 MB", "Chinese, 60 characters", "Chinese, 20k characters", "code, 16 KB",
         "50-turn chat")
COUNTS = {"1 MB": 40, "10k words": 300, "Chinese, 20k characters": 200, "code, 16 KB": 200}


def prose(rng: random.Random, words: int) -> str:
    """Sentences of common English words."""
    text = [rng.choice(VOCABULARY) for _ in range(words)]
    return " ".join(word + ("." if i % 13 == 12 else "?" if i % 97 == 96 else "") for i, word in enumerate(text))


def code(rng: random.Random) -> str:
    """Something that looks like Python, 16 KB of it."""
    lines = []
    while len(lines) < 400:
        a, b, c = (rng.choice(VOCABULARY) for _ in range(3))
        lines += [f"def {a}_{b}({c}):", f"    if {c} == {rng.randrange(100)}:", f"        return {a}({b}[{rng.randrange(9)}])"]
    return "\n".join(lines)


def a_chat(*texts: str) -> ChatRequest:
    """User and assistant turns, the last one the user's."""
    messages = tuple(Message("user" if i % 2 == 0 else "assistant", text) for i, text in enumerate(texts))
    body = msgspec.json.encode([m.text for m in messages])
    return ChatRequest(Kind.CHAT, body, "auto", messages, needs=Needs(context=len(body) // 3))


def requests(case: str, rng: random.Random, count: int) -> list[ChatRequest]:
    """`count` different requests of a case."""
    chinese = lambda n: "".join(rng.choice(CHINESE) for _ in range(n))  # noqa: E731
    makers: dict[str, Callable[[], ChatRequest]] = {
        "60 words": lambda: a_chat(prose(rng, 60)),
        "600 words": lambda: a_chat(prose(rng, 600)),
        "10k words": lambda: a_chat(prose(rng, 10_000)),
        "1 MB": lambda: a_chat((prose(rng, 20_000) * 12)[: 1 << 20]),
        "Chinese, 60 characters": lambda: a_chat(chinese(60)),
        "Chinese, 20k characters": lambda: a_chat(chinese(20_000)),
        "code, 16 KB": lambda: a_chat("Why does this fail?\n```python\n" + code(rng) + "\n```"),
        "50-turn chat": lambda: a_chat(*(prose(rng, 60) for _ in range(99))),
    }
    return [makers[case]() for _ in range(count)]


def decider() -> Decider:
    """Three tiers, three ordinary rules, the heuristic."""
    names = ("small", "medium", "large")
    price = GpuPrice("RTX 4090", 0.51, 1, 1000.0)
    pools = {n: PoolSettings(n, n, (EndpointSpec(f"{n}/0", n, "http://127.0.0.1:9/v1", n, price=price),),
                             Capabilities(context=1 << 20, tools=True)) for n in names}
    rules = (Rule("order", Condition(regex=r"(?i)\border[- ]?\d{6,}\b"), tier="small"),
             Rule("legal", Condition(header={"x-team": "legal"}), tier="large"),
             Rule("human", Condition(keywords=("speak to a human", "complaint")), tier="medium"))
    route = RouteSettings("auto", ladder=names, default_tier="large", rules=rules)
    settings = Settings(tiers={n: TierSettings(n, (n,)) for n in names}, pools=pools, routes={"auto": route})
    return Decider(route, settings, time.perf_counter)


def measure(subject: Decider, asked: list[ChatRequest]) -> tuple[float, float, float]:
    """Mean, p50 and p99 in microseconds, each request decided once."""
    took = []
    for request in asked:
        started = time.perf_counter_ns()
        subject.decide(request)
        took.append((time.perf_counter_ns() - started) / 1000)
    took.sort()
    return statistics.fmean(took), took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.99))]


def table(rounds: int) -> str:
    """The markdown table: medians over rounds, cases interleaved."""
    subject, found = decider(), {case: [] for case in CASES}
    for number in range(rounds + 1):  # the first round warms up and is dropped
        for case in CASES:
            asked = requests(case, random.Random(f"{case} {number}"), COUNTS.get(case, 2000 if "60" in case else 500))
            gc.collect()
            if number:
                found[case].append(measure(subject, asked))
            else:
                measure(subject, asked)
    rows = ["| prompt | mean us | p50 us | p99 us |", "|---|---:|---:|---:|"]
    for case in CASES:
        mean, p50, p99 = (statistics.median(row[i] for row in found[case]) for i in range(3))
        rows.append(f"| {case} | {mean:.0f} | {p50:.0f} | {p99:.0f} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write RESULTS.md beside this file")
    options = parser.parse_args()
    today = datetime.datetime.now(datetime.UTC).date()
    text = f"""# What a decision costs

The whole decision (gate, three rules, heuristic, policy) on one core, without HTTP and JSON parsing. Median of
{options.rounds} rounds after a warm-up round; every prompt is new. Target: p99 at most 1,000 us at any length, mean at most 100 us at
60 words. Made by `make bench-overhead` on {today}, Python {platform.python_version()}, {platform.machine()}.

{table(options.rounds)}
"""
    print(text)
    if options.write:
        Path(__file__).with_name("RESULTS.md").write_text(text)


if __name__ == "__main__":
    main()
