"""Every fault of an upstream that a router must outlive, by number: what is done, and what a client may then see.

Numbers are those of the fault matrix (`bench/matrix`). A fault's details (where it cuts, how long it waits) follow from the
request's id, so a case can be repeated exactly. `Kind` says when the fault strikes: it decides what is right.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Literal

import msgspec

from pointsman.testing import fault_answers as answers
from pointsman.testing.fault_proxy import Toxics
from pointsman.testing.fault_steps import Asked, Plan, Scenario, Send, Step, Wait

Kind = Literal["before", "during", "fine", "either", "refusal"]
"""before: nothing was committed, so somebody else's answer hides it · during: after the commit of a stream, which ends in one
error frame · fine: odd, but a right answer · either: before or during, by chance · refusal: the request is at fault, and the
4xx goes to the client whoever else there is."""


class Fault(msgspec.Struct, frozen=True):
    """One way to fail."""

    id: str
    """`U41` and a word where a number has variants."""
    what: str
    scenario: Scenario
    stream: Kind | None
    """None: there is no such case."""
    plain: Kind | None
    alone: frozenset[int] = frozenset((502,))
    """Statuses that a client may see when nobody else is there."""
    later: frozenset[int] = frozenset()
    """More of them once the endpoint is known for it (it may be cooling down)."""
    toxics: Callable[[Random], Toxics] | None = None
    """Spoils the line between; fresh ones for every request."""
    padding: int = 0
    """Bytes added to the prompt."""
    url: str = ""
    """Another address than the scenario's server."""
    most_runs: int = 1000
    """It costs much memory or time: no more requests than this per case."""
    tls: bool = False
    """Reached by https."""

    def kind(self, *, stream: bool) -> Kind | None:
        return self.stream if stream else self.plain


def rng_of(asked: Asked) -> Random:
    return Random(f"fault {asked.id}")


def pause(asked: Asked) -> Wait:
    """A moment that differs from request to request: 20 ms at most."""
    return Wait(rng_of(asked).random() * 0.02)


def somewhere(asked: Asked, least: int = 1) -> int:
    """How many pieces of the answer are right before it goes wrong: at least `least`, never all."""
    return rng_of(asked).randint(least, len(answers.pieces_of(asked.id)) - 1)


def says(data: bytes | str, *after: Step) -> Plan:
    """The same bytes to everybody."""
    raw = data if isinstance(data, bytes) else data.encode("latin-1")
    return lambda asked: [pause(asked), Send(raw), *after]


def after_some(*steps: Step) -> Plan:
    """A right stream up to somewhere, then `steps`; a plain answer is cut at a random byte."""

    def plan(asked: Asked) -> list[Step]:
        if asked.stream:
            return [*answers.sends(asked, somewhere(asked)), *steps]
        whole = answers.plain("200 OK", answers.completion(asked.id))
        body = whole.index(b"\r\n\r\n") + 4
        return [Send(whole[: rng_of(asked).randint(body, len(whole) - 1)]), *steps]

    return plan


def fault(id: str, what: str, plan: Plan, kinds: Kind | tuple[Kind | None, Kind | None] = "before",
          alone: int | tuple[int, ...] = 502, **more: object) -> Fault:
    """`kinds`: of streams and plain answers, or one for both."""
    stream, plain = kinds if isinstance(kinds, tuple) else (kinds, kinds)
    statuses = frozenset(alone if isinstance(alone, tuple) else (alone,))
    scenario = msgspec.structs.replace(Scenario(plan), **{k: more.pop(k) for k in Scenario.__struct_fields__ if k in more})
    return Fault(id, what, scenario, stream, plain, statuses, **more)  # type: ignore[arg-type]  # the table below is checked by its tests
