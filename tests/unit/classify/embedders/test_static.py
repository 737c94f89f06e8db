import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest

from pointsman.classify.embedders.static import (
    END_CHARS,
    UNKNOWN_BYTES,
    Static,
    Table,
    from_bytes,
    pieces,
    shipped_static,
    spelled,
    to_bytes,
)


def table(words=("0", "00", "cat", "dog", "?"), buckets=64, dims=8):
    rng = np.random.default_rng(0)
    rows = rng.integers(-127, 128, (len(words) + buckets, dims)).astype(np.int8)
    return Table(tuple(words), rows, np.full(len(rows), 0.01, np.float32))


@pytest.fixture
def static():
    return Static(table(), "digest")


def test_a_text_is_the_sum_of_its_distinct_words(static):
    cat, dog, both, again = static.embed(["cat", "dog", "cat dog", "dog cat cat, dog"[:11]])

    rows = table().rows[2:4].astype(float)
    assert both == pytest.approx(rows.sum(0) / np.linalg.norm(rows.sum(0)), abs=1e-5)
    assert (both == static.embed_one("cat cat dog")).all()
    assert cat @ dog < 0.99
    assert again.shape == both.shape


def test_numbers_of_one_length_are_one_word(static):
    assert (static.embed_one("7") == static.embed_one("3")).all()
    assert (static.embed_one("17") == static.embed_one("42")).all()
    assert (static.embed_one("17") != static.embed_one("7")).any()


def test_an_unknown_word_is_heard_through_its_pieces():
    static = Static(table(buckets=4096, dims=128), "digest")
    word, typo, other = static.embed(["catalogue", "catalogeu", "zebrafish"])

    assert word @ typo > 0.5
    assert word @ typo > word @ other


@pytest.mark.parametrize("text", ["", " \n", "\0", "\ud800", "中文字符", "🙂🙂", "x" * 100_000, "\x7f\x80\xff", "٣٤٥"])
def test_any_text_gets_a_unit_vector(static, text):
    vector = static.embed_one(text)

    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_no_texts_give_no_rows(static):
    assert static.embed([]).shape == (0, 8)


def test_only_the_ends_of_a_page_are_read():
    words = spelled("begin " + "middle " * 10_000 + "end")

    assert (words[:2], words[-1]) == (["begin", "middle"], "end")
    assert len(words) <= 5, "a border may cut a word in two"
    assert "secret" not in spelled("a " * END_CHARS + "secret " + "b " * END_CHARS)


def test_signs_count_and_underscores_part():
    assert spelled("x_1 += f(Y)?") == ["x", "1", "+", "=", "f", "(", "y", ")", "?"]


def test_pieces_are_bounded_and_know_borders():
    assert len(pieces(["q" * 10_000], 64)) == 2 * UNKNOWN_BYTES - 5
    assert set(pieces(["ab"], 4096)) != set(pieces(["xabx"], 4096))
    assert pieces([], 64).size == 0
    assert all(0 <= bucket < 64 for bucket in pieces(["what", "ever"], 64))


def test_a_table_is_written_and_read_and_keeps_its_bytes(static):
    raw = to_bytes(table())
    read = from_bytes(raw)

    assert raw == to_bytes(table())
    assert read.digest == hashlib.sha256(raw).hexdigest()
    assert repr(read) == "<Static static-1 [5 words, 64 pieces, 8 dims]>"
    assert np.allclose(read.embed(["cat?"]), static.embed(["cat?"]), atol=1e-3)


def test_a_file_that_would_run_something_is_refused():
    out = io.BytesIO()
    np.savez(out, words=np.array([{"a": 1}], dtype=object), rows=np.zeros((1, 1), np.int8), scale=np.ones(1))

    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        from_bytes(out.getvalue())


def test_the_shipped_table_knows_what_belongs_together():
    reset, forgot, france, sort = shipped_static().embed([
        "how do I reset my password", "I forgot my login password", "what is the capital of France", "sort a list of numbers in python"])

    assert reset @ forgot > 0.5 > max(reset @ france, reset @ sort, france @ sort) + 0.2


def test_a_typo_stays_near():
    static = shipped_static()

    right, wrong, other = static.embed(["explain photosynthesis", "explain photosyntehsis", "explain mortgage"])
    assert right @ wrong > right @ other


def test_the_shipped_table_is_small_and_loaded_once():
    assert shipped_static() is shipped_static()
    assert shipped_static().dims <= 128
    assert len(to_bytes_of_shipped()) <= 4 * 1024 * 1024


def to_bytes_of_shipped():
    from importlib.resources import files

    return (files("pointsman.classify.embedders") / "static.npz").read_bytes()


def test_another_process_with_another_hash_seed_says_the_same():
    script = ("from pointsman.classify.embedders.static import shipped_static; import hashlib;"
              "print(hashlib.sha256(shipped_static().embed_one('Zorblax the cat, 12 dogs and foo_bar?').tobytes()).hexdigest())")
    said = {subprocess.run([sys.executable, "-c", script], env={"PYTHONHASHSEED": seed, "PATH": ""}, capture_output=True, check=True).stdout
            for seed in ("0", "1", "2")}

    assert len(said) == 1
