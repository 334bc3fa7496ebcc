"""Tables of text: columns side by side, long cells wrapped at words."""

from __future__ import annotations

from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

GAP = "  "
NARROWEST = 12  # characters of a column whose cells are wrapped


def format_table(rows: Iterable[Sequence[str]], *, width: int | None = None) -> Iterator[str]:
    """Yield the lines of a table whose first row is the heading.

    Cells are wrapped so that the lines have at most `width` characters, as far as columns of a dozen characters allow.
    The first column is what a row is looked up by, and never wrapped.
    """
    table = [list(row) for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    if width is not None:
        widths = _fit(widths, width)
    for row in table:
        yield from _format_row(row, widths)


def _fit(widths: list[int], width: int) -> list[int]:
    """Shorten the widest columns but the first until the line fits."""
    first, *others = widths
    available = width - first - len(GAP) * len(others)
    limit = max(others, default=0)
    while limit > NARROWEST and sum(min(limit, column) for column in others) > available:
        limit -= 1
    return [first, *(min(limit, column) for column in others)]


def _format_row(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    wrapped = (
        [cell] if len(cell) <= column else wrap(cell, column, break_on_hyphens=False)
        for cell, column in zip(row, widths, strict=True)
    )
    for parts in zip_longest(*wrapped, fillvalue=""):
        yield GAP.join(map(str.ljust, parts, widths)).rstrip()
