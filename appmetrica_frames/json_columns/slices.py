"""Rows in slices, on all processors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = pl.col("text")


def in_rows(texts: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"text": texts}).with_row_index("row")


def in_slices(rows: pl.DataFrame, size: int, way: Callable[[pl.LazyFrame], pl.LazyFrame]) -> list[pl.DataFrame]:
    """Go this way with so many rows at a time."""
    starts = range(0, max(rows.height, 1), size)
    return pl.collect_all([way(rows.slice(start, size).lazy()) for start in starts])
