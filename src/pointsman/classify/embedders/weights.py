"""Reading a sentence model's weights: safetensors, or the initialisers of an ONNX file. Numbers only, nothing runs.

The safetensors format: eight bytes of header length, a JSON header, raw little-endian arrays
(https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.embedders.onnx_file import read_tensors
from pointsman.classify.embedders.protowire import NotProtobuf

Floats = NDArray[np.float32]

_MAX_HEADER = 1 << 24
_KINDS: Mapping[str, type[np.floating[Any]]] = {"F32": np.float32, "F16": np.float16}
_LAYER_PARTS = (
    "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
    "intermediate.dense", "output.dense",
)
"""The six matrices of a layer in the order an exporter meets them."""


class UnreadableWeights(ValueError):
    """The file is no sentence model that we can read."""


def read_weights(path: Path) -> dict[str, Floats]:
    """The weights by their names in a BERT checkpoint, without a prefix."""
    try:
        found = _onnx(path) if path.suffix == ".onnx" else _safetensors(path)
    except (struct.error, NotProtobuf, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise UnreadableWeights(f"{path.name} is not a file of weights that we can read ({exc})") from exc
    if "embeddings.word_embeddings.weight" not in found or "encoder.layer.0.output.dense.weight" not in found:
        raise UnreadableWeights(f"{path.name} holds no BERT encoder")
    return found


def _safetensors(path: Path) -> dict[str, Floats]:
    raw = path.read_bytes()
    size = struct.unpack_from("<Q", raw)[0]
    if not 2 <= size <= min(_MAX_HEADER, len(raw) - 8):
        raise ValueError(f"its header would have {size} bytes")
    tensors = json.loads(raw[8 : 8 + size])
    tensors.pop("__metadata__", None)
    named = ((name, _array(raw, 8 + size, said)) for name, said in tensors.items() if said["dtype"] in _KINDS)
    return {name.removeprefix("bert.").removeprefix("0.auto_model."): array for name, array in named}


def _array(raw: bytes, base: int, said: Mapping[str, Any]) -> Floats:
    begin, end = said["data_offsets"]
    if not 0 <= begin <= end <= len(raw) - base:
        raise ValueError("an array lies outside the file")
    data = np.frombuffer(raw[base + begin : base + end], _KINDS[said["dtype"]])
    return data.reshape(said["shape"]).astype(np.float32)


def _onnx(path: Path) -> dict[str, Floats]:
    """Exporters keep the names of all but the matrices, which they turn round and number."""
    tensors = read_tensors(path.read_bytes())
    named = {re.sub(r"^.*?(?=embeddings\.|encoder\.layer\.)", "", name): array for name, array in tensors.items()
             if "embeddings." in name or "encoder.layer." in name}
    matrices = [array for name, array in tensors.items() if "MatMul" in name]
    for place, matrix in enumerate(matrices):
        layer, part = divmod(place, len(_LAYER_PARTS))
        named[f"encoder.layer.{layer}.{_LAYER_PARTS[part]}.weight"] = matrix.T
    return named
