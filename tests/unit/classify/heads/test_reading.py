"""Queries as features."""

import numpy as np
import pytest

from pointsman.classify.heads import ngrams, surface
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.reading import FINE, GRID, LONGEST, Reader, gridded

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


def reader_of(landmarks) -> Reader:
    return Reader(dict(reader().arrays) | {"static.landmarks": landmarks, "static.masses": np.ones(len(landmarks))}, {})


def unit(rows: int, dims: int, seed: int = 0):
    made = np.random.default_rng(seed).normal(size=(rows, dims)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1)[:, None]


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


def test_rows_as_they_are_stored_are_read_as_bytes():
    stored = gridded(unit(5, 64))
    one = reader_of(stored)

    assert one.small["static"].dtype == np.int8
    assert np.array_equal(one.small["static"] / GRID, stored)
    assert one.small["static"].ctypes.data % 64 == 0
    assert np.abs(gridded(np.eye(3, dtype=np.float32))).max() < 1.0


@pytest.mark.parametrize("rows", [unit(5, 64), unit(5, 64).astype(np.float16), np.eye(3), gridded(unit(2, LONGEST + 1))])
def test_rows_that_bytes_do_not_hold_stay_as_they_are(rows):
    one = reader_of(rows)

    assert one.small["static"] is None
    assert np.array_equal(one.landmarks["static"], rows.astype(np.float32))


def test_what_is_compared_with_bytes_is_rounded_so_that_sums_have_one_value():
    one, vector = reader_of(gridded(unit(5, 64))), unit(1, 64, seed=1)
    whole = np.rint(vector.astype(np.float64) * FINE) @ one.small["static"].astype(np.float64).T / (FINE * GRID)

    near = one.near("static", vector)

    assert near[0] == pytest.approx(np.exp((whole[0] - 1) / 0.3), rel=1e-5)
    assert near[0] == pytest.approx(np.exp((vector @ unit(5, 64).T - 1) / 0.3)[0], rel=0.05)
