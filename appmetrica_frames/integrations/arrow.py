"""Arrow: a table, or batches of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from appmetrica_frames.engine.resolve import ResolvedExport


def read(exports: Sequence[ResolvedExport]) -> pa.Table:
    """Read exports into one table."""
    return pa.concat_tables([_read_one(export) for export in exports])


def iter_batches(exports: Sequence[ResolvedExport], *, batch_size: int) -> Iterator[pa.Schema | pa.RecordBatch]:
    """Yield the schema of exports, then their rows in batches.

    A file is open from the first item on, so that it may be removed meanwhile; it is closed after its last batch, or
    when the iterator is.
    """
    for number, export in enumerate(exports):
        fields = list(export.fields)
        with pq.ParquetFile(export.path) as file:
            if not number:
                yield pa.schema([file.schema_arrow.field(name) for name in fields])
            for batch in file.iter_batches(batch_size=batch_size, columns=fields):
                yield batch.select(fields).replace_schema_metadata(None)


def _read_one(export: ResolvedExport) -> pa.Table:
    # Ours is one immutable file: there is nothing to discover, and its path has no partition columns.
    fields = list(export.fields)
    return pq.ParquetFile(export.path).read(columns=fields).select(fields).replace_schema_metadata(None)
