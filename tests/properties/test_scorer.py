"""Whatever the text, a scorer gives finite probabilities, and the same ones again."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy")

from pointsman.artifact import Artifact
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.scorer import Scorer
from pointsman.learn.fit import fit
from pointsman.learn.table import OutcomeTable


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    rng = np.random.default_rng(0)
    prompts = [f"{word} {number}" for word in ("prove", "greet", "translate") for number in range(20)]
    table = OutcomeTable([str(row) for row in range(60)], prompts, ("small", "large"), rng.random((60, 2)))
    draft = fit(table, seed=1, sentence=None, progress=lambda stage, done: None)
    return Scorer.load(Artifact(draft.manifest, draft.arrays, "0" * 64, Path()))


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=400) | st.binary(max_size=400).map(lambda raw: raw.decode("latin-1")), times=st.sampled_from([1, 1, 1, 200]))
def test_any_text_has_finite_probabilities(scorer, text, times):
    query = Query.of_prompt(text * times)
    said, again = scorer.score_one(query), scorer.score_one(query)

    assert ((said.p >= 0) & (said.p <= 1)).all()
    assert ((said.lower >= 0) & (said.lower <= said.p)).all()
    assert np.isfinite(said.evidence).all()
    assert said.p.tobytes() == again.p.tobytes()
