"""Which sentence embedder trains and scores here, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.embedders.embedder import Embedder
from pointsman.classify.embedders.sentence import load_sentence
from pointsman.classify.embedders.vault import Absent
from pointsman.learn.remote_embedder import RemoteEmbedder, is_remote, settings_of

Vectors = NDArray[np.float32]
STATIC = "static"
"""The choice of no sentence embedder."""


class Parallel:
    """An embedder on all cores: the same vectors, sooner. Each text is computed by itself, so order and company play no part."""

    def __init__(self, embedder: Embedder, workers: int | None = None) -> None:
        self._embedder = embedder
        self._workers = workers or cpu_count() or 1

    @property
    def name(self) -> str:
        return self._embedder.name

    @property
    def dims(self) -> int:
        return self._embedder.dims

    @property
    def digest(self) -> str:
        return self._embedder.digest

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row per text."""
        if len(texts) < 2 * self._workers:
            return self._embedder.embed(texts)
        size = -(-len(texts) // self._workers)
        with ThreadPoolExecutor(self._workers) as pool:
            return np.concatenate(list(pool.map(self._embedder.embed, [texts[at: at + size] for at in range(0, len(texts), size)])))


def sentence_of(name: str) -> tuple[Embedder | None, str]:
    """The sentence embedder of that name (`auto`, `l6`, `l3`, a folder, or as an artifact names it), on all cores; or why it
    cannot run here. `URL#MODEL` is one elsewhere: raises DataRefused when it does not answer."""
    if name == STATIC:
        return None, ""
    if is_remote(name):
        return RemoteEmbedder(settings_of(name)), ""
    try:
        return Parallel(load_sentence(name)), ""
    except Absent as exc:
        return None, str(exc)


def in_manifest(embedder: Embedder | None) -> dict[str, Any] | None:
    """What an artifact remembers of the embedder it is trained beside."""
    if embedder is None:
        return None
    if isinstance(embedder, RemoteEmbedder):
        return embedder.elsewhere.in_manifest()
    return {"name": embedder.name, "digest": embedder.digest}
