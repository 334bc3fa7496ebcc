"""Arrow record batches into one Parquet file."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

GROUP_ROWS = 131_072
GROUP_BYTES = 64 << 20
METADATA_KEY = b"appmetrica_frames"


def write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, about: dict[str, Any]) -> int:
    """Write all batches, with `about` in the file's key-value metadata, and return the number of rows.

    No more than one row group is held in memory.
    """
    return _write(path, schema.with_metadata({METADATA_KEY: json.dumps(about).encode()}), batches)


def join(parts: Sequence[Path], path: Path) -> int:
    """Write the rows of several files of one schema into one, in their order, and return their number."""
    return _write(path, pq.read_schema(parts[0]), chain.from_iterable(map(_batches, parts)))


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as writer:
        for group in _groups(batches):
            writer.write_table(group, row_group_size=GROUP_ROWS)
            rows += group.num_rows
    return rows


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches()


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield pa.Table.from_batches(held)
            held, rows, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held)
