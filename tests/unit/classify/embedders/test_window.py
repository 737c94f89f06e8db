from pointsman.classify.embedders.window import CHARS_PER_TOKEN, cut, ends


def test_a_short_text_is_shown_whole():
    assert ends("why is the sky blue?", 62) == ("why is the sky blue?", "")


def test_of_a_long_text_both_ends_are_shown():
    head, tail = ends("a" * 10_000 + "b" * 10_000, 62)

    assert set(head) == {"a"}
    assert set(tail) == {"b"}
    assert len(head) + len(tail) == CHARS_PER_TOKEN * 62


def test_what_fits_is_kept():
    assert cut([1, 2, 3], (), 4) == [1, 2, 3]


def test_the_middle_goes_first():
    assert cut(range(10), (), 4) == [0, 1, 8, 9]
    assert cut(range(10), (), 5) == [0, 1, 2, 8, 9], "an odd place goes to the head"


def test_two_ends_share_the_window():
    assert cut(range(10), range(20, 30), 4) == [0, 1, 28, 29]
    assert cut([1], [2], 4) == [1, 2]
    assert cut(range(10), [], 1) == [0]
