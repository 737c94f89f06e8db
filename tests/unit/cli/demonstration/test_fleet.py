import asyncio
import socket

from pointsman.cli.demonstration.fleet import configuration, near_port
from pointsman.cli.demonstration.stage import simulated_stage
from pointsman.config.load import load_text_with_warnings


def test_the_written_configuration_is_one_that_serve_reads_without_a_warning():
    loaded = load_text_with_warnings(asyncio.run(written()))

    settings = loaded.settings
    assert loaded.warnings == ()
    assert settings.routes["auto"].ladder == ("small", "medium", "large")
    assert [rule.name for rule in settings.routes["auto"].rules] == ["order-lookup", "legal"]
    assert settings.pools["large"].endpoints[0].price.usd_per_hour == 2.40
    assert settings.records.path == "x/records.db"


async def written():
    async with simulated_stage(4.0) as stage:
        return configuration(stage, host="127.0.0.1", port=4000, records="x/records.db")


def test_a_taken_port_is_passed_over():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]

        with near_port("127.0.0.1", taken) as found:
            assert found.getsockname()[1] != taken


def test_the_port_is_held_from_then_on_and_another_demo_gets_the_next():
    with near_port("127.0.0.1", 20_500) as one, near_port("127.0.0.1", 20_500) as other:
        assert one.getsockname()[1] != other.getsockname()[1]
