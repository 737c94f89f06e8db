"""Whatever the text, a static vector is of length one, deaf to case and spacing, and independent of its neighbours."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.classify.embedders.protowire import NotProtobuf, fields, numbers, varint
from pointsman.classify.embedders.static import END_CHARS, pieces, shipped_static, spelled
from pointsman.classify.embedders.window import cut, ends

anything = st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1"))
plain = st.text("abcdefghij ABCDEFGHIJ.,?0123456789", max_size=END_CHARS)


@given(text=anything)
def test_any_text_has_a_vector_of_length_one(text):
    vector = shipped_static().embed_one(text)

    assert np.isfinite(vector).all()
    assert abs(float(np.linalg.norm(vector)) - 1) < 1e-4


@given(text=plain, spaces=st.sampled_from(["  ", "\n", "\t \n"]))
def test_case_and_spacing_change_nothing(text, spaces):
    static = shipped_static()

    assert (static.embed_one(text) == static.embed_one(text.upper().replace(" ", spaces)[: 2 * END_CHARS])).all() or len(text) * 3 > END_CHARS


@given(texts=st.lists(anything, max_size=4), other=anything)
def test_a_vector_does_not_depend_on_its_neighbours(texts, other):
    static = shipped_static()

    assert (static.embed([*texts, other])[-1] == static.embed_one(other)).all()


@settings(max_examples=20)
@given(letter=st.characters(), times=st.integers(0, 60_000))
def test_a_huge_text_costs_what_a_page_costs(letter, times):
    words = spelled(letter * times)

    assert sum(map(len, words)) <= 4 * END_CHARS + 2
    assert len(pieces(words, 1024)) < 1024 + 4


@given(head=st.lists(st.integers()), tail=st.lists(st.integers()), tokens=st.integers(1, 70))
def test_a_window_is_never_exceeded(head, tail, tokens):
    shown = cut(head, tail, tokens)

    assert len(shown) <= tokens
    assert shown[:1] == (head or tail[-(tokens // 2):] if tokens > 1 else head)[:1]


@given(text=st.text(max_size=2000), tokens=st.integers(1, 128))
def test_the_ends_hold_nothing_but_the_text(text, tokens):
    head, tail = ends(text, tokens)

    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + len(tail) <= len(text)


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(raw):
    try:
        for _, value in fields(memoryview(raw)):
            assert isinstance(value, int) or len(value) <= len(raw)
    except NotProtobuf:
        pass


@given(values=st.lists(st.integers(0, 2**63)))
def test_numbers_survive_the_wire(values):
    assert numbers(memoryview(b"".join(map(varint, values)))) == values
