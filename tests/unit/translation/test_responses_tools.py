"""Tools as functions, and back from a function to what was called."""

import json

import pytest

from pointsman.errors import MalformedBody, UnsupportedField
from pointsman.translation.responses_request import translate_request
from pointsman.translation.responses_tools import NAME_MAX, Called, Toolbox, text_arguments, text_of_arguments

FIND = {"type": "function", "name": "find", "description": "Finds", "parameters": {"type": "object"}, "strict": True}
PATCH = {"type": "custom", "name": "patch", "description": "Edits files",
         "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}}


def box_of(*tools):
    return Toolbox(json.dumps(tools).encode())


def chat_of(**fields):
    body, asked = translate_request(json.dumps({"model": "auto", "input": "hi"} | fields).encode())
    return json.loads(body), asked


def test_a_function_moves_one_level_in():
    chat, asked = chat_of(tools=[FIND])

    assert chat["tools"] == [{"type": "function", "function": {
        "name": "find", "description": "Finds", "parameters": {"type": "object"}, "strict": True}}]
    assert asked.called == {}


def test_what_is_null_is_left_out_and_what_we_do_not_know_stays():
    chat, _ = chat_of(tools=[{"type": "function", "name": "f", "parameters": None, "strict": None, "description": None, "x": 1}])

    assert chat["tools"] == [{"type": "function", "function": {"name": "f", "x": 1}}]


def test_a_custom_tool_is_a_function_with_one_string():
    chat, asked = chat_of(tools=[PATCH])
    (tool,) = chat["tools"]

    assert tool["function"]["parameters"]["required"] == ["input"]
    assert "lark grammar:\nstart: /.+/" in tool["function"]["description"]
    assert asked.called == {"patch": Called("patch", is_custom=True)}


@pytest.mark.parametrize("text", ["", "plain", 'quotes " and \\ and\nlines', "🚀"])
def test_a_custom_tools_input_survives_the_way_there_and_back(text):
    arguments = json.loads(text_arguments(json.dumps(text).encode()))

    assert text_of_arguments(arguments) == text


@pytest.mark.parametrize("arguments", ["", "{", '{"other":1}', "[1]", '{"input":3}'])
def test_arguments_that_are_not_as_expected_are_handed_on(arguments):
    assert text_of_arguments(arguments) == arguments


def test_functions_of_a_namespace_are_told_apart():
    box = box_of({"type": "namespace", "name": "crm", "tools": [FIND, PATCH]}, {"type": "namespace", "name": "mcp__a__", "tools": [FIND]},
                 FIND)

    assert list(box.offered) == ["crm__find", "crm__patch", "mcp__a__find", "find"]
    assert box.called == {"crm__find": Called("find", namespace="crm"), "mcp__a__find": Called("find", namespace="mcp__a__"),
                          "crm__patch": Called("patch", is_custom=True, namespace="crm")}
    assert [box.chat_name("find", space) for space in ("crm", "mcp__a__", None, "gone")] == [
        "crm__find", "mcp__a__find", "find", "gone__find"]


def test_joined_names_are_short_enough_and_never_the_same():
    long = "n" * 60
    box = box_of(*({"type": "namespace", "name": letter * 40, "tools": [{"type": "function", "name": long}]} for letter in "ab"))

    assert len(box.offered) == 2
    assert all(len(name) <= NAME_MAX for name in box.offered)


def test_a_namespace_inside_a_namespace_is_refused():
    with pytest.raises(UnsupportedField, match="namespace") as caught:
        box_of({"type": "namespace", "name": "a", "tools": [{"type": "namespace", "name": "b", "tools": []}]})

    assert caught.value.param == "tools[0].tools[0].type"


@pytest.mark.parametrize(("given", "expected"), [
    ("auto", "auto"), ("none", "none"), ("required", "required"), (None, None),
    ({"type": "function", "name": "find"}, {"type": "function", "function": {"name": "find"}}),
    ({"type": "custom", "name": "patch"}, {"type": "function", "function": {"name": "patch"}}),
])
def test_a_tool_choice_is_said_in_the_words_of_the_chat(given, expected):
    chat, _ = chat_of(tools=[FIND, PATCH], tool_choice=given, parallel_tool_calls=False)

    assert (chat.get("tool_choice"), chat["parallel_tool_calls"], len(chat["tools"])) == (expected, False, 2)


def test_allowed_tools_are_those_on_offer():
    chat, _ = chat_of(tools=[FIND, PATCH], tool_choice={
        "type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "patch"}]})

    assert ([tool["function"]["name"] for tool in chat["tools"]], chat["tool_choice"]) == (["patch"], "required")


def test_without_tools_nothing_is_said_about_them():
    chat, _ = chat_of(tools=[], tool_choice="auto", parallel_tool_calls=True)

    assert set(chat) == {"model", "messages"}


@pytest.mark.parametrize(("choice", "param"), [
    ({"type": "web_search_preview"}, "tool_choice.type"), ({"type": "function"}, "tool_choice.name"), ([], "tool_choice"),
    ({"type": "allowed_tools", "tools": [{"type": "mcp", "server_label": "x"}]}, "tool_choice.tools[0].type"),
])
def test_a_choice_that_cannot_be_made_is_refused(choice, param):
    with pytest.raises((MalformedBody, UnsupportedField)) as caught:
        chat_of(tools=[FIND], tool_choice=choice)

    assert caught.value.param == param
