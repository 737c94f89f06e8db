"""A report's curves as an SVG picture: cost to the right, quality upwards. Written by hand, so that learning needs no plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from pointsman.learn.evaluate import Evaluation
from pointsman.learn.frontier import hull

WIDTH, HEIGHT = 720, 460
BOLD = ("ours", "routing + cascade")
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 250, 40, 50
_COLOURS = ("#888888", "#c77c2a", "#2a6fc7", "#1a9850", "#b2182b", "#762a83", "#111111", "#e7298a")


def svg(found: Evaluation, title: str) -> str:
    """The picture of an evaluation."""
    return picture([(router.name, router.curve) for router in found.routers], title)


def picture(curves: Sequence[tuple[str, Sequence[tuple[float, float]]]], title: str) -> str:
    """Named points (cost, quality), each joined to the hull above them. The bold ones are ours."""
    lines = []
    for name, curve in curves:
        if curve:
            cost, quality = hull(np.array([x for x, _ in curve]), np.array([y for _, y in curve]))
            lines.append((name, list(zip(cost.tolist(), quality.tolist(), strict=True))))
    points = [point for _, line in lines for point in line] or [(0.0, 0.0), (1.0, 1.0)]
    frame = _Frame(points)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', f'<text x="{_LEFT}" y="22" font-size="14">{escape(title)}</text>', *frame.axes()]
    for index, (name, line) in enumerate(lines):
        parts += _drawn(name, line, frame, index)
    return "\n".join([*parts, "</svg>", ""])


class _Frame:
    """From figures to places on the picture."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        low, high = min(y for _, y in points), max(y for _, y in points)
        room = (high - low) * 0.05 or 0.05
        self.x = (0.0, max(1.0, *(x for x, _ in points)))
        self.y = (max(0.0, low - room), min(1.0, high + room))

    def at(self, point: tuple[float, float]) -> str:
        (left, right), (low, high) = self.x, self.y
        x = _LEFT + (point[0] - left) / (right - left) * (WIDTH - _LEFT - _RIGHT)
        y = HEIGHT - _BOTTOM - (point[1] - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)
        return f"{x:.1f},{y:.1f}"

    def axes(self) -> list[str]:
        (left, right), (low, high) = self.x, self.y
        corners = " ".join(self.at(point) for point in ((left, high), (left, low), (right, low)))
        parts = [f'<polyline points="{corners}" fill="none" stroke="black"/>',
                 f'<text x="{_LEFT}" y="{HEIGHT - 12}">cost, as a share of the reference\'s</text>',
                 f'<text x="16" y="{HEIGHT - _BOTTOM}" transform="rotate(-90 16 {HEIGHT - _BOTTOM})">mean quality</text>']
        for step in range(5):
            x, y = left + (right - left) * step / 4, low + (high - low) * step / 4
            across, up = self.at((x, low)).split(",")[0], self.at((left, y)).split(",")[1]
            parts.append(f'<text x="{across}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{x:.2g}</text>')
            parts.append(f'<text x="{_LEFT - 6}" y="{up}" text-anchor="end" dominant-baseline="middle">{y:.3f}</text>')
        return parts


def _drawn(name: str, line: Sequence[tuple[float, float]], frame: _Frame, index: int) -> list[str]:
    colour = _COLOURS[index % len(_COLOURS)]
    width = 2.5 if name.startswith(BOLD) else 1.3
    label = HEIGHT - _BOTTOM - 18 * (index + 1)
    places = [frame.at(point) for point in line]
    shape = (f'<polyline points="{" ".join(places)}" fill="none" stroke="{colour}" stroke-width="{width}"/>' if len(places) > 1
             else f'<circle cx="{places[0].split(",")[0]}" cy="{places[0].split(",")[1]}" r="4" fill="{colour}"/>')
    return [shape, f'<text x="{WIDTH - _RIGHT + 16}" y="{label}" fill="{colour}">{escape(name)}</text>']
