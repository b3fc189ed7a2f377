"""The report as a plot: a group of bars per scenario, drawn as SVG without a library."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from tests.bench.report import OURS

if TYPE_CHECKING:
    from tests.bench.report import Result
    from tests.bench.timing import Sample

WIDTH, LABEL, BAR, GAP = 900, 150, 16, 30
"""The width of the picture, the space for names, the height of a bar, the space between groups; in pixels."""
COLORS = {OURS: "#2a6fbb", "Python API": "#7fb2e5"}
OTHER = "#b8b8b8"


def svg(results: list[Result]) -> str:
    """Return the picture: the median of each contestant, and a line from the first to the third quartile."""
    body, y = [], GAP
    for result in results:
        samples = [sample for sample in result.samples if sample.median is not None]
        if not samples:
            continue
        body.append(f'<text x="4" y="{y}" font-weight="bold">{escape(f"{result.name}: {result.title}")}</text>')
        y += 8
        longest = max(sample.quartiles[1] for sample in samples) or 1
        for sample in sorted(samples, key=lambda it: it.median or 0):
            body += _bar(sample, y, (WIDTH - LABEL - 160) / longest, result.unit)
            y += BAR + 2
        y += GAP
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{y}" fill="white"/>', *body, "</svg>"]) + "\n"


def _bar(sample: Sample, y: int, scale: float, unit: str) -> list[str]:
    median, (first, third) = sample.median or 0, sample.quartiles
    middle, color = y + BAR / 2, COLORS.get(sample.contestant, OTHER)
    end = LABEL + max(median, third) * scale + 6
    return [
        f'<text x="{LABEL - 6}" y="{middle + 4}" text-anchor="end">{escape(sample.contestant)}</text>',
        f'<rect x="{LABEL}" y="{y}" width="{median * scale:.1f}" height="{BAR}" fill="{color}"/>',
        f'<path d="M{LABEL + first * scale:.1f} {middle}H{LABEL + third * scale:.1f}" stroke="black"/>',
        f'<text x="{end:.1f}" y="{middle + 4}">{median:.1f} {unit}</text>',
    ]
