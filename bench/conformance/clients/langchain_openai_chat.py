"""LangChain's `ChatOpenAI`."""

from __future__ import annotations

import openai
from langchain_openai import ChatOpenAI
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

model = ChatOpenAI(base_url=BASE, api_key="any", model=MODEL, max_retries=0, temperature=0, max_tokens=60, timeout=60)


def chat() -> None:
    expect("Paris" in model.invoke(QUESTION).content, "no Paris")


def stream() -> None:
    parts = [part.content for part in model.stream(QUESTION)]
    expect("Paris" in "".join(parts) and len(parts) > 3, str(parts))


def tools() -> None:
    tool = {"type": "function", "function": {"name": "weather", "description": WEATHER, "parameters": CITY}}
    (call,) = model.bind_tools([tool], tool_choice="any").invoke(TOOL_QUESTION).tool_calls
    expect(call["name"] == "weather" and call["args"]["city"] in ("Paris", "Rome"), str(call))


def json_schema() -> None:
    answer = model.with_structured_output(CITY | {"title": "city"}, method="json_schema").invoke(QUESTION)
    expect(answer["city"] in ("Paris", "Rome"), str(answer))


def usage() -> None:
    plain = model.invoke(QUESTION).usage_metadata
    *_, last = (part.usage_metadata for part in model.stream(QUESTION, stream_usage=True) if part.usage_metadata)
    expect(plain["input_tokens"] > 5 and plain["output_tokens"] > 0, str(plain))
    expect((last["input_tokens"], last["output_tokens"]) == (plain["input_tokens"], plain["output_tokens"]), str(last))


def errors() -> None:
    expect_error(openai.BadRequestError, lambda: model.invoke(TOO_LONG))


def cancellation() -> None:
    running = model.stream(LONG, max_tokens=900, extra_body={"ignore_eos": True})
    next(part for part in running if part.content)
    expect_freed(running.close)


report("langchain-openai", chat=chat, stream=stream, tools=tools, json_schema=json_schema, usage=usage, errors=errors, cancellation=cancellation)
