"""What workers do, shown in the supervisor's own pools."""

from __future__ import annotations

from random import Random

from pointsman.core.fleet import EndpointState
from pointsman.core.settings import HealthSettings
from pointsman.gateway.gateway import Gateway
from pointsman.pools.health import NEW, Signal
from pointsman.records.sink import Fanout
from pointsman.state.messages import Answered, Load, News, Times
from pointsman.supervisor.mirror import Mirror
from pointsman.telemetry.metrics import Metrics
from pointsman.testing.clock import ManualClock
from pointsman.testing.factories import a_pool, a_settings
from pointsman.testing.upstream import ScriptedUpstream
from pointsman.wiring import build_graph

SETTINGS = a_settings(a_pool("small", "http://a/v1", "http://b/v1"))


def a_house() -> tuple[Gateway, Mirror, ManualClock]:
    clock = ManualClock()
    gateway = Gateway(build_graph(SETTINGS), ScriptedUpstream(), Fanout(Metrics(SETTINGS)), clock, Random(1))
    return gateway, Mirror(gateway, clock), clock


def vitals(gateway: Gateway, index: int = 0):
    return gateway.graph.fleet.pools["small"].endpoints[index].vitals


def test_all_that_runs_is_shown_and_what_has_ended_is_not():
    gateway, mirror, _ = a_house()
    mirror.run({"small/0": Load(3, 300)})
    assert (vitals(gateway).busy, vitals(gateway, 1).busy) == (3, 0)
    mirror.run({"small/1": Load(1, 10)})
    assert (vitals(gateway).busy, vitals(gateway, 1).busy) == (0, 1)


def test_answers_and_their_times_are_shown():
    gateway, mirror, clock = a_house()
    mirror.answered({"small/0": Answered(4, 2.0, 4, (0.2, 0.4, 0.4, 1.0))})
    mirror.heard({"small": Times((0.5,) * 8, (), 8)})

    status = gateway.graph.fleet.pools["small"].status(clock.now())["endpoints"][0]
    assert (status["window"]["answers"], status["ttft_s"], status["answered_ago_s"]) == (4, 0.5, 0.0)
    assert (round(status["window"]["ttft_p50_s"], 1), round(status["window"]["ttft_p95_s"], 1)) == (0.4, 1.0)
    assert gateway.graph.fleet.ttft_p95("small", clock.now()) is not None


def test_failures_and_times_between_tokens_are_shown_and_are_no_answers():
    gateway, mirror, clock = a_house()
    mirror.answered({"small/0": Answered(0, 0.0, 0, failed=2, gaps=(0.02, 0.02))})

    window = gateway.graph.fleet.pools["small"].status(clock.now())["endpoints"][0]["window"]
    assert (window["answers"], window["failures"], round(window["inter_token_p95_s"], 2)) == (0, 2, 0.02)
    assert vitals(gateway).last_answered_at is None


def test_what_becomes_of_answers_on_departing_endpoints_is_added_up():
    gateway, mirror, _ = a_house()
    mirror.departed({"drained": 3}, {})
    mirror.departed({"drained": 5, "failed": 1}, {"drained": 3})
    assert gateway.departures.outcomes == {"drained": 5, "continued": 0, "failed": 1}


def test_only_the_dead_ones_probes_are_given_up():
    gateway, mirror, clock = a_house()
    for index in range(2):
        for _ in range(5):
            vitals(gateway, index).learn(Signal.SICK, clock.now(), HealthSettings(), "ordinary")
    clock.advance(20.0)
    for life, index in ((7, 0), (8, 1)):
        vitals(gateway, index).take(object(), 1, clock.now())
        mirror.probing([News(f"small/{index}", vitals(gateway, index).health, is_draining=False, at=clock.now())], life)
    mirror.probing([News("small/0", NEW, is_draining=False, at=clock.now())], 8)  # not a probe
    mirror.give_up_probes(7)

    assert vitals(gateway, 0).health.state is EndpointState.EJECTED
    assert vitals(gateway, 0).open_at <= clock.now()
    assert vitals(gateway, 1).health.state is EndpointState.PROBING
