"""Where a conversation is at home: which tier answered it last, and whether it may go back down.

Two things hang on that. A model that has read a conversation has it in its prompt cache, and another one has to read it
again at the full price: the policy is told (`Terms.held`). And an operator may want a conversation to stay where it has
climbed (`session: pin`): it then moves upwards only, to a tier whose scores the current one does not reach.

How is a conversation known? By a hash of the caller, the route and the session that the client names, with the first words
of a user (a harness titles its chats in the same session). Without a name: by all that users have said in it so far, which
the next request repeats. No text is kept; at most `SIZE` hashes, in this process only. Who asks another process begins
anew, which costs money or a cold cache and never an answer.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

from pointsman.classify.session import Pin
from pointsman.core.request import ChatRequest

SIZE = 50_000
"""Conversations that are remembered, about 300 bytes each: 15 MB at most."""
TTL_S = 3600.0
"""Providers keep a prompt cache for minutes, people come back within the hour."""
_END = 2048
"""Bytes at either end of a message that count: enough to tell two conversations apart."""


class Conversations:
    """Homes by conversation. Time is an argument, as everywhere in `classify`."""

    def __init__(self, size: int = SIZE, ttl_s: float = TTL_S) -> None:
        self._size, self._ttl_s = size, ttl_s
        self._homes: OrderedDict[bytes, Pin] = OrderedDict()

    def __len__(self) -> int:
        return len(self._homes)

    def recall(self, request: ChatRequest, route: str, now: float) -> Pin | None:
        """Where this conversation was answered last; None = it is new, or nobody remembers."""
        key = _key(request, route, is_next=True)
        home = self._homes.get(key) if key is not None else None
        return home if home is not None and home.until > now else None

    def remember(self, request: ChatRequest, route: str, tier: str, pool: str, rung: int, now: float) -> None:
        """This tier answered."""
        key = _key(request, route, is_next=False)
        if key is None:
            return
        self._homes[key] = Pin(tier, pool, rung, now + self._ttl_s)
        self._homes.move_to_end(key)
        if len(self._homes) > self._size:
            self._homes.popitem(last=False)

    def __repr__(self) -> str:
        return f"<Conversations [{len(self._homes)} of {self._size}]>"


def _key(request: ChatRequest, route: str, *, is_next: bool) -> bytes | None:
    """The conversation before this request's last words (`is_next`), or with them; None = it has no beginning."""
    said = [message.text for message in request.messages if message.role == "user"]
    if request.session:
        said = said[:1]
    elif is_next:
        said = said[:-1]
    if not said:
        return None
    digest = blake2b(digest_size=16)
    caller = request.caller
    for part in (caller.tenant, caller.name, route, request.session):
        _take(digest, part.encode("utf-8", "surrogatepass"))
    for text in said:
        ends = text if len(text) <= 2 * _END else text[:_END] + text[-_END:]
        _take(digest, ends.encode("utf-8", "surrogatepass"))
    return digest.digest()


def _take(digest: blake2b, data: bytes) -> None:
    """The length in front, so that no two lists of parts read alike."""
    digest.update(b"%d:" % len(data))
    digest.update(data)
