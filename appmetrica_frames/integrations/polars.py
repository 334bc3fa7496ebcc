"""Polars: a DataFrame, or a LazyFrame over the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appmetrica_frames.engine.resolve import ResolvedExport


def read(exports: Sequence[ResolvedExport]) -> pl.DataFrame:
    """Read exports into one frame."""
    columns = list(exports[0].fields)
    return pl.read_parquet([export.path for export in exports], columns=columns).select(columns)


def scan(exports: Sequence[ResolvedExport]) -> pl.LazyFrame:
    """Scan the files of exports lazily."""
    return pl.scan_parquet([export.path for export in exports]).select(exports[0].fields)
