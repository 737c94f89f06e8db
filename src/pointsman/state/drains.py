"""What the operator has taken out of service, on disk: a router that starts again does not send requests to a machine under repair.

Why the operator's word only? An agent beside an engine says again what it sees as soon as it hears of the router; an operator has
said it once and gone home. Until they take it back it holds, also when the time is past that they gave the machine.

Whose word is it after a change of the configuration? The server's (its URL and model), not its place's in the pool: `small/0` may be
another machine by then. The file names servers by a digest, since a URL may carry a secret.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import msgspec

from pointsman.core.fleet import EndpointId, EndpointSpec

VERSION = 1
_log = logging.getLogger(__name__)


class Drain(msgspec.Struct, frozen=True):
    """One endpoint that the operator has drained. Times are seconds since the epoch: monotonic ones end with the machine's uptime."""

    endpoint: EndpointId
    """As it was called then, for people."""
    server: str
    """`server_of` it."""
    reason: str
    since: float
    leaves: float
    """When it is gone, as far as the operator has said."""


class _Page(msgspec.Struct, frozen=True):
    version: int
    drains: tuple[Drain, ...]


def server_of(pool: str, endpoint: EndpointSpec) -> str:
    """What is the same before and after a change of the configuration."""
    return blake2b(f"{pool} {endpoint.url} {endpoint.model}".encode(), digest_size=16).hexdigest()


def drains_file(records_path: str | Path) -> Path:
    """Beside the store: `records.db` -> `records.drains.json`."""
    return Path(records_path).with_suffix(".drains.json")


class Drains:
    """The file and what it holds. Small and seldom written: only when the operator asks for something."""

    def __init__(self, path: Path) -> None:
        """Reads it. One that cannot be read is told in the log and in `last_error`, and drains nothing."""
        self.path = path
        self.last_error: str | None = None
        """Why the file does not say what the operator wants; None = it does."""
        self._known: dict[str, Drain] = {}
        self._read()

    @property
    def known(self) -> tuple[Drain, ...]:
        return tuple(self._known.values())

    def add(self, drain: Drain) -> bool:
        """Whether it will be known after a restart. A server's later word replaces the one before."""
        self._known[drain.server] = drain
        return self._write()

    def remove(self, server: str) -> None:
        """It is back in service."""
        if self._known.pop(server, None) is not None:
            self._write()

    def keep(self, servers: Iterable[str]) -> tuple[Drain, ...]:
        """Forgets those that the configuration does not name any more; says whose they were."""
        named = set(servers)
        gone = tuple(drain for server, drain in self._known.items() if server not in named)
        for drain in gone:
            del self._known[drain.server]
        if gone:
            self._write()
        return gone

    def _read(self) -> None:
        try:
            page = msgspec.json.decode(self.path.read_bytes(), type=_Page)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as exc:
            self._failed(f"{self.path} cannot be read, so endpoints that were drained are in service: {exc}")
            return
        if page.version != VERSION:
            self._failed(f"{self.path} is of version {page.version} and not {VERSION}, so endpoints that were drained are in service")
            return
        self._known = {drain.server: drain for drain in page.drains}

    def _write(self) -> bool:
        """All of it into a new file, which takes the old one's place: whoever is killed meanwhile leaves one or the other."""
        new = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(msgspec.json.encode(_Page(VERSION, self.known)))
            new.replace(self.path)
        except OSError as exc:
            self._failed(f"{self.path} cannot be written, so a restart forgets what is drained: {exc}")
            return False
        self.last_error = None
        return True

    def _failed(self, why: str) -> None:
        self.last_error = why
        _log.error("%s", why)

    def __repr__(self) -> str:
        return f"<Drains [{', '.join(drain.endpoint for drain in self.known) or 'none'}]>"
