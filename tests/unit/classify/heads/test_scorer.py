"""A trained artifact answering."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from pointsman.artifact import Artifact
from pointsman.classify.embedders.static import shipped_static
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.scorer import Scorer, features_version, trained_features
from pointsman.classify.kernel.build import found
from pointsman.errors import ArtifactOfAnotherVersion, ArtifactRefused
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

    assert said.p[0, 0] > 0.7 > 0.4 > said.p[1, 0]  # two groups of like prompts are little evidence: the difference is drawn together
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


def changed(artifact, name, array):
    return Artifact(artifact.manifest, {**artifact.arrays, name: array}, "0" * 64, Path("memory"))


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("name", ["static.bias", "full.curves", "ngrams.idf", "sentence.landmarks", "static.surface.weights", "kinds.centres"])
def test_what_is_no_number_is_refused(artifact, name, kernel):
    array = artifact.arrays[name].astype(np.float64)
    array.flat[-1] = np.nan

    with pytest.raises(ArtifactRefused, match=f"{name} holds a value that is not finite"):
        Scorer.load(changed(artifact, name, array), kernel=kernel)


def test_what_was_not_rehearsed_is_no_number_and_no_reason_to_refuse(artifact):
    assert Scorer.load(changed(artifact, "static.rehearsal", np.full((3, 4), np.nan))).models == ("small", "large")


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("name", ["static.bias", "full.curves", "ngrams.idf", "sentence.landmarks", "static.surface.weights", "kinds.centres",
                                  "full.sentence.near.weights", "surface.centre", "static.masses", "full.error"])
def test_arrays_that_do_not_go_together_are_refused_when_it_is_loaded(artifact, name, kernel):
    with pytest.raises(ArtifactRefused, match="no classifier that this version can read"):
        Scorer.load(changed(artifact, name, artifact.arrays[name][1:]), kernel=kernel)


def test_numpy_and_the_kernel_agree_and_each_says_which_it_is(artifact):
    usual, plain = Scorer.load(artifact), Scorer.load(artifact, kernel=False)

    assert usual.kernel == str(found())
    assert plain.kernel == "numpy, because that was asked for"
    for vector in (None, Sentences().embed([HARD.text])[0]):
        assert usual.score_one(HARD, vector).p == pytest.approx(plain.score_one(HARD, vector).p, rel=1e-5)


def test_a_static_embedder_that_the_kernel_does_not_know_is_asked(artifact):
    class Other:
        digest = shipped_static().digest

        def embed(self, texts):
            return shipped_static().embed(texts)

    scorer = Scorer.load(artifact, Other())
    assert scorer.kernel.startswith("numpy, because")
    assert scorer.score_one(HARD).p == pytest.approx(Scorer.load(artifact).score_one(HARD).p, rel=1e-5)


def test_more_models_than_the_kernel_reads_are_left_to_numpy(artifact, monkeypatch):
    monkeypatch.setattr("pointsman.classify.heads.scorer.MOST_COLUMNS", 1)

    assert Scorer.load(artifact).kernel.startswith("numpy, because")


def test_features_are_named_by_what_reads_them():
    assert set(features_version(shipped_static())) == {"structural", "ngrams", "static"}


def test_it_says_what_it_is(artifact):
    assert repr(Scorer.load(artifact)) == "<Scorer 2 models, sentence sentences>"


def asking(prompt: str) -> tuple[Query, Query]:
    return Query.of_prompt(f"{prompt} Is it far? Go slowly."), Query.of_prompt(f"{prompt} Is it far? I am a doctor of seven zones, and Kreta")


def of_features(artifact: Artifact, structural: str) -> Artifact:
    features = {**artifact.features, "structural": structural}
    return Artifact({**artifact.manifest, "features": features}, artifact.arrays, artifact.version, artifact.path)


@pytest.mark.parametrize("kernel", [True, False])
def test_a_sentence_behind_a_question_changes_next_to_nothing(artifact, kernel):
    scorer = Scorer.load(artifact, kernel=kernel)
    plain, longer = asking("Where is my order number 12?")

    assert scorer.row(longer).p == pytest.approx(scorer.row(plain).p, abs=1e-3)  # the structural features count the whole


def test_an_artifact_of_before_reads_whole_texts_still(artifact):
    older = Scorer.load(of_features(artifact, features_version(shipped_static())["structural"]))
    plain, longer = asking("Where is my order number 12?")

    assert older.row(longer).p != pytest.approx(older.row(plain).p, abs=1e-3)


def test_an_artifact_that_cuts_texts_elsewhere_is_refused(artifact):
    with pytest.raises(ArtifactOfAnotherVersion, match="core9"):
        Scorer.load(of_features(artifact, features_version(shipped_static())["structural"] + "+core9"))


def test_what_is_trained_here_is_refused_by_programs_that_read_whole_texts(artifact):
    assert artifact.features["structural"] == trained_features(shipped_static())["structural"] != features_version(shipped_static())["structural"]
