"""The official `openai` SDK: Chat Completions."""

from __future__ import annotations

import json

import openai
from outcome import (
    BASE,
    CITY,
    LONG,
    MODEL,
    QUESTION,
    TOO_LONG,
    TOOL_QUESTION,
    WEATHER,
    expect,
    expect_error,
    expect_freed,
    report,
)

client = openai.OpenAI(base_url=BASE, api_key="any", max_retries=0, timeout=60)
create = client.chat.completions.create


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def chat() -> None:
    answer = create(model=MODEL, messages=said(QUESTION), max_tokens=16, temperature=0)
    expect("Paris" in answer.choices[0].message.content, answer.choices[0].message.content)


def stream() -> None:
    parts = [c.choices[0].delta.content or "" for c in create(
        model=MODEL, messages=said(QUESTION), max_tokens=16, temperature=0, stream=True) if c.choices]
    expect("Paris" in "".join(parts) and len(parts) > 3, str(parts))


def tools() -> None:
    tool = {"type": "function", "function": {"name": "weather", "description": WEATHER, "parameters": CITY}}
    answer = create(model=MODEL, messages=said(TOOL_QUESTION), tools=[tool], tool_choice="required", max_tokens=60, temperature=0)
    call = answer.choices[0].message.tool_calls[0].function
    expect(call.name == "weather" and json.loads(call.arguments)["city"] in ("Paris", "Rome"), str(call))


def json_schema() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": CITY}}
    answer = create(model=MODEL, messages=said(QUESTION), response_format=wanted, max_tokens=40, temperature=0)
    expect(json.loads(answer.choices[0].message.content)["city"] in ("Paris", "Rome"), answer.choices[0].message.content)


def usage() -> None:
    plain = create(model=MODEL, messages=said(QUESTION), max_tokens=8, temperature=0).usage
    *_, last = create(model=MODEL, messages=said(QUESTION), max_tokens=8, temperature=0, stream=True,
                      stream_options={"include_usage": True})
    expect(plain.prompt_tokens > 5 and plain.completion_tokens > 0, str(plain))
    expect(last.usage.prompt_tokens == plain.prompt_tokens and last.usage.completion_tokens == plain.completion_tokens, str(last.usage))


def errors() -> None:
    expect_error(openai.BadRequestError, lambda: create(model=MODEL, messages=said(TOO_LONG), max_tokens=4))


def cancellation() -> None:
    running = create(model=MODEL, messages=said(LONG), max_tokens=900, stream=True, extra_body={"ignore_eos": True})
    next(iter(running))
    expect_freed(running.close)


report("openai", chat=chat, stream=stream, tools=tools, json_schema=json_schema, usage=usage, errors=errors, cancellation=cancellation)
