"""Turns and blocks as OpenAI messages."""

import msgspec
import pytest

from pointsman.errors import MalformedBody, UnsupportedField
from pointsman.translation.anthropic_turns import Block, Conversation, Turn

PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}
DATA_URL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}}


def said(role, content, number=0):
    conversation = Conversation()
    turn = msgspec.json.decode(msgspec.json.encode({"role": role, "content": content}), type=Turn)
    conversation.add(turn, number)
    return conversation


def messages(role, content):
    return said(role, content).messages


def test_texts_stay_texts():
    assert messages("user", "hi") == [{"role": "user", "content": "hi"}]
    assert messages("user", [{"type": "text", "text": "hi"}]) == [{"role": "user", "content": "hi"}]
    assert messages("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]) == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    assert messages("user", []) == [{"role": "user", "content": ""}]
    assert messages("system", [{"type": "text", "text": "new rules"}]) == [{"role": "system", "content": "new rules"}]


def test_images_become_data_urls_or_stay_urls():
    conversation = said("user", [
        {"type": "text", "text": "what is it?"}, {"type": "image", "source": PNG},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/x.png"}}])

    assert conversation.messages[0]["content"] == [
        {"type": "text", "text": "what is it?"}, DATA_URL,
        {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}]
    assert conversation.images == 2
    assert conversation.image_chars == len("data:image/png;base64,iVBORw0K") + len("https://example.com/x.png")


def test_documents_of_text_become_text():
    assert messages("user", [
        {"type": "document", "title": "Rules", "context": "draft", "source": {"type": "text", "media_type": "text/plain", "data": "Be."}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "p1"}, {"type": "image", "source": PNG}]}},
        {"type": "search_result", "source": "https://e.com", "title": "T", "content": [{"type": "text", "text": "found"}]},
    ])[0]["content"] == [
        {"type": "text", "text": "Rules\ndraft\nBe."}, {"type": "text", "text": "p1"}, DATA_URL,
        {"type": "text", "text": "T\nhttps://e.com"}, {"type": "text", "text": "found"}]


@pytest.mark.parametrize("block", [
    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}},
    {"type": "document", "source": {"type": "file", "file_id": "f"}},
    {"type": "image", "source": {"type": "file", "file_id": "f"}},
    {"type": "image"},
    {"type": "container_upload", "file_id": "f"},
    {"type": "web_search_tool_result", "tool_use_id": "t", "content": {"type": "web_search_tool_result_error"}},
])
def test_what_only_anthropic_can_read_is_refused_with_its_path(block):
    with pytest.raises(UnsupportedField) as caught:
        messages("user", [{"type": "text", "text": "x"}, block])

    assert caught.value.param.startswith("messages.0.content.1")


def test_a_media_type_cannot_smuggle_a_url():
    with pytest.raises(MalformedBody):
        messages("user", [{"type": "image", "source": PNG | {"media_type": "image/png,<script>"}}])


def test_results_come_before_what_the_user_says_whatever_their_order():
    assert messages("user", [
        {"type": "text", "text": "<system-reminder>x</system-reminder>"},
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}]},
        {"type": "tool_result", "tool_use_id": "b"},
        {"type": "text", "text": "go on"},
    ]) == [
        {"role": "tool", "tool_call_id": "a", "content": "1\n2"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "<system-reminder>x</system-reminder>"}, {"type": "text", "text": "go on"}]},
    ]


@pytest.mark.parametrize(("text", "becomes"), [
    ("no such file", "Error: no such file"), ("Error: no such file", "Error: no such file"),
    ("<tool_use_error>x</tool_use_error>", "<tool_use_error>x</tool_use_error>"),
])
def test_a_failed_tool_says_so_once(text, becomes):
    (message,) = messages("user", [{"type": "tool_result", "tool_use_id": "a", "is_error": True, "content": text}])

    assert message["content"] == becomes


def test_an_image_that_a_tool_returned_follows_in_a_users_message():
    conversation = said("user", [
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "shot"}, {"type": "image", "source": PNG}]},
        {"type": "text", "text": "what is on it?"}])

    tool, user = conversation.messages
    assert tool == {"role": "tool", "tool_call_id": "a", "content": "shot\n(images: see the next message)"}
    assert user["role"] == "user"
    assert user["content"][1:] == [DATA_URL, {"type": "text", "text": "what is on it?"}]
    assert conversation.images == 1


def test_an_assistants_blocks_are_one_message():
    assert messages("assistant", [
        {"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "The answer "}, {"type": "text", "text": "is 4."},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}}, {"type": "tool_use", "id": "b", "name": "g", "input": {"x": [1]}},
    ]) == [{"role": "assistant", "content": "The answer is 4.", "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": '{"x":[1]}'}}]}]


def test_calls_alone_have_no_content_and_thoughts_alone_an_empty_one():
    assert messages("assistant", [{"type": "tool_use", "id": "a", "name": "f", "input": {}}])[0]["content"] is None
    assert messages("assistant", [{"type": "thinking", "thinking": "x", "signature": ""}]) == [{"role": "assistant", "content": ""}]


@pytest.mark.parametrize("block", [{"type": "tool_use", "name": "f"}, {"type": "tool_use", "id": "a"}, {"type": "image", "source": PNG},
                                   {"type": "server_tool_use", "id": "a", "name": "web_search"}])
def test_an_assistants_block_that_cannot_be_is_refused(block):
    with pytest.raises((MalformedBody, UnsupportedField)) as caught:
        messages("assistant", [block])

    assert caught.value.param.startswith("messages.0.content.0.")


def test_a_result_without_its_call_is_refused():
    with pytest.raises(MalformedBody, match="needs the id"):
        messages("user", [{"type": "tool_result", "content": "x"}])


def test_a_system_prompt_is_text_and_loses_what_is_accounting():
    conversation = Conversation()
    conversation.instruct([Block("text", "x-anthropic-billing-header: cc_version=2; cch=abc;"), Block("text", "Be brief.")], "system")

    assert conversation.messages == [{"role": "system", "content": "Be brief."}]
    with pytest.raises(MalformedBody, match="text"):
        conversation.instruct([Block("image")], "system")
