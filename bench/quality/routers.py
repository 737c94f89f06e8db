"""What each router expects of held-out queries, learned from the same few labels: arrays that are made once and kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cells import OURS, PLAIN
from sources import Source

from pointsman.artifact import Artifact
from pointsman.classify.heads.core import core
from pointsman.classify.heads.rehearsal import ARRAY
from pointsman.classify.heads.scorer import Stack
from pointsman.classify.published import published_tier
from pointsman.learn.baselines import Neighbours, TaskTable, VectorRidge, WordRidge
from pointsman.learn.fit import Fit
from pointsman.learn.outcomes import as_request
from pointsman.learn.table import OutcomeTable

Said = dict[str, Any]
"""Name of a router -> (judged, models) expectation, or one number per query. Of ours also `<name>|lower`, `|foreign`, `|rehearsal`."""
STACKS = {"ours, static": "static", "ours, MiniLM": "full"}


def plain(source: Source, learn: Any, judged: Any, seed: int) -> Said:
    """What anybody could do. Prompt length and the published heuristic learn nothing: a number per query."""
    quality = source.quality[learn]
    vectors = source.static if source.sentence is None else source.sentence
    said = {
        "prompt length": np.array([len(source.prompts[i]) for i in judged], dtype=float),
        "published heuristic": np.array([float(published_tier(as_request(source.prompts[i]))[0]) for i in judged]),
        "task table": TaskTable().fit(source.task[learn], quality).predict(source.task[judged]),
        "TF-IDF + ridge": WordRidge().fit([source.prompts[i] for i in learn], quality).predict([source.prompts[i] for i in judged]),
        "kNN": Neighbours().fit(vectors[learn], quality).predict(vectors[judged]),
    }
    if source.sentence is not None:
        said["MiniLM + ridge"] = VectorRidge().fit(vectors[learn], quality).predict(vectors[judged])
    return {name: np.asarray(one, dtype=np.float32) for name, one in said.items()}


def ours(source: Source, learn: Any, judged: Any, seed: int) -> Said:
    """What both stacks of one artifact say, from vectors made once for the whole run."""
    table = OutcomeTable([str(i) for i in learn], [source.prompts[i] for i in learn], source.models, source.quality[learn],
                         group=[str(one) for one in source.group[learn]])
    sentence = None if source.sentence is None else source.sentence[learn]
    fit = Fit(table, [source.queries[i] for i in learn], source.static[learn], sentence, seed, sentence_embedder=source.embedder, presumed=source.presumed)
    draft = fit.draft({}, lambda stage, done: None)
    artifact = Artifact(draft.manifest, draft.arrays, "", Path())
    queries = [core(source.queries[i]) for i in judged]
    said: Said = {}
    for name, stack in STACKS.items():
        if stack in draft.manifest["stacks"]:
            vectors = None if stack == "static" or source.sentence is None else source.sentence[judged]
            found = Stack(artifact, stack).predicted(fit.reader.read(queries, source.static[judged], vectors))
            said |= {name: np.asarray(found.p, dtype=np.float32), f"{name}|lower": np.asarray(found.lower, dtype=np.float32),
                     f"{name}|foreign": np.asarray(found.is_foreign), f"{name}|rehearsal": draft.arrays[f"{stack}.{ARRAY}"]}
    return said


MAKERS: dict[str, Callable[[Source, Any, Any, int], Said]] = {PLAIN: plain, OURS: ours}
