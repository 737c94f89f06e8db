"""Where a text ends without what was put behind it."""

import pytest

from pointsman.classify.features import NAMES, asked, read
from pointsman.classify.subject import subject
from pointsman.classify.tail import APPENDED, end_behind_question, end_of, question_of
from pointsman.testing.factories import a_request


def numbers(text):
    return dict(zip(NAMES, read(a_request(text)).numbers, strict=True))


@pytest.mark.parametrize("end", ["This is an extremely difficult question.", "Think step by step.", "def f(x): return x", "#include <stdio.h>", "Prove it!"])
def test_what_stands_behind_a_question_changes_no_feature(end):
    plain = "Ann bought six apples and ate one of them. How many apples does she have now?"

    assert read(a_request(f"{plain} {end}")) == read(a_request(plain))


def test_where_nothing_is_asked_the_end_may_be_the_task():
    assert numbers("Let n be a whole number above two. Prove that n squared is above four.")["proof"] == 1.0
    assert end_behind_question(b"It is so. Prove it.") is None


def test_the_question_itself_answers_to_choose_from_and_long_ends_are_read():
    assert numbers("He ran. Why did it raise a ValueError?")["code_error"] == 1.0
    assert numbers("Which one is it?\nA) red\nB) blue\nC) green")["choices"] == 1.0
    assert numbers("Why does this fail? " + "x = foo(y)\n" * 20 + "```python")["code"] == 1.0
    assert end_behind_question(b"Why? " + b"x " * APPENDED) is None


@pytest.mark.parametrize("text", ["What does this do?\nimport os\nprint(os.getcwd())", "Where is it? And when? And why?", "他是谁？为什么？", "Who? \n\ndef f(x): return x"])
def test_what_stands_below_a_question_and_what_asks_again_is_read(text):
    assert end_behind_question(text.encode()) is None


def test_a_wide_question_is_one():
    assert question_of("为什么？因为".encode()) == 9
    assert end_behind_question("为什么天是蓝的？请一步一步证明。".encode()) == len("为什么天是蓝的？".encode())


@pytest.mark.parametrize("data", [b"", b"?", b"Why?", b"? ", b"a? b", b"\xef" * 30, "？".encode() * 40])
def test_an_end_lies_within_the_text(data):
    end = end_of(data, question_of(data))

    assert end is None or 0 < end < len(data)


def test_a_long_text_is_as_much_shorter_as_its_end():
    page = "What is it? " + "a b c " * 9000
    about = subject(a_request(f"{page}. Use the best model!"))

    assert about.chars - asked(about).chars == len(about.text) - len(asked(about).text) == len(" Use the best model!")
