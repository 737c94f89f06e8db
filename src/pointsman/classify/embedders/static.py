"""The table of our own: words and pieces of words, each a short row of small numbers, added up.

A text's vector is the sum of its distinct words' rows, made one long. How loud a word is stands in its row's length,
which the fit chose: "the" whispers. A word that the table does not know is heard through its three- and four-byte
pieces, so a typo lands near what was meant, and any language or binary gets some vector. The fit imitates a sentence
model: see `pointsman.learn.distil`.

Why only 2,048 characters? Sixteen kilobytes would cost 0.5 ms of splitting, and the two ends tell what a text is about.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.kernel.build import found

if TYPE_CHECKING:
    from pointsman.classify.kernel import _kernel

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

NAME = "static-1"
END_CHARS = 1024
"""Characters read at either end."""
UNKNOWN_BYTES = 512
"""Bytes of unknown words whose pieces are looked up: bounds what a page of random letters costs."""
NUMBER_DIGITS = 6
"""Numbers are told apart by their count of digits up to here: what they mean is for structural features."""

_split = re.compile(r"[^\W\d_]+|\d+|[^\w\s]").findall
_NO_ROWS = np.zeros(0, np.intp)
_HASH = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D), np.uint32(0x27D4EB2F))


class Table(NamedTuple):
    """What the file holds."""

    words: tuple[str, ...]
    rows: NDArray[np.int8]
    """(words + buckets) x dims."""
    scale: NDArray[np.float32]
    """What one step of each row is worth."""


class Static:
    """Vectors out of a table. About 30 us for sixty words, well under a millisecond for any text: bench/overhead/EMBEDDERS.md."""

    def __init__(self, table: Table, digest: str, name: str = NAME) -> None:
        self.name, self.digest = name, digest
        self.dims = table.rows.shape[1]
        self._row_of = {word: row for row, word in enumerate(table.words)}
        self._known = len(table.words)
        self._buckets = len(table.rows) - self._known
        self._rows, self._scale = table.rows, table.scale
        self.compiled = compiled(table)
        """The same table for the kernel of trained stacks; None = it has to do without."""
        self._nothing: Vectors = np.eye(1, self.dims, dtype=np.float32)[0]
        self._nothing.setflags(write=False)

    def __repr__(self) -> str:
        return f"<Static {self.name} [{self._known} words, {self._buckets} pieces, {self.dims} dims]>"

    def __len__(self) -> int:
        """Rows: words and pieces."""
        return len(self._rows)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit row per text; a text without a word or sign gets the first axis."""
        if len(texts) == 1:
            return self.embed_one(texts[0]).reshape(1, -1)
        return np.stack([self.embed_one(text) for text in texts]) if texts else np.zeros((0, self.dims), np.float32)

    def embed_one(self, text: str) -> Vectors:
        """One vector: the quick path of a single request."""
        known, heard = self.rows_of(text)
        total = self._sum(np.array(known, np.intp)) if known else np.zeros(self.dims, np.float32)
        if heard.size:
            total = total + self._sum(heard)
        length = math.sqrt(total @ total)
        if length < 1e-6:
            return self._nothing
        vector: Vectors = total / np.float32(length)
        return vector

    def rows_of(self, text: str) -> tuple[list[int], NDArray[np.intp]]:
        """Rows of the words the table knows, and of the pieces of those it does not."""
        words = spelled(text)
        rows = list(map(self._row_of.get, words))
        known = [row for row in rows if row is not None]
        if len(known) == len(rows):
            return known, _NO_ROWS
        unknown = [word for word, row in zip(words, rows, strict=True) if row is None]
        numbers = {"0" * min(len(word), NUMBER_DIGITS) for word in unknown if word.isdecimal()}
        known += [row for word in sorted(numbers) if (row := self._row_of.get(word)) is not None]
        return known, self._known + pieces([word for word in unknown if not word.isdecimal()], self._buckets)

    def _sum(self, rows: NDArray[np.intp]) -> Vectors:
        total: Vectors = self._scale[rows] @ self._rows[rows].astype(np.float32)
        return total


def spelled(text: str) -> list[str]:
    """The distinct words, numbers and signs of a text's two ends, in order of appearance."""
    shown = text if len(text) <= 2 * END_CHARS else f"{text[:END_CHARS]} {text[-END_CHARS:]}"
    return list(dict.fromkeys(_split(shown.lower())))


def pieces(words: Sequence[str], buckets: int) -> NDArray[np.intp]:
    """The buckets of every run of three and of four bytes in the words, their borders included."""
    if not words:
        return _NO_ROWS
    raw = f" {' '.join(words)}  ".encode("utf-8", "replace")[:UNKNOWN_BYTES]
    data = np.frombuffer(raw, np.uint8).astype(np.uint32)
    three = data[:-2] * _HASH[0] + data[1:-1] * _HASH[1] + data[2:] * _HASH[2]
    four = three[:-1] + data[3:] * _HASH[3]
    mixed = np.concatenate((three, four))
    mixed ^= mixed >> np.uint32(15)
    return ((mixed * _HASH[0] >> np.uint32(7)) % np.uint32(buckets)).astype(np.intp)


def compiled(table: Table) -> _kernel.Table | None:
    """The table as the compiled kernel reads it; None where there is no kernel, or the table is none that it reads."""
    kernel = found().module
    if kernel is None or not table.words or any("\n" in word for word in table.words):
        return None
    words = "\n".join(table.words).encode("utf-8", "surrogatepass")
    try:
        made: _kernel.Table = kernel.Table(words, np.require(table.rows, np.int8, ("C", "A")), np.require(table.scale, np.float32, ("C", "A")))
    except ValueError:  # no pieces, or rows without end: nothing that `learn.distil` makes
        return None
    return made


def to_bytes(table: Table) -> bytes:
    """The table as a file: the same table gives the same bytes."""
    out = io.BytesIO()
    words = np.frombuffer("\n".join(table.words).encode(), np.uint8)
    np.savez(out, words=words, rows=table.rows, scale=table.scale.astype(np.float16))
    return out.getvalue()


def from_bytes(raw: bytes) -> Static:
    """A table out of a file's bytes. Nothing in them is executed."""
    with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
        words = tuple(arrays["words"].tobytes().decode().split("\n"))
        table = Table(words, arrays["rows"], arrays["scale"].astype(np.float32))
    return Static(table, hashlib.sha256(raw).hexdigest())


@lru_cache(1)
def shipped_static() -> Static:
    """The table that ships with the router."""
    return from_bytes((files(__package__ or "") / "static.npz").read_bytes())
