"""Messages as bytes and back."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from pointsman.core.fleet import Capabilities
from pointsman.core.price import GpuPrice, TokenPrice
from pointsman.core.settings import Condition, KeySettings, RouteSettings, Rule
from pointsman.pools.health import NEW
from pointsman.state.frames import BadFrame, Framer, framed
from pointsman.state.messages import (
    Configured,
    FromSupervisor,
    FromWorker,
    Leaving,
    Load,
    News,
    Notices,
    Pulse,
    Ready,
    View,
)
from pointsman.testing.factories import a_pool, a_settings, an_endpoint


def carried(message: Any, kinds: Any) -> Any:
    (heard,) = Framer(kinds).feed(framed(message))
    return heard


def test_a_whole_configuration_is_carried():
    pools = (
        a_pool("small", capabilities=Capabilities(context=8192, tools=True)),
        a_pool("large", endpoints=(an_endpoint("large/0", price=TokenPrice(1.0, 2.0), api_key="k"),
                                   an_endpoint("large/1", price=None), an_endpoint("large/2", price=GpuPrice("H100", 2.4)))),
    )
    when = Condition(regex="x", any=(Condition(tools=True),), not_=Condition(header={"a": "b"}))
    route = RouteSettings("auto", ("small", "large"), "large", rules=(Rule("r", when, tier="small"),))
    settings = a_settings(*pools, route=route, keys=(KeySettings("k", b"\x00\xff" * 16, routes=("auto",)),))

    assert carried(Configured(3, settings), FromSupervisor) == Configured(3, settings)


def test_what_workers_and_supervisor_say_is_carried():
    news = (News("small/0", NEW, is_draining=True, at=float("inf")),)
    for message in (View(1, {"small/0": Load(1, 2)}, news), Notices({"small/0": Leaving("spot", 1.0, 2.0, 1.5)})):
        assert carried(message, FromSupervisor) == message
    for message in (Ready(1), Pulse(1, {"small/0": Load(1, 2)}, 3, news, waiting={"small": 1})):
        assert carried(message, FromWorker) == message


def test_another_version_is_refused():
    data = bytearray(framed(Ready(1)))
    data[4] += 1
    with pytest.raises(BadFrame, match="version 2, this one speaks 1"):
        Framer(FromWorker).feed(bytes(data))


def test_a_length_that_nobody_means_is_refused_before_it_is_waited_for():
    with pytest.raises(BadFrame, match="bytes in one message"):
        Framer(FromWorker).feed(struct.pack("!IB", 2**31, 1))


def test_what_is_no_message_is_refused():
    with pytest.raises(BadFrame, match="cannot be read"):
        Framer(FromWorker).feed(struct.pack("!IB", 3, 1) + b"abc")


def test_half_a_message_waits():
    framer: Framer[Any] = Framer(FromWorker)
    data = framed(Ready(7))
    assert framer.feed(data[:-1]) == []
    assert repr(framer) == f"<Framer [{len(data) - 1} bytes wait]>"
    assert framer.feed(data[-1:]) == [Ready(7)]
