"""Typed record batches out of a CSV body.

The body is cut into blocks of whole rows and pyarrow parses one block at a time. Its streaming reader is not used: it
pulls the network from a thread of its own, some 32 blocks ahead, cannot be interrupted while it waits, fails on cells
of more than two blocks, and knows row numbers only when single-threaded. A block that we hold is parsed at once, on a
thread of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import csv

from appmetrica_frames.errors import DecodeError

from .ahead import one_ahead
from .header import column_names
from .misfits import cast_fault, parse_fault
from .rows import BOM, empty_line, split_header, whole_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from appmetrica_frames.schema.types import Column

_RFC_4180 = csv.ParseOptions(ignore_empty_lines=False)


def schema(columns: Sequence[Column]) -> pa.Schema:
    """Return the schema of the batches that `read_csv` yields for these columns."""
    return pa.schema([(column.name, column.type) for column in columns])


def read_csv(
    chunks: Iterable[bytes], columns: Sequence[Column], *, block_size: int = 1 << 21
) -> Iterator[pa.RecordBatch]:
    """Yield one batch per block of whole rows, or raise `DecodeError`.

    An empty cell is null in every column, quoted or not, and nothing else is. Text is kept byte for byte, NUL included.
    """
    header, body = split_header(chunks)
    parser = Parser(column_names(header, [column.name for column in columns]), columns)
    yield from one_ahead(parser.parse, whole_rows(body, size=block_size), name="appmetrica-frames-csv")


class Parser:
    """Parses blocks, and counts their rows, so that a fault can say where it is."""

    def __init__(self, wire: Sequence[str], columns: Sequence[Column], *, rows: int = 0) -> None:
        self.wire = wire
        self.columns = columns
        self.rows = rows

    def parse(self, block: bytes | memoryview) -> pa.RecordBatch:
        parsed = self._parsed(block)
        self._refuse_empty_line(block, parsed)
        arrays = [self._cast(column, joined(parsed[column.name])) for column in self.columns]
        self.rows += parsed.num_rows
        return pa.record_batch(arrays, schema=schema(self.columns))

    def _parsed(self, block: bytes | memoryview) -> pa.Table:
        types = {column.name: column.parsed for column in self.columns}
        try:
            return table(block, self.wire, types)
        except pa.ArrowInvalid as fault:
            raise parse_fault(fault, self.wire, self.rows, lambda: self._text(block)) from fault

    def _cast(self, column: Column, cells: pa.Array[Any]) -> pa.Array[Any]:
        try:
            return column.cast(cells)
        except pa.ArrowInvalid as fault:
            raise cast_fault(column, cells, self.rows) from fault

    def _text(self, block: bytes | memoryview) -> pa.Table:
        return table(block, self.wire, dict.fromkeys(self.wire, pa.binary()))

    def _refuse_empty_line(self, block: bytes | memoryview, parsed: pa.Table) -> None:
        # pyarrow makes an empty line a row of nulls. Of a single column that is how a null is written.
        suspect = len(self.wire) > 1 and all(column.null_count for column in parsed.columns)
        if suspect and (at := empty_line(bytes(block))) is not None:
            row = self.rows + 1 + (self._text(block[:at]).num_rows if at else 0)
            raise DecodeError(f"Row {row} of the export is an empty line instead of {len(self.wire)} cells.")


def joined(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """Return a column in one piece."""
    # Joining copies, even where there is nothing to join.
    cells: Any = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    return cells  # type: ignore[no-any-return]


def table(
    block: bytes | memoryview | NDArray[np.uint8],
    wire: Sequence[str],
    types: dict[str, pa.DataType],
    options: csv.ParseOptions = _RFC_4180,
) -> pa.Table:
    """Return the columns of a block that have a type; `wire` names all that are in it."""
    # pyarrow takes a BOM off whatever it reads; here it would be text of the first cell, so it is given one to take.
    block = BOM + bytes(block) if bytes(block[: len(BOM)]) == BOM else block
    # The block is parsed in one go, so newlines in cells need no further care. The stages before and after this one
    # keep the other cores busy, and only a single thread knows the row of a fault.
    return csv.read_csv(
        pa.BufferReader(block),  # type: ignore[arg-type]  # its stub knows Python files only; this one is not copied
        read_options=csv.ReadOptions(column_names=list(wire), block_size=len(block) + 1, use_threads=False),
        parse_options=options,
        convert_options=csv.ConvertOptions(
            include_columns=[name for name in wire if name in types],
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
