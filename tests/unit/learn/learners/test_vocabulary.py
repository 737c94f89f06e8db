"""How rare words are."""

import pytest

pytest.importorskip("scipy")

from pointsman.classify.heads import ngrams
from pointsman.classify.heads.query import Query
from pointsman.learn.learners.vocabulary import rarity, seen, word_matrix

QUERIES = [Query.of_prompt(text) for text in ("the cat", "the dog", "the end the end")]


def at(word: str) -> int:
    return int(ngrams.ids(word.encode())[0][0])


def test_a_word_counts_once_per_query():
    counts = seen(QUERIES)

    assert counts[at("the")] == 3
    assert counts[at("end")] == 1


def test_the_rarer_the_louder_and_never_seen_is_silent():
    weights = rarity(seen(QUERIES), 3)

    assert weights[at("cat")] > weights[at("the")] > 0
    assert weights[at("zebra")] == 0


def test_a_query_is_a_row():
    matrix = word_matrix([(*ngrams.ids(query.data), 1.0) for query in QUERIES])

    assert matrix.shape == (3, ngrams.BUCKETS)
    assert matrix[2, at("the")] == 2
