"""Records of a JSON export as pyarrow reads them: fast, wherever it is sure to read what is written."""

from __future__ import annotations

import re
from io import BytesIO
from json import dumps
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import compute, json
from pyarrow import types as is_type

from .objects import Number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appmetrica_frames.schema.types import Column

    from .records import Block

_LEAD = re.compile(rb'\{[ \t\n\r]*("(?:[^"\\]|\\.)*")')
_SPACE = b" \t\n\r"
_BARE = rb"(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false)(?=[ \t\n\r,}])"
_PARTS = 4  # pyarrow parses them on all cores
_PART_LIMIT = 1 << 16


class NotPlainError(Exception):
    """The block has to be read exactly."""


class Lines:
    """Parses blocks of records whose values are text, or what the last exactly read block had in their columns."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.types: dict[str, pa.DataType] = {column.name: pa.string() for column in columns}
        self.bare: dict[str, re.Pattern[bytes]] = {}

    def learn(self, kinds: Sequence[set[type]]) -> None:
        """Take note of what stood in the columns: text, `Number`, bool, or several of them."""
        for column, found in zip(self.columns, kinds, strict=True):
            if found:
                self.types[column.name] = type_ = _type(column, found)
                if is_type.is_string(type_) and found != {str}:
                    self.bare[column.name] = _bare(column.name)

    def parse(self, block: Block) -> dict[str, pa.Array[Any]]:
        """Return the cells of each column, or raise `NotPlainError`."""
        lines, count = _lines(block)
        for name in self.bare:
            lines = self.bare[name].sub(rb'\1"\2"', lines)
        table = self._table(lines)
        if table.num_rows != count or self._lacks(lines, table):
            raise NotPlainError
        return {name: _sound(table[name]) for name in self.types}

    def _table(self, lines: bytes) -> pa.Table:
        # A line end within a record is no place to part at.
        parts = _PARTS if len(lines) > _PART_LIMIT and lines.count(b"\n") == lines.count(b"}\n{") else 1
        options = json.ParseOptions(explicit_schema=pa.schema(self.types), unexpected_field_behavior="error")
        try:
            return json.read_json(
                BytesIO(lines),
                read_options=json.ReadOptions(block_size=len(lines) // parts + 1, use_threads=parts > 1),
                parse_options=options,
            )
        except pa.ArrowInvalid as fault:
            raise NotPlainError from fault

    def _lacks(self, lines: bytes, table: pa.Table) -> bool:
        """Say whether a value is missing, which pyarrow makes a null like any other."""
        # In what pyarrow took, quotes stand around the names and the texts and nowhere else.
        if not any(column.null_count for column in table.columns):
            return False
        texts = sum(len(column) - column.null_count for column in table.columns if is_type.is_string(column.type))
        return _quotes(lines) != 2 * (texts + table.num_rows * table.num_columns)


def _type(column: Column, kinds: set[type]) -> pa.DataType:
    if kinds == {bool} and is_type.is_boolean(column.parsed):
        return column.parsed
    if kinds == {Number} and (is_type.is_integer(column.parsed) or is_type.is_float64(column.parsed)):
        return column.parsed
    return pa.string()


def _bare(name: str) -> re.Pattern[bytes]:
    """Find the numbers and booleans of a column, which become text as they are written."""
    # A quoted name before a colon is a name, or no JSON; that of a nested object is refused by pyarrow, as all are.
    return re.compile(b"(" + re.escape(dumps(name, ensure_ascii=False).encode()) + rb"[ \t\n\r]*:[ \t\n\r]*)" + _BARE)


def _lines(block: Block) -> tuple[bytes, int]:
    """Return the records with line ends for the commas between them, and how many there should be."""
    # A line end within a text, or between nested objects, is no JSON: a wrong one makes pyarrow refuse the block.
    text = block.text.rstrip(_SPACE)
    if text.endswith(b",") == block.last or not (lead := _LEAD.match(text)):
        raise NotPlainError
    between = re.compile(rb"\}[ \t\n\r]*,[ \t\n\r]*\{[ \t\n\r]*" + re.escape(lead[1]))
    lines, others = between.subn(lambda _: b"}\n{" + lead[1], text if block.last else text[:-1])
    return lines, others + 1


def _quotes(lines: bytes) -> int:
    plain = lines.replace(rb"\\", b"") if rb'\\"' in lines else lines
    return plain.count(b'"') - plain.count(rb"\"")


def _sound(chunks: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    cells: pa.Array[Any] = chunks.combine_chunks()
    try:
        cells.validate(full=True)  # pyarrow does not look whether text is UTF-8
    except pa.ArrowInvalid as fault:
        raise NotPlainError from fault
    # pyarrow takes NaN and Infinity for numbers.
    if is_type.is_floating(cells.type) and not compute.all(compute.is_finite(cells)).as_py():
        raise NotPlainError
    return cells
