"""The document that a JSON Schema is: where its references lead, and what its patterns say. No reference leaves it; patterns are RE2's."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

import re2

PATTERN_MAX: Final = 1024
"""Characters of a pattern; real ones have some dozens."""
_OLD_DRAFT = re.compile(r"draft-0?[3-7]\b")


class Uncheckable(Exception):
    """Nobody can say, within the bounds, whether a value keeps to this schema; the text says why."""


class Document:
    """One schema as it was sent."""

    def __init__(self, root: object) -> None:
        """`root`: the decoded schema, a mapping or a boolean. Raises Uncheckable."""
        if not isinstance(root, dict | bool):
            raise Uncheckable("the schema is neither an object nor a boolean")
        self.root = root
        said = root.get("$schema") if isinstance(root, dict) else None
        self.refs_stand_alone = isinstance(said, str) and _OLD_DRAFT.search(said) is not None
        """Before 2019 a `$ref` made its neighbours void."""
        self._patterns: dict[str, Any] = {}

    def resolve(self, ref: object) -> Any:
        """What a reference within the document points to. Raises Uncheckable."""
        if not isinstance(ref, str) or not (ref == "#" or ref.startswith("#/")):
            raise Uncheckable("a reference leaves the schema")
        here: Any = self.root
        for part in ref[2:].split("/") if ref != "#" else ():
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(here, dict) and key in here:
                here = here[key]
            elif isinstance(here, list) and key.isascii() and key.isdigit() and len(key) < 7 and int(key) < len(here):
                here = here[int(key)]
            else:
                raise Uncheckable("a reference points nowhere")
        return here

    def knows(self, pattern: object) -> bool:
        """It has been compiled."""
        return isinstance(pattern, str) and pattern in self._patterns

    def pattern(self, text: object) -> Any:
        """RE2's reading of a pattern. Raises Uncheckable."""
        if not isinstance(text, str) or len(text) > PATTERN_MAX:
            raise Uncheckable("a pattern is no text, or too long")
        found = self._patterns.get(text)
        if found is None:
            options = re2.Options()
            options.log_errors, options.max_mem = False, 1 << 20
            try:
                found = self._patterns[text] = re2.compile(text, options=options)
            except (re2.error, UnicodeError) as exc:
                raise Uncheckable("a pattern needs more than RE2 offers") from exc
        return found
