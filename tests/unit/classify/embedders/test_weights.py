import json
import struct

import numpy as np
import pytest

from pointsman.classify.embedders.onnx_file import Graph
from pointsman.classify.embedders.weights import UnreadableWeights, read_weights

PARTS = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
         "intermediate.dense", "output.dense")


def same(found, held):
    return set(found) == set(held) and all(np.array_equal(found[name], held[name]) for name in held)


def test_safetensors_are_read(small_bert, tmp_path):
    held = small_bert.weights()
    (tmp_path / "model.safetensors").write_bytes(small_bert.safetensors(held))

    assert same(read_weights(tmp_path / "model.safetensors"), held)


@pytest.mark.parametrize("prefix", ["bert.", "0.auto_model."])
def test_a_prefix_of_the_checkpoint_is_dropped(small_bert, tmp_path, prefix):
    held = small_bert.weights()
    (tmp_path / "m.safetensors").write_bytes(small_bert.safetensors({prefix + name: array for name, array in held.items()}))

    assert same(read_weights(tmp_path / "m.safetensors"), held)


def test_an_exported_model_is_read_with_its_unnamed_matrices(small_bert, tmp_path):
    held, graph = small_bert.weights(), Graph("exported")
    matrices = [f"encoder.layer.{layer}.{part}.weight" for layer in range(small_bert.LAYERS) for part in PARTS]
    for name in held.keys() - set(matrices):
        graph.constant(f"model.0.auto_model.{name}", held[name])
    for place, name in enumerate(matrices):
        graph.constant(f"onnx::MatMul_{470 + place}", np.ascontiguousarray(held[name].T))
    (tmp_path / "m.onnx").write_bytes(graph.model("input_ids", "out", 1))

    assert same(read_weights(tmp_path / "m.onnx"), held)


def huge_header(raw):
    return struct.pack("<Q", 1 << 40) + raw[8:]


def outside(raw):
    size = struct.unpack_from("<Q", raw)[0]
    said = json.loads(raw[8 : 8 + size])
    said["embeddings.LayerNorm.bias"]["data_offsets"] = [0, 1 << 40]
    header = json.dumps(said).encode()
    return struct.pack("<Q", len(header)) + header + raw[8 + size :]


@pytest.mark.parametrize("damage", [
    lambda raw: b"", lambda raw: raw[:100], huge_header, outside, lambda raw: struct.pack("<Q", 2) + b"[]",
    lambda raw: struct.pack("<Q", 2) + b"{}", lambda raw: struct.pack("<Q", 10) + b'{"a": "b"}',
])
def test_a_damaged_file_is_refused_with_its_name(small_bert, tmp_path, damage):
    path = tmp_path / "model.safetensors"
    path.write_bytes(damage(small_bert.safetensors(small_bert.weights())))

    with pytest.raises(UnreadableWeights, match=r"model\.safetensors"):
        read_weights(path)


@pytest.mark.parametrize("raw", [b"", b"\x0a", b"not a model", bytes(range(256))])
def test_a_model_file_that_is_none_is_refused(tmp_path, raw):
    (tmp_path / "m.onnx").write_bytes(raw)

    with pytest.raises(UnreadableWeights, match=r"m\.onnx"):
        read_weights(tmp_path / "m.onnx")
