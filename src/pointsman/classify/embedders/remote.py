"""A sentence embedder elsewhere, the part that only computes: what is asked of `/v1/embeddings`, what an answer holds, and whether it
is still the one that an artifact was trained beside.

A file has a digest; of a service nothing can be hashed but what it says. So an artifact remembers the vectors of two probe texts, and
a service whose answers to them point elsewhere is another embedder, whatever it calls itself. Why a cosine and not a hash of the
numbers? The same weights on another GPU, or in a batch of another size, differ in the last digits, and a hash knows no nearly. The
same weights in 16 bits instead of 32 lie above `SAME`; rounded to eight bits, pooled otherwise or after another fine-tuning below it.

Some servers give a text another vector when it stands beside others (llama.cpp with a small decoder: cosine .97 to .995). Training tries that
out, and such a one is asked for one text at a time, by training and by serving; what its vectors wander by is allowed to them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pointsman.core.excerpt import ends

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]

PROBES: Final = (
    "Where is my order? It should have come on Tuesday.",
    "Prove that the square root of 2 is irrational; then write it as Python code, Schritt für Schritt, 请一步一步来.",
)
"""Short and long, plain and not: another pooling, prefix or tokenizer shows in one of them."""
PROBE_DIMS: Final = 256
"""Numbers of each probe's vector that are remembered."""
SAME: Final = 0.999
"""Cosine from which two answers to one text are the same model's."""
LEAST: Final = 0.9
"""Below this no wandering makes two vectors the same model's."""
SLACK: Final = 0.01
"""Allowed beyond the worst that was seen of one that wanders."""
MOST_BYTES: Final = 64 * 1024 * 1024
_SHORTEST: Final = 1e-6
_encode = msgspec.json.encode


class Unusable(ValueError):
    """The answer holds no vectors that could be used; says why."""


class Elsewhere(msgspec.Struct, frozen=True):
    """A remote embedder as an artifact remembers it."""

    model: str
    dims: int
    asked_dims: int | None
    max_chars: int
    probe: tuple[tuple[float, ...], ...]
    same: float = SAME
    """Cosine from which its answers to the probes are its own."""
    alone: bool = False
    """It must be asked for one text at a time."""

    @property
    def name(self) -> str:
        return f"remote:{self.model}"

    @property
    def digest(self) -> str:
        """Of what it remembers: two artifacts of one training have the same."""
        return hashlib.sha256(_encode(self)).hexdigest()

    def differs(self, *answered: Vectors) -> str:
        """Why these vectors, one for each of `PROBES`, are not this embedder's; "" = they are."""
        import numpy as np

        if wrong := [len(row) for row in answered if len(row) != self.dims]:
            return f"its vectors have {wrong[0]} numbers, the artifact was trained on {self.dims}"
        for text, known, now in zip(PROBES, self.probe, answered, strict=True):
            cosine = _cosine(np.asarray(known, np.float32), now[: len(known)])
            if not cosine >= self.same:
                return (f"it answers {text[:20]!r} with another vector than the artifact was trained beside (cosine {cosine:.3f}): another model, "
                        "another version of it, or other settings")
        return ""

    def in_manifest(self) -> dict[str, Any]:
        """What stands under `features.sentence` of an artifact."""
        return {"name": self.name, "digest": self.digest, "remote": msgspec.to_builtins(self)}


def elsewhere_of(sentence: Mapping[str, Any] | None) -> Elsewhere | None:
    """From `features.sentence` of an artifact; None = it was trained without one, or with one of this machine."""
    if not sentence or not sentence.get("remote"):
        return None
    try:
        return msgspec.convert(sentence["remote"], Elsewhere)
    except msgspec.ValidationError:
        return None


def probed(model: str, answered: Vectors, asked_dims: int | None, max_chars: int, together: Vectors | None = None) -> Elsewhere:
    """What is remembered of an embedder that answered `PROBES` so, one by one; `together`: and so, beside other texts."""
    probe = tuple(tuple(round(float(number), 5) for number in row[:PROBE_DIMS]) for row in answered)
    worst = 1.0 if together is None else min(_cosine(one, other) for one, other in zip(answered, together, strict=True))
    if worst >= SAME:
        return Elsewhere(model, answered.shape[1], asked_dims, max_chars, probe)
    return Elsewhere(model, answered.shape[1], asked_dims, max_chars, probe, max(LEAST, round(worst - SLACK, 4)), True)


def question(model: str, texts: Sequence[str], asked_dims: int | None, max_chars: int) -> bytes:
    """The body that is posted. An empty text is sent as a space, which no server refuses."""
    shown = [ends(text.encode("utf-8", "replace").decode(), max_chars) or " " for text in texts]
    body: dict[str, Any] = {"model": model, "input": shown, "encoding_format": "float"}
    return _encode(body | ({} if asked_dims is None else {"dimensions": asked_dims}))


class _Item(msgspec.Struct):
    embedding: list[float]
    index: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Item]


_decode = msgspec.json.Decoder(_Answer).decode


def vectors_of(body: bytes, count: int) -> Vectors:
    """One unit row per text, in the order of the question. Raises Unusable."""
    import numpy as np

    try:
        items = _decode(body).data
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise Unusable(f"its answer holds no embeddings: {str(exc)[:160]}") from exc
    if len(items) != count:
        raise Unusable(f"it answered {count} texts with {len(items)} vectors")
    places = [place if item.index is None else item.index for place, item in enumerate(items)]
    if sorted(places) != list(range(count)):
        raise Unusable("its vectors do not say which text they are of")
    dims = {len(item.embedding) for item in items}
    if len(dims) != 1 or dims == {0}:
        raise Unusable("its vectors are not of one length")
    rows = np.empty((count, dims.pop()))
    for place, item in zip(places, items, strict=True):
        rows[place] = item.embedding
    largest = np.abs(rows).max(axis=1, keepdims=True)  # before squares: 1e300 is a number, its square is none
    rows /= np.maximum(largest, _SHORTEST)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths < _SHORTEST).any():
        raise Unusable("one of its vectors is nothing, or beyond all numbers")
    return np.asarray(rows / lengths, np.float32)


def _cosine(one: Vectors, other: Vectors) -> float:
    lengths = float(one @ one) ** 0.5 * float(other @ other) ** 0.5
    return float(one @ other) / lengths if lengths > _SHORTEST else 0.0
