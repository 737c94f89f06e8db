import importlib.util
import threading

import numpy as np
import pytest

from pointsman.classify.embedders import sentence
from pointsman.classify.embedders.bert import int8_graph
from pointsman.classify.embedders.sentence import Sentence, find_sentence, load_sentence
from pointsman.classify.embedders.vault import Absent, Vault

libraries = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in sentence.LIBRARIES), reason="needs the extra `embed`")


@pytest.fixture
def small(small_bert):
    """The small model, its window sixteen tokens."""
    return Sentence("small", int8_graph(small_bert.weights()), small_bert.tokenizer(), tokens=16)


@libraries
def test_a_text_becomes_a_unit_vector(small, small_bert):
    vectors = small.embed(["reset my password", "capital of france"])

    assert vectors.shape == (2, small.dims) == (2, small_bert.HIDDEN)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert vectors[0] @ vectors[1] < 0.99


@libraries
def test_a_bundled_tokenizer_does_not_pad(small):
    # Its file says: pad and cut everything to 16. Padded, a question costs what a page costs.
    assert small.ids("reset my password") == [2, 4, 5, 6, 3]


@libraries
def test_a_long_text_is_shown_with_both_ends_within_the_window(small):
    ids = small.ids("reset " * 500 + "france")

    assert len(ids) == 16
    assert (ids[0], ids[1], ids[-2], ids[-1]) == (2, 4, 9, 3)


@libraries
def test_a_tokenizers_own_limit_does_not_cut_the_end(small_bert):
    wide = Sentence("wide", int8_graph(small_bert.weights()), small_bert.tokenizer(padded_to=4), tokens=32)

    assert wide.ids("a b c a b c a b c")[1:-1] == [12, 13, 14] * 3


@libraries
def test_a_vector_does_not_depend_on_its_neighbours(small):
    alone, among = small.embed(["the capital"]), None
    small._vector.cache_clear()
    among = small.embed(["reset " * 40, "the capital", ""])

    assert (alone[0] == among[1]).all()


@libraries
def test_case_and_spacing_change_nothing(small):
    plain, shouted = small.embed(["reset my password", "  RESET\n\n my\tPassword "])

    assert (plain == shouted).all()


@libraries
@pytest.mark.parametrize("text", ["", " ", "\0\1\2", "\ud800 alone", "中文" * 4000, "🙂", "x" * 100_000, "\n" * 100_000])
def test_any_text_gets_a_vector(small, text):
    assert np.linalg.norm(small.embed([text])[0]) == pytest.approx(1, abs=1e-4)


@libraries
def test_what_was_computed_is_remembered_within_bounds(small_bert, monkeypatch):
    small = Sentence("small", int8_graph(small_bert.weights()), small_bert.tokenizer(), tokens=16, remembered=2)
    for text in ("a", "b", "a", "c", "a"):
        small.embed([text])

    said = small._vector.cache_info()
    assert (said.hits, said.misses, said.currsize) == (2, 3, 2)
    with pytest.raises(ValueError, match="read-only"):
        small._vector("a", "")[0] = 5


@libraries
def test_no_texts_give_no_rows(small):
    assert small.embed([]).shape == (0, small.dims)


@libraries
def test_threads_share_a_model(small):
    texts = [f"{word} of the {other}" for word in ("capital", "password") for other in ("france", "a", "b")]
    expected, found = small.embed(texts), {}
    small._vector.cache_clear()
    threads = [threading.Thread(target=lambda n=n: found.__setitem__(n, small.embed(texts))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all((found[n] == expected).all() for n in range(4))


@libraries
def test_the_digest_tells_models_windows_and_vocabularies_apart(small, small_bert):
    graph, words = int8_graph(small_bert.weights()), small_bert.tokenizer()
    other_graph = int8_graph(small_bert.weights(seed=1))

    digests = [Sentence("s", *parts, tokens=tokens).digest for *parts, tokens in (
        (graph, words, 16), (other_graph, words, 16), (graph, words.replace("france", "norway"), 16), (graph, words, 32))]

    assert len(set(digests)) == 4
    assert digests[0] == small.digest
    # How a file says to pad makes no vector.
    assert Sentence("s", graph, small_bert.tokenizer(padded_to=99), tokens=16).digest == small.digest


@libraries
def test_a_tokenizer_of_another_kind_is_refused(small_bert):
    with pytest.raises(ValueError, match=r"no \[CLS\]"):
        Sentence("s", int8_graph(small_bert.weights()), small_bert.tokenizer().replace("[CLS]", "<s>"), tokens=16)


@libraries
def test_a_folder_serves(small_bert, tmp_path):
    found = load_sentence(str(small_bert.folder(tmp_path / "ours")), Vault(tmp_path / "cache"), tokens=16)

    assert found.name == "ours-int8"
    assert repr(found) == "<Sentence ours-int8 [16 tokens, 48 dims]>"


@pytest.mark.parametrize("name", ["auto", "l6", "l3", "no/such/folder"])
def test_what_cannot_be_had_is_none_and_the_reason_is_told(name, tmp_path, monkeypatch):
    monkeypatch.setattr("pointsman.classify.embedders.vault.package_folders", lambda name: [])
    vault = Vault(tmp_path)

    assert find_sentence(name, vault) is None
    with pytest.raises(Absent, match=r"pip install|has no model\.safetensors"):
        load_sentence(name, vault)


def test_without_the_libraries_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sentence, "LIBRARIES", ("onnxruntime_of_nobody",))

    with pytest.raises(Absent, match=r"need onnxruntime_of_nobody: pip install 'pointsman\[embed\]'"):
        load_sentence("auto", Vault(tmp_path))
