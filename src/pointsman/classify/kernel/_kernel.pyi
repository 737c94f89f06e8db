from typing import Any, final

source: str
instructions: str

def ids(data: bytes, kinds: bytes, codes: bytes, /) -> tuple[list[int], list[int]]: ...
def surface(data: bytes, chars: int, /) -> list[float]: ...

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
