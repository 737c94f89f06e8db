"""Numbers read from a request, and the traps of published heuristics."""

import time

import pytest

from pointsman.classify.features import NAMES, read
from pointsman.classify.heuristic import Heuristic
from pointsman.core.request import Message, Needs
from pointsman.testing.factories import a_request

HOURS = "What are your business hours?"


def values(prompt, **overrides):
    return read(a_request(prompt, **overrides)).values


@pytest.mark.parametrize("prompt", [
    "I bought a first class fare to Rome", "How much import duty is on a watch?", "Is this jacket waterproof?",
    "Do you offer class action advice for import businesses?", "I need proof of purchase for my warranty",
    "How do I prove that I paid?",
])
def test_everyday_words_are_neither_code_nor_proof(prompt):
    seen = values(prompt)

    assert not {"code", "code_task", "proof", "maths", "latex"} & set(seen)


def test_a_long_system_prompt_changes_nothing():
    system = Message("system", "```python\ndef f(): ...\n```\nProve that everything is analyzed step by step. " * 500)

    assert read(a_request(messages=(system, Message("user", HOURS)))) == read(a_request(HOURS))


def test_old_turns_count_as_turns_and_not_as_text():
    old = (Message("user", "Prove the theorem. " * 900), Message("assistant", "def f(): ..."))

    seen = read(a_request(messages=(*old, Message("user", HOURS))))

    assert seen.turns == 2
    assert set(seen.values) == set(values(HOURS)) | {"turns"}


def test_question_form_is_read_on_the_last_user_message_only():
    seen = read(a_request(messages=(Message("user", "What is this?"), Message("user", "Refactor the whole module."))))

    assert "question" not in seen.values
    assert "question" in values(HOURS)


def test_a_question_form_before_a_document_is_no_short_question():
    assert "question" not in values("What is wrong here? " + "The tenant pays monthly in advance. " * 40)


def test_text_of_a_list_of_parts_counts_like_a_string():
    # Parts arrive joined by newlines; the code must still be seen in the second one.
    assert "code" in values("What does this do?\nimport os\nprint(os.getcwd())")


def test_chinese_has_a_length_without_spaces():
    long = "请详细分析这个分布式系统的设计并说明理由" * 40

    assert read(a_request(long)).tokens > 400
    assert read(a_request(long)).script == "cjk"
    assert values(long)["length"] > 4 * values("请问几点")["length"]


def test_tokens_follow_the_script():
    assert read(a_request("a" * 400)).tokens == 100
    assert read(a_request("中" * 100)).tokens == 80
    assert read(a_request("д" * 100)).tokens == 50
    assert read(a_request("")).tokens == 0


def test_what_was_cut_still_counts_in_tokens():
    assert read(a_request("word " * 200_000)).tokens == pytest.approx(250_000, rel=0.01)


def test_scripts_are_named():
    assert read(a_request("Привет, где мой заказ?")).script == "cyrillic"
    assert read(a_request("أين طلبي؟ شكرا")).script == "arabic/hebrew"
    assert read(a_request("Wo ist meine Bestellung? Schöne Grüße")).script == "latin"


def test_structure_is_counted():
    seen = values(HOURS, tools=4, images=1, needs=Needs(json_schema=True, tools=True))

    assert seen["tools"] > 0
    assert (seen["images"], seen["schema"]) == (1.0, 1.0)


def test_a_vector_has_a_place_for_every_name():
    vector = read(a_request("Prove that 1 + 1 = 2.\nWhy? How?")).vector()

    assert len(vector) == len(NAMES)
    assert all(0 <= value <= 1 for value in vector)


def test_a_coding_task_needs_a_verb_and_an_object():
    assert values("Write a function that sorts")["code_task"] == 1.0
    assert values("I like JavaScript")["code_task"] == 0.5
    assert "code_task" not in values("I like pythons")
    assert "code_task" not in values("Create a discount code")
    assert values("Write a Python function that creates a discount code")["code_task"] == 1.0
    assert "code_task" not in values("Write to me")


@pytest.mark.parametrize("prompt", ["What is 2+2?", "Call +1 (555) 010-2345", "2024-05-01 10:30 to 2024-05-03 11:45", "order 4410-0056, $1,299.99"])
def test_a_few_numbers_are_no_sign(prompt):
    assert not {"numbers", "equation"} & set(values(prompt))


def test_many_numbers_are_a_sign_however_long_the_text_is():
    row = " ".join(str(n) for n in range(24))

    assert values(row)["numbers"] == values(row + " word" * 50)["numbers"] == 1.0


def test_a_doubled_question_mark_asks_once():
    assert "asks" not in values("where is it??")
    assert values("Where? When? Why?")["asks"] == 0.5


def test_signs_of_ease_count_in_short_texts_only():
    assert "greeting" not in values("Hi, " + "here is what I need from you today, please read on. " * 3)
    assert "daily" not in values("The service handles refund and invoice events. " * 20)


def test_everyday_words_in_a_task_are_no_everyday_matter():
    assert "daily" not in values("Write a Python function that parses a weather report")
    assert "daily" not in values("Tom buys 3 movie tickets for $12 each and 2 coffees for $4 each, and pays with a $100 note at the counter. How much change does he get?")
    assert "daily" in values("How much are 2 movie tickets?")


def test_one_condition_is_ordinary_english():
    assert "constraints" not in values("It must be black, at least 40 cm")
    assert values("It must be sorted, at least 3 items, each different, without using a loop such that it is fast")["constraints"] == 1.0


def test_business_hours_stay_easy_whatever_surrounds_them():
    heuristic = Heuristic(("small", "large"))
    surrounded = a_request(messages=(Message("system", "Prove it step by step. " * 2000), Message("user", HOURS)))

    assert heuristic.difficulty(read(surrounded)) == heuristic.difficulty(read(a_request(HOURS)))


def test_a_megabyte_is_read_in_bounded_time():
    request = a_request("def f(x): return x < 1 # <b>\n" * 36_000)
    read(request)

    started = time.thread_time()
    read(request)

    assert time.thread_time() - started < 1.0  # of the processor, really about a third of a millisecond; bounded, that is the point
