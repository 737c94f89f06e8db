import hashlib

import numpy as np
import pytest

from pointsman.classify.embedders.bert import GIVEN, RESULT, int8_graph
from pointsman.classify.embedders.onnx_file import read_tensors


def answer(graph, ids):
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return session.run([RESULT], {GIVEN: np.array([ids], np.int64)})[0][0]


@pytest.mark.parametrize("ids", [[2, 3], [2, 4, 5, 6, 3], [2, *[4, 9, 10, 12] * 9, 3]])
def test_eight_bits_say_nearly_what_the_book_says(small_bert, ids):
    held = small_bert.weights()

    vector = answer(int8_graph(held), ids)

    assert vector @ small_bert.expected(held, ids) > 0.99
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_same_weights_give_the_same_file(small_bert):
    first, second = (int8_graph(small_bert.weights()) for _ in range(2))

    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    assert first != int8_graph(small_bert.weights(seed=1))


def test_products_cannot_overflow_where_a_processor_adds_in_16_bits(small_bert):
    # Such a processor adds two products of a byte (at most 255) and a weight.
    held = small_bert.weights()
    held["encoder.layer.0.output.dense.weight"] *= 1e6
    graph = int8_graph(held)

    assert int(np.frombuffer(column(graph, "encoder.layer.0.output.dense.w8"), np.int8).astype(int).max()) == 64
    assert 255 * 64 * 2 < 2**15


def column(graph, name):
    """The raw bytes of an eight-bit constant."""
    from pointsman.classify.embedders.protowire import blob, fields

    inside = next(part for field, part in fields(memoryview(graph)) if field == 7)
    tensor = next(part for field, part in fields(inside) if field == 5 and blob(8, name) in bytes(part))
    return next(bytes(part) for field, part in fields(tensor) if field == 9)


def test_no_full_precision_matrix_is_left(small_bert):
    sizes = {name: array.ndim for name, array in read_tensors(int8_graph(small_bert.weights())).items()}

    assert {name for name, axes in sizes.items() if axes == 2} == {"places", "word_scale"}
