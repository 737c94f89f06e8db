"""OpenAI's Agents SDK over its Responses model."""

from __future__ import annotations

import asyncio
from typing import Literal

import openai
from agents import Agent, ModelSettings, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
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

set_tracing_disabled(True)


class City(BaseModel):
    city: Literal["Paris", "Rome"]


@function_tool(description_override=WEATHER)
def weather(city: Literal["Paris", "Rome"]) -> str:
    return "sunny in " + city


def agent(settings: ModelSettings | None = None, **more: object) -> Agent:
    client = openai.AsyncOpenAI(base_url=BASE, api_key="any", max_retries=0, timeout=60)
    settings = ModelSettings(temperature=0, max_tokens=40).resolve(settings)
    return Agent("guide", model=OpenAIResponsesModel(MODEL, client), model_settings=settings, **more)


def chat() -> None:
    expect("Paris" in Runner.run_sync(agent(), QUESTION).final_output, "no Paris")


def stream() -> None:
    parts = asyncio.run(streamed())
    expect("Paris" in "".join(parts) and len(parts) > 3, str(parts))


async def streamed() -> list[str]:
    events = Runner.run_streamed(agent(), QUESTION).stream_events()
    return [event.data.delta async for event in events
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"]


def tools() -> None:
    required = ModelSettings(tool_choice="required", max_tokens=60)
    said = Runner.run_sync(agent(required, tools=[weather], tool_use_behavior="stop_on_first_tool"), TOOL_QUESTION).final_output
    expect(said in ("sunny in Paris", "sunny in Rome"), said)


def json_schema() -> None:
    expect(Runner.run_sync(agent(output_type=City), QUESTION).final_output.city in ("Paris", "Rome"), "no city")


def usage() -> None:
    told = Runner.run_sync(agent(), QUESTION).context_wrapper.usage
    expect(told.input_tokens > 5 and told.output_tokens > 0, str(told))


def errors() -> None:
    expect_error(openai.BadRequestError, lambda: Runner.run_sync(agent(), TOO_LONG))


def cancellation() -> None:
    asyncio.run(left())


async def left() -> None:
    running = Runner.run_streamed(agent(ModelSettings(max_tokens=900)), LONG)
    async for event in running.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            break
    await asyncio.to_thread(expect_working)
    running.cancel()
    await asyncio.to_thread(expect_free)


report("openai-agents", chat=chat, stream=stream, tools=tools, json_schema=json_schema, usage=usage, errors=errors, cancellation=cancellation)
