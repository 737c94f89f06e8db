"""A trained stack in the form that the compiled kernel reads: arrays laid out for it, settings as numbers.

Arrays are borrowed, not copied, where they lie as the kernel needs them already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.heads import ngrams
from pointsman.classify.heads.calibration import FIRST, PER_UNIT, Curves
from pointsman.classify.heads.predicted import Row
from pointsman.classify.heads.reading import CLIP, LOOKS, LOOKS_CLIP, WIDTH, Reader
from pointsman.classify.kernel.build import found

if TYPE_CHECKING:
    from pointsman.classify.heads.query import Query
    from pointsman.classify.kernel import _kernel

Vector: TypeAlias = NDArray[np.float32]

BLOCKS = ("surface", "length", "kinds", "static", "static.near", "sentence", "sentence.near")
"""Kinds of features, in the order of the kernel's numbers for them."""
NEAR = ("static", "sentence")
"""Kinds of vectors, in that order too."""
MOST_COLUMNS = 1024
"""More models than that, tokens counted apart, and numpy computes."""


class Weighs(Protocol):
    """A stack, as the scorer read it from its artifact."""

    @property
    def blocks(self) -> tuple[str, ...]: ...

    @property
    def near(self) -> str: ...

    @property
    def slope(self) -> float: ...

    @property
    def has_tokens(self) -> bool: ...

    @property
    def weights(self) -> NDArray[np.float32]: ...

    @property
    def words(self) -> NDArray[np.float32]: ...

    @property
    def bias(self) -> NDArray[np.float64]: ...

    @property
    def error(self) -> NDArray[np.float64]: ...

    @property
    def curves(self) -> Curves: ...


class Head:
    """One stack, answering in one call. Immutable."""

    __slots__ = ("_score",)

    def __init__(self, head: _kernel.Head) -> None:
        self._score = head.score

    def row(self, query: Query, sentence: Vector | None) -> Row:
        """The answer for one query. `sentence`: its vector, for the stack that reads one."""
        if sentence is not None:
            sentence = np.require(sentence, np.float32, ("C", "A")).reshape(-1)
        return Row(*self._score(query.text, query.data, query.chars, query.structural, sentence))


def head_of(table: _kernel.Table, reader: Reader, stack: Weighs, one_sided: float, most_tokens_log: float) -> Head:
    """The stack for the kernel. Raises ValueError where its arrays do not go together."""
    kinds = set(stack.blocks) | {f"{stack.near}.near"}
    limits = reader.limits[stack.near]
    return Head(found().module.Head(
        table=table,
        spelling=(ngrams.KIND_OF.tobytes(), ngrams.CODE_OF.tobytes()),
        surface=(_floats(reader.centre), _floats(reader.inverse)),
        idf=_floats(reader.idf),
        kinds=(_rows(reader, "kinds", reader.centres), _floats(reader.halves), tuple(last - first for first, last in reader.divisions)),
        static=_landmarks(reader, "static", kinds),
        sentence=_landmarks(reader, "sentence", kinds),
        stack=(_floats(stack.weights.T), _floats(stack.words), _doubles(stack.bias), _doubles(stack.error), _doubles(stack.curves.knots)),
        blocks=tuple(map(BLOCKS.index, stack.blocks)), near=NEAR.index(stack.near), has_tokens=stack.has_tokens,
        numbers=(stack.slope, one_sided, most_tokens_log, limits["nearest"], limits["known"], FIRST, PER_UNIT, 1.0 / WIDTH, CLIP, LOOKS,
                 LOOKS_CLIP)))


def _landmarks(reader: Reader, kind: str, wanted: set[str]) -> tuple[Vector, Vector] | None:
    """Labelled neighbours in that kind of vector, if the stack asks for them."""
    if not any(name.startswith(kind) for name in wanted):
        return None
    return _rows(reader, kind, reader.landmarks[kind]), _floats(reader.masses[kind])


def _rows(reader: Reader, kind: str, array: Vector) -> NDArray[Any]:
    """Rows that every query is compared with: bytes where they lie on the grid."""
    small = reader.small[kind]
    return _floats(array) if small is None else small


def _floats(array: NDArray[Any]) -> NDArray[np.float32]:
    return np.require(array, np.float32, ("C", "A"))


def _doubles(array: NDArray[Any]) -> NDArray[np.float64]:
    return np.require(array, np.float64, ("C", "A"))
