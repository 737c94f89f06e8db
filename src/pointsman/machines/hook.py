"""What really starts and stops a machine: a command, or an HTTP service, of the operator's.

Why no shell? Endpoint names and URLs come from a configuration, but a shell would make code of whatever stands in them. What a hook
is told stands in its environment, or in the JSON that is posted. Hooks must be idempotent: one may be called for a machine that is
started or stopped already, when this process has been restarted in between.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Protocol

import msgspec

SAID_CHARS = 300


class HookFailed(Exception):
    """The hook did not do it; says what it said."""


class Order(msgspec.Struct, frozen=True):
    """What a hook is told."""

    action: str
    """`start` or `stop`."""
    tier: str
    endpoint: str
    """As the router calls it: pool/index."""
    url: str
    why: str


class Hook(Protocol):
    """Blocking: it is called in a thread."""

    def run(self, order: Order) -> None:
        """Returns when the machine is on its way. Raises HookFailed."""
        ...


class CommandHook:
    """A program of this machine, with `POINTSMAN_ACTION`, `_TIER`, `_ENDPOINT`, `_URL` and `_WHY` in its environment."""

    def __init__(self, line: str, timeout_s: float) -> None:
        """Raises ValueError: an empty line, or one with an open quote."""
        self._words, self._timeout_s = shlex.split(line), timeout_s
        if not self._words:
            raise ValueError("a command needs a program")

    def run(self, order: Order) -> None:
        told = {f"POINTSMAN_{name.upper()}": str(value) for name, value in msgspec.structs.asdict(order).items()}
        try:
            done = subprocess.run(self._words, env=os.environ | told, timeout=self._timeout_s, capture_output=True, check=False,  # noqa: S603
                                  stdin=subprocess.DEVNULL)
        except (OSError, subprocess.SubprocessError) as exc:
            raise HookFailed(f"{self._words[0]}: {exc}") from exc
        if done.returncode:
            said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
            raise HookFailed(f"{self._words[0]} ended with {done.returncode}: {said[-SAID_CHARS:]}")


class HttpHook:
    """A service that is posted the order as JSON, and says 2xx."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url, self._timeout_s = url, timeout_s

    def run(self, order: Order) -> None:
        body = msgspec.json.encode(order)
        request = urllib.request.Request(self._url, body, {"content-type": "application/json"}, method="POST")  # noqa: S310  http, checked
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as reply:  # noqa: S310  http, checked
                reply.read(SAID_CHARS)
        except urllib.error.HTTPError as exc:
            with exc:
                said = exc.read(SAID_CHARS).decode("utf-8", "replace")
            raise HookFailed(f"{self._url} said {exc.code}: {said}") from exc
        except (OSError, HTTPException) as exc:
            raise HookFailed(f"{self._url}: {exc}") from exc


def hook_of(text: str, timeout_s: float) -> Hook:
    """A URL, or a command line. Raises ValueError."""
    if text.startswith(("http://", "https://")):
        return HttpHook(text, timeout_s)
    return CommandHook(text, timeout_s)
