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

GROUP_ROWS = 65_536
GROUP_BYTES = 32 << 20
PAGE_BYTES = 4 << 20
METADATA_KEY = b"appmetrica_frames"


def write(path: Path, schema: pa.Schema, groups: Iterable[pa.Table], *, about: dict[str, Any]) -> int:
    """Write row groups, with `about` in the file's key-value metadata, and return the number of rows."""
    return _write(path, schema.with_metadata({METADATA_KEY: json.dumps(about).encode()}), groups)


def build_row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Gather batches into row groups: large enough to compress, small enough to hold and to skip."""
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


def join(parts: Sequence[Path], path: Path) -> int:
    """Write the rows of several files of one schema into one, in their order, and return their number."""
    return _write(path, pq.read_schema(parts[0]), build_row_groups(chain.from_iterable(map(_read_batches, parts))))


def _write(path: Path, schema: pa.Schema, groups: Iterable[pa.Table]) -> int:
    rows = 0
    with pq.ParquetWriter(path, schema, **_writer_settings(schema)) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=group.num_rows)
            rows += group.num_rows
    return rows


def release_memory() -> None:
    """Give back the memory that pyarrow keeps of what was written: reading the frame, or the next window, needs some.

    What is given back is that of this thread and of threads that have ended.
    """
    pa.default_memory_pool().release_unused()


def _writer_settings(schema: pa.Schema) -> dict[str, Any]:
    # Bounds of text rarely exclude a row group, and cost a comparison per cell. Ids and timestamps rarely repeat: a
    # dictionary costs time and space. Event JSON does, and outgrows the usual dictionary page. Higher levels of
    # compression cost more time than their bytes are worth on a disk.
    return {
        "compression": "zstd",
        "compression_level": -1,
        "write_statistics": [field.name for field in schema if not pa.types.is_string(field.type)],
        "use_dictionary": [field.name for field in schema if not _rarely_repeats(field.type)],
        "data_page_size": PAGE_BYTES,
        "dictionary_pagesize_limit": PAGE_BYTES,
    }


def _rarely_repeats(type_: pa.DataType) -> bool:
    return bool(pa.types.is_uint64(type_) or pa.types.is_timestamp(type_))


def _read_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches()
