"""Reading weights out of an ONNX file, and writing a graph into one.

Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.embedders.protowire import blob, fields, number, numbers, real

Array = NDArray[np.float32] | NDArray[np.int8] | NDArray[np.int64]

_KINDS: dict[str, int] = {"float32": 1, "int8": 3, "int64": 7}
_FLOAT32, _INT64 = 1, 7
_IR_VERSION = 8
_OPSET = 17
_MICROSOFT = "com.microsoft"  # the fused operators of onnxruntime: half the nodes, a third of the time at 20 tokens


def read_tensors(raw: bytes) -> dict[str, NDArray[np.float32]]:
    """The float32 initialisers of a model file, by name, in the file's order. Nothing of the file is executed."""
    graph = _first(memoryview(raw), 7)
    tensors = (_tensor(part) for field, part in fields(graph) if field == 5 and isinstance(part, memoryview))
    return {name: array for name, array in tensors if array is not None}


def _first(message: memoryview, wanted: int) -> memoryview:
    for field, part in fields(message):
        if field == wanted and isinstance(part, memoryview):
            return part
    return memoryview(b"")


def _tensor(message: memoryview) -> tuple[str, NDArray[np.float32] | None]:
    name, kind, raw, dims = "", 0, memoryview(b""), list[int]()
    for field, value in fields(message):
        match field, value:
            case 1, int():
                dims.append(value)
            case 1, memoryview():
                dims += numbers(value)
            case 2, int():
                kind = value
            case 8, memoryview():
                name = str(value, "utf-8")
            case 9, memoryview():
                raw = value
    if kind != _FLOAT32 or len(raw) != 4 * int(np.prod(dims, dtype=np.int64)):
        return name, None
    return name, np.frombuffer(raw, np.float32).reshape(dims)


class Graph:
    """A model being written: operators in the order they run, each named by its output."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[bytes] = []
        self._initialisers: list[bytes] = []

    def constant(self, name: str, array: Array) -> str:
        """A tensor that the file holds."""
        dims = b"".join(number(1, dim) for dim in array.shape)
        kind = number(2, _KINDS[array.dtype.name])
        self._initialisers.append(blob(5, dims + kind + blob(8, name) + blob(9, np.ascontiguousarray(array).tobytes())))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: float | list[int]) -> str:
        """One standard operator with one output."""
        return self.split(kind, inputs, [output], "", **attributes)[0]

    def fused(self, kind: str, inputs: list[str], output: str, **attributes: float | list[int]) -> str:
        """One of the operators that onnxruntime adds to the standard."""
        return self.split(kind, inputs, [output], _MICROSOFT, **attributes)[0]

    def split(
        self, kind: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: float | list[int]
    ) -> list[str]:
        """One operator with several outputs."""
        parts = [blob(1, name) for name in inputs] + [blob(2, name) for name in outputs]
        parts += [blob(3, outputs[0]), blob(4, kind)]
        parts += [blob(5, _attribute(name, value)) for name, value in attributes.items()]
        parts += [blob(7, domain)] if domain else []
        self._nodes.append(blob(1, b"".join(parts)))
        return outputs

    def model(self, given: str, result: str, dims: int) -> bytes:
        """The whole file: ids of one text in (1 x tokens), one vector out (1 x dims)."""
        ids = _value(given, _INT64, [number(1, 1), blob(2, "tokens")])
        vector = _value(result, _FLOAT32, [number(1, 1), number(1, dims)])
        nodes, tensors = b"".join(self._nodes), b"".join(self._initialisers)
        graph = nodes + blob(2, self._name) + tensors + blob(11, ids) + blob(12, vector)
        opsets = blob(8, blob(1, "") + number(2, _OPSET)) + blob(8, blob(1, _MICROSOFT) + number(2, 1))
        return number(1, _IR_VERSION) + blob(2, "pointsman") + blob(7, graph) + opsets


def _attribute(name: str, value: float | list[int]) -> bytes:
    match value:
        case list():
            return blob(1, name) + b"".join(number(8, part) for part in value) + number(20, 7)
        case int():
            return blob(1, name) + number(3, value) + number(20, 2)
        case _:
            return blob(1, name) + real(2, value) + number(20, 1)


def _value(name: str, kind: int, dims: list[bytes]) -> bytes:
    shape = b"".join(blob(1, dim) for dim in dims)
    return blob(1, name) + blob(2, blob(1, number(1, kind) + blob(2, shape)))
