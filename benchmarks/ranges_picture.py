"""A picture of who waited for whom: a row for each window, from its place in the queue to its file in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROW, BAR = 16, 11  # pixels
LEFT, RIGHT, TOP, BOTTOM = 90, 20, 46, 34
PLOT = 860
TICKS = 10


@dataclass(frozen=True)
class WindowTimes:
    """When what happened to a window, in UNIX seconds.

    Attributes
    ----------
    queued
        The first request for it.
    begun, prepared
        The server's work on it.
    downloaded
        The request whose body was read.
    cached
        Its file was decoded and complete.
    """

    day: str
    queued: float = 0.0
    begun: float = 0.0
    prepared: float = 0.0
    downloaded: float = 0.0
    cached: float = 0.0

    @property
    def phases(self) -> tuple[tuple[str, float, float], ...]:
        return (
            (QUEUED, self.queued, self.begun),
            (PREPARED, self.begun, self.prepared),
            (READY, self.prepared, self.downloaded),
            (READ, self.downloaded, self.cached),
        )


QUEUED, PREPARED = "in the server's queue", "prepared"
READY, READ = "ready, to be noticed or to wait for a download", "downloaded and decoded"
COLOURS = {QUEUED: "#d8d8d8", PREPARED: "#4878a8", READY: "#f0c060", READ: "#58a068"}


def draw_windows(windows: Sequence[WindowTimes]) -> str:
    """Return the picture as SVG."""
    start = min(times.queued for times in windows)
    span = max(times.cached for times in windows) - start
    height = TOP + ROW * len(windows) + BOTTOM
    size = f'width="{LEFT + PLOT + RIGHT}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        *_draw_legend(),
        *_draw_axis(span, height),
    ]
    for number, times in enumerate(windows):
        lines += _draw_row(times, start, span, TOP + ROW * number)
    return "\n".join([*lines, "</svg>", ""])


def _draw_legend() -> Iterator[str]:
    left = LEFT
    for name, colour in COLOURS.items():
        yield f'<rect x="{left}" y="14" width="{BAR}" height="{BAR}" fill="{colour}"/>'
        yield f'<text x="{left + BAR + 5}" y="23">{escape(name)}</text>'
        left += 40 + 6 * len(name)


def _draw_axis(span: float, height: int) -> Iterator[str]:
    for tick in range(TICKS + 1):
        x = LEFT + PLOT * tick / TICKS
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - BOTTOM}" stroke="#eeeeee"/>'
        yield f'<text x="{x:.1f}" y="{height - 12}" text-anchor="middle">{span * tick / TICKS:.1f} s</text>'


def _draw_row(times: WindowTimes, start: float, span: float, top: int) -> Iterator[str]:
    yield f'<text x="{LEFT - 8}" y="{top + BAR - 2}" text-anchor="end">{escape(times.day)}</text>'
    for name, begun, ended in times.phases:
        x, width = LEFT + PLOT * (begun - start) / span, PLOT * max(0.0, ended - begun) / span
        yield f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{COLOURS[name]}"/>'
