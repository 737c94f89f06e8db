"""A JSON Schema that came with a request, held against the JSON of an answer; work and depth are bounded.

Why no library? Both sides are strangers' words: the client wrote the schema, a model wrote the value, and some thousand patterns
over some thousand keys keep the quickest library busy for seconds, in which nobody can stop it and no other request is
served. Here every step is counted, patterns are RE2's, and no reference leaves the document. What cannot be judged under
these bounds is `Uncheckable`, and the verifier abstains.

Covered: the validation keywords of drafts 7 and 2020-12 but for `unevaluated*`, dynamic and remote references; `format` is a
remark, as the drafts have it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pointsman.cascade.verifiers.schema_check import Check
from pointsman.cascade.verifiers.schema_document import Document, Uncheckable

__all__ = ["Schema", "Uncheckable"]

SCHEMA_MAX: Final = 256 * 1024
"""Bytes of a schema: OpenAI's own limit is about half of that."""


class Schema(Document):
    """One schema, to be asked often."""

    @classmethod
    def read(cls, data: bytes) -> Schema:
        """Raises Uncheckable."""
        if len(data) > SCHEMA_MAX:
            raise Uncheckable(f"the schema is longer than {SCHEMA_MAX} bytes")
        try:
            return cls(msgspec.json.decode(data))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise Uncheckable("the schema cannot be read") from exc

    def objection(self, value: object) -> str | None:
        """What is wrong with `value` and where, or None. Raises Uncheckable."""
        return Check(self).look(self.root, value, "", 0)
