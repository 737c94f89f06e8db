"""A trained artifact answering."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from pointsman.artifact import Artifact
from pointsman.classify.embedders.static import shipped_static
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.scorer import Scorer, features_version
from pointsman.errors import ArtifactOfAnotherVersion
from pointsman.learn.fit import fit
from pointsman.learn.table import OutcomeTable


class Sentences:
    """A sentence embedder that is none: the static vectors under another name."""

    name, digest = "sentences", "0" * 64

    def embed(self, texts):
        return shipped_static().embed(texts)


def trained(*, tokens: bool = False) -> Artifact:
    rng = np.random.default_rng(5)
    easy = [f"Where is my order number {n}?" for n in range(60)]
    hard = [f"Prove that the sum of the first {n} odd numbers is a square, by induction." for n in range(60)]
    small = np.concatenate([rng.random(60) < 0.95, rng.random(60) < 0.1]).astype(float)
    large = np.concatenate([rng.random(60) < 0.95, rng.random(60) < 0.9]).astype(float)
    table = OutcomeTable([str(row) for row in range(120)], easy + hard, ("small", "large"), np.column_stack([small, large]),
                         tokens=np.repeat([[20.0, 30.0], [400.0, 600.0]], 60, axis=0) if tokens else None)
    draft = fit(table, seed=1, sentence=Sentences(), progress=lambda stage, done: None)
    return Artifact(draft.manifest, draft.arrays, "0" * 64, Path("memory"))


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return trained(tokens=True)


EASY = Query.of_prompt("Where is my order number 4711?")
HARD = Query.of_prompt("Prove that the sum of the first 77 even numbers is no square, by induction.")


def test_it_knows_easy_from_hard(artifact):
    said = Scorer.load(artifact).score([EASY, HARD])

    assert said.p[0, 0] > 0.8 > 0.4 > said.p[1, 0]
    assert said.p[1, 1] > 0.7


def test_a_query_scores_the_same_alone_and_among_others(artifact):
    scorer = Scorer.load(artifact)
    vectors = Sentences().embed([EASY.text, HARD.text])

    for given in (None, vectors):
        together, alone = scorer.score([EASY, HARD], given), scorer.score_one(HARD, None if given is None else given[1])
        assert together.p[1].tobytes() == alone.p[0].tobytes()
        assert together.lower[1].tobytes() == alone.lower[0].tobytes()


def test_sentence_vectors_bring_the_other_stack(artifact):
    scorer = Scorer.load(artifact)

    assert not np.array_equal(scorer.score_one(HARD).p, scorer.score_one(HARD, Sentences().embed([HARD.text])[0]).p)


def test_a_lower_bound_is_below_and_wider_where_little_was_labelled(artifact):
    said = Scorer.load(artifact).score([EASY, Query.of_prompt("Beschreibe den Sommer auf Kreta.")])

    assert (said.lower <= said.p).all()
    assert said.evidence[0] > said.evidence[1]


def test_what_is_like_nothing_labelled_is_foreign(artifact):
    said = Scorer.load(artifact).score([EASY, HARD, Query.of_prompt("日本の首都はどこですか"), Query.of_prompt("")])

    assert said.is_foreign.tolist() == [False, False, True, True]


def test_it_expects_tokens_when_there_were_any(artifact):
    said = Scorer.load(artifact).score([EASY, HARD])

    assert said.tokens is not None
    assert said.tokens[0, 0] < 60 < 200 < said.tokens[1, 0]
    assert said.tokens[1, 0] < said.tokens[1, 1]


def test_no_queries_no_rows(artifact):
    assert Scorer.load(artifact).score([]).p.shape == (0, 2)


def test_other_features_are_refused_with_both_versions(artifact):
    features = {**artifact.features, "ngrams": 99}
    other = Artifact({**artifact.manifest, "features": features}, artifact.arrays, "0" * 64, Path("memory"))

    with pytest.raises(ArtifactOfAnotherVersion, match="99"):
        Scorer.load(other)


def test_features_are_named_by_what_reads_them():
    assert set(features_version(shipped_static())) == {"structural", "ngrams", "static"}


def test_it_says_what_it_is(artifact):
    assert repr(Scorer.load(artifact)) == "<Scorer 2 models, sentence sentences>"
