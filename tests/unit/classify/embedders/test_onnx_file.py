import numpy as np
import pytest

from pointsman.classify.embedders.onnx_file import Graph, read_tensors


def doubled():
    graph = Graph("doubled")
    graph.constant("two", np.full((1, 3), 2, np.float32))
    graph.constant("small", np.array([[1, -2]], np.int8))
    graph.node("Cast", ["ids"], "real", to=1)
    graph.node("Mul", ["real", "two"], "out")
    return graph.model("ids", "out", 3)


def test_weights_are_read_back_by_name():
    found = read_tensors(doubled())

    assert list(found) == ["two"], "only real numbers are weights"
    assert found["two"].tolist() == [[2, 2, 2]]


def test_the_same_graph_gives_the_same_bytes():
    assert doubled() == doubled()


def test_the_file_runs():
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(doubled(), providers=["CPUExecutionProvider"])

    assert session.run(None, {"ids": np.array([[1, 2, 3]], np.int64)})[0].tolist() == [[2, 4, 6]]


@pytest.mark.parametrize("other", [b"", b"\x3a\x00", b"\x08\x01"])
def test_a_file_without_a_graph_has_no_weights(other):
    assert read_tensors(other) == {}
