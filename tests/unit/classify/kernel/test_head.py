"""The kernel refuses what does not go together, and answers in the scorer's terms."""

import gc
import sys

import numpy as np
import pytest

from pointsman.classify import features, signals
from pointsman.classify.embedders.static import Static, Table
from pointsman.classify.heads import ngrams, signs, surface
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.reading import GRID, LONGEST
from pointsman.classify.kernel.build import found
from pointsman.classify.kernel.head import Head

pytestmark = pytest.mark.skipif(found().module is None, reason=f"kernel: {found()}")

LOOKS = len(surface.NAMES)
QUERY = Query.of_prompt("where is my cat?")


def a_table(dims=4, rows=None, scale=None, words=b"cat\ndog"):
    rows = np.ones((10, dims), np.int8) if rows is None else rows
    return found().module.Table(words, rows, np.ones(len(rows), np.float32) if scale is None else scale)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def sound(**changes):
    """Arguments of a head of two models that go together, some of them changed."""
    return {
        "table": a_table(), "spelling": (ngrams.KIND_OF.tobytes(), ngrams.CODE_OF.tobytes()), "surface": (zeros(LOOKS), np.ones(LOOKS, np.float32)),
        "idf": zeros(ngrams.BUCKETS), "kinds": (zeros(3, 4 + LOOKS), zeros(3), (1, 2)), "static": (zeros(5, 4), np.ones(5, np.float32)), "sentence": None,
        "stack": stack(),
        "blocks": (0, 2, 4), "near": 0, "has_tokens": False, "numbers": (-0.2, 1.28, 12.0, 0.3, 0.5, -1.0, 64.0, 3.3, 5.0, 0.1, 3.0)} | changes


def stack(**changes):
    return tuple(({"weights": zeros(2, LOOKS + 3 + 5), "words": zeros(ngrams.BUCKETS, 2), "bias": zeros(2, dtype=np.float64),
                   "error": zeros(2, dtype=np.float64), "curves": np.linspace(0, 1, 386).reshape(193, 2)} | changes).values())


def test_what_goes_together_answers():
    row = Head(found().module.Head(**sound())).row(QUERY, None)

    assert row.p == pytest.approx([64 * 2 / 385, (64 * 2 + 1) / 385])
    assert row.lower == row.p
    assert row.is_foreign
    assert row.tokens is None


@pytest.mark.parametrize("changes", [
    {"spelling": (b"", ngrams.CODE_OF.tobytes())}, {"spelling": (ngrams.KIND_OF.tobytes(), b"")},
    {"surface": (zeros(LOOKS + 1), zeros(LOOKS))}, {"surface": (zeros(3), zeros(3))}, {"surface": (zeros(4000), zeros(4000))},
    {"idf": zeros(7)}, {"idf": zeros(ngrams.BUCKETS, dtype=np.float64)}, {"idf": zeros(ngrams.BUCKETS, 1)}, {"idf": zeros(ngrams.BUCKETS * 2)[::2]},
    {"kinds": (zeros(3, LOOKS), zeros(3), (1, 2))}, {"kinds": (zeros(3, 4 + LOOKS), zeros(2), (1, 2))},
    {"kinds": (zeros(3, 4 + LOOKS), zeros(3), (1, 1))}, {"kinds": (zeros(3, 4 + LOOKS), zeros(3), (0, 3))},
    {"kinds": (zeros(3, 4 + LOOKS), zeros(3), (-1, 4))}, {"kinds": (zeros(3, 4 + LOOKS), zeros(3), (4,))},
    {"kinds": (zeros(3, 4 + LOOKS), zeros(3), (1, 2**70))}, {"kinds": (zeros(3, 4 + LOOKS), zeros(3), (1, "2"))},
    {"static": None}, {"static": (zeros(0, 4), zeros(0))}, {"static": (zeros(5, 3), zeros(5))}, {"static": (zeros(5, 4), zeros(4))},
    {"static": (zeros(6, 4), zeros(6))}, {"sentence": (zeros(5, 0), zeros(5))},
    {"blocks": (0, 2)}, {"blocks": (0, 2, 4, 4)}, {"blocks": (0, 2, 7)}, {"blocks": (0, 2, -1)}, {"blocks": (0, 2, 6)}, {"blocks": (0, 2, 5)},
    {"blocks": (0,) * 17}, {"blocks": ("0",)}, {"near": 1}, {"near": 2}, {"near": -1}, {"has_tokens": True},
    {"stack": stack(weights=zeros(2, 9))}, {"stack": stack(weights=zeros(3, LOOKS + 8))}, {"stack": stack(words=zeros(5, 2))},
    {"stack": stack(words=zeros(ngrams.BUCKETS, 3))}, {"stack": stack(bias=zeros(3, dtype=np.float64))}, {"stack": stack(bias=zeros(2))},
    {"stack": stack(error=zeros(0, dtype=np.float64))}, {"stack": stack(curves=zeros(1, 2, dtype=np.float64))},
    {"stack": stack(curves=zeros(193, 3, dtype=np.float64))}, {"stack": stack(curves=zeros(193, dtype=np.float64))},
    {"numbers": (1.0,)}, {"table": "a table"},
], ids=str)
def test_what_does_not_go_together_is_refused(changes):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        found().module.Head(**sound(**changes))


@pytest.mark.parametrize("count", [1, 3, 4, 9])
@pytest.mark.parametrize("dims", [4, 8, 13, 16, 31, 200])
def test_rows_of_bytes_score_as_the_numbers_they_stand_for(dims, count):
    rng = np.random.default_rng(dims * count)
    near, kinds = (rng.integers(-127, 128, shape).astype(np.int8) for shape in ((count, dims), (count, dims + LOOKS)))
    weights = rng.normal(size=(2, LOOKS + count + count)).astype(np.float32)
    words = rng.integers(-100, 100, (10, dims)).astype(np.int8)

    def answered(rows):
        head = found().module.Head(**sound(
            table=a_table(dims, words), kinds=(rows(kinds), zeros(count), (count,)), static=(rows(near), np.ones(count, np.float32)), stack=stack(weights=weights)))
        return Head(head).row(QUERY, None)

    small, large = answered(lambda rows: rows), answered(lambda rows: rows.astype(np.float32) / GRID)
    assert small.p == pytest.approx(large.p, abs=2e-3)  # a vector moves by less than 2^-15, and the curve here is steep
    assert small.evidence == pytest.approx(large.evidence, rel=1e-2)
    assert len(set(small.p)) > 1


def test_rows_too_long_to_be_added_up_in_whole_numbers_are_refused():
    assert found().module.LONGEST == LONGEST
    dims = LONGEST + 1

    with pytest.raises(ValueError, match="at most 512"):
        found().module.Head(**sound(sentence=(zeros(5, dims, dtype=np.int8), np.ones(5, np.float32))))


@pytest.mark.parametrize("changes", [
    {"rows": zeros(2, 4, dtype=np.int8)}, {"rows": zeros(10, 0, dtype=np.int8)}, {"rows": zeros(10, 5000, dtype=np.int8)}, {"rows": zeros(10, 4)},
    {"rows": zeros(10, dtype=np.int8)}, {"scale": zeros(9)}, {"scale": np.full(10, np.nan, np.float32)}, {"words": b"a\nb\n" * 9},
], ids=str)
def test_a_table_that_does_not_go_together_is_refused(changes):
    with pytest.raises(ValueError, match=r"rows|scale"):
        a_table(**changes)


@pytest.mark.parametrize("given", [
    ("text",), ("text", b"text", 4, (0.0,), None), (b"text", b"text", 4, QUERY.structural, None), ("text", "text", 4, QUERY.structural, None),
    ("text", b"text", "4", QUERY.structural, None), ("text", b"text", 4, list(QUERY.structural), None), ("text", b"text", 4, ("x",) * len(QUERY.structural), None),
], ids=str)
def test_a_call_with_other_things_is_refused(given):
    with pytest.raises((TypeError, ValueError)):
        found().module.Head(**sound()).score(*given)


@pytest.mark.parametrize("vector", [None, zeros(3), zeros(2, dtype=np.float64), zeros(1, 2), b"12345678"], ids=str)
def test_another_sentence_vector_is_refused(vector):
    head = found().module.Head(**sound(sentence=(zeros(5, 2), zeros(5)), near=1))

    assert head.score("a", b"a", 1, QUERY.structural, zeros(2))[2] == 0.0
    with pytest.raises((TypeError, ValueError)):
        head.score("a", b"a", 1, QUERY.structural, vector)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 3e38])
def test_silly_numbers_give_silly_scores_and_nothing_else(number):
    full = {name: np.full_like(array, number) for name, array in zip(("weights", "words", "bias"), stack(), strict=False)}
    head = found().module.Head(**sound(
        stack=stack(**full), idf=np.full(ngrams.BUCKETS, number, np.float32), surface=(zeros(LOOKS), np.full(LOOKS, number, np.float32)),
        kinds=(np.full((3, 4 + LOOKS), number, np.float32), zeros(3), (1, 2)), static=(np.full((5, 4), number, np.float32), np.ones(5, np.float32))))

    assert all(0.0 <= p <= 1.0 for p in Head(head).row(QUERY, None).p)


def test_words_that_no_line_holds_are_left_to_numpy():
    table = Table(("a\nb", "c"), np.ones((9, 4), np.int8), np.ones(9, np.float32))

    assert Static(table, "digest").compiled is None
    assert Static(table._replace(words=()), "digest").compiled is None
    assert Static(table._replace(words=tuple("abcdefghi")), "digest").compiled is None, "no pieces"
    assert Static(table._replace(words=("c", "d")), "digest").compiled is not None


def test_a_word_filed_twice_has_its_last_row_as_in_a_dictionary():
    static = Static(Table(("a", "b", "a"), np.ones((9, 4), np.int8), np.ones(9, np.float32)), "digest")

    assert static.compiled.rows("a b") == (static.rows_of("a b")[0], []) == ([2, 1], [])


def test_arrays_are_held_as_long_as_the_head_lives_and_no_longer():
    idf = zeros(ngrams.BUCKETS)
    before = sys.getrefcount(idf)
    head = found().module.Head(**sound(idf=idf))
    held = sys.getrefcount(idf)
    del head
    gc.collect()

    assert (held > before, sys.getrefcount(idf)) == (True, before)
    with pytest.raises(ValueError, match="blocks"):
        found().module.Head(**sound(idf=idf, blocks=(0,) * 17))
    assert sys.getrefcount(idf) == before


# -- features, the heuristic and the shipped guess

FEATURES = len(features.NAMES)
COUNTED = len(signs.NAMES) - signs.LOOKS
NOTHING = (0.0,) * FEATURES


def weights(**changes):
    return {"weights": NOTHING, "order": tuple(range(FEATURES)), "words": ("code",) * FEATURES, "offsets": (0.0, 1.0), "bias": 0.0, "clears": 1.0} | changes


def ladder(**changes):
    return {"words": (b"the of", b"he", b"one"), "structural": FEATURES, "kept": (0, 3), "looks": np.zeros((2, 3)), "text": np.zeros((COUNTED, 3)),
            "offsets": (0.0, 1.0), "clip": 3.0} | changes


def test_signals_and_features_are_those_of_this_version():
    assert found().module.signals == signals.NAMES
    assert found().module.features == features.NAMES


@pytest.mark.parametrize("changes", [
    {"weights": (0.0,)}, {"weights": (*NOTHING[1:], "1")}, {"order": (0,)}, {"order": (FEATURES, *range(1, FEATURES))}, {"order": (-1, *range(1, FEATURES))},
    {"order": ("0", *range(1, FEATURES))}, {"words": ("code",)}, {"words": (b"code",) * FEATURES}, {"offsets": ()}, {"offsets": (0.0,) * 65}, {"offsets": ("0",)}, {"offsets": [0.0]}])
def test_weights_that_do_not_go_together_are_refused(changes):
    with pytest.raises((ValueError, TypeError)):
        found().module.Heuristic(**weights(**changes))


@pytest.mark.parametrize("changes", [
    {"words": (b"x" * 17, b"", b"")}, {"words": (b"a  b", b"", b"")}, {"words": (b" ".join(b"%d" % n for n in range(300)), b"", b"")}, {"kept": (0, FEATURES)}, {"kept": (0, -1)},
    {"kept": (0, "1")}, {"kept": tuple(range(2)) * 40}, {"looks": np.zeros((3, 3))}, {"looks": np.zeros((2, 2))}, {"looks": np.zeros((2, 3), np.float32)}, {"text": np.zeros((5, 3))},
    {"text": np.zeros((COUNTED, 3))[::2]}, {"offsets": (0.0,) * 65}, {"offsets": ("0",)}])
def test_a_ladder_that_does_not_go_together_is_refused(changes):
    with pytest.raises((ValueError, TypeError)):
        found().module.Ladder(**ladder(**changes))


@pytest.mark.parametrize("arguments", [(), ("text", 0, 1, 1, False, 1, 0, False, 0), (b"", "0", 1, 1, False, 1, 0, False, 0), (b"", -1, 1, 1, False, 1, 0, False, 0),
                                       (b"", 1 << 64, 1, 1, False, 1, 0, False, 0), (b"", 0, -1, 1, False, 1, 0, False, 0), (b"", 0, 1, 1 << 60, False, 1, 0, False, 0)])
def test_no_features_of_what_is_no_request(arguments):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        found().module.looks(*arguments)


@pytest.mark.parametrize("arguments", [(), ((0,), b"\0"), ([1], b"\0"), ([-1], b"\0"), (["0"], b"\0"), ([0], b"\x40"), ([1 << 70], b"\0"), ([0], "0")])
def test_no_mask_of_hits_that_nobody_has_numbered(arguments):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        found().module.mask_of(*arguments)


def test_a_mask_has_a_bit_for_every_number():
    assert found().module.mask_of([3, 0, 0], b"\x01\0\0\x3f") == 1 << 63 | 1 << 1


@pytest.mark.parametrize("arguments", [(NOTHING, 1), (list(NOTHING), 1, None), (NOTHING[1:], 1, None), (NOTHING, "1", None), (NOTHING, 1, b"cjk"), ((*NOTHING[1:], "1"), 1, None)])
def test_nothing_is_judged_but_features(arguments):
    with pytest.raises((ValueError, TypeError)):
        found().module.Heuristic(**weights()).judge(*arguments)


@pytest.mark.parametrize("arguments", [(b"", 1), ("", 1, NOTHING), (b"", "1", NOTHING), (b"", 1 << 70, NOTHING), (b"", 1, NOTHING[1:]), (b"", 1, list(NOTHING)), (b"", 1, ("1", *NOTHING[1:]))])
def test_nothing_is_guessed_but_texts(arguments):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        found().module.Ladder(**ladder()).score(*arguments)
    with pytest.raises((ValueError, TypeError, OverflowError)):
        found().module.Ladder(**ladder()).signs("", 1)
    with pytest.raises(TypeError):
        found().module.Ladder(**ladder()).core("")


def test_no_reference_is_kept():
    word = "a word of its own"
    before = sys.getrefcount(word)
    for _ in range(50):
        made = found().module.Heuristic(**weights(words=(word,) * FEATURES))
        made.judge((1.0,) * FEATURES, 3, None)
        made.judge((1.0,) * FEATURES, 3, word)
    del made

    assert sys.getrefcount(word) == before
