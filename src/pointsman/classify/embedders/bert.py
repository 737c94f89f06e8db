"""A BERT-shaped sentence model, written as an eight-bit ONNX graph from its weights.

Weights of the encoder's matrices are rounded to whole numbers per output column; activations are rounded while
running, to the range of one text. Because that range belongs to the whole tensor, a text's vector would depend on
its neighbours in a batch: the graph takes one text at a time, and no padding exists that could get a mask wrong.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.embedders.onnx_file import Graph

Floats = NDArray[np.float32]

GIVEN, RESULT = "input_ids", "vector"
HEADS = 12
"""Of both MiniLM models, and of BERT."""
_EPSILON = 1e-12  # of BERT's layer norms
# Steps to either side of zero. 64 for products: 255 x 64 x 2 still fits into 16 bits, and processors without VNNI add
# two such products in 16 bits. With 127 they would saturate, and the same file would give other vectors elsewhere.
_PRODUCT_STEPS = 64
_TABLE_STEPS = 127


def int8_graph(weights: Mapping[str, Floats], heads: int = HEADS) -> bytes:
    """The file to serve. `weights` are named as in a BERT checkpoint, without a prefix."""
    graph = Graph("sentence")
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
    flow = _embeddings(graph, weights)
    for layer in range(layers):
        flow = _layer(graph, weights, flow, f"encoder.layer.{layer}.", heads)
    graph.node("ReduceMean", [flow], "mean", axes=[1], keepdims=0)
    graph.node("LpNormalization", ["mean"], RESULT, axis=1, p=2)
    return graph.model(GIVEN, RESULT, weights["embeddings.LayerNorm.bias"].shape[0])


def _embeddings(graph: Graph, weights: Mapping[str, Floats]) -> str:
    table, scale = _rounded(weights["embeddings.word_embeddings.weight"].T, _TABLE_STEPS)
    graph.constant("words", np.ascontiguousarray(table.T))
    graph.constant("word_scale", scale[:, None])
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    graph.constant("places", places.astype(np.float32))
    for name, value in (("zero", 0), ("one", 1), ("two", 2)):
        graph.constant(name, np.array([value], np.int64))
    graph.node("Gather", ["words", GIVEN], "word8")
    graph.node("Cast", ["word8"], "word", to=1)
    graph.node("Gather", ["word_scale", GIVEN], "scale")
    graph.node("Mul", ["word", "scale"], "sized")
    graph.node("Shape", [GIVEN], "shape")
    graph.node("Slice", ["shape", "one", "two", "zero"], "tokens")
    graph.node("Slice", ["places", "zero", "tokens", "zero"], "place")
    graph.node("Add", ["sized", "place"], "embedded")
    gain, shift = _norm(graph, weights, "embeddings.LayerNorm")
    return graph.node("LayerNormalization", ["embedded", gain, shift], "embeddings", axis=-1, epsilon=_EPSILON)


def _layer(graph: Graph, weights: Mapping[str, Floats], flow: str, at: str, heads: int) -> str:
    mine = f"{at}attention.self."
    both = [(weights[f"{mine}{part}.weight"], weights[f"{mine}{part}.bias"]) for part in ("query", "key", "value")]
    together = np.concatenate([weight for weight, _ in both]), np.concatenate([bias for _, bias in both])
    joined = _product(graph, flow, *together, f"{at}joined")
    parts = graph.split("Split", [joined], [f"{at}q", f"{at}k", f"{at}v"], axis=2)
    heard = graph.fused("MultiHeadAttention", parts, f"{at}heard", num_heads=heads)
    said = _dense(graph, weights, heard, f"{at}attention.output.dense")
    flow = _added(graph, weights, said, flow, f"{at}attention.output.LayerNorm")
    inner = _dense(graph, weights, flow, f"{at}intermediate.dense")
    bent = graph.fused("Gelu", [inner], f"{at}bent")
    return _added(graph, weights, _dense(graph, weights, bent, f"{at}output.dense"), flow, f"{at}output.LayerNorm")


def _dense(graph: Graph, weights: Mapping[str, Floats], flow: str, at: str) -> str:
    return _product(graph, flow, weights[f"{at}.weight"], weights[f"{at}.bias"], at)


def _product(graph: Graph, flow: str, weight: Floats, bias: Floats, at: str) -> str:
    table, scale = _rounded(np.ascontiguousarray(weight.T), _PRODUCT_STEPS)
    inputs = [flow, graph.constant(f"{at}.w8", table), graph.constant(f"{at}.scale", scale)]
    inputs += ["", graph.constant(f"{at}.bias", bias)]
    return graph.fused("DynamicQuantizeMatMul", inputs, at)


def _added(graph: Graph, weights: Mapping[str, Floats], new: str, old: str, at: str) -> str:
    # Two operators, because onnxruntime's fused one is three times slower on CPU (1.31: 67 against 22 us at 32 tokens).
    both = graph.node("Add", [new, old], f"{at}.sum")
    return graph.node("LayerNormalization", [both, *_norm(graph, weights, at)], at, axis=-1, epsilon=_EPSILON)


def _norm(graph: Graph, weights: Mapping[str, Floats], at: str) -> tuple[str, str]:
    return (
        graph.constant(f"{at}.gain", weights[f"{at}.weight"]),
        graph.constant(f"{at}.shift", weights[f"{at}.bias"]),
    )


def _rounded(matrix: Floats, steps: int) -> tuple[NDArray[np.int8], Floats]:
    """Columns as whole numbers from -steps to steps, and what one step of each column is worth."""
    scale = np.maximum(np.abs(matrix).max(axis=0), np.float32(1e-12)) / np.float32(steps)
    return np.rint(matrix / scale).astype(np.int8), scale.astype(np.float32)
