"""Each session on one endpoint: for engines that keep more than a prefix cache, or for clients that expect it.

What names a session, the first that there is: what the client calls it, `x-session-id`, `metadata.session_id`,
`x-user-id`, `metadata.user_id`, the name of the client key, the beginning of the conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from zlib import crc32

from pointsman.core.fleet import EndpointId, EndpointView
from pointsman.core.request import Caller, ChatRequest
from pointsman.pools.balancers.beginnings import read
from pointsman.pools.balancers.load import tokens_of
from pointsman.pools.balancers.rendezvous import Bound, ranked

HEADERS = ("x-session-id", "x-user-id")
"""Headers that this balancer reads: whoever parses requests must let them through."""
_ANONYMOUS = Caller().name


class Session:
    """Rendezvous hashing on the session, with bounded load."""

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> EndpointId:
        """One of `views` (never empty)."""
        all_ = list(views)
        return Bound(all_, tokens_of(request)).first(ranked(all_, key_of(request)), all_).id


def key_of(request: ChatRequest) -> int:
    """The session's number: the same for its requests, in every process."""
    headers, metadata, caller = request.headers, request.metadata, request.caller.name
    name = (
        request.session
        or headers.get("x-session-id") or metadata.get("session_id")
        or headers.get("x-user-id") or metadata.get("user_id")
        or (caller if caller != _ANONYMOUS else "")
    )  # fmt: skip
    if name:
        return crc32(name.encode("utf-8", "surrogatepass"), crc32(request.caller.tenant.encode("utf-8", "surrogatepass")))
    return read(request).conversation
