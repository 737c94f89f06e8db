"""What a remote embedder is asked, what its answer holds, and whether it is the same."""

import msgspec
import pytest

np = pytest.importorskip("numpy")

from pointsman.classify.embedders.remote import (  # noqa: E402
    PROBES,
    SAME,
    Unusable,
    elsewhere_of,
    probed,
    question,
    vectors_of,
)

RNG = np.random.default_rng(1)


def units(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


ANSWERED = units(RNG.normal(size=(len(PROBES), 384)))


def body(*embeddings, **more):
    return msgspec.json.encode({"data": [{"embedding": one, **more} for one in embeddings]})


def test_vectors_are_unit_rows_in_the_order_of_the_texts_whatever_the_order_of_the_answer():
    shuffled = msgspec.json.encode({"data": [{"embedding": [0, 2], "index": 1}, {"embedding": [3, 4], "index": 0}]})

    assert vectors_of(shuffled, 2).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 1.0]]
    assert vectors_of(body([5.0], [-1]), 2).tolist() == [[1.0], [-1.0]]


@pytest.mark.parametrize("answer", [
    b"", b"{}", b"[]", b'{"data": [{"embedding": "AAAA"}]}', body([0.0, 0.0]), body([]), body([1.0], [1.0]), body([1.0], index=3),
    body([True]), b'{"data": [{"embedding": [NaN]}]}'])
def test_what_holds_no_vectors_is_refused(answer):
    with pytest.raises(Unusable):
        vectors_of(answer, 1)


def test_vectors_of_different_lengths_are_refused():
    with pytest.raises(Unusable, match="not of one length"):
        vectors_of(body([1.0], [1.0, 2.0]), 2)


def test_long_texts_are_sent_by_their_ends_and_no_text_is_empty():
    sent = msgspec.json.decode(question("m", ["", "a" * 50 + "z" * 50, "\ud800"], 8, 10))

    assert sent == {"model": "m", "input": [" ", "aaaaa\nzzzzz", "?"], "encoding_format": "float", "dimensions": 8}
    assert "dimensions" not in msgspec.json.decode(question("m", ["x"], None, 10))


def test_the_last_digits_may_differ_and_the_model_may_not():
    known = probed("m", ANSWERED, None, 4000)
    nudged = units(ANSWERED + RNG.normal(size=ANSWERED.shape) * 1e-4)

    assert known.differs(*ANSWERED) == known.differs(*nudged) == ""
    assert "another vector" in known.differs(*units(RNG.normal(size=ANSWERED.shape)))
    assert "has 8 numbers" in known.differs(*ANSWERED[:, :8]) or "8 numbers" in known.differs(*ANSWERED[:, :8])


def test_one_probe_that_differs_is_enough():
    other = ANSWERED.copy()
    other[1] = units(RNG.normal(size=(1, 384)))[0]

    assert "cosine" in probed("m", ANSWERED, None, 4000).differs(*other)
    assert 0.99 < SAME < 1


def test_a_manifest_keeps_it_and_two_of_one_training_are_equal():
    known = probed("m", ANSWERED, 384, 4000)
    kept = msgspec.json.decode(msgspec.json.encode(known.in_manifest()))

    assert elsewhere_of(kept) == known
    assert (kept["name"], kept["digest"]) == ("remote:m", known.digest)
    assert probed("n", ANSWERED, 384, 4000).digest != known.digest


@pytest.mark.parametrize("sentence", [None, {}, {"name": "minilm-l6-int8", "digest": "d"}, {"name": "x", "remote": {"model": 3}}])
def test_of_anything_else_there_is_no_embedder_elsewhere(sentence):
    assert elsewhere_of(sentence) is None


def test_one_whose_vectors_wander_is_asked_alone_and_allowed_to_wander_so_far():
    beside = units(ANSWERED + RNG.normal(size=ANSWERED.shape) * 0.01)
    known = probed("m", ANSWERED, None, 4000, beside)

    assert known.alone
    assert 0.9 <= known.same < 0.999
    assert known.differs(*beside) == ""
    assert not probed("m", ANSWERED, None, 4000, ANSWERED).alone
    assert "another vector" in known.differs(*units(RNG.normal(size=ANSWERED.shape)))
