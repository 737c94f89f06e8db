"""One HTTP exchange: a body that does not come to its end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pointsman.errors import BodyTimeout
from pointsman.server import exchange
from pointsman.server.exchange import Exchange

SCOPE = {"type": "http", "method": "POST", "path": "/x", "headers": [(b"content-type", b"application/json")]}


def body_of(receive: Any) -> bytes:
    async def story() -> bytes:
        async def send(message: Any) -> None: ...

        return await Exchange(dict(SCOPE), receive, send).body(1000)

    return asyncio.run(story())


def parts(*sent: bytes) -> Any:
    left = list(sent)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return receive


def test_a_body_arrives_in_parts() -> None:
    assert body_of(parts(b"{", b"}")) == b"{}"


def test_a_body_that_pauses_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BODY_TIMEOUT_S", 0.0)

    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(BodyTimeout, match="nothing of the body arrived"):
        body_of(never)


def test_a_body_that_never_pauses_and_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BODY_WHOLE_S", 0.0)

    async def drip() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"", "more_body": True}

    with pytest.raises(BodyTimeout, match="not complete within"):
        body_of(drip)
