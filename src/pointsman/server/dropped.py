"""What of a request was left out to answer it at all, and how the client and the operator hear of that."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pointsman.server.exchange import Headers

HEADER = b"x-route-dropped"
_VERSION = re.compile(r"_\d{8}$")
_KNOWN = frozenset((
    "web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation", "mcp", "tool_search", "web_fetch",
    "code_execution", "mcp_toolset",
))


def dropped_headers(tools: Sequence[str], count: Callable[[str], None]) -> Headers:
    """One header that names the hosted tools that the model was not told of; each is counted."""
    if not tools:
        return []
    names = [_name(tool) for tool in tools]
    for name in names:
        count(name)
    return [(HEADER, ", ".join(dict.fromkeys(names)).encode())]


def uncounted(_tool: str) -> None:
    """For whoever has nobody to count for."""


def _name(tool: str) -> str:
    """A type without its date; what nobody knows is `other`, since it stands in a label."""
    name = _VERSION.sub("", tool)
    return name if name in _KNOWN else "other"
