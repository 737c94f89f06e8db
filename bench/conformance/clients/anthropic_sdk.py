"""The official `anthropic` SDK: Messages."""

from __future__ import annotations

import json

import anthropic
from outcome import (
    CITY,
    LONG,
    MODEL,
    QUESTION,
    ROOT,
    TOO_LONG,
    TOOL_QUESTION,
    WEATHER,
    expect,
    expect_error,
    expect_freed,
    report,
)

client = anthropic.Anthropic(base_url=ROOT, api_key="any", max_retries=0, timeout=60)
create = client.messages.create


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def chat() -> None:
    answer = create(model=MODEL, messages=said(QUESTION), max_tokens=16, extra_body={"temperature": 0})
    expect("Paris" in answer.content[0].text, str(answer.content))


def stream() -> None:
    with client.messages.stream(model=MODEL, messages=said(QUESTION), max_tokens=16, extra_body={"temperature": 0}) as running:
        parts = list(running.text_stream)
    expect("Paris" in "".join(parts) and len(parts) > 3, str(parts))


def tools() -> None:
    tool = {"name": "weather", "description": WEATHER, "input_schema": CITY}
    answer = create(model=MODEL, messages=said(TOOL_QUESTION), tools=[tool], tool_choice={"type": "any"}, max_tokens=60,
                    extra_body={"temperature": 0})
    call = next(block for block in answer.content if block.type == "tool_use")
    expect(call.name == "weather" and call.input["city"] in ("Paris", "Rome") and answer.stop_reason == "tool_use", str(answer))


def json_schema() -> None:
    answer = create(model=MODEL, messages=said(QUESTION), max_tokens=40, extra_body={
        "temperature": 0, "output_config": {"format": {"type": "json_schema", "schema": CITY}}})
    expect(json.loads(answer.content[0].text)["city"] in ("Paris", "Rome"), answer.content[0].text)


def usage() -> None:
    plain = create(model=MODEL, messages=said(QUESTION), max_tokens=8, extra_body={"temperature": 0}).usage
    with client.messages.stream(model=MODEL, messages=said(QUESTION), max_tokens=8, extra_body={"temperature": 0}) as running:
        last = running.get_final_message().usage
    expect(read(plain) > 5 and plain.output_tokens > 0, str(plain))
    expect(read(last) == read(plain) and last.output_tokens == plain.output_tokens, str(last))


def read(usage: anthropic.types.Usage) -> int:
    return usage.input_tokens + (usage.cache_read_input_tokens or 0)


def errors() -> None:
    expect_error(anthropic.BadRequestError, lambda: create(model=MODEL, messages=said(TOO_LONG), max_tokens=4))


def cancellation() -> None:
    running = create(model=MODEL, messages=said(LONG), max_tokens=900, stream=True, extra_body={"ignore_eos": True})
    for event in running:
        if event.type == "content_block_delta":
            break
    expect_freed(running.close)


report("anthropic", chat=chat, stream=stream, tools=tools, json_schema=json_schema, usage=usage, errors=errors, cancellation=cancellation)
