"""Read records as newline-delimited JSON with pyarrow: fast, wherever pyarrow surely reads what is written."""

from __future__ import annotations

import re
from json import dumps
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
from pyarrow import compute, json
from pyarrow import types as is_type

from .python import Number
from .records import LEAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appmetrica_frames.schema.types import Column

    from .records import RecordBlock

_SPACE = b" \t\n\r"
_BARE = rb"(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false)(?=[ \t\n\r,}])"
_PARTS = 4  # pyarrow parses them on all cores
_MIN_BYTES_TO_PART = 1 << 16


class NotPlainError(Exception):
    """The block has to be parsed in a slower way."""


class _Kinds(NamedTuple):
    """What stands in the columns: the type to read of each, and the expressions for bare values of text columns."""

    types: dict[str, pa.DataType]
    bare: dict[str, re.Pattern[bytes]]


class NdjsonDecoder:
    """Parses blocks whose values are text, or of the kind that an exactly parsed block had in their columns.

    Several threads may use it. What it has learned decides how fast a block is read, never what is read.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self._kinds = _Kinds({column.name: pa.string() for column in columns}, {})

    def learn(self, kinds: Sequence[set[type]]) -> None:
        """Remember what stands in the columns: text, `Number`, bool, or several of them."""
        types, bare = dict(self._kinds.types), dict(self._kinds.bare)
        for column, kind in zip(self.columns, kinds, strict=True):
            if kind:
                types[column.name] = type_ = _choose_type(column, kind)
                if is_type.is_string(type_) and kind != {bytes}:
                    bare[column.name] = _match_bare_values(column.name)
        self._kinds = _Kinds(types, bare)

    def parse(self, block: RecordBlock) -> dict[str, pa.Array[Any]]:
        """Return the cells of each column, or raise `NotPlainError`."""
        types, bare = self._kinds
        lines, count = _split_into_lines(block)
        for expression in bare.values():
            lines = expression.sub(rb'\1"\2"', lines)
        table = _read_table(lines, types)
        if table.num_rows != count or _lacks_values(lines, table):
            raise NotPlainError
        return {name: _check_cells(table[name]) for name in types}


def _read_table(lines: bytes, types: dict[str, pa.DataType]) -> pa.Table:
    # A line end within a record is not a place to split at.
    parts = _PARTS if len(lines) > _MIN_BYTES_TO_PART and lines.count(b"\n") == lines.count(b"}\n{") else 1
    try:
        return json.read_json(
            pa.BufferReader(lines),  # type: ignore[arg-type]  # its stub knows Python files only
            read_options=json.ReadOptions(block_size=len(lines) // parts + 1, use_threads=parts > 1),
            parse_options=json.ParseOptions(explicit_schema=pa.schema(types), unexpected_field_behavior="error"),
        )
    except pa.ArrowInvalid as error:
        raise NotPlainError from error


def _lacks_values(lines: bytes, table: pa.Table) -> bool:
    """Return whether a record lacks a value: pyarrow makes a null of it."""
    # In what pyarrow accepted, only names and texts have quotes around them.
    if not any(column.null_count for column in table.columns):
        return False
    texts = sum(len(column) - column.null_count for column in table.columns if is_type.is_string(column.type))
    return _count_quotes(lines) != 2 * (texts + table.num_rows * table.num_columns)


def _choose_type(column: Column, kinds: set[type]) -> pa.DataType:
    if kinds == {bool} and is_type.is_boolean(column.parsed):
        return column.parsed
    if kinds == {Number} and (is_type.is_integer(column.parsed) or is_type.is_float64(column.parsed)):
        return column.parsed
    return pa.string()


def _match_bare_values(name: str) -> re.Pattern[bytes]:
    """Return an expression for the numbers and booleans of a column, which become text as they are written."""
    # A quoted name before a colon is a name, or no JSON; that of a nested object is refused by pyarrow, as all are.
    return re.compile(b"(" + re.escape(dumps(name, ensure_ascii=False).encode()) + rb"[ \t\n\r]*:[ \t\n\r]*)" + _BARE)


def _split_into_lines(block: RecordBlock) -> tuple[bytes, int]:
    """Return the records with line ends for the commas between them, and how many there should be."""
    # A line end within a text, or between nested objects, is no JSON: pyarrow refuses the block if one is put there.
    text = block.text.rstrip(_SPACE)
    if text.endswith(b",") == block.is_last or not (lead := LEAD.match(text)):
        raise NotPlainError
    separator = re.compile(rb"\}[ \t\n\r]*,[ \t\n\r]*\{[ \t\n\r]*" + re.escape(lead[1]))
    lines, separators = separator.subn(lambda _: b"}\n{" + lead[1], text if block.is_last else text[:-1])
    return lines, separators + 1


def _count_quotes(lines: bytes) -> int:
    plain = lines.replace(rb"\\", b"") if rb'\\"' in lines else lines
    return plain.count(b'"') - plain.count(rb"\"")


def _check_cells(chunks: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    cells: pa.Array[Any] = chunks.combine_chunks()
    try:
        cells.validate(full=True)  # pyarrow does not check whether text is UTF-8
    except pa.ArrowInvalid as error:
        raise NotPlainError from error
    # pyarrow takes NaN and Infinity for numbers.
    if is_type.is_floating(cells.type) and not compute.all(compute.is_finite(cells)).as_py():
        raise NotPlainError
    return cells
