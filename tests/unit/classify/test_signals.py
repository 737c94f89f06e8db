"""What wording gives away."""

import pytest

from pointsman.classify import signals
from pointsman.classify.signals import found


@pytest.mark.parametrize(("text", "signal"), [
    ("```python\nx\n```", "code"), ("def f(x):", "code"), ("from os import path", "code"), ("#include <stdio.h>", "code"),
    ("SELECT * FROM users WHERE id = 1", "code"), ("Traceback (most recent call last):", "code_error"),
    ("KeyError: 'a'", "code_error"), ("Prove that 2 is prime", "proof"), ("证明根号2是无理数", "proof"),
    ("Demuestra que es primo", "proof"), (r"\frac{1}{2}", "latex"), ("the integral of x", "maths"), ("3 * (4 - 1)", "equation"), ("f(x) = x^2", "equation"), ("5x + 3 = 8", "equation"),
    ("Think step by step", "steps"), ("请逐步说明", "steps"), ("Compare and contrast the two", "analysis"),
    ("Where is it?", "question"), ("营业时间是什么？", "question"), ("I want a refund", "daily"), ("thanks", "greeting"),
    ("Translate this", "simple_task"), ("A) one\nB) two", "choices"),
])
def test_a_signal_is_found(text, signal):
    assert signal in found(text.encode())


@pytest.mark.parametrize(("text", "signal"), [
    ("I booked a first class fare", "code"), ("import duty on a watch", "code"), ("import duties apply", "code"),
    ("the return policy", "code"), ("Is it waterproof?", "proof"), ("an integral part of the team", "maths"),
    ("derivatives trading desk", "maths"), ("the Matrix is a film", "maths"), ("for the record:", "code"),
    ("return flight", "code"), ("import duty", "code"), ("What is 2+2?", "equation"), ("555-123-4567", "equation"),
    ("2024-05-01", "equation"), ("01/02/2024 - 03/02/2024", "equation"), ("1/2 or 3/4 cup", "equation"), ("9-5, 7-12", "equation"),
    ("a show that is funny", "proof"), ("在职证明怎么开", "proof"), ("証明写真", "proof"), ("tax deduction", "puzzle"), ("$$ sushi", "latex"),
    ("flu injection", "maths"), ("我的积分", "maths"), ("protein powder", "expert"), ("the capital of Peru", "code_lang"),
])
def test_ordinary_english_is_no_signal(text, signal):
    assert signal not in found(text.encode())


@pytest.mark.parametrize("text", ["a discount code", "the loyalty program", "a function room", "the script for a play", "a query about my bill",
                                  "código postal", "code promo", "ドレスコード"])
def test_the_everyday_use_is_named_where_something_is_to_cancel(text):
    assert "code_daily" in found(f"Write code. {text}".encode())
    assert "code_daily" not in found(text.encode())


@pytest.mark.parametrize(("text", "signal"), [("Докажи, что это верно", "proof"), ("Напиши функцию", "code_phrase"), ("Écris une fonction", "code_phrase"),
                                              ("проанализируй подробно", "analysis"), ("étape par étape", "steps")])
def test_words_that_begin_with_another_letter_than_ascii_are_found(text, signal):
    assert signal in found(text.encode())


def test_what_is_asked_is_found_at_both_ends_of_a_long_text():
    filler = "The river was calm that day and nothing happened. " * 100

    for text in (f"Prove that it holds. {filler}", f"{filler}\nPlease analyse this."):
        assert found(text.encode()) & {"proof", "analysis"}
    assert "analysis" not in found(f"{filler} analyse {filler}".encode())


def test_nothing_is_found_in_nothing():
    assert found(b"") == set()


@pytest.mark.parametrize("which", ["_ABOUT", "_ASKED"])
def test_what_a_set_that_has_given_up_left_out_is_looked_for_pattern_by_pattern(monkeypatch, which):
    gave_up = getattr(signals, which)
    text = b"Prove that ```x``` is prime step by step"
    expected = found(text)
    monkeypatch.setattr(gave_up, "match", lambda data: [0])
    monkeypatch.setattr(gave_up._set, "match", lambda data: [0])

    assert found(text) == expected >= {"proof", "code", "steps"}
    assert gave_up._set.fallbacks == 1
    gave_up._set.fallbacks = 0
