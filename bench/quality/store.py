"""Vectors and finished trials on disk, so that a run that was cut short goes on where it stopped.

A trial is kept under the digest of the code that made it: after a change to features, heads or fitting it is made again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from sources import Source
from trial import Result

import pointsman

_CODE = (*(f"classify/heads/{name}.py" for name in ("ngrams", "surface", "reading", "scorer", "calibration", "query", "rehearsal")),
         "classify/features.py", "learn/fit.py", "learn/stack.py", "learn/folds.py", "learn/learners/*.py", "learn/baselines.py")


def code_digest() -> str:
    """Of everything that a trial's numbers depend on."""
    root = Path(pointsman.__file__).parent
    digest = hashlib.sha256()
    for pattern in _CODE:
        for path in sorted(root.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class Store:
    """A folder of vectors and trials; None keeps nothing."""

    def __init__(self, folder: Path | None, embedder: str) -> None:
        self.folder = folder
        self.mark = f"{code_digest()}-{embedder}"
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def vectors(self, source: Source, embedder: Any) -> Any:
        """Sentence vectors of a source, from disk when they were made by this very embedder."""
        rows = "-quick" if self.mark.endswith("-quick") else ""
        path = None if self.folder is None else self.folder / f"{source.name.replace(' ', '_')}{rows}.{embedder.digest[:16]}.npy"
        if path is not None and path.exists():
            return np.load(path)
        texts = [query.text for query in source.queries]
        made = np.concatenate([embedder.embed(texts[at: at + 256]) for at in range(0, len(texts), 256)])
        if path is not None:
            np.save(path, made)
        return made

    def trial(self, source: str, labels: int, draw: int) -> Result | None:
        path = self._path(source, labels, draw)
        if path is None or not path.exists():
            return None
        return _thawed(json.loads(path.read_text()))

    def keep(self, result: Result) -> None:
        if (path := self._path(result.source, result.labels, result.draw)) is not None:
            part = path.with_suffix(".part")
            part.write_text(json.dumps(dataclasses.asdict(result), default=lambda one: one.tolist()))
            part.replace(path)

    def _path(self, source: str, labels: int, draw: int) -> Path | None:
        return None if self.folder is None else self.folder / f"{source.replace(' ', '_')}-{labels}-{draw}.{self.mark}.json"


def _thawed(held: dict[str, Any]) -> Result:
    held["figures"] = {name: np.array(one) for name, one in held["figures"].items()}
    held["beats"] = {name: {rival: np.array(one) for rival, one in against.items()} for name, against in held["beats"].items()}
    held["promise"] = {rule: np.array(one) for rule, one in held["promise"].items()}
    held["best_rehearsed"] = np.array(held["best_rehearsed"])
    held["curves"] = {name: (np.array(one[0]), np.array(one[1])) for name, one in held["curves"].items()}
    return Result(**held)
