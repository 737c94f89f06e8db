"""Long documents for the demo, some thousand words each: made from sentences of our own, the same for a seed."""

from __future__ import annotations

from random import Random
from typing import Final

PARAGRAPHS: Final = 50
"""Gives two thousand words and more."""

_PEOPLE: Final = ("Ms Okafor", "Mr Lindgren", "Dr Haddad", "Ms Petrova", "Mr Castellano", "Ms Nakamura", "Mr Boateng", "Dr Weiss")
_TOPICS: Final = ("the warehouse extension", "the new payroll system", "the supplier in Gdansk", "the energy contract", "the apprentices' programme",
                  "the roof of building C", "the export licence", "the customer portal", "the fleet of vans", "the audit of last autumn")
_MONTHS: Final = ("January", "March", "April", "June", "September", "November")

_MINUTES: Final = (
    "{p} reported on {t}. Costs stand at {n} thousand euros against a plan of {m} thousand; the difference is explained by prices and not by scope.",
    "{p} asked whether {t} could wait until {month}. {q} replied that the contract leaves {d} days and that a delay would cost about {m} thousand euros.",
    "It was decided that {q} prepares a proposal on {t} by the {d}th of {month}. {p} abstained and asked to have that recorded.",
    "On {t}, {p} recalled that the figure of {n} thousand had been given at the last meeting as {m} thousand. {q} will check which of the two is right.",
    "{p} thanked the team that works on {t}; {d} of the open points are closed, the rest depends on an answer from the authorities that is expected in {month}.",
    "There was a longer discussion about {t}. {p} sees a risk to the schedule, {q} does not. Both agreed to look again once the numbers for {month} are there.",
)
_LEASE: Final = (
    "{k}. The tenant shall pay the rent of {n} euros by the {d}th day of each month; for each day of delay the landlord may charge {s} euros.",
    "{k}. Notice shall be given in writing not less than {d} weeks before the end of a quarter, unless section {j} provides otherwise.",
    "{k}. Repairs up to {m} euros in each case are borne by the tenant, to a yearly total of {n} euros; section {j} applies to heating and windows.",
    "{k}. The tenant shall not keep more than {s} bicycles in the hallway and shall on request of the landlord name an alternative place.",
    "{k}. On leaving, the tenant shall paint all walls within {d} days, or pay {m} euros, whichever the landlord prefers; objections are made under section {j}.",
    "{k}. The deposit of {n} euros is returned within {d} weeks after the keys have been handed over, less any sum that is due under section {j}.",
)
_INCIDENT: Final = (
    "{h}:{mm} queue depth of the order service at {n}, normal is {s}; no alert, the threshold had been raised in {month} for the sale.",
    "{h}:{mm} {p} sees timeouts on the checkout page for about {d} percent of users and opens a ticket with low priority.",
    "{h}:{mm} replica lag of the stock database reaches {m} seconds; the dashboard shows a gap and {q} takes it for a display error.",
    "{h}:{mm} the deploy of the pricing job finishes with {s} warnings; one of them says that the pool of connections is at {d} of {d}.",
    "{h}:{mm} {q} restarts two of the workers, the queue falls to {m} and rises again within {s} minutes.",
    "{h}:{mm} support counts {d} complaints since the last entry; most mention carts that are empty after the login.",
)
_TEMPLATES: Final = {"minutes": _MINUTES, "lease": _LEASE, "incident": _INCIDENT}


def document(kind: str, seed: int) -> str:
    """A document of `minutes`, a `lease` or an `incident` log."""
    rng = Random(f"{kind} {seed}")
    templates = _TEMPLATES[kind]
    return "\n\n".join(_paragraph(templates, number, rng) for number in range(1, PARAGRAPHS + 1))


def _paragraph(templates: tuple[str, ...], number: int, rng: Random) -> str:
    """Two sentences or clauses, numbered and timed by their place in the document."""
    return " ".join(_filled(template, number, rng) for template in rng.sample(templates, 2))


def _filled(template: str, number: int, rng: Random) -> str:
    first, second = rng.sample(_PEOPLE, 2)
    return template.format(
        p=first, q=second, t=rng.choice(_TOPICS), month=rng.choice(_MONTHS), n=rng.randrange(400, 2400), m=rng.randrange(20, 380),
        d=rng.randrange(3, 28), s=rng.randrange(2, 9), k=number, j=rng.randrange(1, PARAGRAPHS), h=9 + number // 12,
        mm=f"{number * 5 % 60:02d}",
    )
