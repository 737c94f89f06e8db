"""Answers are deterministic, in the prompt's language, and as long as the prompt asks for."""

import json
from typing import Any

import msgspec
import pytest

from pointsman.testing import openai_shapes as shapes
from pointsman.testing.answers import LENGTHS, continued, kind_of, language_of, plan


def asked(prompt: str = "What is the capital of France?", **fields: Any) -> shapes.Asked:
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}], **fields}
    return shapes.read("/v1/chat/completions", msgspec.json.encode(body))


def planned(prompt: str = "What is the capital of France?", max_tokens: int = 4000, choice: int = 0, **fields: Any) -> Any:
    return plan(asked(prompt, **fields), max_tokens, prompt, choice)


def test_the_same_prompt_gets_the_same_answer_and_each_choice_its_own() -> None:
    long = "Explain why the sky is blue, please"

    assert planned(long) == planned(long)
    assert len({planned(long, choice=i).text for i in range(4)}) > 1


@pytest.mark.parametrize(("prompt", "kind"), [
    ("What is the capital of France?", "fact"),
    ("Write a Python function that sorts a list", "code"),
    ("Prove that the square root of two is irrational", "reasoning"),
    ("Extract the names from this text: Ada met Bob", "extraction"),
    ("My order has not arrived and I am upset", "chat"),
    ("lorem ipsum dolor " * 300, "document"),
])
def test_the_length_follows_the_kind_of_prompt(prompt: str, kind: Any) -> None:
    least, most = LENGTHS[kind]

    assert kind_of(prompt) == kind
    assert 0.5 * least <= len(planned(prompt).tokens) <= 1.3 * most


@pytest.mark.parametrize(("prompt", "language"), [
    ("What is this?", "en"), ("Was ist die Hauptstadt und wie groß ist sie?", "de"), ("¿Cuál es la capital de España?", "es"),
    ("Quelle est la capitale de la France et pour qui ?", "fr"), ("法国的首都是什么?", "zh"), ("フランスの首都はどこですか", "ja"),
    ("프랑스의 수도는 어디인가요", "ko"), ("Какая столица Франции?", "ru"), ("ما هي عاصمة فرنسا؟", "ar"), ("Shall we die another day?", "en"),
])
def test_an_answer_speaks_the_prompts_language(prompt: str, language: str) -> None:
    assert language_of(prompt) == language
    assert language_of(planned(prompt).text) == language


def test_code_comes_in_a_block() -> None:
    assert "```python" in planned("Write a Python function").text


def test_an_answer_says_that_it_is_simulated() -> None:
    assert "simulated" in planned().text


def test_a_limit_and_a_stop_string_end_an_answer() -> None:
    assert (len(planned(max_tokens=5).tokens), planned(max_tokens=5).finish) == (5, "length")
    stopped = planned(stop=["simulated", "zzz"])
    assert (stopped.text, stopped.finish, stopped.stop_reason) == ("This is a ", "stop", "simulated")


def test_a_load_generator_gets_exactly_what_it_asks_for() -> None:
    assert len(planned("Hallo, wie geht es dir und was ist das?", max_tokens=777, ignore_eos=True).tokens) == 777


def test_json_fits_the_schema() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "people": {"type": "integer"}}}
    answer = planned(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})

    value = json.loads(answer.text)
    assert (type(value["city"]), type(value["people"])) == (str, int)
    assert isinstance(json.loads(planned(response_format={"type": "json_object"}).text), dict)


WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"properties": {"city": {"type": "string"}}}}}
SEARCH = {"type": "function", "function": {"name": "search_orders", "description": "Looks up orders of a customer"}}


def test_tools_are_called_when_required_named_or_suggested() -> None:
    assert planned(tools=[WEATHER, SEARCH], tool_choice="required").tool == "get_weather"
    assert planned(tools=[WEATHER, SEARCH], tool_choice={"type": "function", "function": {"name": "search_orders"}}).tool == "search_orders"
    call = planned("How is the weather in Rome?", tools=[SEARCH, WEATHER])
    assert (call.tool, call.finish, type(json.loads(call.text)["city"])) == ("get_weather", "tool_calls", str)


def test_tools_are_left_alone_otherwise() -> None:
    assert planned("Tell me a joke", tools=[WEATHER]).tool is None
    assert planned("How is the weather?", tools=[WEATHER], tool_choice="none").tool is None
    done = {"messages": [{"role": "user", "content": "weather?"}, {"role": "tool", "content": "sunny"}]}
    assert planned("weather?", tools=[WEATHER], **done).tool is None


def test_a_judge_gets_one_of_the_choices() -> None:
    assert planned("Rate this", structured_outputs={"choice": ["1", "2", "3"]}).text in ("1", "2", "3")


def test_an_answer_that_is_continued_is_the_rest_of_the_same_answer():
    messages = [{"role": "user", "content": "Explain how rivers form."}]
    whole = plan(shapes.read("/v1/chat/completions", msgspec.json.encode({"model": "m", "messages": messages})), 1000, "Explain how rivers form.")
    for told in ("".join(whole.tokens[:5]).rstrip(), whole.text):
        body = {"model": "m", "messages": [*messages, {"role": "assistant", "content": told}], "continue_final_message": True}
        asked = shapes.read("/v1/chat/completions", msgspec.json.encode(body))
        assert asked.is_continuing
        rest = continued(asked, 1000, "\n".join(asked.texts))
        assert (told + rest.text, rest.finish) == (whole.text, "stop")
        assert continued(asked, 2, "\n".join(asked.texts)).tokens == rest.tokens[:2]
