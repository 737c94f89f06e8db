"""Vectors, scores and figures on disk, so that a table is built up over as many runs as it takes.

A cell is kept under the digest of the code that made it: after a change to features, heads or fitting ours are made again, and
everybody else's stay. Figures are kept under both and under the code that computes them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cells import OURS, PLAIN, Cell, Trial
from sources import Source
from trial import Result
from unseen import presumed

import pointsman
from pointsman.classify.heads.core import core

_HERE = Path(__file__).parent
_PLAIN = ("learn/baselines.py", "classify/published.py")
_TRAINING = ("learn/fit.py", "learn/difficulty.py", "classify/heads/scorer.py", "classify/heads/query.py")
"""Where training and scoring begin: ours depend on these and on whatever of `learn` and of the scoring half of `classify` they import."""
_WITHIN = ("learn/", *(f"classify/{name}" for name in ("heads/", "embedders/static", "features", "subject", "casing", "courtesy", "spacing", "tail", "words")))
_IMPORT = re.compile(r"^\s*(?:from|import) pointsman\.([\w.]+)(?: import (\w+(?:, \w+)*))?", re.MULTILINE)
_MEASURING = ("learn/metrics.py", "learn/reliability.py", "learn/choosing.py", "classify/heads/rehearsal.py", "classify/policy.py", "classify/judge.py")


def digest(patterns: Sequence[str], beside: Sequence[str] = ()) -> str:
    """Of files of the package and of files of this folder."""
    made = hashlib.sha256()
    root = Path(pointsman.__file__).parent
    for path in [*(path for pattern in patterns for path in sorted(root.glob(pattern))), *(_HERE / name for name in beside)]:
        made.update(path.read_bytes())
    return made.hexdigest()[:10]


def reached(beginnings: Sequence[str]) -> tuple[str, ...]:
    """Modules of the package that these import, at any remove, and they themselves; nothing outside `_WITHIN`."""
    root = Path(pointsman.__file__).parent
    found, left = set(), list(beginnings)
    while left:
        name = left.pop()
        if name in found or not (root / name).is_file():
            continue
        found.add(name)
        for module, names in _IMPORT.findall((root / name).read_text()):
            path = module.replace(".", "/")
            candidates = [f"{path}.py", *(f"{path}/{one}.py" for one in names.split(", ") if one)]
            left += [one for one in candidates if one.startswith(_WITHIN)]
    return tuple(sorted(found))


class Store:
    """A folder; None keeps nothing."""

    def __init__(self, folder: Path | None, embedder: str) -> None:
        """`embedder`: its digest, and whatever else tells one set of rows from another."""
        self.folder, self.embedder = folder, embedder
        code = {PLAIN: _PLAIN, OURS: reached(_TRAINING)}
        self.marks = {part: f"{digest(files, ('sources.py', 'routers.py'))}-{embedder}" for part, files in code.items()}
        self._measuring = digest(_MEASURING, ("trial.py", "opinion.py"))
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def vectors(self, source: Source, embedder: Any) -> Any:
        """Sentence vectors of a source, from disk when they were made of these very texts by this very embedder."""
        texts = [core(query).text for query in source.queries]
        read = hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()[:10]
        path = None if self.folder is None else self.folder / f"{source.name.replace(' ', '_')}-{read}.{embedder.digest[:16]}.npy"
        if path is not None and path.exists():
            return np.load(path)
        made = np.concatenate([embedder.embed(texts[at: at + 256]) for at in range(0, len(texts), 256)])
        if path is not None:
            np.save(path, made)
        return made

    def presumed(self, outcomes: Path, name: str) -> Any:
        """What trainings presume of difficulty on a source (`unseen.presumed`), from disk when this very code made it."""
        path = None if self.folder is None else self.folder / f"{name.replace(' ', '_')}.presumed.{self.marks[OURS].split('-')[0]}.npy"
        if path is not None and path.exists():
            return np.load(path)
        made = presumed(outcomes, name)
        if path is not None:
            np.save(path, made)
        return made

    def has(self, cell: Cell) -> bool:
        return (path := self._cell(cell)) is not None and path.exists()

    def seconds(self, cell: Cell) -> float | None:
        """What it took."""
        path = self._cell(cell)
        if path is None or not path.exists():
            return None
        with np.load(path) as held:
            return float(held["seconds"])

    def said(self, cell: Cell) -> dict[str, Any] | None:
        """The arrays of a cell, `seconds` among them."""
        path = self._cell(cell)
        if path is None or not path.exists():
            return None
        with np.load(path) as held:
            return {name: held[name] for name in held.files}

    def keep(self, cell: Cell, said: Mapping[str, Any], seconds: float) -> None:
        if (path := self._cell(cell)) is not None:
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                np.savez_compressed(file, **said, seconds=np.array(seconds))
            part.replace(path)  # a run that is killed leaves no half of a cell

    def result(self, trial: Trial, parts: Sequence[str]) -> Result | None:
        """Figures of these parts, when they were computed by this very code."""
        path = self._figures(trial, parts)
        return None if path is None or not path.exists() else _thawed(json.loads(path.read_text()))

    def keep_result(self, trial: Trial, parts: Sequence[str], result: Result) -> None:
        if (path := self._figures(trial, parts)) is not None:
            part = path.with_suffix(".part")
            part.write_text(json.dumps(dataclasses.asdict(result), default=lambda one: one.tolist()))
            part.replace(path)

    def _cell(self, cell: Cell) -> Path | None:
        return None if self.folder is None else self.folder / f"{_name(cell.trial)}.{cell.part}.{self.marks[cell.part]}.npz"

    def _figures(self, trial: Trial, parts: Sequence[str]) -> Path | None:
        marks = "-".join(self.marks[part].split("-")[0] for part in parts)
        return None if self.folder is None else self.folder / f"{_name(trial)}.{marks}.{self._measuring}-{self.embedder}.json"


def _name(trial: Trial) -> str:
    return f"{trial.source.replace(' ', '_')}-{trial.labels}-{trial.draw}"


def _thawed(held: dict[str, Any]) -> Result:
    held["figures"] = {name: np.array(one) for name, one in held["figures"].items()}
    held["beats"] = {name: {rival: np.array(one) for rival, one in against.items()} for name, against in held["beats"].items()}
    held["promise"] = {rule: np.array(one) for rule, one in held["promise"].items()}
    held["best_rehearsed"] = None if held["best_rehearsed"] is None else np.array(held["best_rehearsed"])
    held["curves"] = {name: (np.array(one[0]), np.array(one[1])) for name, one in held["curves"].items()}
    return Result(**held)
