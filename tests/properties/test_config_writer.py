"""Whatever is written as a configuration file is read back as it was."""

from hypothesis import given
from hypothesis import strategies as st

from pointsman.config.document import Document
from pointsman.config.writer import write

KEYS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12).filter(str.isprintable)
NUMBERS = st.integers(-10**12, 10**12) | st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 9))
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5), st.text(max_size=60), st.data())
def test_what_is_written_is_read_back(data, comment, more):
    places = [(key,) for key in data] + [()]
    place = more.draw(st.sampled_from(places))
    document = Document(write(data, {place: comment}, head=comment))

    assert document.problems == []
    assert document.data == data
