"""One number about difficulty, from the arrays of an artifact."""

import numpy as np
import pytest

from pointsman.artifact import ArtifactDraft, read, write
from pointsman.classify.heads import signs
from pointsman.classify.heads.prior import CLIP, Prior, of_artifact, shipped_folder, signs_version
from pointsman.classify.heads.query import Query
from pointsman.errors import ArtifactOfAnotherVersion

COUNT = len(signs.NAMES)
COMMAS = signs.NAMES.index("commas")


def arrays(**changed):
    return {"centre": np.zeros(COUNT, np.float32), "spread": np.ones(COUNT, np.float32), "weights": np.zeros(COUNT, np.float32)} | changed


def one(name, weight):
    return np.array([weight if sign == name else 0.0 for sign in signs.NAMES], np.float32)


def test_the_difficulty_is_a_weighted_sum_of_signs():
    query = Query.of_prompt("red, white, and blue")
    expected = 2 * signs.read(query.data, query.chars, query.structural)[COMMAS]

    assert Prior(arrays(weights=one("commas", 2.0))).difficulty([query])[0] == pytest.approx(expected)


def test_a_sign_is_seen_from_its_usual_value_and_clipped():
    prior = Prior(arrays(weights=one("commas", 1.0), spread=np.full(COUNT, 1e-3, np.float32)))

    assert prior.difficulty([Query.of_prompt("a, b, c")])[0] == CLIP


def test_nobody_asked_gives_no_numbers():
    assert Prior(arrays()).difficulty([]).shape == (0,)


def test_a_batch_says_what_each_says_alone():
    prior = of_artifact(read(shipped_folder()))
    queries = [Query.of_prompt(text) for text in ("hi", "Prove that 2 is prime", "", "x" * 50_000)]

    assert prior.difficulty(queries) == pytest.approx([prior.difficulty([query])[0] for query in queries], rel=1e-5)


def test_an_artifact_made_for_other_signs_is_refused_with_both_versions(tmp_path):
    artifact = write(ArtifactDraft({"features": {"signs": "older"}}, arrays()), tmp_path / "a")

    with pytest.raises(ArtifactOfAnotherVersion, match=f"older.*{signs_version()}|{signs_version()}.*older"):
        of_artifact(artifact)
