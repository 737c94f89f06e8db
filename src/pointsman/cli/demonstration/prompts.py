"""The crowd: 240 prompts with a label for the eye, in an order and at moments that a seed decides.

Why 60/25/15? The mix of easy, middling and hard prompts that is published most often for general traffic. The label
is the author's opinion of a prompt; nothing that routes reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any, Literal

import msgspec

from pointsman.cli.demonstration import documents, easy, hard, middling

Level = Literal["simple", "medium", "complex"]

ARRIVALS_PER_S = 2.0
"""Requests per simulated second, on average. A small company's traffic; the fleet could take a hundred times that."""

STREAMED_SHARE = 0.6
COUNTED_SHARE = 0.5
"""Of the streamed requests, how many ask for `stream_options.include_usage`."""

_SUPPORT_SYSTEM = "You are the support assistant of a web shop. Answer in the customer's language, briefly."


class Prompt(msgspec.Struct, frozen=True):
    """One entry of the set."""

    kind: str
    level: Level
    messages: tuple[dict[str, Any], ...]
    language: str = "en"
    fields: dict[str, Any] = {}
    """Other fields of the body: `tools`, `response_format`."""
    headers: dict[str, str] = {}

    @property
    def shown(self) -> str:
        """The last user text, on one line."""
        return " ".join(str(self.messages[-1]["content"]).split())


class Arrival(msgspec.Struct, frozen=True):
    """A prompt at its moment."""

    number: int
    """1-based."""
    at_s: float
    """Simulated seconds after the first one."""
    prompt: Prompt
    stream: bool
    counted: bool
    """Asks for the usage of a stream."""

    def body(self, model: str) -> bytes:
        """What the client sends."""
        extra: dict[str, Any] = {"stream": True} if self.stream else {}
        if self.counted:
            extra["stream_options"] = {"include_usage": True}
        return msgspec.json.encode({"model": model, "messages": self.prompt.messages, **self.prompt.fields, **extra})


def arrivals(count: int, seed: int) -> list[Arrival]:
    """The first `count` requests of a seed: a Poisson stream, so that bursts and lulls come as they do."""
    rng = Random(seed)
    at_s, found = 0.0, []
    prompts = _endless(rng)
    for number in range(1, count + 1):
        stream = rng.random() < STREAMED_SHARE
        counted = stream and rng.random() < COUNTED_SHARE
        found.append(Arrival(number, at_s, next(prompts), stream, counted))
        at_s += rng.expovariate(ARRIVALS_PER_S)
    return found


def _endless(rng: Random) -> Iterator[Prompt]:
    """Laps of the whole set. Each kind is spread over the lap, so that a part of it is a fair sample of the whole."""
    groups: dict[tuple[str, str], list[Prompt]] = {}
    for prompt in everything():
        groups.setdefault((prompt.level, prompt.kind), []).append(prompt)
    while True:
        placed = []
        for group in groups.values():
            rng.shuffle(group)
            placed += [((index + rng.random()) / len(group), prompt) for index, prompt in enumerate(group)]
        yield from (prompt for _, prompt in sorted(placed, key=lambda pair: pair[0]))


@cache
def everything() -> tuple[Prompt, ...]:
    """The whole set, simple ones first."""
    return (*_simple(), *_medium(), *_complex())


def _simple() -> Iterator[Prompt]:
    yield from (_ask("fact", "simple", text) for text in easy.FACTS)
    yield from (_ask("fact", "simple", text, language) for language, text in easy.FACTS_ABROAD)
    yield from (_ask("extraction", "simple", text) for text in easy.EXTRACTIONS)
    for text, order in zip(easy.ORDER_QUESTIONS, easy.ORDER_NUMBERS, strict=True):
        yield _ask("order", "simple", text.format(n=order))
    yield from (_chat("simple", turns) for turns in easy.SUPPORT)
    yield from (_ask("tools", "simple", text, tools=[easy.WEATHER]) for text in easy.TOOL_QUESTIONS)
    yield from (_ask("schema", "simple", text, response_format=_schema("contact", easy.CONTACT)) for text in easy.CONTACTS)


def _medium() -> Iterator[Prompt]:
    yield from (_ask("explain", "medium", text) for text in middling.EXPLANATIONS)
    yield from (_ask("explain", "medium", text, language) for language, text in middling.ABROAD)
    yield from (_ask("code", "medium", text) for text in middling.CODE)
    yield from (_chat("medium", turns) for turns in middling.SUPPORT)
    yield from (_ask("rewrite", "medium", text) for text in middling.MAILS)
    yield from (_ask("tools", "medium", text, tools=list(middling.SHELF)) for text in middling.ERRANDS)
    yield from (_ask("schema", "medium", text, response_format=_schema("invoice", middling.INVOICE)) for text in middling.INVOICES)


def _complex() -> Iterator[Prompt]:
    yield from (_ask("proof", "complex", text) for text in hard.PROOFS)
    yield from (_ask("proof", "complex", text, language) for language, text in hard.ABROAD)
    yield from (_ask("code", "complex", text) for text in hard.CODE)
    yield from (_ask("analysis", "complex", text) for text in hard.ANALYSES)
    for seed, (kind, task) in enumerate(hard.DOCUMENT_TASKS):
        headers = {"x-team": "legal"} if kind == "lease" else {}
        text = f"{task}\n\n{documents.document(kind, seed)}"
        yield Prompt("document", "complex", ({"role": "user", "content": text},), headers=headers)


def _ask(kind: str, level: Level, text: str, language: str = "en", **fields: Any) -> Prompt:
    return Prompt(kind, level, ({"role": "user", "content": text},), language, fields)


def _chat(level: Level, turns: tuple[str, ...]) -> Prompt:
    """A support conversation: the customer and we take turns, the customer has the last word."""
    roles = ("user", "assistant")
    said = ({"role": roles[index % 2], "content": text} for index, text in enumerate(turns))
    return Prompt("support", level, ({"role": "system", "content": _SUPPORT_SYSTEM}, *said))


def _schema(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}
