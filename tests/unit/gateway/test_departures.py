from __future__ import annotations

from random import Random

import msgspec

from pointsman.core.clock import SystemClock
from pointsman.gateway.departures import LEAD_S, MARGIN_S, NOT_NEEDED, SIGTERM, Departures
from pointsman.gateway.gateway import Gateway
from pointsman.testing.factories import a_pool, a_settings
from pointsman.testing.ports import ListSink
from pointsman.testing.upstream import ScriptedUpstream
from pointsman.wiring import build_graph


def test_answers_are_cut_off_shortly_before_the_end_and_a_short_notice_is_halved():
    departures = Departures()

    assert departures.announce("small/0", 100.0, 120.0, "spot").cut_off_at == 220.0 - MARGIN_S
    assert departures.announce("small/1", 100.0, 4.0, "spot").cut_off_at == 102.0
    assert departures.announce("small/2", 100.0, None, "spot").leaves_at == 100.0 + LEAD_S


def test_a_second_notice_only_brings_the_end_nearer():
    departures = Departures()
    departures.announce("small/0", 100.0, 30.0, "spot")
    departures.announce("small/0", 110.0, 60.0, "again")

    assert departures.leaves_at("small/0") == 130.0
    assert departures.announced == 1
    assert departures.is_over("small/0", 126.0)
    assert departures.withdraw("small/0")
    assert departures.leaves_at("small/0") == float("inf")


def test_an_agent_ends_what_agents_have_asked_for_and_never_what_the_operator_wants():
    departures = Departures()
    departures.announce("small/0", 100.0, 300.0, "new kernel")
    departures.announce("small/0", 110.0, 30.0, "aws spot terminate", "agent")
    assert departures.leaves_at("small/0") == 140.0
    assert departures.status(110.0)["leaving"]["small/0"]["asked_by"] == ["agent", "operator"]

    assert departures.withdraw("small/0", "agent")
    assert (departures.leaves_at("small/0"), departures.asked_by("small/0")) == (400.0, ["operator"])
    assert departures.withdraw("small/0", "agent")  # and again
    assert departures.leaves_at("small/0") == 400.0
    assert departures.withdraw("small/0")
    assert (departures.notices, departures.asked_by("small/0")) == ({}, [])

    departures.announce("small/1", 100.0, 30.0, "aws spot terminate", "agent")
    assert departures.withdraw("small/1", "agent")
    assert departures.notices == {}
    assert departures.announced == 2


def test_the_operator_ends_what_an_agent_has_asked_for_too():
    departures = Departures()
    departures.announce("small/0", 100.0, 30.0, "aws spot terminate", "agent")
    departures.announce("small/0", 101.0, 60.0, "new kernel")
    assert departures.leaves_at("small/0") == 130.0
    assert departures.withdraw("small/0")
    assert not departures.withdraw("small/0", "agent")
    assert departures.notices == {}


def test_what_is_taken_away_wants_another_in_its_place_until_it_is_gone_and_what_is_given_back_does_not():
    departures = Departures()
    departures.announce("small/0", 100.0, 30.0, "aws spot terminate")
    departures.announce("small/1", 100.0, 30.0, SIGTERM)
    departures.announce("small/2", 100.0, 30.0, NOT_NEEDED)

    assert departures.taken(129.9) == {"small/0"}
    assert departures.taken(130.0) == set()


def test_a_reload_that_puts_another_server_under_a_leaving_ones_name_ends_the_notice():
    """Its streams would be cut off by the notice of a machine that is gone."""
    settings = a_settings(a_pool("small", "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"))
    gateway = Gateway(build_graph(settings), ScriptedUpstream(), ListSink(), SystemClock(), Random(1))
    for endpoint in ("small/0", "small/1"):
        gateway.graph.fleet.pools["small"].drain(endpoint)
        gateway.departures.announce(endpoint, 100.0, 1.0, "spot")

    replaced = msgspec.structs.replace(settings, pools={"small": a_pool("small", "http://127.0.0.1:9/v1", "http://127.0.0.1:2/v1")})
    gateway.graph = build_graph(replaced, gateway.graph, 2)

    assert gateway.departures.leaves_at("small/0") == float("inf")
    assert gateway.departures.leaves_at("small/1") == 101.0, "the same server is still leaving"
