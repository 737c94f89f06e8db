"""What `pointsman top` draws, from states as the admin listener tells them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from pointsman.cli.fleet_picture import screen


def an_endpoint(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "url": f"http://10.0.0.1:8001/{id}/v1", "state": "healthy", "cause": "", "opens_in_s": None, "in_flight": 0, "slots": 8,
            "window": {"ttft_p95_s": 0.25}, "load": {"running": 3, "waiting": 1, "kv_usage": 0.41}} | more


def a_state(*endpoints: dict[str, Any], tier: dict[str, Any] | None = None, scale: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "version": "1.2.3", "in_flight": 4, "generation": 2, "draining": False, "records": {"ok": True},
        "tiers": {"small": {"pools": ["small"], "is_fit": True, "reason": "", "detail": "", "for_s": None, "share": 1.0, "waiting": 0, "answers_per_s": 3.5,
                            "failures": 0, "ttft_p95_s": 0.25, "ttft_p95_max_s": 2.0, "inter_token_p95_s": None} | (tier or {})},
        "scale": {"small": {"ready": 2, "desired": 2, "reason": ""} | (scale or {})},
        "pools": {"small": {"endpoints": list(endpoints)}},
        "watched": {endpoint["id"]: {"is_polled": True, "why": "", "engine": "vllm", "version": "0.32.0", "disbelieved": ""} for endpoint in endpoints},
    } | more


def drawn(state: dict[str, Any], width: int = 200, height: int | None = None) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(screen(state, "http://127.0.0.1:4001", width, height))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


EJECTED = an_endpoint("small/1", state="ejected", cause="endpoint small/1: cannot connect: Connection refused", opens_in_s=14.1)


def test_in_80_columns_names_states_and_reasons_are_whole():
    lines = drawn(a_state(an_endpoint("small/0"), EJECTED), 80)

    assert max(map(len, lines)) <= 80
    assert any(line.startswith("small/1") and "ejected" in line and "14.1 s" in line for line in lines)
    assert lines[-1] == "  small/1: cannot connect: Connection refused"


def test_in_a_wide_terminal_the_reason_stands_beside():
    line = next(line for line in drawn(a_state(EJECTED)) if line.startswith("small/1"))

    assert "cannot connect: Connection refused  http://10.0.0.1:8001/small/1/v1" in line


def test_a_tier_that_is_not_fit_says_why_and_what_it_keeps():
    state = a_state(an_endpoint("small/0"), tier={"is_fit": False, "reason": "waiting", "detail": "waiting 7 >= 5", "for_s": 12.0, "share": 0.05})

    lines = drawn(state, 80)

    assert any(line.split()[:3] == ["small", "full", "12.0"] for line in lines)
    assert "  small: waiting 7 >= 5; keeps 5% of its traffic" in lines


def test_more_machines_wanted_are_told_with_the_reason():
    lines = drawn(a_state(an_endpoint("small/0"), scale={"desired": 5, "reason": "requests in line"}), 80)

    assert any("2 → 5" in line for line in lines)
    assert "  small: wants 5 machines: requests in line" in lines


def test_a_report_that_fails_or_is_not_believed_is_told():
    state = a_state(an_endpoint("small/0", load=None), an_endpoint("small/1"))
    state["watched"]["small/0"] |= {"why": "endpoint small/0: /metrics has more than 4194304 bytes"}
    state["watched"]["small/1"] |= {"disbelieved": "frozen"}

    lines = drawn(state, 80)

    assert "  small/0: its load is unknown: /metrics has more than 4194304 bytes" in lines
    assert "  small/1: its load report is not believed: frozen" in lines


def test_an_endpoint_that_is_not_polled_misses_nothing():
    state = a_state(an_endpoint("small/0", load=None))
    state["watched"]["small/0"] |= {"is_polled": False, "why": "not asked yet"}

    assert "not asked yet" not in "\n".join(drawn(state))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 12), (200, 30)])
def test_many_endpoints_keep_within_the_terminal_and_those_with_trouble_are_shown(width, height):
    many = [an_endpoint(f"small/{number}") for number in range(64)]
    many[50] = EJECTED | {"id": "small/50", "cause": "endpoint small/50: refused"}

    lines = drawn(a_state(*many), width, height)

    assert len(lines) <= height
    assert any(line.startswith("small/50") for line in lines)
    assert any(line.startswith("and ") and "more, all healthy" in line for line in lines)


def test_trouble_that_has_no_room_is_counted():
    many = [EJECTED | {"id": f"small/{number}", "cause": "refused"} for number in range(30)]

    lines = drawn(a_state(*many), 80, 24)

    assert len(lines) <= 24
    assert any("of them not well" in line for line in lines)


@pytest.mark.parametrize(("seconds", "shown"), [(0.2, "200 ms"), (14.1, "14.1 s"), (90, "2 min"), (7100, "118 min"), (7300, "2 h"), (200_000, "2 d")])
def test_every_endpoint_says_for_how_long_it_is_what_it_is(seconds, shown):
    line = next(line for line in drawn(a_state(an_endpoint("small/0", for_s=seconds))) if line.startswith("small/0"))

    assert f"healthy  {shown}" in " ".join(line.split("   "))


def test_a_tier_that_nobody_serves_says_since_when_until_when_and_why():
    tier = {"is_fit": False, "reason": "unavailable", "detail": "no endpoint in service: 2 ejected", "for_s": 12.0, "opens_in_s": 4.0}
    lines = drawn(a_state(EJECTED, tier=tier))

    assert any(line.split()[:4] == ["small", "unavailable", "12.0", "s"] for line in lines)
    assert "  small: no endpoint in service: 2 ejected; the next is tried in 4.0 s" in lines


def test_unknown_figures_are_dashes():
    state = a_state(an_endpoint("small/0", load=None, slots=None, window={"ttft_p95_s": None}))

    line = next(line for line in drawn(state, 80) if line.startswith("small/0"))
    assert line.split() == ["small/0", "healthy", "–", "–", "0", "vllm", "0.32.0", "–", "–", "–", "–"]
