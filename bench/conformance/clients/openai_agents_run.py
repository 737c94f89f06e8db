"""OpenAI's Agents SDK over its Responses model."""

from __future__ import annotations

import asyncio
from typing import Literal

import openai
from agents import Agent, ModelSettings, OpenAIResponsesModel, Runner, set_tracing_disabled
from outcome import BASE, MODEL, QUESTION, TOO_LONG, expect, expect_error, report
from pydantic import BaseModel

set_tracing_disabled(True)


class City(BaseModel):
    city: Literal["Paris", "Rome"]


def agent(**more: object) -> Agent:
    client = openai.AsyncOpenAI(base_url=BASE, api_key="any", max_retries=0, timeout=60)
    return Agent("guide", model=OpenAIResponsesModel(MODEL, client), model_settings=ModelSettings(temperature=0, max_tokens=40), **more)


def chat() -> None:
    expect("Paris" in Runner.run_sync(agent(), QUESTION).final_output, "no Paris")


def stream() -> None:
    parts = asyncio.run(streamed())
    expect("Paris" in "".join(parts) and len(parts) > 3, str(parts))


async def streamed() -> list[str]:
    events = Runner.run_streamed(agent(), QUESTION).stream_events()
    return [event.data.delta async for event in events
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"]


def json_schema() -> None:
    expect(Runner.run_sync(agent(output_type=City), QUESTION).final_output.city in ("Paris", "Rome"), "no city")


def usage() -> None:
    told = Runner.run_sync(agent(), QUESTION).context_wrapper.usage
    expect(told.input_tokens > 5 and told.output_tokens > 0, str(told))


def errors() -> None:
    expect_error(openai.BadRequestError, lambda: Runner.run_sync(agent(), TOO_LONG))


report("openai-agents", chat=chat, stream=stream, json_schema=json_schema, usage=usage, errors=errors)
