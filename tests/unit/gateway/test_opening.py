"""A stream is opened before its answer, and nothing is said behind the answer or the error that comes."""

import asyncio

from pointsman.core.settings import RouteSettings
from pointsman.gateway.opening import Opening
from pointsman.gateway.trip import Trip
from pointsman.testing import virtual_time
from pointsman.testing.factories import a_request
from pointsman.testing.ports import HeardPort


def an_opening():
    port = HeardPort()
    return port, Opening(port, Trip("id", a_request(), RouteSettings("auto", ("small",), "small"), now=0.0, wall=0.0))


def test_nobody_is_told_anything_before_the_time_has_come():
    async def story():
        port, opening = an_opening()
        opening.set(15.0)
        await asyncio.sleep(14.9)
        assert (port.said, opening.is_open) == ([], False)
        await opening.stop()
        await asyncio.sleep(60.0)
        assert port.said == []

    virtual_time.run(story())


def test_an_open_stream_is_kept_open_until_an_answer_comes():
    async def story():
        port, opening = an_opening()
        opening.set(15.0)
        await asyncio.sleep(31.0)
        assert (port.said, opening.is_open) == (["open", "open"], True)
        await opening.stop()
        await asyncio.sleep(60.0)
        assert port.said == ["open", "open"]

    virtual_time.run(story())


def test_closed_it_leaves_no_timer_and_no_task():
    async def story():
        port, opening = an_opening()
        opening.set(1.0)
        await asyncio.sleep(1.5)
        opening.close()
        await asyncio.sleep(60.0)
        assert (port.said, len(asyncio.all_tasks())) == (["open"], 1)

    virtual_time.run(story())
