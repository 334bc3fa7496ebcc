"""What pyarrow says about a fault in a block, in the words of the export: which column, which row, which text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from appmetrica_frames.errors import DecodeError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from appmetrica_frames.schema.types import Column

# pyarrow's words; tests/decode pins them. Rows count from 1, without the header, within the block.
_MISFIT = re.compile(r"In CSV column #(\d+): Row #(\d+): (.*)", re.DOTALL)
_RAGGED = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+): (.*)", re.DOTALL)
_NOT_UTF8 = "invalid UTF8"
_SHOWN = 80


def parse_fault(fault: pa.ArrowInvalid, wire: Sequence[str], rows: int, text: Callable[[], pa.Table]) -> DecodeError:
    """Return the error for a block that could not be parsed, `rows` rows into the export."""
    words = str(fault)
    if ragged := _RAGGED.search(words):
        return _ragged(ragged, rows)
    if misfit := _MISFIT.search(words):
        name, row = wire[int(misfit[1])], int(misfit[2])
        return _cell(misfit[3], name, rows + row, text()[name][row - 1])
    return SchemaError(f"The export does not fit its schema: {words}")


def cast_fault(column: Column, cells: pa.Array[Any], rows: int) -> SchemaError:
    """Return the error for parsed cells that do not fit the column's final type."""
    row = _first_misfit(column, cells)
    return _misfit(column.name, rows + row + 1, str(cells[row].as_py()))


def _ragged(ragged: re.Match[str], rows: int) -> DecodeError:
    row, expected, found, excerpt = ragged.groups()
    return DecodeError(
        f"Row {rows + int(row)} of the export has {found} cells instead of {expected}: {excerpt[:_SHOWN]!r}"
    )


def _cell(reason: str, name: str, row: int, cell: pa.Scalar[Any]) -> DecodeError:
    value = (cell.as_py() or b"").decode(errors="replace")
    if _NOT_UTF8 in reason:
        return DecodeError(f"Column {name!r}, row {row} of the export is not UTF-8: {value[:_SHOWN]!r}")
    return _misfit(name, row, value)


def _misfit(name: str, row: int, value: str) -> SchemaError:
    message = f"Column {name!r}, row {row} of the export: {value[:_SHOWN]!r} does not fit the column's type."
    return SchemaError(message, column=name, row=row, value=value)


def _first_misfit(column: Column, cells: pa.Array[Any]) -> int:
    # Every longer start of the column fails once a shorter one has failed: the last row of the shortest is the culprit.
    fits, fails = 0, len(cells)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        fits, fails = (middle, fails) if _fits(column, cells[:middle]) else (fits, middle)
    return fails - 1


def _fits(column: Column, cells: pa.Array[Any]) -> bool:
    try:
        column.cast(cells)
    except pa.ArrowInvalid:
        return False
    return True
