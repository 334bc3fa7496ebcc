"""Polars: a DataFrame, or a LazyFrame over the files."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from appmetrica_frames.schema import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from appmetrica_frames.engine.resolve import ResolvedExport
    from appmetrica_frames.request.export import ExportRequest

DTYPES: dict[catalog.FieldType, pl.DataType] = {
    "string": pl.String(),
    "uint64": pl.UInt64(),
    "int64": pl.Int64(),
    "float64": pl.Float64(),
    "bool": pl.Boolean(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
    "unix_time": pl.Datetime("us", "UTC"),
}


def read(exports: Sequence[ResolvedExport]) -> pl.DataFrame:
    """Read exports into one frame."""
    first = exports[0]
    if any((export.missing, export.as_text) != (first.missing, first.as_text) for export in exports):
        return _read_through_arrow(exports)
    paths = [export.path for export in exports]
    return pl.read_parquet(paths, columns=first.present, glob=False).select(_columns(first))


def _read_through_arrow(exports: Sequence[ResolvedExport]) -> pl.DataFrame:
    """Read exports whose files differ in their columns, which is rare: Arrow knows what to make of them."""
    from . import arrow

    frame = pl.from_arrow(arrow.read(exports))
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - of a table
    return frame


def scan_files(exports: Sequence[ResolvedExport]) -> pl.LazyFrame:
    """Scan the files of exports that have been fetched."""
    return pl.concat([pl.scan_parquet(export.path, glob=False).select(_columns(export)) for export in exports])


def build_schema(request: ExportRequest) -> pl.Schema:
    """Return the columns that an export has when each fits its type."""
    resource, overrides = catalog.resource(request.resource), build_override_types(request.overrides)
    return pl.Schema({name: overrides.get(name, DTYPES[resource.wire_type(name)]) for name in request.fields})


def build_override_types(overrides: Mapping[str, pa.DataType]) -> pl.Schema:
    """Return the types that columns of an Arrow type have when they are read from Parquet."""
    if not overrides:
        return pl.Schema()
    import pyarrow as pa
    import pyarrow.parquet as pq

    written = io.BytesIO()
    pq.write_table(pa.schema(list(overrides.items())).empty_table(), written)
    return pl.read_parquet(written.getvalue()).schema


def _columns(export: ResolvedExport) -> list[pl.Expr]:
    missing = build_override_types(export.missing)
    return [_column(export, name, missing) for name in export.fields]


def _column(export: ResolvedExport, name: str, missing: pl.Schema) -> pl.Expr:
    if name in missing:
        return pl.lit(None, pl.String if name in export.as_text else missing[name]).alias(name)
    return (
        pl.col(name).map_batches(partial(_to_text, export, name), pl.String) if name in export.as_text else pl.col(name)
    )


def _to_text(export: ResolvedExport, name: str, cells: pl.Series) -> pl.Series:
    from appmetrica_frames.schema.types import to_text

    text = to_text(cells.to_arrow(), catalog.resource(export.cached.resource).wire_type(name))
    return pl.Series(pl.from_arrow(text))
