from collections.abc import Sequence
from typing import Any, final

source: str
instructions: str
signals: tuple[str, ...]
features: tuple[str, ...]
MOST_PLACES: int
LONGEST: int

def ids(data: bytes, kinds: bytes, codes: bytes, /) -> tuple[list[int], list[int]]: ...
def surface(data: bytes, chars: int, /) -> list[float]: ...

def mask_of(hits: list[int], numbers: bytes, /) -> int: ...
def looks(data: bytes, signals: int, shown: int, chars: int, is_cut: bool, turns: int, tools: int, schema: bool, images: int, /) -> tuple[tuple[float, ...], int, int]: ...

@final
class Table:
    def __new__(cls, words: bytes, rows: Any, scale: Any) -> Table: ...
    def embed(self, text: str, /) -> bytes: ...
    def rows(self, text: str, /) -> tuple[list[int], list[int]]: ...

Row = tuple[tuple[float, ...], tuple[float, ...], float, bool, tuple[float, ...] | None]

@final
class Head:
    def __new__(
        cls,
        table: Table,
        spelling: tuple[bytes, bytes],
        surface: tuple[Any, Any],
        idf: Any,
        kinds: tuple[Any, Any, tuple[int, ...]],
        static: tuple[Any, Any] | None,
        sentence: tuple[Any, Any] | None,
        stack: tuple[Any, Any, Any, Any, Any],
        blocks: tuple[int, ...],
        near: int,
        has_tokens: bool,
        numbers: tuple[float, ...],
    ) -> Head: ...
    def score(self, text: str, data: bytes, chars: int, structural: tuple[float, ...], sentence: Any, /) -> Row: ...

@final
class Ladder:
    def __new__(
        cls, words: tuple[bytes, bytes, bytes, bytes], structural: int, kept: tuple[int, ...], looks: Any, text: Any, offsets: tuple[float, ...], clip: float,
    ) -> Ladder: ...
    def score(self, data: bytes, chars: int, structural: tuple[float, ...], /) -> tuple[float, ...]: ...
    def signs(self, data: bytes, chars: int, /) -> tuple[float, ...]: ...
    def core(self, data: bytes, /) -> int: ...

@final
class Heuristic:
    def __new__(
        cls, weights: tuple[float, ...], order: tuple[int, ...], words: tuple[str | None, ...], offsets: tuple[float, ...], bias: float, clears: float,
    ) -> Heuristic: ...
    def judge(self, features: Sequence[float], tokens: int, script: str | None, /) -> tuple[tuple[float, ...], str]: ...
