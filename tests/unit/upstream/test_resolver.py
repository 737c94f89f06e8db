import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pointsman.upstream import resolver
from pointsman.upstream.resolver import Resolver


class Names:
    """A name server for the running loop: answers what it is told, and counts."""

    def __init__(self, *addresses: str) -> None:
        self.addresses, self.asked, self.ill, self.silent = addresses, 0, False, False

    async def getaddrinfo(self, host: str, port: object, **_: object) -> list[tuple[Any, ...]]:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.ill:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 0)) for a in self.addresses]


def run(names: Names, scenario: Callable[[Resolver], Awaitable[None]]) -> None:
    async def main() -> None:
        asyncio.get_running_loop().getaddrinfo = names.getaddrinfo  # type: ignore[method-assign,assignment]
        known = Resolver()
        await scenario(known)
        await known.aclose()

    asyncio.run(main())


def test_a_name_is_asked_once_and_remembered() -> None:
    names = Names("10.0.0.1", "10.0.0.2", "10.0.0.1")

    async def scenario(known: Resolver) -> None:
        answers = await asyncio.gather(*(known.addresses("h") for _ in range(5)))
        assert set(answers) == {("10.0.0.1", "10.0.0.2")}
        await known.addresses("h")
        assert names.asked == 1

    run(names, scenario)


@pytest.mark.parametrize("host", ["10.0.0.1", "::1"])
def test_addresses_need_no_asking(host: str) -> None:
    names = Names()

    async def scenario(known: Resolver) -> None:
        assert await known.addresses(host) == (host,)
        assert names.asked == 0

    run(names, scenario)


def test_an_old_answer_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "FRESH_S", 0.0)
    names = Names("10.0.0.1")

    async def scenario(known: Resolver) -> None:
        await known.addresses("h")
        names.addresses = ("10.0.0.9",)
        assert await known.addresses("h") == ("10.0.0.9",)

    run(names, scenario)


@pytest.mark.parametrize("trouble", ["ill", "silent"])
def test_an_old_answer_outlives_a_sick_name_server(monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    monkeypatch.setattr(resolver, "FRESH_S", 0.0)
    monkeypatch.setattr(resolver, "PATIENCE_S", 0.01)
    names = Names("10.0.0.1")

    async def scenario(known: Resolver) -> None:
        await known.addresses("h")
        setattr(names, trouble, True)
        assert await known.addresses("h") == ("10.0.0.1",)

    run(names, scenario)


def test_an_answer_too_old_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "FRESH_S", 0.0)
    monkeypatch.setattr(resolver, "STALE_S", -1.0)
    names = Names("10.0.0.1")

    async def scenario(known: Resolver) -> None:
        await known.addresses("h")
        names.ill = True
        with pytest.raises(OSError, match="try again"):
            await known.addresses("h")

    run(names, scenario)


def test_leaving_while_asking_hurts_nobody_else() -> None:
    names = Names("10.0.0.1")

    async def scenario(known: Resolver) -> None:
        first, second = (asyncio.ensure_future(known.addresses("h")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == ("10.0.0.1",)

    run(names, scenario)
