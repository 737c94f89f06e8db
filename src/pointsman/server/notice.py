"""What `POST /admin/endpoints/{pool}/{index}/drain` is told: when the endpoint will be gone, and why."""

from __future__ import annotations

from datetime import datetime

import msgspec
from starlette.requests import Request

from pointsman.errors import BodyTooLarge, MalformedBody

MAX_NOTICE = 4096
MAX_LEAD_S = 86_400.0


class _Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a drain: both fields may be left out."""

    deadline: float | datetime | None = None
    """Seconds from now, or when, as in RFC 3339."""
    reason: str = "drain"


class Leaving(msgspec.Struct, frozen=True):
    """A drain as it was asked for."""

    lead_s: float | None
    reason: str


def notice_of(body: bytes, unix_s: float) -> Leaving:
    """`unix_s`: now, for a deadline that is a time. Raises MalformedBody."""
    try:
        notice = msgspec.json.decode(body or b"{}", type=_Notice)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedBody(f'{exc}; write {{"deadline": 120, "reason": "spot"}} with seconds from now or a time as in RFC 3339') from exc
    deadline = notice.deadline
    if isinstance(deadline, datetime):
        if deadline.tzinfo is None:
            raise MalformedBody("deadline: a time needs its zone, as in 2026-11-22T12:00:00Z", param="deadline")
        deadline = deadline.timestamp() - unix_s
    if deadline is not None and not abs(deadline) <= MAX_LEAD_S:
        raise MalformedBody(f"deadline: at most {MAX_LEAD_S:.0f} s from now", param="deadline")
    return Leaving(None if deadline is None else max(0.0, deadline), notice.reason[:200])


async def small_body(request: Request) -> bytes:
    """Read before anybody knows who asks, and so never further than a notice goes. Read once, asked for twice. Raises BodyTooLarge."""
    known: bytes | None = getattr(request.state, "notice", None)
    if known is not None:
        return known
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_NOTICE:
            raise BodyTooLarge(f"a notice has at most {MAX_NOTICE} bytes")
    request.state.notice = body
    return body
