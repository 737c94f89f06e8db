"""What every embedder promises.

Why a digest and not a version? A head is fitted to the vectors of one very file: rounding the same weights to eight
bits in another way moves them. An artifact therefore names the sha256 of the file that made its vectors, and is
refused beside another one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

class Embedder(Protocol):
    """Turns texts into unit vectors. Pure: the same text gives the same bits, alone or among others, on any thread."""

    @property
    def name(self) -> str:
        """Names model and precision, as in `minilm-l6-int8`: what an artifact and a report call it."""

    @property
    def dims(self) -> int:
        """Length of each vector."""

    @property
    def digest(self) -> str:
        """The sha256 of the very file that serves."""

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """One row per text, each of length one. Any text is fine: empty, huge, binary, of any language."""
