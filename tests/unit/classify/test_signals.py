"""What wording gives away."""

import pytest

from pointsman.classify.signals import found


@pytest.mark.parametrize(("text", "signal"), [
    ("```python\nx\n```", "code"), ("def f(x):", "code"), ("from os import path", "code"), ("#include <stdio.h>", "code"),
    ("SELECT * FROM users WHERE id = 1", "code"), ("Traceback (most recent call last):", "code_error"),
    ("KeyError: 'a'", "code_error"), ("Prove that 2 is prime", "proof"), ("证明根号2是无理数", "proof"),
    ("Demuestra que es primo", "proof"), (r"\frac{1}{2}", "latex"), ("the integral of x", "maths"), ("3 * 4", "equation"),
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
])
def test_ordinary_english_is_no_signal(text, signal):
    assert signal not in found(text.encode())


def test_nothing_is_found_in_nothing():
    assert found(b"") == frozenset()
