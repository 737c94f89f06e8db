"""Which part of a text a trained classifier reads."""

import pytest

from pointsman.classify.heads.core import PAGE, core
from pointsman.classify.heads.query import Query
from pointsman.classify.tail import APPENDED

STORY = "Maria has three apples and buys four more on the market. How many apples does she have?"
CHOICE = "What lies between the lungs?\nA. the heart\nB. the liver\nC. a kidney"


def read(prompt: str) -> str:
    return core(Query.of_prompt(prompt)).text


@pytest.mark.parametrize("appended", [
    "This is an extremely hard question.", "print(sum(range(10)))", "](({ zone -- Three?? revert;; \"!", "Prove it.", "\nThanks,\nAnna", "Is it? I think so.",
])
def test_what_is_put_behind_a_question_is_not_read(appended):
    assert read(f"{STORY} {appended}") == read(STORY) == STORY


def test_a_question_behind_a_statement_is_the_task():
    assert read("Ann has 3 dogs. She buys 4 more. How many dogs does Ann have now") != "Ann has 3 dogs. She buys 4 more. How many dogs does Ann have now"
    assert read("Ann has 3 dogs. She buys 4 more. How many dogs does Ann have now?").endswith("now?")


def test_answers_to_choose_from_are_the_task():
    assert read(CHOICE) == CHOICE
    assert read(f"{CHOICE}\nAnswer:") == CHOICE


def test_a_single_sentence_is_read_as_it_stands():
    query = Query.of_prompt("Write a poem about the sea")

    assert core(query) is query


def test_more_than_a_sentence_or_two_is_no_appendix():
    tail = "The train leaves at nine and stops in every village on its way to the coast, where the ferry waits for those who came, "

    assert len(tail) > APPENDED
    assert read(f"{STORY} {tail}and sails") == f"{STORY} {tail}and sails"


def test_behind_a_page_without_a_question_stands_what_is_to_be_done_with_it():
    page = "The meeting began at nine and ended at ten. " * (PAGE // 40)

    assert read(f"{page}\n\nTurn this into a letter.").endswith("Turn this into a letter.")
    assert not read(f"What was said?\n{page}\n\nTurn this into a letter.").endswith("letter.")


def test_wide_marks_end_questions_and_sentences_too():
    assert read("日本の首都はどこですか？ とても難しい質問") == "日本の首都はどこですか？"
    assert read("これは本です。私は学生です。とても難しい質問") == "これは本です。"


def test_what_was_cut_away_is_not_counted():
    query = Query.of_prompt(f"{STORY} Thank you!")

    assert core(query).chars == len(STORY)
    assert core(query).data == STORY.encode()
    assert core(query).structural == query.structural


@pytest.mark.parametrize("prompt", ["", "?", ".", "\n", "? ?", "a. b", "\ud800. \ud800? x", "é. " * 40])
def test_any_text_has_a_core_that_is_its_beginning(prompt):
    query = Query.of_prompt(prompt)

    assert query.data.startswith(core(query).data)
    assert core(query).text.encode("utf-8", "replace") == core(query).data
