"""Decode a CSV body (RFC 4180) into typed record batches.

The body is cut into blocks of whole rows, and pyarrow parses one block at a time. Its streaming reader is not used: it
pulls the network from a thread of its own, some 32 blocks ahead, cannot be interrupted while it waits, fails on cells
of more than two blocks, and knows row numbers only when single-threaded.
"""

from __future__ import annotations

import csv as python_csv
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
from pyarrow import csv
from pyarrow import types as is_type

from appmetrica_frames.errors import DecodeError, SchemaError
from appmetrica_frames.util.excerpts import excerpt

from .decoder import Decoder
from .numbers import find_hexadecimal, find_infinite, may_hold_hexadecimal
from .parse_errors import (
    REPEATED,
    SHOWN,
    cast_error,
    compare_names,
    misfit_error,
    parse_error,
    repeated_column_error,
)
from .rows import BOM, find_empty_line, split_header, split_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from appmetrica_frames.schema.types import Column

BLOCK_BYTES = 1 << 21
MAX_REPEATED = 100  # columns
_RFC_4180 = csv.ParseOptions(ignore_empty_lines=False)


class CsvBlock(NamedTuple):
    """Whole rows, and the names of their columns in the order in which they come, made unique."""

    text: bytes | memoryview
    names: Sequence[str]


class ParsedCsv(NamedTuple):
    """A block and its columns, unless it could not be parsed."""

    block: CsvBlock
    arrays: list[pa.Array[Any]] | None


class CsvDecoder(Decoder[CsvBlock, ParsedCsv]):
    """Reads CSV. An empty cell is null in every column, quoted or not, and nothing else is; text is kept as it is.

    A column may be repeated if its cells are.
    """

    def __init__(
        self, columns: Sequence[Column], *, collect_misfits: bool = False, block_bytes: int = BLOCK_BYTES
    ) -> None:
        super().__init__(columns, collect_misfits=collect_misfits)
        self._block_bytes = block_bytes

    def split(self, chunks: Iterable[bytes]) -> Iterator[CsvBlock]:
        header, body = split_header(chunks)
        names = parse_header(header, [column.name for column in self.columns])
        return (CsvBlock(text, names) for text in split_rows(body, size=self._block_bytes))

    def build_parser(self) -> Callable[[CsvBlock], ParsedCsv]:
        return self._try_to_parse

    def assemble(self, parsed: ParsedCsv) -> pa.RecordBatch | None:
        # What failed without knowing its row is parsed once more: the error then names the row of the export.
        return self._finish(
            parsed.arrays or self._collecting(lambda: parse_block(parsed.block, self.columns, self.rows))
        )

    def _try_to_parse(self, block: CsvBlock) -> ParsedCsv:
        try:
            return ParsedCsv(block, parse_block(block, self.columns))
        except DecodeError:
            return ParsedCsv(block, None)


def parse_header(header: bytes, requested: Sequence[str]) -> list[str]:
    """Return the names in a header, made unique, or raise `SchemaError` unless they are the requested ones."""
    names = _split_names(header)
    if differences := compare_names([*dict.fromkeys(names)], requested):
        begins = f" It begins with {excerpt(header, SHOWN)!r}."
        raise SchemaError(
            f"The header of the export does not have the requested fields: {differences}."
            f"{'' if set(names) & set(requested) else begins}"
        )
    if len(names) > len(requested) + MAX_REPEATED:
        raise SchemaError(f"The header of the export repeats more than {MAX_REPEATED} columns.")
    return [name if name not in names[:at] else f"{name}{REPEATED}{at}" for at, name in enumerate(names)]


def _split_names(header: bytes) -> list[str]:
    try:
        return next(python_csv.reader([header.decode()], strict=True), [])
    except (python_csv.Error, UnicodeDecodeError):
        return []


def parse_block(block: CsvBlock, columns: Sequence[Column], rows_before: int = 0) -> list[pa.Array[Any]]:
    """Return the columns of a block, or raise `DecodeError`; `rows_before` are the rows of the export before it."""
    table = _parse_table(block, columns, rows_before)
    _refuse_empty_line(block, table, rows_before)
    if bad_number := _find_bad_number(block, table):
        name, row = bad_number
        value = (_read_bytes(block)[name][row].as_py() or b"").decode(errors="replace")
        raise misfit_error(name.partition(REPEATED)[0], rows_before + row + 1, value)
    _refuse_unequal_columns(block, table, rows_before)
    return [_cast(column, join_chunks(table[column.name]), rows_before) for column in columns]


def _parse_table(block: CsvBlock, columns: Sequence[Column], rows_before: int) -> pa.Table:
    types = {column.name: column.parsed for column in columns}
    try:
        return read_table(*block, {name: types[name.partition(REPEATED)[0]] for name in block.names})
    except pa.ArrowInvalid as error:
        raise parse_error(error, block.names, rows_before, lambda: _read_bytes(block)) from error


def _read_bytes(block: CsvBlock) -> pa.Table:
    return read_table(*block, dict.fromkeys(block.names, pa.binary()))


def _cast(column: Column, cells: pa.Array[Any], rows_before: int) -> pa.Array[Any]:
    try:
        return column.cast(cells)
    except pa.ArrowInvalid as error:
        raise cast_error(column, cells, rows_before) from error


def _refuse_empty_line(block: CsvBlock, table: pa.Table, rows_before: int) -> None:
    # pyarrow makes an empty line a row of nulls. In an export of one column, that is how a null is written.
    is_suspect = len(block.names) > 1 and all(column.null_count for column in table.columns)
    if is_suspect and (at := find_empty_line(bytes(block.text))) is not None:
        before = CsvBlock(block.text[:at], block.names)
        row = rows_before + 1 + (_read_bytes(before).num_rows if at else 0)
        raise DecodeError(f"Row {row} of the export is an empty line instead of {len(block.names)} cells.")


def _refuse_unequal_columns(block: CsvBlock, table: pa.Table, rows_before: int) -> None:
    for repeated in block.names:
        name, is_repeated, _ = repeated.partition(REPEATED)
        if is_repeated and not table[name].equals(table[repeated]):
            columns = join_chunks(table[name]), join_chunks(table[repeated])
            raise repeated_column_error(name, rows_before, *columns)


def _find_bad_number(block: CsvBlock, table: pa.Table) -> tuple[str, int] | None:
    """Return the column and the index of a cell that pyarrow takes for a number and that is none, if there is one."""
    for name in _names_of(table, is_type.is_floating):
        if (row := find_infinite(join_chunks(table[name]))) is not None:
            return name, row
    integers = _names_of(table, is_type.is_integer)
    if not integers or not may_hold_hexadecimal(block.text):
        return None
    texts = read_table(*block, dict.fromkeys(integers, pa.string()))
    found = ((name, find_hexadecimal(join_chunks(texts[name]))) for name in integers)
    return next(((name, row) for name, row in found if row is not None), None)


def _names_of(table: pa.Table, is_wanted: Callable[[pa.DataType], bool]) -> list[str]:
    return [field.name for field in table.schema if is_wanted(field.type)]


def join_chunks(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """Return a column in one piece, without a copy if it is in one piece already."""
    cells: Any = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    return cells  # type: ignore[no-any-return]


def read_table(
    text: bytes | memoryview | NDArray[np.uint8],
    names: Sequence[str],
    types: dict[str, pa.DataType],
    options: csv.ParseOptions = _RFC_4180,
) -> pa.Table:
    """Return the columns of a block that have a type; `names` are those of all columns in it."""
    # pyarrow removes a byte order mark from whatever it reads. Here it would be text of the first cell.
    text = BOM + bytes(text) if bytes(text[: len(BOM)]) == BOM else text
    # The block is parsed in one go, so newlines in cells need no further care. Other threads keep the other cores busy,
    # and only a single thread knows the row of an error.
    return csv.read_csv(
        pa.BufferReader(text),  # type: ignore[arg-type]  # its stub knows Python files only; this one is not copied
        read_options=csv.ReadOptions(column_names=list(names), block_size=len(text) + 1, use_threads=False),
        parse_options=options,
        convert_options=csv.ConvertOptions(
            include_columns=[name for name in names if name in types],
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
