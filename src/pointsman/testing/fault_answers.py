"""Right answers whose every character follows from the request's id, so that whoever reads one can prove it right.

The pieces are separate (head, events, framing), since a fault is mostly a right answer that goes wrong somewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Any, Final

from pointsman.testing.fault_steps import Asked, Complete, Send, Step

PROMPT_TOKENS: Final = 11
"""What every answer says it read."""
_WORDS: Final = ("route", "tier", "Zürich", "naïve", "東京", "🙂👍", 'a "quoted" word', "back\\slash", "tab\there", "ladder",
                 "line\nbreak", "é", "endpoint", "<b>", "½", "lease")
_ID: Final = re.compile(rb"id=([A-Za-z0-9._-]{1,80});")
JSON_TYPE: Final = "application/json"
DONE: Final = b"data: [DONE]\n\n"
END: Final = b"0\r\n\r\n"


def prompt_of(id: str) -> str:
    """The prompt that names a request."""
    return f"id={id}; please answer"


def pieces_of(id: str) -> list[str]:
    """The text of the answer to `id`, as it is streamed."""
    rng = Random(f"answer {id}")
    return [rng.choice(_WORDS) + " " for _ in range(rng.randint(6, 12))]


def text_of(id: str) -> str:
    return "".join(pieces_of(id))


def rest_of(asked: Asked) -> list[str]:
    """The pieces that are still to be said. White space at the end of what was told belongs to the first of them, as in any template
    that trims. An answer that does not begin as told is begun anew: whoever joins the two finds out."""
    pieces, told = pieces_of(asked.id), asked.told
    if not told or not "".join(pieces).startswith(told):
        return pieces
    text, ends = "".join(pieces), list(accumulate(map(len, pieces)))
    over = sum(end - 1 <= len(told) for end in ends)  # each ends in a space, which may be missing
    if over == len(pieces):
        return [text[len(told):]]
    return [text[len(told):ends[over]], *pieces[over + 1:]]


def asked_of(body: bytes, nth: int, nth_on_connection: int) -> Asked:
    """What the scenario may know of a request's body. A body that is no JSON object asks for nothing."""
    found = _ID.search(body)
    named = found[1].decode() if found else ""
    try:
        fields = json.loads(body)
        options = fields.get("stream_options") or {}
        told = fields["messages"][-1]["content"] if fields.get("continue_final_message") is True else ""
        return Asked(named, fields.get("stream") is True, bool(options.get("include_usage")), nth, nth_on_connection, told)
    except (ValueError, AttributeError, LookupError, TypeError):
        return Asked(named, nth=nth, nth_on_connection=nth_on_connection)


def head(status: str = "200 OK", *headers: str, content_type: str | None = JSON_TYPE, length: int | None = None) -> bytes:
    """Status line and headers, up to and including the empty line."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if content_type is not None:
        lines.append(f"content-type: {content_type}")
    if length is not None:
        lines.append(f"content-length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def stream_head(*headers: str, chunked: bool = True) -> bytes:
    more = ("transfer-encoding: chunked",) if chunked else ("connection: close",)
    return head("200 OK", *headers, *more, content_type="text/event-stream")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def plain(status: str, body: bytes, *headers: str, content_type: str | None = JSON_TYPE) -> bytes:
    """A whole response."""
    return head(status, *headers, content_type=content_type, length=len(body)) + body


def usage_of(id: str, said: Sequence[str] | None = None) -> dict[str, int]:
    whole = len(pieces_of(id))
    output = whole if said is None else len(said)  # what was told before is a part of the prompt
    return {"prompt_tokens": PROMPT_TOKENS + whole - output, "completion_tokens": output, "total_tokens": PROMPT_TOKENS + whole}


def completion(id: str, **changes: Any) -> bytes:
    """The body of a plain answer."""
    message = {"role": "assistant", "content": text_of(id)}
    value = {"id": f"chatcmpl-{id}", "object": "chat.completion", "created": 1, "model": "m",
             "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage_of(id)}
    return json.dumps(value | changes, ensure_ascii=False).encode()


def event(id: str, delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
    """One event of a stream; `delta` None = no choice in it."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    value = {"id": f"chatcmpl-{id}", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return b"data: " + json.dumps(value | more, ensure_ascii=False).encode() + b"\n\n"


def role_event(id: str) -> bytes:
    return event(id, {"role": "assistant", "content": ""})


def text_events(id: str, pieces: Sequence[str] | None = None) -> list[bytes]:
    """An event for each piece; None = all of them."""
    return [event(id, {"content": piece}) for piece in (pieces_of(id) if pieces is None else pieces)]


def finish_events(asked: Asked) -> list[bytes]:
    """The finish, the usage where it was asked for, and `[DONE]`."""
    usage = [event(asked.id, None, usage=usage_of(asked.id, rest_of(asked)))] if asked.include_usage else []
    return [event(asked.id, {}, "stop"), *usage, DONE]


def events(asked: Asked) -> list[bytes]:
    return [role_event(asked.id), *text_events(asked.id, rest_of(asked)), *finish_events(asked)]


def sends(asked: Asked, texts: int | None = None) -> list[Step]:
    """The head, the role and the first `texts` pieces of a streamed answer (None = all), one send each."""
    made: list[Step] = [Send(stream_head()), Send(chunk(role_event(asked.id)))]
    return made + [Send(chunk(data), 1) for data in text_events(asked.id, rest_of(asked))[:texts]]


def right(asked: Asked) -> Sequence[Step]:
    """The right answer, streamed or plain."""
    if not asked.stream:
        return [Send(plain("200 OK", completion(asked.id)), len(pieces_of(asked.id))), Complete()]
    return [*sends(asked), Send(b"".join(map(chunk, finish_events(asked)))), Send(END), Complete()]
