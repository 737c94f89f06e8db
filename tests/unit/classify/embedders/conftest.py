"""A sentence model of two small layers, its file, its tokenizer, and what it should answer."""

import json
import math
import struct
import sys

import numpy as np
import pytest

HIDDEN, INNER, LAYERS, PLACES = 48, 96, 2, 40
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "reset", "my", "password", "capital", "of", "france", "the", "##s", "a", "b", "c"]


def weights(seed=0):
    rng = np.random.default_rng(seed)

    def drawn(*shape, scale=0.15):
        return rng.normal(0, scale, shape).astype(np.float32)

    found = {"embeddings.word_embeddings.weight": drawn(len(WORDS), HIDDEN, scale=1.0),
             "embeddings.position_embeddings.weight": drawn(PLACES, HIDDEN),
             "embeddings.token_type_embeddings.weight": drawn(2, HIDDEN)}
    shapes = {"attention.self.query": (HIDDEN, HIDDEN), "attention.self.key": (HIDDEN, HIDDEN),
              "attention.self.value": (HIDDEN, HIDDEN), "attention.output.dense": (HIDDEN, HIDDEN),
              "intermediate.dense": (INNER, HIDDEN), "output.dense": (HIDDEN, INNER)}
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        for name, shape in shapes.items():
            found[f"encoder.layer.{layer}.{name}.weight"] = drawn(*shape)
            found[f"encoder.layer.{layer}.{name}.bias"] = drawn(shape[0])
        norms += [f"encoder.layer.{layer}.{part}.LayerNorm" for part in ("attention.output", "output")]
    for norm in norms:
        found[f"{norm}.weight"], found[f"{norm}.bias"] = 1 + drawn(HIDDEN), drawn(HIDDEN)
    return found


def expected(held, ids):
    """The vector in full precision, by the book."""
    def dense(flow, name):
        return flow @ held[f"{name}.weight"].T + held[f"{name}.bias"]

    def normed(flow, name):
        middle, spread = flow.mean(-1, keepdims=True), flow.var(-1, keepdims=True)
        return (flow - middle) / np.sqrt(spread + 1e-12) * held[f"{name}.weight"] + held[f"{name}.bias"]

    flow = held["embeddings.word_embeddings.weight"][ids] + held["embeddings.position_embeddings.weight"][: len(ids)]
    flow = normed(flow + held["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    size = HIDDEN // 12
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        query, key, value = (dense(flow, f"{at}attention.self.{part}").reshape(-1, 12, size).transpose(1, 0, 2)
                             for part in ("query", "key", "value"))
        scores = np.exp(query @ key.transpose(0, 2, 1) / math.sqrt(size))
        heard = (scores / scores.sum(-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(-1, HIDDEN)
        flow = normed(dense(heard, f"{at}attention.output.dense") + flow, f"{at}attention.output.LayerNorm")
        inner = dense(flow, f"{at}intermediate.dense")
        bent = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        flow = normed(dense(bent, f"{at}output.dense") + flow, f"{at}output.LayerNorm")
    vector = flow.mean(0)
    return vector / np.linalg.norm(vector)


def safetensors(held):
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, array in held.items():
        raw = array.astype(np.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [at, at + len(raw)]}
        blobs.append(raw)
        at += len(raw)
    said = json.dumps(header).encode()
    return struct.pack("<Q", len(said)) + said + b"".join(blobs)


def tokenizer(padded_to=16):
    """As hubs ship them: set to cut and to pad."""
    marks = [{"id": WORDS.index(word), "content": word, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False} for word in WORDS[:4]]
    return json.dumps({
        "version": "1.0", "added_tokens": marks,
        "truncation": {"direction": "Right", "max_length": padded_to, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": padded_to}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                       "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {word: place for place, word in enumerate(WORDS)}},
    })


def folder(at, held=None):
    at.mkdir(parents=True, exist_ok=True)
    (at / "model.safetensors").write_bytes(safetensors(held or weights()))
    (at / "tokenizer.json").write_text(tokenizer())
    return at


@pytest.fixture
def small_bert():
    """This module: its weights, file, tokenizer and reference."""
    return sys.modules[__name__]
