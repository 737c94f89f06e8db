"""`instructor`: a typed answer, by JSON schema and by a tool."""

from __future__ import annotations

from typing import Literal

import instructor
import openai
from outcome import BASE, MODEL, QUESTION, expect, report
from pydantic import BaseModel


class City(BaseModel):
    city: Literal["Paris", "Rome"]


def client(mode: instructor.Mode) -> instructor.Instructor:
    return instructor.from_openai(openai.OpenAI(base_url=BASE, api_key="any", max_retries=0, timeout=60), mode=mode)


def json_schema() -> None:
    city = client(instructor.Mode.JSON_SCHEMA).chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": QUESTION}], response_model=City, max_retries=0, max_tokens=40, temperature=0)
    expect(city.city in ("Paris", "Rome"), str(city))


def usage() -> None:
    city, answer = client(instructor.Mode.JSON_SCHEMA).chat.completions.create_with_completion(
        model=MODEL, messages=[{"role": "user", "content": QUESTION}], response_model=City, max_retries=0, max_tokens=40, temperature=0)
    expect(answer.usage.prompt_tokens > 5 and answer.usage.completion_tokens > 0, str(city))


report("instructor", json_schema=json_schema, usage=usage)
