"""The whole decision alone, by prompt length: gate, rules, heuristic, trained stages, policy; no HTTP, no parsing, no upstream.

    make bench-overhead                                  the tables, about three minutes
    make bench-overhead ARGS="--write"                   and write RESULTS.md beside this file
    make bench-overhead ARGS="--artifact DIR"            another artifact than the one that is trained on the spot
    make bench-overhead ARGS="--path --write"            and what the trained stages cost the throughput of the whole path (gcc)

Prompts differ from call to call, so that no automaton, memory or branch predictor sees the same text twice in a round. The
trained stages go by an artifact of three models with 1,000 labels, made on the spot: what it says is worth nothing, what it
costs is what an owner's costs. The sentence stage is measured where its extra is installed (`make setup` does).
"""
from __future__ import annotations

import argparse
import asyncio
import datetime
import gc
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from pointsman.classify.classifier import Classifier
from pointsman.classify.decider import Decider, build_decider
from pointsman.core.fleet import Capabilities, EndpointSpec
from pointsman.core.price import GpuPrice
from pointsman.core.request import Caller, ChatRequest, Kind, Message, Needs
from pointsman.core.settings import (
    ClassifierSettings,
    Condition,
    PoolSettings,
    RouteSettings,
    Rule,
    Settings,
    TierSettings,
)
from pointsman.gateway.graph import Graph
from pointsman.wiring import build_graph

Took = tuple[float, float, float]
"""Mean, p50 and p99 in microseconds."""
LABELS = 1000
SENTENCE_CASES = ("20 words", "60 words", "600 words", "Chinese, 60 characters", "code, 16 KB")
MIXED_WORDS = (5, 8, 10, 12, 20, 30, 60, 150, 400)
MIXED_QUALITIES = (0.5, 0.6, 0.8, 0.9, 0.95)
PAUSE_S = 0.002

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
        "20 words": lambda: a_chat(prose(rng, 20)),
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


def settings(pipeline: tuple[str, ...]) -> Settings:
    """Three tiers, three ordinary rules."""
    names = ("small", "medium", "large")
    pools = {n: PoolSettings(n, n, (EndpointSpec(f"{n}/0", n, "http://127.0.0.1:9/v1", n, price=GpuPrice("RTX 4090", usd, 1, 1000.0)),),
                             Capabilities(context=1 << 20, tools=True)) for n, usd in zip(names, (0.51, 1.43, 2.4), strict=True)}
    rules = (Rule("order", Condition(regex=r"(?i)\border[- ]?\d{6,}\b"), tier="small"),
             Rule("legal", Condition(header={"x-team": "legal"}), tier="large"),
             Rule("human", Condition(keywords=("speak to a human", "complaint")), tier="medium"))
    route = RouteSettings("auto", ladder=names, default_tier="large", rules=rules, pipeline=pipeline)
    return Settings(tiers={n: TierSettings(n, (n,)) for n in names}, pools=pools, routes={"auto": route})


def decider() -> Decider:
    """Rules and the heuristic."""
    return build_decider(settings(("rules", "heuristic")), "auto", time.perf_counter)


def trained_decider(classifier: Classifier) -> Decider:
    """Rules, the heuristic and the static half of the trained stage."""
    return build_decider(settings(("rules", "heuristic", "embedding")), "auto", time.perf_counter, classifier=classifier)


def an_artifact(folder: Path) -> Path:
    """1,000 labels of three models: words at random, answers by their length. Only what it costs to use is of interest."""
    import numpy as np

    from pointsman import artifact
    from pointsman.classify.embedders.sentence import find_sentence
    from pointsman.learn.fit import fit
    from pointsman.learn.table import OutcomeTable

    rng = random.Random(5)
    prompts = [prose(rng, rng.choice((8, 20, 60, 150))) for _ in range(LABELS)]
    ease = [1 / (1 + len(prompt) / 400) for prompt in prompts]
    quality = np.array([[float(rng.random() < chance) for chance in (e, (1 + e) / 2, 0.95)] for e in ease])
    table = OutcomeTable([str(n) for n in range(LABELS)], prompts, ("small", "medium", "large"), quality)
    return artifact.write(fit(table, seed=1, sentence=find_sentence(), progress=lambda stage, done: None), folder / "artifact").path


def measure(subject: Decider, asked: list[ChatRequest]) -> Took:
    """Each request decided once."""
    took = []
    for request in asked:
        started = time.perf_counter_ns()
        subject.decide(request)
        took.append((time.perf_counter_ns() - started) / 1000)
    return took_of(took)


def took_of(took: list[float]) -> Took:
    took.sort()
    return statistics.fmean(took), took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.99))]


def table(subjects: dict[str, Decider], rounds: int) -> str:
    """The markdown table: medians over rounds, cases and deciders interleaved."""
    found: dict[tuple[str, str], list[Took]] = {}
    for number in range(rounds + 1):  # the first round warms up and is dropped
        for case in CASES:
            for name, subject in subjects.items():
                asked = requests(case, random.Random(f"{case} {number} {name}"), COUNTS.get(case, 2000 if "60" in case else 500))
                gc.collect()
                took = measure(subject, asked)
                if number:
                    found.setdefault((case, name), []).append(took)
    rows = ["| prompt | " + " | ".join(f"{name}: mean us | p50 us | p99 us" for name in subjects) + " |",
            "|---|" + "---:|---:|---:|" * len(subjects)]
    for case in CASES:
        cells = [f"{statistics.median(row[i] for row in found[case, name]):.0f}" for name in subjects for i in range(3)]
        rows.append(f"| {case} | {' | '.join(cells)} |")
    return "\n".join(rows)


# -- the sentence stage


async def consulted(graph: Graph, asked: list[ChatRequest], pause_s: float = 0.0) -> tuple[list[float], dict[str, int]]:
    """Microseconds of whole decisions one after another, as the gateway makes them, and how the sentence stage's ended."""
    took, ends = [], dict[str, int]()
    meaning = graph.names.look_up("auto", Caller())
    for request in asked:
        started = time.perf_counter_ns()
        decision = graph.decide(request, meaning, 0.0)
        if graph.is_open(decision):
            decision = await graph.considered(request, meaning, decision, 0.0)
        took.append((time.perf_counter_ns() - started) / 1000)
        end = next((view.outcome for view in decision.stages if view.stage == "sentence"), "none")
        ends[end] = ends.get(end, 0) + 1
        await asyncio.sleep(pause_s)
    return took, ends


def sentence_tables(artifact: Path, rounds: int) -> str:
    """Decisions that all ask for a sentence vector, then a mixture in which the margin decides who does."""
    plain = settings(("rules", "heuristic", "embedding"))
    classifier = msgspec.structs.replace(plain.classifier, artifact=str(artifact), sentence_cpu=1.0)
    rows = ["| prompt | p50 us | p99 us | late |", "|---|---:|---:|---:|"]
    for case in SENTENCE_CASES:
        always = build_graph(msgspec.structs.replace(plain, classifier=msgspec.structs.replace(
            classifier, sentence_deadline_s=1.0, sentence_share=1.0)))
        if always.learned.sentences is None or always.learned.classifier is None:
            why = always.learned.classifier.why_no_sentence if always.learned.classifier is not None else "there is no artifact"
            return f"The sentence stage was not measured: {why}."
        for stage in always.deciders["auto"].consulting:
            stage.band = 2.0
        took: list[float] = []
        with asyncio.Runner() as runner:  # one loop, as a router has: what the thread says at the end of a round must be heard
            for number in range(rounds + 1):
                one, _ = runner.run(consulted(always, requests(case, random.Random(f"sentence {case} {number}"), 60)))
                took += one if number else []
        always.learned.sentences.close()
        _, p50, p99 = took_of(took)
        rows.append(f"| {case} | {p50:.0f} | {p99:.0f} | {sum(us > 10_000 for us in took) / len(took):.1%} |")
    return "\n".join(rows) + "\n\n" + mixed(msgspec.structs.replace(plain, classifier=classifier), rounds)


def mixed(made: Settings, rounds: int) -> str:
    """Nine lengths of prompts in the shares of ordinary traffic, the margin deciding who is asked about, at several qualities."""
    rows = [f"Mixed traffic ({300 * rounds} prompts of 5 to 400 words for each quality, default band, share and deadline; a pause of "
            f"{PAUSE_S * 1000:g} ms after each, since a router without any asks nobody):", "",
            "| quality of the reference | asked about | p50 us | p95 us | p99 us | how it ended |", "|---:|---:|---:|---:|---:|---|"]
    for quality in MIXED_QUALITIES:
        route = msgspec.structs.replace(made.routes["auto"], quality=quality)
        graph = build_graph(msgspec.structs.replace(made, routes={"auto": route}))
        rng, took, ends = random.Random("mixed"), list[float](), dict[str, int]()
        with asyncio.Runner() as runner:
            for number in range(rounds + 1):
                asked = [a_chat(prose(rng, rng.choice(MIXED_WORDS))) for _ in range(300)]
                one, said = runner.run(consulted(graph, asked, PAUSE_S))
                if number:
                    took += one
                    ends = {end: ends.get(end, 0) + said.get(end, 0) for end in {*ends, *said}}
        if graph.learned.sentences is not None:
            graph.learned.sentences.close()
        took.sort()
        asked_about = sum(count for end, count in ends.items() if end in ("refined", "late", "failed"))
        shares = ", ".join(f"{end} {count / len(took):.1%}" for end, count in sorted(ends.items()))
        rows.append(f"| {quality:g} | {asked_about / len(took):.1%} | {took[len(took) // 2]:.0f} | {took[int(len(took) * 0.95)]:.0f} | "
                    f"{took[int(len(took) * 0.99)]:.0f} | {shares} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--artifact", type=Path, help="a trained artifact instead of one made on the spot; `default` for the shipped one")
    parser.add_argument("--path", action="store_true", help="measure the throughput of the whole path with and without the trained stages too")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md beside this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-overhead-") as folder:
        artifact = options.artifact or an_artifact(Path(folder))
        text = report(artifact, "made on the spot" if options.artifact is None else str(options.artifact.name), options.rounds)
        if options.path:
            from path import throughput

            text += "\n" + throughput(artifact, Path(folder), options.rounds)
    print(text)
    if options.write:
        Path(__file__).with_name("RESULTS.md").write_text(text)


def report(artifact: Path, which: str, rounds: int) -> str:
    from pointsman.artifact import read
    from pointsman.classify.classifier import load
    from pointsman.classify.heads.scorer import Scorer

    today = datetime.datetime.now(datetime.UTC).date()
    made = ClassifierSettings(artifact=str(artifact), sentence="off")
    classifier = load(made)
    subjects = {"heuristic": decider(), "shipped": trained_decider(load(ClassifierSettings(sentence="off"))), "static": trained_decider(classifier)}
    if classifier.kernel.startswith("compiled"):
        plain = Classifier(Scorer.load(read(artifact), kernel=False), version=classifier.version, is_generic=classifier.is_generic)
        subjects["static, numpy"] = trained_decider(plain)
    return f"""# What a decision costs

The whole decision on one core, without HTTP and JSON parsing: gate, three rules, heuristic and policy; with the shipped artifact as well;
with the static half of a trained one instead (artifact: {which}, {len(classifier.models)} models; kernel: {classifier.kernel}), and once
more with its scores made by numpy. Median of {rounds} rounds after a warm-up round; every prompt is
new. Targets: p99 at most 1,000 us at any length, mean at most 100 us at 60 words with the heuristic alone. Made by
`make bench-overhead` on {today}, Python {platform.python_version()}, {platform.machine()}.

{table(subjects, rounds)}

## With a sentence vector

The decision as the gateway makes it, on an event loop, the vector from a thread of its own. In the table every decision asks for one,
and waits as long as it takes; `late` is what the default deadline of 10 ms would have cut off. Targets: p50 at most 5,000 us, p99 at most
10,000 us; mixed traffic p95 at most 5,000 us.

{sentence_tables(artifact, rounds)}
"""


if __name__ == "__main__":
    main()
