"""Tasks whose answers can be checked: sums, extraction to a JSON schema, tool choice, short functions with tests.

Made from a seed, never from anybody's data set; so a model cannot have seen the answers, and there are as many as it takes.
Each has a level from 0 (easy) to 2, which only the table of levels and no router reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from functions import FUNCTIONS, SHOWN

KINDS = ("sum", "extract", "tool", "code")


@dataclass(frozen=True)
class Task:
    """One question, and what its answer must hold."""

    id: str
    kind: str
    level: int
    prompt: str
    expected: Any
    schema: dict[str, Any] | None = None
    """Asked for as `response_format`."""
    tests: str = ""
    """Python that raises unless the code before it is right."""
    max_tokens: int = 12
    examples: tuple[tuple[str, str], ...] = field(default=())
    """Solved questions of the same kind, for the rung that shows them."""

    def is_right(self, answer: str, runs: Callable[[str], bool]) -> bool:
        """`runs` says whether a Python program ends well; only code needs it."""
        match self.kind:
            case "sum":
                numbers = re.findall(r"-?\d[\d,]*", answer)
                return bool(numbers) and numbers[-1].replace(",", "") == str(self.expected)
            case "code":
                return runs(f"{code_of(answer)}\n\n{self.tests}")
            case _:
                try:
                    said = json.loads(answer)
                except ValueError:
                    return False
                return said == self.expected


def code_of(answer: str) -> str:
    """The first fenced block, else everything."""
    fenced = re.search(r"```(?:python)?\n(.*?)(?:```|$)", answer, re.DOTALL)
    return fenced.group(1) if fenced else answer


def tasks(count: int, seed: int) -> list[Task]:
    """`count` tasks, the kinds in turn."""
    rng = Random(seed)
    made: list[Task] = []
    makers: dict[str, Iterator[Task]] = {kind: _MAKERS[kind](rng) for kind in KINDS}
    for index in range(count):
        made.append(next(makers[KINDS[index % len(KINDS)]]))
    return made


# ---------------------------------------------------------------------------------------------------------
# Sums


def _sums(rng: Random) -> Iterator[Task]:
    number = 0
    while True:
        level = number % 3
        number += 1
        question, result = _a_sum(rng, level)
        yield Task(f"sum-{number}", "sum", level, _SUM.format(question), result, max_tokens=12, examples=_SOLVED_SUMS)


_SUM = "What is {}? Answer with the number only."
_SOLVED_SUMS = tuple((_SUM.format(question), result) for question, result in (("2 + 6", "8"), ("40 + 17", "57"), ("58 - 21", "37"), ("12 * 4", "48")))
"""Examples are the same for all tasks of a kind, so that an engine's prefix cache holds them."""


def _a_sum(rng: Random, level: int) -> tuple[str, int]:
    if level == 0:
        a, b = rng.randint(1, 9), rng.randint(1, 9)
        return f"{a} + {b}", a + b
    if level == 1:
        a, b = rng.randint(10, 99), rng.randint(1, 30)
        return (f"{a} + {b}", a + b) if rng.random() < 0.5 else (f"{a} - {b}", a - b)
    a, b = rng.randint(3, 30), rng.randint(3, 12)
    return f"{a} * {b}", a * b


# ---------------------------------------------------------------------------------------------------------
# Extraction

_NAMES = ("Anna", "Boris", "Chen", "Dora", "Emil", "Fatima", "Grace", "Hugo", "Ines", "Jonas", "Kira", "Liam", "Maya", "Noor", "Oscar")
_CITIES = ("Berlin", "Lagos", "Lima", "Oslo", "Paris", "Quito", "Rome", "Seoul", "Tokyo", "Vienna", "Cairo", "Dublin", "Madrid", "Prague")
_THINGS = ("chairs", "lamps", "books", "pens", "plates", "cups", "doors", "tents", "boots", "clocks")
_SIMPLE = ("{name} lives in {city} and bought {n} {thing}.", "{n} {thing} were ordered by {name} from {city}.",
           "In {city}, {name} asked for {n} {thing}.")
_WORDY = ("After {other} had called twice, {name} of our {city} office finally took {n} {thing} instead of {m}.",
          "{other} from {elsewhere} wanted {m} {thing}, but the order was placed by {name} in {city}, who needed only {n}.")
_SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "city": {"type": "string"}, "count": {"type": "integer"}},
           "required": ["name", "city", "count"], "additionalProperties": False}
_EXTRACT = 'Give the buyer\'s name, the buyer\'s city and the count as JSON like {{"name": "", "city": "", "count": 0}}.\nText: {}'


def _extractions(rng: Random) -> Iterator[Task]:
    number, fixed = 0, Random(0)
    solved = tuple((_EXTRACT.format(text), json.dumps(found)) for text, found in (_an_extraction(fixed, level) for level in (0, 1, 2)))
    while True:
        level = number % 3
        number += 1
        text, expected = _an_extraction(rng, level)
        yield Task(f"extract-{number}", "extract", level, _EXTRACT.format(text), expected, schema=_SCHEMA, max_tokens=40, examples=solved)


def _an_extraction(rng: Random, level: int) -> tuple[str, dict[str, Any]]:
    name, other = rng.sample(_NAMES, 2)
    city, elsewhere = rng.sample(_CITIES, 2)
    n, m = rng.sample(range(2, 60), 2)
    form = rng.choice(_SIMPLE[:1] if level == 0 else _SIMPLE if level == 1 else _WORDY)
    text = form.format(name=name, other=other, city=city, elsewhere=elsewhere, n=n, m=m, thing=rng.choice(_THINGS))
    return text, {"name": name, "city": city, "count": n}


# ---------------------------------------------------------------------------------------------------------
# Tool choice

_TOOLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "get_weather": ("weather of a city", ("Will it rain in {city} today?", "How warm is it in {city}?", "Weather in {city}, please.")),
    "send_email": ("send an email", ("Email {name} that I am late.", "Write to {name} about the meeting by email.")),
    "set_alarm": ("set an alarm clock", ("Wake me at {n}.", "Set an alarm for {n} o'clock.")),
    "book_flight": ("book a flight", ("I need a flight to {city}.", "Fly me to {city} on Monday.")),
    "play_music": ("play music", ("Play some jazz.", "I want to hear a song about {city}.")),
    "translate": ("translate a text", ("How do you say 'good morning' in French?", "Translate 'chair' into Spanish.")),
    "convert_currency": ("convert money", ("How many euros are {n} dollars?", "Convert {n} pounds to yen.")),
    "find_restaurant": ("find a place to eat", ("Where can I have dinner in {city}?", "I am hungry. Anything good near {city} station?")),
}


def _choices(rng: Random) -> Iterator[Task]:
    number, fixed = 0, Random(0)
    solved = tuple((prompt, json.dumps(found)) for prompt, found in (
        _a_choice(fixed, fixed.sample(sorted(_TOOLS), 3)) for _ in range(3)))
    while True:
        level = number % 3
        number += 1
        names = rng.sample(sorted(_TOOLS), 2 + 2 * level)
        prompt, expected = _a_choice(rng, names)
        schema = {"type": "object", "properties": {"tool": {"enum": sorted(names)}}, "required": ["tool"], "additionalProperties": False}
        yield Task(f"tool-{number}", "tool", level, prompt, expected, schema=schema, max_tokens=14, examples=solved)


def _a_choice(rng: Random, names: list[str]) -> tuple[str, dict[str, str]]:
    name = rng.choice(names)
    request = rng.choice(_TOOLS[name][1]).format(city=rng.choice(_CITIES), name=rng.choice(_NAMES), n=rng.randint(5, 90))
    listed = "; ".join(f"{tool}: {_TOOLS[tool][0]}" for tool in sorted(names))
    return f'Tools: {listed}.\nRequest: {request}\nWhich tool? Answer as JSON like {{"tool": ""}}.', {"tool": name}


# ---------------------------------------------------------------------------------------------------------
# Code


def _functions(rng: Random) -> Iterator[Task]:
    number = 0
    solved = tuple((_CODE.format(words=one.words, name=one.name), one.solution) for one in (SHOWN[0].plain(), SHOWN[1].plain()))
    while True:
        function = FUNCTIONS[number % len(FUNCTIONS)]
        number += 1
        name, words, tests = function.instance(rng)
        yield Task(f"code-{number}", "code", function.level, _CODE.format(words=words, name=name), None, tests=tests, max_tokens=90,
                   examples=solved)


_CODE = "Write a Python function `{name}` that {words}. Answer with the code only."

_MAKERS: dict[str, Callable[[Random], Iterator[Task]]] = {
    "sum": _sums, "extract": _extractions, "tool": _choices, "code": _functions,
}
