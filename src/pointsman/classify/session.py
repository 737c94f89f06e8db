"""A turn whose tools are in flight stays where it began.

A model that calls a tool gets the result in the next request, whose last messages are that result and no word of a
user's. To classify it afresh would judge a listing of files, and hand half of a plan to another model. So the tier (and
the pool) that answered is remembered, and the continuation goes there.

What is remembered? Hashes: of the session, as far as the client names one, and of where in the conversation the user
last spoke. No text, and no more than `SIZE` of them, in this process only: a continuation that another process gets is
classified afresh, which costs money or quality and never an answer.

Why upwards only? A tier that took over because the first was not fit, or not good enough, has seen what the turn needs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from pointsman.classify.gate import check, lacks
from pointsman.classify.subject import own_words
from pointsman.core.decision import Decision
from pointsman.core.request import ChatRequest, Message
from pointsman.core.settings import Settings

SIZE = 20_000
"""Turns under way that are remembered: two keys each of about 300 bytes, some 6 MB at most."""
TTL_S = 3600.0
"""A tool that takes longer than an hour, a person asked for permission included, is rarely waited for."""
TOOL_ROLES = frozenset(("tool", "function"))
_WORDS_MAX = 4096
"""Characters of the user's words that count, at either end: enough to tell two turns apart."""


class Pin(msgspec.Struct, frozen=True, gc=False):
    """Who answered a turn."""

    tier: str
    pool: str
    rung: int
    """1-based place on the route's ladder; 0 = not on it."""
    until: float
    """Monotonic seconds."""


class Sessions:
    """Turns under way. Time is an argument, as everywhere in `classify`."""

    def __init__(self, size: int = SIZE, ttl_s: float = TTL_S) -> None:
        self._size, self._ttl_s = size, ttl_s
        self._pins: OrderedDict[bytes, Pin] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pins)

    def recall(self, request: ChatRequest, route: str, now: float) -> Pin | None:
        """Who answered the turn that this request continues; None = it continues none, or nobody remembers."""
        if not in_flight(request.messages):
            return None
        for key in keys_of(request, route):
            pin = self._pins.get(key)
            if pin is not None and pin.until > now:
                return pin
        return None

    def remember(self, request: ChatRequest, route: str, tier: str, pool: str, rung: int, now: float) -> None:
        """This tier answered. A turn's pin never moves to a lower rung; a new turn begins anew."""
        continues = in_flight(request.messages)
        for key in keys_of(request, route):
            pin = Pin(tier, pool, rung, now + self._ttl_s)
            known = self._pins.get(key)
            if continues and known is not None and known.until > now and known.rung > rung:
                pin = Pin(known.tier, known.pool, known.rung, pin.until)
            self._pins[key] = pin
            self._pins.move_to_end(key)
        while len(self._pins) > self._size:
            self._pins.popitem(last=False)

    def __repr__(self) -> str:
        return f"<Sessions [{len(self._pins)} of {self._size}]>"


def in_flight(messages: Sequence[Message]) -> bool:
    """The last that was said is a tool's result: whatever follows it is a harness's, not a user's."""
    for message in reversed(messages):
        if message.role in TOOL_ROLES:
            return True
        if message.role == "assistant" or (message.role == "user" and own_words(message.text)[0]):
            return False
    return False


def keys_of(request: ChatRequest, route: str) -> tuple[bytes, ...]:
    """The turn, and after it the session as a whole when the client names one: the turn of a harness that rewrites what
    was said is found by that."""
    words, spoken, first = _last_words(request.messages)
    who = f"{request.caller.tenant}\0{request.caller.name}\0{route}"
    turn = _hash(who, request.session or first, words, str(spoken))
    return (turn, _hash(who, request.session)) if request.session else (turn,)


def _last_words(messages: Sequence[Message]) -> tuple[str, int, str]:
    """What the user said last, at which place among the user's messages, and how the conversation began."""
    place = sum(message.role == "user" for message in messages)
    last, at = "", 0
    for message in reversed(messages):
        if message.role == "user":
            words = own_words(message.text)[0]
            if words:
                last, at = words, place
                break
            place -= 1
    first = next((message.text for message in messages if message.role == "user"), "")
    return last[:_WORDS_MAX] + last[-_WORDS_MAX:], at, first[:_WORDS_MAX]


def _hash(*parts: str) -> bytes:
    """Lengths in front, so that no two lists of parts read alike."""
    digest = blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()


def kept(pin: Pin, decision: Decision, settings: Settings, request: ChatRequest,
         why: str = "a tool's result: the turn goes on where it began") -> Decision:
    """The decision as the turn under way wants it: its own tier, else the next one above that fits, else as decided."""
    tier = settings.tiers.get(pin.tier)
    allowed = request.caller.pools
    name = pin.tier
    if tier is None or not check(request.needs, tier, settings.pools, allowed).fits:
        ladder = settings.routes[decision.route].ladder
        above = (view.tier for view in decision.gate if view.fits and ladder.index(view.tier) + 1 > pin.rung)
        name = next(above, "") if pin.rung else ""
    if not name:
        return decision
    ladder, pools = settings.routes[decision.route].ladder, settings.tiers[name].pools
    pool = pin.pool if name == pin.tier and len(pools) > 1 and pin.pool in pools else None
    if pool is not None and lacks(request.needs, settings.pools[pool], allowed):
        pool = None
    said = "" if decision.tier == name else f"; {decision.decided_by} said {decision.tier or decision.pool}"
    return msgspec.structs.replace(
        decision, tier=name, rung=ladder.index(name) + 1 if name in ladder else 0, pool=pool, decided_by="session",
        reason=f"{why}, on {pin.tier}{said}", confidence=_score(decision, name),
        propensity=1.0)


def _score(decision: Decision, tier: str) -> float:
    """What the stages thought of this tier; 0.0 when none did."""
    scores = next((view.scores for view in reversed(decision.stages) if view.scores is not None), None)
    score = scores.by_tier.get(tier) if scores is not None else None
    return score.p if score is not None else 0.0
