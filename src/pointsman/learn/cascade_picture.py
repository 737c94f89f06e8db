"""Cascades drawn: quality over cost, and below it over p50, p95 and p99 of the time to the answer.

Which settings are drawn over time? Those on the way's own cost frontier, joined from the cheapest to the dearest: nobody would run the others,
and a way that is quick at a price which nobody pays is no way. A line may so turn back: a dearer setting can be the quicker one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pointsman.learn.cascade_report import MIXING, Point, Report, Standing
from pointsman.learn.frontier import hull
from pointsman.learn.plot import HEIGHT, PLACE, QUALITY, WIDTH, Box, Frame, drawn, frontiers, room, sheet

_TALL = 250
_BETWEEN = 26
_WIDE = (WIDTH - PLACE.left - 20 - 2 * _BETWEEN) / 3


def picture_of(found: Report, title: str) -> str:
    """As SVG. Where no times are told, cost and quality alone."""
    parts = frontiers([(one.name, [(point.cost, point.quality) for point in one.curve]) for one in found.standings])
    if not any(point.p99_s for one in found.standings for point in one.curve):
        return sheet(parts, title)
    y = room([point.quality for one in found.standings for point in one.curve])
    for place, name in enumerate(("p50", "p95", "p99")):
        parts += _over_time(found.standings, name, place, y)
    return sheet(parts, title, HEIGHT + _TALL + 50)


def on_frontier(curve: Sequence[Point]) -> list[Point]:
    """The settings that nothing of the same way beats in cost and quality, cheapest first."""
    kept = set(zip(*(each.tolist() for each in hull(np.array([one.cost for one in curve]), np.array([one.quality for one in curve]))), strict=True))
    found: dict[tuple[float, float], Point] = {}
    for point in curve:
        if (at := (point.cost, point.quality)) in kept and (at not in found or point.p95_s < found[at].p95_s):
            found[at] = point
    return [found[at] for at in sorted(found)]


def _over_time(standings: Sequence[Standing], name: str, place: int, y: tuple[float, float]) -> list[str]:
    box = Box(PLACE.left + place * (_WIDE + _BETWEEN), HEIGHT, _WIDE, _TALL)
    # What is mixed at random has no settings whose times could be told: only its ends, which stand there already.
    lines = [(index, one.name, [(getattr(point, f"{name}_s"), point.quality) for point in on_frontier(one.curve)])
             for index, one in enumerate(standings) if one.name != MIXING]
    frame = Frame(box, max(x for _, _, line in lines for x, _ in line), y)
    parts = frame.axes(f"{name}, seconds to the answer", "" if place else QUALITY, steps=3)
    return parts + [drawn(way, line, frame, index) for index, way, line in lines]
