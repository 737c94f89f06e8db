"""One request to a simulated engine, from plan to last byte: collects tokens, or streams them as they come."""

from __future__ import annotations

import asyncio
from typing import Any

from pointsman.testing import answers
from pointsman.testing import openai_shapes as shapes
from pointsman.testing.engine import Sequence
from pointsman.testing.engine_blocks import prefix_of
from pointsman.testing.wire import Connection, chunk

DONE = chunk(shapes.sse(b"[DONE]")) + chunk(b"")


class Generation:
    """The engine rim's listener. Every choice is planned before the first token; the engine only says when."""

    def __init__(self, asked: shapes.Asked, origin: shapes.Origin, connection: Connection, max_tokens: int,
                 dimensions: int = 0, stream_interval: int = 1) -> None:
        self.asked, self.origin, self.connection, self.dimensions = asked, origin, connection, dimensions
        self.stream_interval = stream_interval
        """Tokens an event carries, but for the first, which is never kept back (vLLM's `--stream-interval`)."""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.plans, self.sequences = _planned(asked, max_tokens)
        self._index = {sequence: i for i, sequence in enumerate(self.sequences)}
        self._said = [0] * len(self.plans)
        # How many of each choice's tokens have left in an event.
        self._sent = [0] * len(self.plans)
        self._offsets = [0] * len(self.plans)
        self._open = len(self.sequences)
        self._out = bytearray()

    # -- what the rim tells

    def token(self, sequence: Sequence) -> None:
        i = self._index[sequence]
        plan, k = self.plans[i], self._said[i]
        self._said[i] = k + 1
        if not self.asked.stream:
            return
        is_last = k + 1 == len(plan.tokens)
        if not is_last and k and k + 1 - self._sent[i] < self.stream_interval:
            return
        tokens, self._sent[i] = plan.tokens[self._sent[i]:k + 1], k + 1
        text = tokens[0] if len(tokens) == 1 else "".join(tokens)
        if k == 0 and self.asked.kind == "chat":
            self._event([{"index": i, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}])
            if plan.tool is not None:
                opening = shapes.tool_call(plan.tool, "", f"call_{self.origin.id[-8:]}{i}") | {"index": 0}
                self._event([{"index": i, "delta": {"tool_calls": [opening]}, "logprobs": None, "finish_reason": None}])
        choice: dict[str, Any] = {"index": i, **self._delta(plan, text), "logprobs": self._logprobs(tokens, i),
                                  "finish_reason": plan.finish if is_last else None}
        self._offsets[i] += len(text)
        if is_last:
            self._event([choice | {"stop_reason": plan.stop_reason}], system_fingerprint=self.origin.fingerprint)
        else:
            self._event([choice])

    def finished(self, sequence: Sequence) -> str:
        self._open -= 1
        if self._open == 0:
            self._end()
        return "length" if self.plans and self.plans[self._index[sequence]].finish == "length" else "stop"

    def flush(self) -> None:
        if self._out:
            self.connection.write(bytes(self._out))
            self._out.clear()
        if self._open == 0 and not self.done.done():
            self.done.set_result(None)

    # -- bytes

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> None:
        self._out += chunk(shapes.sse(self.origin.chunk(self.asked.kind, choices, **more)))

    def _delta(self, plan: answers.Plan, text: str) -> dict[str, Any]:
        if self.asked.kind == "completion":
            return {"text": text}
        if plan.tool is not None:
            return {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}}
        return {"delta": {"content": text}}

    def _logprobs(self, tokens: list[str], i: int) -> dict[str, Any] | None:
        if self.asked.logprobs is None:
            return None
        if self.asked.kind == "completion":
            return shapes.completion_logprobs(tokens, self.asked.logprobs, self._offsets[i])
        return shapes.chat_logprobs(tokens, self.asked.logprobs)

    def _end(self) -> None:
        if not self.asked.stream:
            self.connection.reply(200, self._body())
            return
        if self.asked.include_usage:
            self._event([], usage=self._usage(), system_fingerprint=self.origin.fingerprint)
        self._out += DONE

    def _body(self) -> bytes:
        if self.asked.kind == "embedding":
            return shapes.embeddings(self.asked, self.origin.model, self.dimensions, self.origin.id)
        choices = [self._choice(plan, i) for i, plan in enumerate(self.plans)]
        return self.origin.body(self.asked.kind, choices, self._usage())

    def _choice(self, plan: answers.Plan, i: int) -> dict[str, Any]:
        said: dict[str, Any]
        if self.asked.kind == "completion":
            said = {"text": plan.text}
        elif plan.tool is not None:
            said = {"message": shapes.message(None, [shapes.tool_call(plan.tool, plan.text, f"call_{self.origin.id[-8:]}{i}")])}
        else:
            said = {"message": shapes.message(plan.text)}
        return {"index": i, **said, "logprobs": self._logprobs(plan.tokens, i), "finish_reason": plan.finish,
                "stop_reason": plan.stop_reason}

    def _usage(self) -> dict[str, Any]:
        # Several choices read one prompt: what the first of each found in the cache is what counts.
        cached = sum(s.cached for s in self.sequences[:: self.asked.choices])
        return shapes.usage(self.asked.prompt_tokens, sum(self._said), cached)


def _planned(asked: shapes.Asked, max_tokens: int) -> tuple[list[answers.Plan], list[Sequence]]:
    """One plan and one sequence per choice of each prompt (embeddings: a sequence per input, and nothing to say)."""
    if asked.kind == "embedding":
        return [], [Sequence(max(shapes.count_tokens(text), 1), 0) for text in asked.texts]
    prompts = ["\n".join(asked.texts)] if asked.kind == "chat" else list(asked.texts)
    plans, sequences = [], []
    for prompt in prompts:
        tokens = asked.prompt_tokens if asked.kind == "chat" else shapes.count_tokens(prompt)
        prefix = prefix_of(prompt.encode("utf-8", "replace"))
        for n in range(asked.choices):
            plan = (answers.continued if asked.is_continuing else answers.plan)(asked, max_tokens, prompt, n)
            plans.append(plan)
            sequences.append(Sequence(max(tokens, 1), len(plan.tokens), prefix))
    return plans, sequences
