"""A report's curves as an SVG picture: cost to the right, quality upwards. Written by hand, so that learning needs no plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple, TypeAlias

import numpy as np

from pointsman.learn.evaluate import Evaluation
from pointsman.learn.frontier import hull

WIDTH, HEIGHT = 720, 460
BOLD = ("ours", "routing + cascade")
COST, QUALITY = "cost, as a share of the reference's", "mean quality"
_COLOURS = ("#888888", "#c77c2a", "#2a6fc7", "#1a9850", "#b2182b", "#762a83", "#111111", "#e7298a", "#66a61e", "#17becf", "#a6761d", "#5e4fa2", "#f46d43",
            "#3288bd", "#999900", "#666666", "#d53e4f")
"""As many as an evaluation of several models has rows."""

Line: TypeAlias = Sequence[tuple[float, float]]


class Box(NamedTuple):
    """A place on the picture, in its units."""

    left: float
    top: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        return self.top + self.height


PLACE = Box(70, 40, WIDTH - 320, HEIGHT - 90)
"""Of cost and quality; names are to its right."""


def svg(found: Evaluation, title: str) -> str:
    """The picture of an evaluation."""
    return picture([(router.name, router.curve) for router in found.routers], title)


def picture(curves: Sequence[tuple[str, Line]], title: str) -> str:
    """Named points (cost, quality), each joined to the hull above them. The bold ones are ours."""
    return sheet(frontiers(curves), title)


def sheet(parts: Sequence[str], title: str, height: float = HEIGHT) -> str:
    """A whole picture."""
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
                      f'<rect width="{WIDTH}" height="{height}" fill="white"/>', f'<text x="{PLACE.left}" y="22" font-size="14">{escape(title)}</text>',
                      *parts, "</svg>", ""])


def frontiers(curves: Sequence[tuple[str, Line]]) -> list[str]:
    """Quality over cost, with everybody's name."""
    lines = []
    for name, curve in curves:
        if curve:
            cost, quality = hull(np.array([x for x, _ in curve]), np.array([y for _, y in curve]))
            lines.append((name, list(zip(cost.tolist(), quality.tolist(), strict=True))))
    points = [point for _, line in lines for point in line] or [(0.0, 0.0), (1.0, 1.0)]
    frame = Frame(PLACE, max(1.0, *(x for x, _ in points)), room([y for _, y in points]))
    parts = frame.axes(COST, QUALITY)
    for index, (name, line) in enumerate(lines):
        label = PLACE.bottom - 18 * (index + 1)
        parts += [drawn(name, line, frame, index), f'<text x="{PLACE.left + PLACE.width + 16}" y="{label}" fill="{_colour(index)}">{escape(name)}</text>']
    return parts


def room(qualities: Sequence[float]) -> tuple[float, float]:
    """From where to where quality is drawn: a little more than there is."""
    low, high = min(qualities), max(qualities)
    more = (high - low) * 0.05 or 0.05
    return max(0.0, low - more), min(1.0, high + more)


class Frame:
    """From figures to places in a box. To the right it begins with 0."""

    def __init__(self, box: Box, right: float, y: tuple[float, float]) -> None:
        self._box, self._right, self._y = box, right or 1.0, y

    def at(self, point: tuple[float, float]) -> str:
        box, (low, high) = self._box, self._y
        return f"{box.left + point[0] / self._right * box.width:.1f},{box.bottom - (point[1] - low) / (high - low) * box.height:.1f}"

    def axes(self, across: str, upwards: str, *, steps: int = 4) -> list[str]:
        """`upwards` "": no figures there, for a box beside one that has them."""
        box, right, (low, high) = self._box, self._right, self._y
        corners = " ".join(self.at(point) for point in ((0.0, high), (0.0, low), (right, low)))
        parts = [f'<polyline points="{corners}" fill="none" stroke="black"/>', f'<text x="{box.left}" y="{box.bottom + 38}">{escape(across, quote=False)}</text>']
        if upwards:
            parts.append(f'<text x="16" y="{box.bottom}" transform="rotate(-90 16 {box.bottom})">{escape(upwards)}</text>')
        for step in range(steps + 1):
            x, y = right * step / steps, low + (high - low) * step / steps
            place, up = self.at((x, low)).split(",")[0], self.at((0.0, y)).split(",")[1]
            parts.append(f'<text x="{place}" y="{box.bottom + 16}" text-anchor="middle">{x:.2g}</text>')
            if upwards:
                parts.append(f'<text x="{box.left - 6}" y="{up}" text-anchor="end" dominant-baseline="middle">{y:.3f}</text>')
        return parts


def drawn(name: str, line: Line, frame: Frame, index: int) -> str:
    """A line, or a dot where there is but one point. `index`: of the name in the legend."""
    places = [frame.at(point) for point in line]
    if len(places) == 1:
        x, y = places[0].split(",")
        return f'<circle cx="{x}" cy="{y}" r="4" fill="{_colour(index)}"/>'
    width = 2.5 if name.startswith(BOLD) else 1.3
    return f'<polyline points="{" ".join(places)}" fill="none" stroke="{_colour(index)}" stroke-width="{width}"/>'


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]
