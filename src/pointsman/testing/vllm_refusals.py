"""Which requests vLLM refuses, and in what words (captured from 0.32): the simulator refuses them alike.

Why so literally? What a router makes of an error depends on status, `type` and `param`; a simulator that is kinder
than the engine hides the cases that matter.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from pointsman.testing import openai_shapes as shapes


class Refusal(Exception):
    """The engine says no. `body` is the JSON that goes out under `status`."""

    def __init__(self, message: str, param: str | None = None, *, status: int = 400, type: str = "BadRequestError") -> None:
        super().__init__(message)
        self.status = status
        self.body = shapes.error(message, type, status, param)


def busy() -> Refusal:
    """`--max-num-queued-reqs` is reached: no Retry-After, and no fault of anybody's."""
    return Refusal("The engine is currently busy and cannot accept new requests. Please try again later or on a "
                   "different instance.", status=503, type="Service Unavailable")


def read(path: str, body: bytes, content_type: str | None) -> shapes.Asked:
    """Reads a body as vLLM's front does. Raises Refusal."""
    if content_type is not None and content_type.split(";")[0].strip().lower() != "application/json":
        raise _invalid("Unsupported Media Type: Only 'application/json' is allowed", None)
    if not body:
        raise _invalid("{'type': 'missing', 'loc': 'body', 'msg': 'Field required', 'input': 'None'}", "body")
    try:
        return shapes.read(path, body)
    except msgspec.DecodeError:
        raise _bad_json(body) from None
    except TypeError:
        raise _invalid("{'type': 'model_attributes_type', 'loc': 'body', 'msg': 'Input should be a valid dictionary or "
                       "object to extract fields from', 'input': '<list of 0 items>'}", "body") from None


def check(asked: shapes.Asked, model: str, max_model_len: int) -> int:
    """Refuses what the engine would; returns the most tokens that the answer may have. Raises Refusal."""
    if asked.model and asked.model != model:
        raise Refusal(f"The model `{asked.model}` does not exist. Valid aliases: {model}.", "model",
                      status=404, type="NotFoundError")
    body = asked.body
    if asked.kind == "chat":
        _check_chat(body)
    if isinstance(n := body.get("n"), int) and n < 1:
        raise Refusal(f"n must be at least 1, got {n}.")
    if body.get("stream_options") is not None and body.get("stream") is not True:
        raise Refusal("Stream options can only be defined when `stream=True`. (parameter=stream_options)", "stream_options")
    temperature = body.get("temperature")
    if isinstance(temperature, (int, float)) and not 0 <= temperature <= 2:
        raise Refusal(f"temperature must be in [0, 2], got {float(temperature)}. "
                      f"(parameter=temperature, value={float(temperature)})", "temperature")
    _check_logprobs(asked)
    return _room(asked, max_model_len)


def _check_chat(body: dict[str, Any]) -> None:
    if "messages" not in body:
        raise _invalid(f"{{'type': 'missing', 'loc': 'body.messages', 'msg': 'Field required', "
                       f"'input': '<dict of {len(body)} items>'}}", "body.messages")
    messages = body["messages"]
    if not isinstance(messages, list):
        raise _invalid("{'type': 'list_type', 'loc': 'body.messages', 'msg': 'Input should be a valid list', "
                       f"'input': {messages!r}}}", "body.messages")
    if not messages:
        raise Refusal("Cannot apply chat template to an empty conversation. Provide at least one message.")
    if body.get("tool_choice") not in (None, "none") and not body.get("tools"):
        raise Refusal("When using `tool_choice`, `tools` must be set. (parameter=tool_choice)", "tool_choice")
    parts = (p for m in messages if isinstance(m, dict) and isinstance(m.get("content"), list) for p in m["content"])
    if any(isinstance(p, dict) and p.get("type") == "image_url" for p in parts):
        raise Refusal("This model is not a multimodal model")


def _check_logprobs(asked: shapes.Asked) -> None:
    top = asked.body.get("top_logprobs")
    if asked.kind == "chat" and isinstance(top, int) and top > 0 and asked.logprobs is None:
        raise Refusal("when using `top_logprobs`, `logprobs` must be set to true. (parameter=top_logprobs)", "top_logprobs")
    if (asked.logprobs or 0) > 20:
        raise Refusal(f"Requested sample logprobs of {asked.logprobs}, which is greater than max allowed: 20 "
                      f"(parameter=logprobs, value={asked.logprobs})", "logprobs")


def _room(asked: shapes.Asked, max_model_len: int) -> int:
    """Tokens that the answer may have beside the prompt."""
    name = "max_completion_tokens" if isinstance(asked.body.get("max_completion_tokens"), int) else "max_tokens"
    wanted = asked.body.get(name)
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if wanted < 1:
            raise Refusal(f"max_tokens must be at least 1, got {wanted}. (parameter=max_tokens, value={wanted})", "max_tokens")
        if wanted > max_model_len:
            raise Refusal(f"max_tokens={wanted} cannot be greater than max_model_len={max_model_len}. Please request fewer "
                          f"output tokens. (parameter=max_tokens, value={wanted})", "max_tokens")
    else:
        wanted = None
    prompt = asked.prompt_tokens if asked.kind == "chat" else max(map(shapes.count_tokens, asked.texts), default=0)
    room = max_model_len - prompt
    if room < (wanted or (0 if asked.kind == "embedding" else 1)):
        said = f"you requested {wanted} output tokens and your prompt" if wanted else "your prompt"
        raise Refusal(f"This model's maximum context length is {max_model_len} tokens. However, {said} contains {prompt} "
                      f"input tokens. Please reduce the length of the input prompt. "
                      f"(parameter=input_tokens, value={prompt})", "input_tokens")
    # Completions default to 16 tokens, as in OpenAI's first API; chat to whatever fits.
    return wanted or (16 if asked.kind == "completion" else room)


def _invalid(what: str, param: str | None) -> Refusal:
    return Refusal(f"1 validation error:\n  {what}", param, type="Bad Request")


def _bad_json(body: bytes) -> Refusal:
    try:
        json.loads(body)
        at, why = 0, "invalid JSON"
    except json.JSONDecodeError as error:
        at, why = error.pos, error.msg
    except (UnicodeDecodeError, RecursionError):
        at, why = 0, "invalid UTF-8 or nesting"
    return _invalid(f"{{'type': 'json_invalid', 'loc': 'body.{at}', 'msg': 'JSON decode error', "
                    f"'input': '<dict of 0 items>', 'ctx': {{'error': '{why}'}}}}", f"body.{at}")
