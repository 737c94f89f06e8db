"""Their keys as references: a reference stays one, a literal key becomes a variable to be set. None is ever printed."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from pointsman.config.problems import Loc
from pointsman.migration.draft import Draft
from pointsman.migration.findings import Findings

_REFERENCE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
_NO_KEY = frozenset({"", "none", "null", "empty", "no-key", "fake", "fake-key", "dummy", "dummy-key", "anything", "not-needed",
                     "sk-no-key-required", "no-key-required", "ollama", "key", "sk-1234", "1234"})
"""What people write where a client library insists on a key and the server does not."""


class Credentials:
    """Hands out variables, the same one for the same key."""

    def __init__(self, draft: Draft, findings: Findings, reserved: frozenset[str] = frozenset()) -> None:
        """`reserved` variables hold other keys already: no literal key gets their names."""
        self._draft, self._findings, self._reserved = draft, findings, reserved
        self._variables: dict[str, str] = {}

    def reference(self, value: object, loc: Loc, name: str, what: str) -> str | None:
        """A secret reference for a key that stands at `loc`; `name` is the variable for a literal one."""
        if not isinstance(value, str):
            self._findings.dropped(loc, "a key must be text")
            return None
        if (found := _REFERENCE.fullmatch(value)) is not None:
            self._draft.variables.setdefault(found[1], what)
            self._findings.carried(loc, f"os.environ/{found[1]}, as it was")
            return value
        variable = self._variables.get(value) or self._free(name)
        self._variables[value] = variable
        self._draft.variables.setdefault(variable, what)
        self._findings.changed(loc, f"the key stood in the file; here it is ${{{variable}}}: set {variable} to it, and think of "
                                    "replacing it, since it has been in a file")
        return f"${{{variable}}}"

    def for_endpoint(self, value: object, loc: Loc, url: str, name: str | None, what: str) -> str | None:
        """The key of an endpoint, or None where the server wants none."""
        if isinstance(value, str) and value.lower() in _NO_KEY and is_private(url):
            self._findings.dropped(loc, "a placeholder for a server of your own; no key is sent")
            return None
        return self.reference(value, loc, name or variable_like(urlsplit(url).hostname or "ENDPOINT"), what)

    def implied(self, variable: str, loc: Loc, what: str) -> str:
        """No key is given and LiteLLM would read this variable by itself; here it is written down."""
        self._draft.variables.setdefault(variable, what)
        self._findings.changed(loc, f"LiteLLM reads {variable} without being told; here it is written as ${{{variable}}}")
        return f"${{{variable}}}"

    def _free(self, name: str) -> str:
        taken = {*self._reserved, *self._draft.variables, *self._variables.values()}
        number, variable = 1, name
        while variable in taken:
            number += 1
            variable = f"{name}_{number}"
        return variable


def references_in(data: object) -> frozenset[str]:
    """Every environment variable that their file refers to."""
    match data:
        case dict():
            return frozenset().union(*map(references_in, data.values()))
        case list():
            return frozenset().union(*map(references_in, data))
        case str() if (found := _REFERENCE.fullmatch(data)) is not None:
            return frozenset({found[1]})
        case _:
            return frozenset()


def variable_like(text: str) -> str:
    """`my-server.example` -> `MY_SERVER_EXAMPLE_API_KEY`."""
    stem = re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_") or "ENDPOINT"
    return f"{'_' if stem[0].isdigit() else ''}{stem}_API_KEY"


def is_private(url: str) -> bool:
    """A server of one's own: a loopback or private address, or a bare host name."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan"))
    return address.is_loopback or address.is_private
