"""Queries as features."""

import numpy as np
import pytest

from pointsman.classify.heads import ngrams, surface
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.reading import Reader

WIDTH = len(surface.NAMES)


def reader(*known: str) -> Reader:
    idf = np.zeros(ngrams.BUCKETS, dtype=np.float32)
    for word in known:
        idf[ngrams.ids(word.encode())[0]] = 1.0
    return Reader({
        "surface.centre": np.zeros(WIDTH), "surface.spread": np.ones(WIDTH), "ngrams.idf": idf,
        "static.landmarks": np.eye(2, dtype=np.float16), "static.masses": np.array([1.0, 3.0]),
        "kinds.centres": np.eye(2, 2 + WIDTH, dtype=np.float32), "kinds.divisions": np.array([2]),
    }, {"static": {"nearest": 0.5, "known": 0.4}})


def query(text: str) -> Query:
    return Query.of_prompt(text)


def test_words_weigh_one_together_and_unknown_ones_nothing():
    ids, weights, known = reader("alpha", "beta").words(query("alpha beta gamma"))

    assert float(weights @ weights) == pytest.approx(1.0)
    assert known == pytest.approx(2 / len(ids))


def test_a_text_without_known_words_has_no_weight():
    _, weights, known = reader().words(query("alpha"))

    assert not weights.any()
    assert known == 0.0


def test_nearness_is_one_for_the_same_and_falls_with_the_angle():
    near = reader().near("static", np.array([[1.0, 0.0]], dtype=np.float32))

    assert near[0] == pytest.approx([1.0, np.exp(-1 / 0.3)], rel=1e-3)


def test_evidence_counts_the_rows_a_neighbour_stands_for():
    one = reader()
    first, second = (one.evidence("static", one.near("static", vector)) for vector in np.eye(2, dtype=np.float32)[:, None, :])

    assert second[0][0] == pytest.approx(3.0, rel=1e-3)
    assert first[0][0] == pytest.approx(1.0, rel=1e-2)
    assert first[1][0] == pytest.approx(1.0, rel=1e-3)


def test_a_query_is_of_one_kind_per_division():
    vectors = np.array([[0.0, 1.0]], dtype=np.float32)
    reading = reader().read([query("alpha")], vectors, None)

    assert reading.block("kinds").tolist() == [[0.0, 1.0]]


def test_far_or_unknown_is_foreign():
    vectors = np.eye(2, dtype=np.float32)[:1]
    reading = reader("alpha").read([query("alpha")], vectors, None)
    strange = reader("beta").read([query("alpha")], vectors, None)

    assert reading.is_foreign("static", np.array([0.9])).tolist() == [False]
    assert reading.is_foreign("static", np.array([0.1])).tolist() == [True]
    assert strange.is_foreign("static", np.array([0.9])).tolist() == [True]


def test_a_block_that_needs_vectors_says_so():
    with pytest.raises(ValueError, match="sentence vectors"):
        reader().read([query("alpha")], None, None).block("sentence.near")
