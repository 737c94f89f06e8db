"""`instructor`: a typed answer, by JSON schema and by a tool."""

from __future__ import annotations

from typing import Any, Literal

import instructor
import openai
from instructor.core.exceptions import InstructorRetryException
from outcome import BASE, LONG, MODEL, QUESTION, TOO_LONG, TOOL_QUESTION, expect, expect_freed, report
from pydantic import BaseModel


class City(BaseModel):
    city: Literal["Paris", "Rome"]


def client(mode: instructor.Mode = instructor.Mode.JSON_SCHEMA) -> instructor.Instructor:
    return instructor.from_openai(openai.OpenAI(base_url=BASE, api_key="any", max_retries=0, timeout=60), mode=mode)


def asked(text: str, tokens: int = 40) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], "max_retries": 0, "max_tokens": tokens, "temperature": 0}


def chat() -> None:
    answer = client().create(response_model=None, **asked(QUESTION))
    expect("Paris" in answer.choices[0].message.content, str(answer))


def stream() -> None:
    """What it streams is the typed answer as far as it has come."""
    parts = list(client().create_partial(response_model=City, **asked(QUESTION)))
    expect(parts[-1].city in ("Paris", "Rome") and len(parts) > 3, str(parts))


def tools() -> None:
    city = client(instructor.Mode.TOOLS).create(response_model=City, **asked(TOOL_QUESTION.replace("weather", "City"), 60))
    expect(city.city in ("Paris", "Rome"), str(city))


def json_schema() -> None:
    city = client().create(response_model=City, **asked(QUESTION))
    expect(city.city in ("Paris", "Rome"), str(city))


def usage() -> None:
    city, answer = client().create_with_completion(response_model=City, **asked(QUESTION))
    expect(answer.usage.prompt_tokens > 5 and answer.usage.completion_tokens > 0, str(city))


def errors() -> None:
    """It wraps what the SDK raised."""
    try:
        client().create(response_model=City, **asked(TOO_LONG))
    except InstructorRetryException as error:
        expect("Error code: 400" in str(error), str(error))
    else:
        raise AssertionError("no error")


def cancellation() -> None:
    """Of a plain stream: typed ones are read to their end before one sees them."""
    running = client().create(response_model=None, stream=True, extra_body={"ignore_eos": True}, **asked(LONG, 900))
    next(iter(running))
    expect_freed(running.close)


report("instructor", chat=chat, stream=stream, tools=tools, json_schema=json_schema, usage=usage, errors=errors, cancellation=cancellation)
