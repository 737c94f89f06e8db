"""What clients call a session: in headers, in the body's metadata, or in the middle of a user's name."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

HEADERS = (b"x-session-id", b"x-claude-code-session-id", b"session_id", b"session-id", b"conversation_id", b"thread-id",
           b"x-session-affinity")
"""In the order in which they count: agreed on · Claude Code · Codex, in several versions · coding agents."""
MAX = 200

_IN_USER_ID = re.compile(r"_session_([A-Za-z0-9-]{8,64})$")


class _User(msgspec.Struct, gc=False):
    session_id: str = ""


_user = msgspec.json.Decoder(_User).decode


def session_of(headers: Mapping[bytes, bytes]) -> str:
    """The first header that names one; "" = none does."""
    for name in HEADERS:
        if name in headers:
            return headers[name].decode("latin-1")[:MAX]
    return ""


def session_in_user_id(user_id: str) -> str:
    """Claude Code writes the session into `metadata.user_id`: `user_..._session_<uuid>`, or a JSON object in newer versions.

    >>> session_in_user_id("user_1f_account__session_0aa3b09e-8d7c")
    '0aa3b09e-8d7c'
    """
    if user_id.startswith("{"):
        try:
            return _user(user_id.encode("utf-8", "replace")).session_id[:MAX]
        except msgspec.DecodeError:
            return ""
    match = _IN_USER_ID.search(user_id)
    return match[1] if match else ""
