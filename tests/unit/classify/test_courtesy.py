"""What people say around a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.classify.courtesy import bared
from pointsman.classify.heads.query import Query
from pointsman.classify.subject import subject
from pointsman.testing.factories import a_request

TASKS = ("What is the capital of Peru?", "Ann has 3 apples. She eats one. How many are left?", "Write a poem about rain", "Prove that 2 is prime.", "为什么天是蓝的?")


@pytest.mark.parametrize("said", [
    "Please help me with this: {}", "Hi! {}", "Hi there! I have a question. {}", "Could you answer the following?\n\n{}", "Hello, {}", "I need an answer to this:\n{}", "Okay... {}",
    "Sorry to ask again, but I am stuck!\n\n{}", "I'd like to know something. {}", "Hallo! Ich habe eine Frage: {}", "Bonjour, pouvez-vous m'aider ? {}",
    "Hola, tengo una pregunta: {}", "你好，请回答下面的问题：{}", "{}\n\nPlease answer.", "{}\nThank you very much!", "{}\n\nThanks in advance,\nPeter", "{}\nVielen Dank im Voraus!",
    "Good morning, everyone! {}\n\nAny help is appreciated. Thanks!"])
def test_a_task_is_read_alike_whatever_is_said_around_it(said):
    for task in TASKS:
        assert bared(said.format(task)) == task


def test_thanks_are_found_behind_a_text_without_a_mark():
    assert bared("what time is it in Lima Thanks!") == "what time is it in Lima"


@pytest.mark.parametrize("text", [
    "", "Hi", "Hello! I need help", "Thanks", "Please.", "???", "I have a question",
    "Two and two are five. Is this right?", "He was there. She was not. Who was it?", "Ann has it. How many are left?", "if a:\n    b()", "for i in it:\n    pass",
    "Please write a poem.", "What is this?", "I bought 3 of them. How many have I got?", "Translate this: good morning", "Who sang Help!"])
def test_what_is_asked_is_kept_and_so_is_a_text_that_says_nothing_else(text):
    assert bared(text) is text


def test_features_of_a_task_are_those_that_it_has_alone():
    plain, polite = (Query.of_prompt(text) for text in ("What is the capital of Peru?", "Could you answer the following? What is the capital of Peru? Thank you!"))

    assert plain == polite


def test_a_page_loses_its_greeting_too_and_its_length_says_so():
    page = "What is it? " + "a b c. " * 9000
    plain, polite = subject(a_request(page)), subject(a_request(f"Please help me with this: {page}"))

    assert plain.text[:100] == polite.text[:100]
    assert plain.chars == polite.chars


def test_rules_see_what_was_sent():
    assert subject(a_request("Hi! Why?"), as_sent=True).text == "Hi! Why?"


@given(st.lists(st.sampled_from(["hi", "Hi", "thanks", "please", "...", ".", "!", "? ", ": ", "\n", "\n\n", " ", ", ", "，", "。", "你好", "请", "if", "x", "7", "Peter", "\t"]), max_size=40)
       .map("".join).map(str.strip))
def test_what_is_left_is_a_part_of_what_was_said(text):
    rest = bared(text)

    assert rest in text
    assert bool(rest) == bool(text)


@pytest.mark.parametrize("text", ["Hi" + "." * 16000, "hi.\n" + "\n" * 16000 + "x", "please " * 2500, "hi! " * 4000, "，" * 8000, "x" + "\n" * 16000 + "thanks", ", " * 8000])
def test_a_page_of_nothing_takes_no_longer_than_another(text):
    assert bared(text) in text
