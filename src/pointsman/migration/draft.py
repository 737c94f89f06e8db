"""Our configuration while it grows: tiers, pools, routes, client keys, comments, and the names that are taken."""

from __future__ import annotations

import re
from typing import Any

from pointsman.config.problems import Loc
from pointsman.config.writer import write

_BAD = re.compile(r"[^A-Za-z0-9._-]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Draft:
    """What will be written. Values are those of the file: texts with units, references to secrets."""

    def __init__(self) -> None:
        self.server: dict[str, Any] = {}
        self.keys: list[dict[str, Any]] = []
        self.tiers: dict[str, dict[str, Any]] = {}
        self.pools: dict[str, dict[str, Any]] = {}
        self.routes: dict[str, dict[str, Any]] = {}
        self.comments: dict[Loc, str] = {}
        self.variables: dict[str, str] = {}
        self.reserved: set[str] = set()
        """Names that clients already use for something: nothing else may take one."""

    def free_name(self, wanted: str) -> str:
        """A name for a tier, pool or route that is like this one and not taken."""
        name = stem = name_like(wanted)
        number = 1
        while name in self.reserved or name in self.tiers or name in self.pools or name in self.routes:
            number += 1
            name = f"{stem[:60]}-{number}"
        return name

    def pool(self, name: str) -> dict[str, Any]:
        """A pool by name, wherever it stands."""
        return self.pools[name] if name in self.pools else self.tiers[name]

    def text(self, head: str) -> str:
        """The file, checked by whoever asked for it."""
        data: dict[str, Any] = {"server": self.server} if self.server else {}
        data |= {"auth": {"keys": self.keys}} if self.keys else {}
        data |= {"tiers": self.tiers}
        data |= {name: section for name, section in (("pools", self.pools), ("routes", self.routes)) if section}
        return write(data, self.comments, head)


def is_name(text: str) -> bool:
    """May be the name of a tier, a pool or a route."""
    return _NAME.fullmatch(text) is not None


def name_like(text: str) -> str:
    """The nearest name that is allowed: `openai/gpt-4o` -> `openai-gpt-4o`."""
    return _BAD.sub("-", text).strip("-._")[:64] or "model"
