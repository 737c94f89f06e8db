"""What can be counted in a text."""

from pointsman.classify.features import NAMES as STRUCTURAL
from pointsman.classify.heads import signs, surface

NONE = (0.0,) * len(STRUCTURAL)


def read(text: str, chars: int | None = None) -> dict[str, float]:
    return dict(zip(surface.NAMES, surface.read(text.encode(), len(text) if chars is None else chars, NONE), strict=True))


def test_there_is_a_number_for_every_name():
    assert len(surface.read(b"", 0, NONE)) == len(surface.NAMES)


def test_length_bends_at_each_doubling():
    short, long = read("x" * 60), read("x" * 200)

    assert long["chars"] > short["chars"]
    assert short["chars>32"] > 0 == short["chars>64"]
    assert long["chars>128"] > 0 == long["chars>256"]


def test_length_stands_where_it_is_said_to():
    assert surface.NAMES[surface.LENGTH] == ("chars", *(f"chars>{bend}" for bend in surface.BENDS))


def test_the_whole_text_counts_even_where_it_was_cut():
    assert read("x" * 100, chars=100_000)["chars"] > read("x" * 100)["chars"]


def test_kinds_of_characters_are_shares():
    assert read("1234")["digits"] > read("12 ab")["digits"] > read("ab")["digits"] == 0
    assert read("(a[b])")["brackets"] > 0 == read("ab")["brackets"]


def test_options_are_lines_that_begin_with_a_letter_and_a_mark():
    assert read("Which?\nA. one\nB. two\nC. three")["options"] == 0.3
    assert read("Apples are fine. Bananas too.")["options"] == 0


def test_the_signs_of_the_generic_guess_are_counted_too():
    text = "You see that she has twelve apples, and each of them costs half."
    told = dict(zip(signs.NAMES, signs.read(text.encode(), len(text), NONE), strict=True))
    found = read(text)

    assert {name: found[f"signs-{signs.VERSION}.{name}"] for name in surface.SIGNS} == {name: told[name] for name in surface.SIGNS}


def test_a_page_costs_no_more_than_its_two_ends():
    assert all(abs(value) < 10 for value in surface.read(b"word, " * 100_000, 600_000, NONE))
