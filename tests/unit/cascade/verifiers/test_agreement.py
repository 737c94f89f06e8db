"""Do samples agree?"""

from __future__ import annotations

import pytest

from pointsman.cascade.verifiers.agreement import agreement, gist
from pointsman.core.answer import Answer, Choice, ToolCall


def answers(*texts: str) -> list[Answer]:
    return [Answer((Choice(text),)) for text in texts]


@pytest.mark.parametrize(("one", "other"), [
    ("42", "42.0"), ("The answer is 1,234.", "So we get 1234"), ("Paris", "paris."), ("\\boxed{7}", "... #### 7"),
    ('{"a": 1, "b": [2]}', '{"b":[2],"a":1.0}'), ("(B)", "The answer is: (b)"), ("$12.50", "12.5"), ("The cat", "a cat"),
    ("Let me think. " * 30 + "Therefore x = 5.", "We need 3 and 2. " * 20 + "The final answer is 5"),
])
def test_the_same_answer_in_other_words_is_the_same(one: str, other: str):
    if '"a": 1' in one:
        other = other.replace("1.0", "1")
    assert gist(Choice(one)) == gist(Choice(other)) != ""


@pytest.mark.parametrize(("one", "other"), [("42", "43"), ("yes", "no"), ('{"a":1}', '{"a":2}'), ("50%", "50"), ("Paris", "Rome")])
def test_other_answers_are_others(one: str, other: str):
    assert gist(Choice(one)) != gist(Choice(other))


def test_tool_calls_are_compared_by_what_they_call():
    one = Choice(tool_calls=(ToolCall("f", '{"a":1, "b":2}'),))

    assert gist(one) == gist(Choice(tool_calls=(ToolCall("f", '{"b":2,"a":1}'),)))
    assert gist(one) != gist(Choice(tool_calls=(ToolCall("g", '{"a":1,"b":2}'),)))


def test_the_score_is_the_share_that_agrees_drawn_towards_the_middle():
    own, = answers("42")

    assert [round(agreement(own, answers(*said)).score or 0, 2) for said in (["42", "42"], ["42", "7"], ["7", "8"], ["42"])] == [0.75, 0.5, 0.25, 0.67]


def test_prose_cannot_be_compared():
    prose = "It was a long and winding road, and nobody knew where it would lead in the end, least of all the two who walked it."

    assert agreement(*answers(prose)[:1], answers(prose)).score is None
    assert agreement(Answer(), answers("1")).score is None
    assert agreement(answers("1")[0], []).score is None
