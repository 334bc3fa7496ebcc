"""Arrow: a table, or batches of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from appmetrica_frames.engine.resolve import ResolvedExport


Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


def read(exports: Sequence[ResolvedExport]) -> pa.Table:
    """Read exports into one table."""
    return pa.concat_tables([_read_one(export) for export in exports])


def iter_batches(exports: Sequence[ResolvedExport], *, batch_size: int) -> Iterator[pa.Schema | pa.RecordBatch]:
    """Yield the schema of exports, then their rows in batches.

    A file is open from the first item on, so that it may be removed meanwhile; it is closed after its last batch, or
    when the iterator is.
    """
    for number, export in enumerate(exports):
        with pq.ParquetFile(export.path) as file:
            if not number:
                yield pa.schema([_field(export, file, name) for name in export.fields])
            for batch in file.iter_batches(batch_size=batch_size, columns=export.present):
                yield _complete(export, batch)


def _read_one(export: ResolvedExport) -> pa.Table:
    # Ours is one immutable file: there is nothing to discover, and its path has no partition columns.
    return _complete(export, pq.ParquetFile(export.path).read(columns=export.present))


def _field(export: ResolvedExport, file: pq.ParquetFile, name: str) -> pa.Field[Any]:
    if name in export.as_text:
        return pa.field(name, pa.string())
    return pa.field(name, export.missing[name]) if name in export.missing else file.schema_arrow.field(name)


def _complete(export: ResolvedExport, rows: Rows) -> Rows:
    """Return rows with the columns of the call, in its order and of its types; missing ones are null."""
    for name, type_ in export.missing.items():
        rows = rows.append_column(name, pa.nulls(rows.num_rows, type_))  # type: ignore[call-overload]  # any type is one of its overloads
    for name in export.as_text:
        rows = rows.set_column(rows.schema.get_field_index(name), name, _to_text(export, name, rows.column(name)))
    return rows.select(list(export.fields)).replace_schema_metadata(None)


def _to_text(export: ResolvedExport, name: str, cells: Any) -> Any:
    from appmetrica_frames.schema import catalog
    from appmetrica_frames.schema.types import to_text

    return to_text(cells, catalog.resource(export.cached.resource).wire_type(name))
