"""The same vectors, sooner."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.learn.embedders import Parallel, sentence_of  # noqa: E402


class Counting:
    name, dims, digest = "counting", 2, "d"

    def __init__(self):
        self.calls = []

    def embed(self, texts):
        self.calls.append(len(texts))
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32).reshape(len(texts), 2)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 11, 64])
def test_order_and_number_are_those_of_the_texts(count):
    texts = ["x" * n for n in range(count)]

    assert Parallel(Counting(), workers=2).embed(texts)[:, 0].tolist() == list(range(count))


def test_the_texts_are_shared_out():
    inner = Counting()
    Parallel(inner, workers=3).embed(["x"] * 10)

    assert sorted(inner.calls) == [2, 4, 4]


def test_it_has_the_name_of_what_it_wraps():
    found = Parallel(Counting())

    assert (found.name, found.dims, found.digest) == ("counting", 2, "d")


def test_static_asks_for_none_and_an_absent_one_says_why(tmp_path):
    assert sentence_of("static") == (None, "")
    found, why = sentence_of(str(tmp_path))
    assert found is None
    assert why
