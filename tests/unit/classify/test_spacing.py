"""Blanks that say nothing."""

import pytest

from pointsman.classify.spacing import evened


def even(text):
    return evened(text, text.encode())


@pytest.mark.parametrize(("said", "meant"), [
    ("Why  is the sky  blue?", "Why is the sky blue?"),
    ("one.  Two.\nthree.  Four.", "one. Two.\nthree. Four."),
    ("def f(x):\n  y = 1\n    return  x", "def f(x):\n  y = 1\n    return x"),
    ("  indented  first line", "  indented first line"),
    ("- a b\n  -  b\n\n\n  - c", "- a b\n  - b\n\n\n  - c"),
    ("été  à Paris", "été à Paris"),
    ("What is this?\n3   _    7     5  x", "What is this?\n3   _    7     5 x"),
])
def test_two_blanks_between_words_are_one_and_layout_stays(said, meant):
    assert even(said) == meant


@pytest.mark.parametrize("text", [
    "Why is the sky blue?", "def f(x):\n    if x:\n        return 1\n", "one. Two", "Solve this:\n\n3   _   4\n    _   _\n", "a\n\n b c\n  d e", "été à Paris"])
def test_a_text_with_every_blank_doubled_is_the_text(text):
    assert even(text.replace(" ", "  ")) == text


@pytest.mark.parametrize("text", ["", " ", "\n", "a b", "  a", "def f(x):\n        return x\n", "a\tb\t\tc", "a\n\n  \n  b"])
def test_a_text_without_such_runs_is_the_very_same(text):
    assert even(text) is text


def test_a_text_with_a_null_keeps_its_blanks():
    assert even("a b\0c  d") == "a b\0c  d"
