"""Polars: a DataFrame, or a LazyFrame over the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appmetrica_frames.engine.resolve import ResolvedExport


def read(exports: Sequence[ResolvedExport]) -> pl.DataFrame:
    """Read exports into one frame."""
    first = exports[0]
    if any((export.missing, export.as_text) != (first.missing, first.as_text) for export in exports):
        return _read_through_arrow(exports)
    return scan(exports).collect()


def _read_through_arrow(exports: Sequence[ResolvedExport]) -> pl.DataFrame:
    """Read exports whose files differ in their columns, which is rare: Arrow knows what to make of them."""
    from . import arrow

    frame = pl.from_arrow(arrow.read(exports))
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - of a table
    return frame


def scan(exports: Sequence[ResolvedExport]) -> pl.LazyFrame:
    """Scan the files of exports lazily."""
    # An export with more columns than were asked for serves as well.
    paths = [export.path for export in exports]
    return pl.scan_parquet(paths, glob=False, extra_columns="ignore").select(_columns(exports[0]))


def _columns(export: ResolvedExport) -> list[pl.Expr]:
    return [_null_column(export, name) if name in export.missing else pl.col(name) for name in export.fields]


def _null_column(export: ResolvedExport, name: str) -> pl.Expr:
    import pyarrow as pa

    dtype = pl.Series(pl.from_arrow(pa.array([], export.missing[name]))).dtype
    return pl.lit(None, dtype).alias(name)
