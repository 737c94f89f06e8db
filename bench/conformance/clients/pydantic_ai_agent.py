"""Pydantic AI's agent over its OpenAI chat model."""

from __future__ import annotations

import asyncio
from typing import Literal

from outcome import (
    BASE,
    LONG,
    MODEL,
    QUESTION,
    TOO_LONG,
    TOOL_QUESTION,
    WEATHER,
    expect,
    expect_error,
    expect_free,
    expect_working,
    report,
)
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=BASE, api_key="any"))
settings = {"temperature": 0.0, "max_tokens": 40}


class City(BaseModel):
    city: Literal["Paris", "Rome"]


def agent(**more: object) -> Agent:
    return Agent(model, model_settings=settings, **more)


def chat() -> None:
    expect("Paris" in agent().run_sync(QUESTION).output, "no Paris")


def stream() -> None:
    parts = asyncio.run(streamed())
    expect("Paris" in "".join(parts) and len(parts) > 3, str(parts))


async def streamed() -> list[str]:
    async with agent().run_stream(QUESTION) as running:
        return [part async for part in running.stream_text(delta=True, debounce_by=None)]


def tools() -> None:
    """Its own tool loop would ask the model for more; a typed answer by a tool ends with the first call."""
    answer = agent(output_type=ToolOutput(City, name="weather", description=WEATHER)).run_sync(TOOL_QUESTION).output
    expect(answer.city in ("Paris", "Rome"), str(answer))


def json_schema() -> None:
    expect(agent(output_type=NativeOutput(City)).run_sync(QUESTION).output.city in ("Paris", "Rome"), "no city")


def usage() -> None:
    told = agent().run_sync(QUESTION).usage
    expect(told.input_tokens > 5 and told.output_tokens > 0, str(told))


def errors() -> None:
    expect_error(ModelHTTPError, lambda: agent().run_sync(TOO_LONG))


def cancellation() -> None:
    asyncio.run(left())
    expect_free()


async def left() -> None:
    long = {"max_tokens": 900, "extra_body": {"ignore_eos": True}}
    async with agent().run_stream(LONG, model_settings=long) as running:
        async for _ in running.stream_text(delta=True, debounce_by=None):
            break
        expect_working()


report("pydantic-ai-slim", chat=chat, stream=stream, tools=tools, json_schema=json_schema, usage=usage, errors=errors, cancellation=cancellation)
