"""Secrets are references: `${ENV}`, `os.environ/NAME` or `file:PATH`. A literal one is a problem that never shows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

MAX_SECRET: Final = 64 * 1024
"""Bytes of a secret file; larger ones are a wrong path."""

_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_OS_ENVIRON = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
HOW: Final = "write ${NAME}, os.environ/NAME or file:PATH"
WITHHELD: Final = "withheld:"
"""What a secret begins with that is not to be had here, and need not be."""


class BadReference(ValueError):
    """The secret cannot be had; the sentence says why, without its value."""


class Secrets:
    """Looks references up. `base` is the folder of the configuration file: `file:` paths are relative to it."""

    def __init__(self, environ: Mapping[str, str], base: Path, *, may_lack: bool = False) -> None:
        """`may_lack`: one that is not there is no problem, and reads as `withheld:` with its name: whoever only looks at a running
        router need not hold its providers' keys."""
        self._environ = environ
        self._base = base
        self._may_lack = may_lack

    def resolve(self, reference: object) -> str:
        """The secret's value. Raises `BadReference`."""
        if not isinstance(reference, str):
            raise BadReference(f"a secret is given by reference, not by value; {HOW}")
        if match := _ENV.fullmatch(reference) or _OS_ENVIRON.fullmatch(reference):
            return self._had(self._variable, match[1], "environment variable")
        if reference.startswith("file:"):
            return self._had(self._file, reference.removeprefix("file:"), "secret file")
        raise BadReference(f"a secret must not stand in the file; {HOW}")

    def _had(self, look: Callable[[str], str], name: str, what: str) -> str:
        try:
            return _usable(look(name), f"{what} {name}")
        except BadReference:
            if self._may_lack:
                return f"{WITHHELD}{name}"
            raise

    def _variable(self, name: str) -> str:
        value = self._environ.get(name)
        if value is None:
            raise BadReference(f"environment variable {name} is not set; set it, or remove the reference to it")
        return value

    def _file(self, path: str) -> str:
        try:
            with (self._base / path).open("rb") as file:
                raw = file.read(MAX_SECRET + 1)
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) and exc.strerror else "not a usable path"
            raise BadReference(f"secret file {path} cannot be read: {why}") from exc
        if len(raw) > MAX_SECRET:
            raise BadReference(f"secret file {path} is larger than {MAX_SECRET} bytes; is it the right file?")
        try:
            return raw.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as exc:
            raise BadReference(f"secret file {path} is not UTF-8 text") from exc


def _usable(value: str, where: str) -> str:
    """It goes into a header: printable ASCII without spaces."""
    if not value:
        raise BadReference(f"{where} is empty")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise BadReference(f"{where} holds spaces, control or non-ASCII characters; keys have none")
    return value
