"""What the ramp calls begun, over and kept."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import pytest

BENCH = Path(__file__).resolve().parents[3] / "bench"


def _ramp() -> ModuleType:
    """The bench folders are no packages; what starts processes there is not needed here."""
    spec = importlib.util.spec_from_file_location("bench_fleet_ramp", BENCH / "fleet" / "ramp.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    absent = {name: ModuleType(name) for name in ("routers", "traffic", "contestants")}
    for name, wanted in (("routers", ("Processes", "free_port", "wait_ready")), ("traffic", ("text_of",)), ("contestants", ("BIN", "Contestant"))):
        for attribute in wanted:
            setattr(absent[name], attribute, None)
    with patch.dict(sys.modules, {"bench_fleet_ramp": module, **absent}), patch.object(sys, "path", list(sys.path)):
        spec.loader.exec_module(module)
        imported = {name: one for name, one in sys.modules.items() if name not in absent}
    sys.modules.update(imported)  # `patch.dict` forgets them, and what is imported twice has classes of its own
    sys.modules["bench_fleet_ramp"] = module
    return module


ramp = _ramp()


def a_story(climbs: dict[float, str] | None = None, **facts: object) -> object:
    """A request a second for 100 s; surge at 20, relief at 50. `climbs`: who was answered by another tier than the first."""
    story = ramp.Story(20.0, 50.0, 100.0, **facts)
    for second in range(100):
        story.seen.append(ramp.Seen(float(second), (climbs or {}).get(second, "first"), 0.1))
    return story


def test_the_first_climb_counts_from_the_breach() -> None:
    story = a_story({25.0: "second"}, saturated=[(10.0, True), (21.0, False), (24.0, True)])

    assert (story.breach_at, story.first_climb_at) == (24.0, 25.0)


def test_probes_do_not_keep_climbing_alive() -> None:
    story = a_story({50.0: "second", 51.0: "second", 52.0: "second", 53.0: "second", 70.0: "second"})

    assert story.over_at == pytest.approx(53.0)


def test_who_never_stops_climbing_never_comes_back() -> None:
    assert a_story(dict.fromkeys(map(float, range(50, 100)), "second")).over_at is None


def test_an_error_and_too_many_transitions_are_told() -> None:
    story = a_story({25.0: "second"}, saturated=[(24.0, True)], fit=[(float(i), bool(i % 2)) for i in range(10)])
    story.seen[3].error = "status 503"

    holds = {verdict.what.split(",")[0]: verdict.holds for verdict in ramp.verdicts(story)}

    assert holds["client-visible errors"] is False
    assert holds["transitions of tier 1"] is False
    assert holds["first climb after the breach"] is True


def test_what_nobody_measured_is_unknown() -> None:
    holds = {verdict.what.split(",")[0]: verdict.holds for verdict in ramp.verdicts(a_story())}

    assert holds["transitions of tier 1"] is None
    assert holds["first climb after the breach"] is None
