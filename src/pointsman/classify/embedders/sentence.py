"""Sentence embeddings: a small transformer through onnxruntime, on one core, over a bounded window.

Not for the event loop: a text takes milliseconds. Call `embed` from a worker thread; onnxruntime lets go of the
interpreter while it computes. A batch saves the thread's hop and nothing else, because texts are computed one at a
time: see `bert` for why that keeps a text's vector independent of its neighbours.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.embedders.bert import GIVEN, RESULT
from pointsman.classify.embedders.recipe import RECIPES
from pointsman.classify.embedders.vault import Absent, Model, Vault, user_vault
from pointsman.classify.embedders.window import cut, ends

Vectors = NDArray[np.float32]

LIBRARIES = ("onnxruntime", "tokenizers")
FOLDER_TOKENS = 64
"""The window of a model of one's own: that of ours, which fits 5 ms up to six layers of 384."""
REMEMBERED = 1024
"""Texts whose vectors are kept (about 3 KB each): system prompts and retried questions come again and again."""


class Sentence:
    """One model file with its tokenizer and window."""

    def __init__(self, name: str, model: bytes, tokenizer: str, *, tokens: int, remembered: int = REMEMBERED) -> None:
        """`tokens`: the longest text the model is shown, its two marks included."""
        from onnxruntime import InferenceSession
        from tokenizers import Tokenizer

        self.name = name
        self.tokens = tokens
        self.digest = _digest(model, tokenizer, tokens)
        self._session = InferenceSession(model, _options(), providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_str(tokenizer)
        # Bundled tokenizer files often pad every text to 128 tokens, three times the price of a question.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._first, self._last = self._mark("[CLS]"), self._mark("[SEP]")
        self._vector = lru_cache(remembered)(self._compute)
        self.dims = int(self._session.get_outputs()[0].shape[1])

    def __repr__(self) -> str:
        return f"<Sentence {self.name} [{self.tokens} tokens, {self.dims} dims]>"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit row per text. From any thread but the event loop's."""
        rows = [self._vector(*ends(text, self.tokens - 2)) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.dims), np.float32)

    def ids(self, text: str) -> list[int]:
        """What the model is shown of a text."""
        return self._ids(*ends(text, self.tokens - 2))

    def _compute(self, head: str, tail: str) -> Vectors:
        ids = np.array([self._ids(head, tail)], np.int64)
        vector: Vectors = self._session.run([RESULT], {GIVEN: ids})[0][0]
        vector.setflags(write=False)  # it is remembered: nobody may change it
        return vector

    def _ids(self, head: str, tail: str) -> list[int]:
        wanted = cut(self._pieces(head), self._pieces(tail) if tail else (), self.tokens - 2)
        return [self._first, *wanted, self._last]

    def _pieces(self, text: str) -> list[int]:
        # A lone surrogate cannot be written as UTF-8, and JSON can carry one.
        clean = text if text.isascii() else text.encode("utf-8", "replace").decode()
        ids: list[int] = self._tokenizer.encode(clean, add_special_tokens=False).ids
        return ids

    def _mark(self, name: str) -> int:
        found: int | None = self._tokenizer.token_to_id(name)
        if found is None:
            raise ValueError(f"the tokenizer knows no {name}: it is not a BERT tokenizer")
        return found


def _options() -> Any:
    from onnxruntime import GraphOptimizationLevel, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the other cores have requests to serve
    # Its further fusions bring an operator that is slower than what it replaces: see `bert`.
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    return options


def find_sentence(name: str = "auto", vault: Vault | None = None) -> Sentence | None:
    """The model called `l6` or `l3`, the best there is (`auto`), or one in a folder; None when it cannot be had."""
    try:
        return load_sentence(name, vault)
    except Absent:
        return None


def load_sentence(name: str = "auto", vault: Vault | None = None, *, tokens: int | None = None) -> Sentence:
    """As `find_sentence`, but raises `Absent` with the reason and the way out. `tokens`: another window than its own."""
    if missing := [library for library in LIBRARIES if importlib.util.find_spec(library) is None]:
        raise Absent(f"sentence embeddings need {' and '.join(missing)}: pip install 'pointsman[embed]'")
    found = _model(name, vault or user_vault())
    return Sentence(found.name, found.graph, found.tokenizer, tokens=tokens or found.tokens)


def _model(name: str, vault: Vault) -> Model:
    wanted = [recipe for recipe in RECIPES if name in ("auto", recipe.key, recipe.name)]
    if not wanted:
        return vault.folder(Path(name), FOLDER_TOKENS)
    reasons = []
    for recipe in wanted:
        try:
            return vault.known(recipe)
        except Absent as exc:
            reasons.append(str(exc))
    raise Absent("; ".join(reasons))


def _digest(model: bytes, tokenizer: str, tokens: int) -> str:
    """Of all that makes a vector: the model, how text is cut into tokens, and how many are shown."""
    said = json.loads(tokenizer)
    rules = json.dumps([said.get(part) for part in ("normalizer", "pre_tokenizer", "model")], sort_keys=True)
    parts = hashlib.sha256(model).hexdigest(), hashlib.sha256(rules.encode()).hexdigest(), str(tokens)
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()
