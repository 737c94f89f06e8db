"""A line plot as SVG, written by hand: no plotting library for three curves."""

from __future__ import annotations

from typing import Any

_COLOURS = ("#999999", "#c2883a", "#4a7ab5", "#7a5aa6", "#2f9e6e", "#d1495b")
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 720, 480, 60, 40, 170, 50


def lines(curves: dict[str, tuple[Any, Any]], title: str, below: str) -> str:
    """Curves by name over [0, 1] x [0, 1]."""
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    top = max(1.0, *(float(max(y)) for _, y in curves.values()))
    made = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>', f'<text x="{_LEFT}" y="24" font-size="15">{title}</text>']
    for step in range(6):
        x, y = _LEFT + wide * step / 5, _TOP + high * (1 - step / 5 / top)
        made += [f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + wide}" y2="{y:.1f}" stroke="#dddddd"/>',
                 f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{step / 5:.1f}</text>',
                 f'<text x="{x:.1f}" y="{_TOP + high + 18}" text-anchor="middle">{step / 5:.1f}</text>']
    made.append(f'<text x="{_LEFT + wide / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{below}</text>')
    for at, (name, (x, y)) in enumerate(curves.items()):
        colour = _COLOURS[at % len(_COLOURS)]
        points = " ".join(f"{_LEFT + wide * a:.1f},{_TOP + high * (1 - b / top):.1f}" for a, b in zip(x, y, strict=True))
        made += [f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>',
                 f'<text x="{_LEFT + wide + 10}" y="{_TOP + 16 + 20 * at}" fill="{colour}">{name}</text>']
    return "\n".join([*made, "</svg>", ""])
