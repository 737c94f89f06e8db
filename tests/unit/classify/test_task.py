"""Kinds of work, told from a request."""

import msgspec
import pytest

from pointsman.classify.task import task_of, task_of_prompt
from pointsman.core.request import Needs
from pointsman.core.task import TASKS
from pointsman.testing.factories import a_request


@pytest.mark.parametrize(("prompt", "task"), [
    ("Write a Python function that sorts a list.", "code"),
    ("TypeError: unsupported operand type(s) for +: 'int' and 'str'", "code"),
    ("Solve the equation x^2 + 3x - 4 = 0 and prove that there is no other solution.", "maths"),
    ("Which one is right?\nA) Paris\nB) Rome\nC) Oslo\nD) Lima", "choices"),
    ("What are your business hours?", "text"),
    ("", "text"),
])
def test_words_tell_what_it_is_about(prompt, task):
    assert task_of_prompt(prompt) == task
    assert task in TASKS


def test_what_is_asked_for_by_its_form_comes_first():
    request = msgspec.structs.replace(a_request(), tools=2, needs=Needs(tools=True, json_schema=True))

    assert task_of(request) == "tools"
    assert task_of(msgspec.structs.replace(request, tools=0)) == "json"
