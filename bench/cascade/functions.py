"""Short functions to be written: what each must do, in words, and the tests that decide.

Names and constants are drawn anew for each task: a tested function is exactly right or it is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple


class Plain(NamedTuple):
    """One instance, solved."""

    name: str
    words: str
    solution: str


@dataclass(frozen=True)
class Function:
    """A family of functions that differ by a constant `k`."""

    level: int
    words: str
    body: str
    """Of the reference solution, an expression."""
    arguments: str
    reference: Callable[..., Any]
    calls: tuple[tuple[Any, ...], ...]
    constants: tuple[int, int] | None = None

    def instance(self, rng: Random) -> tuple[str, str, str]:
        """Name, words, tests."""
        k = rng.randint(*self.constants) if self.constants else 0
        name = rng.choice(("solve", "compute", "run", "f", "work", "answer"))
        checks = [f"assert {name}({', '.join(map(repr, call))}) == {self.reference(*call, k)!r}" for call in self.calls]
        return name, f"takes {self.arguments} and returns {self.words.format(k=k)}", "\n".join(checks)

    def plain(self) -> Plain:
        """As an example."""
        k = self.constants[0] if self.constants else 0
        return Plain("example", f"takes {self.arguments} and returns {self.words.format(k=k)}",
                     f"```python\ndef example({self.arguments}):\n    return {self.body.format(k=k)}\n```")


FUNCTIONS: tuple[Function, ...] = (
    Function(0, "the sum of a and b", "a + b", "a, b", lambda a, b, k: a + b, ((1, 2), (5, -3), (0, 0))),
    Function(0, "a plus {k}", "a + {k}", "a", lambda a, k: a + k, ((1,), (7,), (-2,)), (2, 90)),
    Function(0, "a times {k}", "a * {k}", "a", lambda a, k: a * k, ((1,), (7,), (-2,)), (2, 90)),
    Function(0, "the square of a", "a * a", "a", lambda a, k: a * a, ((1,), (7,), (-2,))),
    Function(0, "the larger of a and b", "max(a, b)", "a, b", lambda a, b, k: max(a, b), ((1, 2), (5, -3), (0, 0))),
    Function(0, "the length of the list s", "len(s)", "s", lambda s, k: len(s), (([1, 2],), ([],), ([3],))),
    Function(1, "True if a is even, else False", "a % 2 == 0", "a", lambda a, k: a % 2 == 0, ((1,), (8,), (0,))),
    Function(1, "the text s reversed", "s[::-1]", "s", lambda s, k: s[::-1], (("abc",), ("",), ("xy",))),
    Function(1, "the sum of the list s", "sum(s)", "s", lambda s, k: sum(s), (([1, 2],), ([],), ([3, 4, 5],))),
    Function(1, "the text s in upper case", "s.upper()", "s", lambda s, k: s.upper(), (("abc",), ("",), ("xY",))),
    Function(1, "a modulo {k}", "a % {k}", "a", lambda a, k: a % k, ((11,), (7,), (100,)), (3, 9)),
    Function(1, "a divided by b", "a / b", "a, b", lambda a, b, k: a / b, ((6, 2), (5, 4), (-9, 3))),
    Function(1, "the number of times 'a' is in the text s", "s.count('a')", "s", lambda s, k: s.count("a"), (("banana",), ("",), ("xyz",))),
    Function(2, "the list of the even numbers in the list s", "[x for x in s if x % 2 == 0]", "s",
             lambda s, k: [x for x in s if x % 2 == 0], (([1, 2, 4],), ([],), ([3],))),
    Function(2, "the list of the numbers in the list s that are greater than {k}", "[x for x in s if x > {k}]", "s",
             lambda s, k: [x for x in s if x > k], (([1, 20, 4],), ([],), ([3, 50, 9],)), (2, 9)),
    Function(2, "the number of vowels in the text s", "sum(c in 'aeiou' for c in s)", "s",
             lambda s, k: sum(c in "aeiou" for c in s), (("banana",), ("",), ("xyz",))),
    Function(2, "the words of the text s in reverse order, joined by spaces", "' '.join(reversed(s.split()))", "s",
             lambda s, k: " ".join(reversed(s.split())), (("a b c",), ("",), ("one two",))),
    Function(2, "the sum of the squares of the list s", "sum(x * x for x in s)", "s",
             lambda s, k: sum(x * x for x in s), (([1, 2],), ([],), ([3, 4],))),
    Function(2, "the second largest number of the list s", "sorted(s)[-2]", "s",
             lambda s, k: sorted(s)[-2], (([1, 2],), ([9, 4, 7],), ([3, 8, 5, 1],))),
    Function(2, "the text s without its spaces", "s.replace(' ', '')", "s",
             lambda s, k: s.replace(" ", ""), (("a b c",), ("",), ("one two",))),
)

SHOWN: tuple[Function, ...] = (
    Function(0, "the product of a and b", "a * b", "a, b", lambda a, b, k: a * b, ((1, 2), (5, -3))),
    Function(2, "the list s without its negative numbers", "[x for x in s if x >= 0]", "s",
             lambda s, k: [x for x in s if x >= 0], (([1, -2],), ([],))),
)
"""Shown to the rung that learns from examples; never asked."""
