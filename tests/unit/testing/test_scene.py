"""A router among the servers that a test needs."""

from __future__ import annotations

import asyncio

import pytest

from pointsman.testing.factories import a_pool, a_settings
from pointsman.testing.scene import Scene


class Part:
    """Something that starts and ends, and tells of it."""

    def __init__(self, name, told, breaks=False):
        self.name, self.told, self.breaks = name, told, breaks

    async def __aenter__(self):
        if self.breaks:
            raise OSError(self.name)
        self.told.append(f"{self.name} starts")
        return self

    async def __aexit__(self, *exc):
        self.told.append(f"{self.name} ends")


class Told(Scene):
    def __init__(self, told, client_breaks=False):
        self.told = told
        super().__init__(lambda: Part("client", told, client_breaks), Part("engine", told), Part("service", told))

    def settings(self):
        self.told.append("settings are asked for")
        return a_settings(a_pool("small"))


def test_servers_start_before_the_router_is_configured_and_end_after_the_client():
    told = []

    async def story():
        async with Told(told) as scene:
            assert scene.router.records() == []
            assert scene.client.name == "client"

    asyncio.run(story())
    assert told == ["engine starts", "service starts", "settings are asked for", "client starts", "client ends", "service ends", "engine ends"]


def test_what_has_started_ends_when_something_after_it_does_not_start():
    told = []

    async def story():
        async with Told(told, client_breaks=True):
            raise AssertionError("never reached")

    with pytest.raises(OSError, match="client"):
        asyncio.run(story())
    assert told[-2:] == ["service ends", "engine ends"]
