"""Two source trees compared: the same cases by the package of each, in turn, in one run on one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .report import build_table, millions
from .runs import OK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .runs import Measurement

FIGURES = {"wall_seconds": "wall, s", "cpu_seconds": "CPU, s", "peak_mib": "peak, MiB"}


def build_page(measurements: list[Measurement], here: Path, there: Path) -> str:
    """Return medians of both trees, with the ratio of this one to the other."""
    heads = ["case", "rows", *(f"{label}: there, here, ratio" for label in FIGURES.values())]
    pairs = zip(of(measurements, here), of(measurements, there), strict=True)
    return "\n".join([f"There: {there}", "", *build_table(heads, map(compare, pairs), text_columns=2)]) + "\n"


def of(measurements: list[Measurement], source: Path) -> Iterator[Measurement]:
    return (one for one in measurements if one.source == source)


def compare(pair: tuple[Measurement, Measurement]) -> Iterator[str]:
    """Yield the cells of a row."""
    here, there = pair
    yield here.case.title
    yield f"{millions(here.export.rows)} `{here.export.resource}`"
    if (here.status, there.status) != (OK, OK):
        yield from (f"{there.status}, {here.status}", "", "")
        return
    before, after = there.summary(), here.summary()
    for figure in FIGURES:
        old, new = before[figure]["median"], after[figure]["median"]
        yield f"{old:.3g}, {new:.3g}, **{new / old:.2f}**"
