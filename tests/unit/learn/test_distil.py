import hashlib
import random

import numpy as np
import pytest

from pointsman.classify.embedders.static import from_bytes

pytest.importorskip("scipy")
from pointsman.learn import distil

TOPICS = {"money": ["invoice", "refund", "payment", "tax"], "code": ["function", "python", "loop", "bug"],
          "travel": ["flight", "hotel", "train", "visa"]}
FILLERS = ["the", "a", "please", "my", "with"]


class Teacher:
    """Knows which topic a text is about."""

    name, dims, digest = "teacher", 16, "t"
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 3)))[0].T.astype(np.float32)

    def embed(self, texts):
        counts = np.array([[sum(word in text for word in words) for words in TOPICS.values()] for text in texts], np.float32)
        vectors = counts @ self.directions + 1e-3
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def texts(n=400):
    rng = random.Random(0)
    return [" ".join(rng.choices(words, k=2) + rng.choices(FILLERS, k=3)) for words in TOPICS.values() for _ in range(n)]


@pytest.fixture(scope="module")
def raw():
    said = texts()
    return distil.distil(said, Teacher().embed(said), dims=4, words=100, buckets=256)


def test_the_table_points_where_the_teacher_points(raw):
    static = from_bytes(raw)
    refund, tax, loop = static.embed(["the refund", "my tax please", "a python loop"])

    assert refund @ tax > 0.9
    assert abs(refund @ loop) < 0.3


def test_words_that_say_nothing_whisper(raw):
    static = from_bytes(raw)
    loud = {word: float(np.linalg.norm(static._rows[row] * static._scale[row])) for word, row in static._row_of.items()}

    assert max(loud[word] for word in FILLERS) < 0.5 * min(loud[word] for word in TOPICS["money"])


def test_a_typo_of_a_known_word_lands_near_it(raw):
    static = from_bytes(raw)
    right, wrong, other = static.embed(["payment", "paymnet", "python"])

    assert right @ wrong > 0.6 > right @ other


def test_the_same_texts_give_the_same_bytes(raw):
    said = texts()

    again = distil.distil(said, Teacher().embed(said), dims=4, words=100, buckets=256)

    assert hashlib.sha256(again).digest() == hashlib.sha256(raw).digest()


def test_the_vocabulary_is_what_texts_share():
    words = distil.vocabulary(["the cat 12", "the dog", "the cat"], 20)

    assert words == ("0", "00", "000", "0000", "00000", "000000", "the", "cat")


def test_conjugate_gradients_find_the_closed_form():
    rng = np.random.default_rng(1)
    given = distil.sparse.random_array((50, 12), density=0.4, rng=rng, dtype=np.float32).tocsr()
    goal = rng.normal(size=(50, 3)).astype(np.float32)

    found = distil.ridge(given, goal, 0.5)

    dense = given.toarray()
    assert found == pytest.approx(np.linalg.solve(dense.T @ dense + 0.5 * np.eye(12), dense.T @ goal), abs=1e-4)


def test_only_what_may_be_trained_on_is_read(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "outcomes").mkdir()
    (tmp_path / "traffic").mkdir()
    for source in (*distil.SOURCES, "alpacaeval1"):
        parquet.write_table(arrow.table({"prompt": [f"{source} train", f"{source} overlap", f"{source} dev"],
                                         "split": ["train", "train", "dev"], "overlaps_public_test": [False, True, False]}),
                            tmp_path / "outcomes" / f"{source}.parquet")
    parquet.write_table(arrow.table({"prompt": ["where is my card", "where is my card"]}), tmp_path / "traffic" / "prompts.parquet")

    assert distil.corpus(tmp_path, None, random.Random(0)) == [*(f"{source} train" for source in distil.SOURCES), "where is my card"]


def test_definitions_and_examples_are_read(tmp_path):
    for kind in ("noun", "verb", "adj", "adv"):
        (tmp_path / f"data.{kind}").write_text("  1 licence text\n")
    (tmp_path / "data.noun").write_text(
        '  1 licence text\n00001740 03 n 01 hot_dog 0 000 | a sausage in a roll; "he ate a hot dog"; "two of them"  \n')

    said = list(distil._said(tmp_path, random.Random(0)))

    assert said[0] == "hot dog: a sausage in a roll"
    assert said[1] in ("he ate a hot dog", "two of them")
