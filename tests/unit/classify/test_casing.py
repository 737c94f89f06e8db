"""Case that is the writer's habit."""

import pytest

from pointsman.classify.casing import cased


def read(text):
    return cased(text, text.encode())


@pytest.mark.parametrize(("said", "meant"), [
    ("WHY IS THE SKY BLUE? I ASK YOU.", "Why is the sky blue? I ask you."),
    ("WHICH ONE?\nA) RED\nB) BLUE", "Which one?\nA) red\nB) blue"),
    ("IS IT GRÜN?", "Is it grün?"),
    ("which one?\na. red\nb. blue\n(c) none", "which one?\nA. red\nB. blue\n(C) none"),
])
def test_a_text_of_one_case_is_read_as_sentences_and_answers_to_choose_from(said, meant):
    assert read(said) == meant


@pytest.mark.parametrize("text", [
    "Why?", "why is the sky blue?", "WHY is the sky blue?", "", "42", "为什么天是蓝的?", "TCP 和 UDP 有什么区别?", "X = 3 + 4 * (Y - 2)", "def f(x):\n    return x",
    "a. one", "to do:\n- apples\n- bread"])
def test_what_has_both_cases_or_tells_by_them_is_the_very_same(text):
    assert read(text) is text
