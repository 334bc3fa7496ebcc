"""Errors of the parsers in the words of the export: which column, which row, which value."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from appmetrica_frames.errors import DecodeError, SchemaError
from appmetrica_frames.util.excerpts import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from appmetrica_frames.schema.types import Column

# pyarrow's messages; tests/decode pins them. Rows count from 1, without the header, within the block.
_MISFIT = re.compile(r"In CSV column #(\d+): Row #(\d+): (.*)", re.DOTALL)
_RAGGED = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+): (.*)", re.DOTALL)
_NOT_UTF8 = "invalid UTF8"
SHOWN = 80  # characters of a value in a message
MAX_NAMES = 10  # in a message
REPEATED = "\0repeated"  # in the name of a column whose name another one has already


def compare_names(names: Sequence[str], requested: Sequence[str]) -> str:
    """Return in which way names differ from the requested ones, or an empty text; the order does not matter."""
    return "; ".join(_differences(names, requested))


def _differences(names: Sequence[str], requested: Sequence[str]) -> Iterator[str]:
    counts, known = Counter(names), set(requested)
    yield from _difference("missing", [name for name in requested if name not in counts])
    yield from _difference("not requested", [name for name in counts if name not in known])
    yield from _difference("repeated with different values", [name for name, times in counts.items() if times > 1])


def _difference(kind: str, names: Sequence[str]) -> Iterable[str]:
    if names:
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        yield f"{kind} {', '.join(repr(excerpt(name, SHOWN)) for name in names[:MAX_NAMES])}{more}"


def parse_error(
    error: pa.ArrowInvalid, names: Sequence[str], rows_before: int, read_bytes: Callable[[], pa.Table]
) -> DecodeError:
    """Return the error for a block that pyarrow could not parse, `rows_before` rows into the export."""
    message = str(error)
    if ragged := _RAGGED.search(message):
        return _ragged_row(ragged, rows_before)
    if misfit := _MISFIT.search(message):
        name, row = names[int(misfit[1])], int(misfit[2])
        value = read_bytes()[name][row - 1].as_py() or b""
        return _bad_cell(misfit[3], name.partition(REPEATED)[0], rows_before + row, value)
    return SchemaError(f"The export does not fit its schema: {message}")


def cast_error(column: Column, cells: pa.Array[Any], rows_before: int) -> SchemaError:
    """Return the error for parsed cells that do not fit the column's final type."""
    row = _find_first_misfit(column, cells)
    return misfit_error(column.name, rows_before + row + 1, str(cells[row].as_py()))


def misfit_error(name: str, row: int, value: str) -> SchemaError:
    """Return the error for a value that does not fit the type of its column."""
    message = f"Column {name!r}, row {row} of the export: {excerpt(value, SHOWN)!r} does not fit the column's type."
    return SchemaError(message, column=name, row=row, value=value)


def repeated_column_error(name: str, rows_before: int, first: pa.Array[Any], other: pa.Array[Any]) -> DecodeError:
    """Return the error for two columns of one name that are not equal."""
    cells = [[str(cell) for cell in column.to_pylist()] for column in (first, other)]
    row, values = next((row, pair) for row, pair in enumerate(zip(*cells, strict=True), 1) if pair[0] != pair[1])
    return DecodeError(
        f"Column {name!r} is repeated in the export, with different values in row {rows_before + row}: "
        f"{excerpt(values[0], SHOWN)!r} and {excerpt(values[1], SHOWN)!r}."
    )


def _ragged_row(ragged: re.Match[str], rows_before: int) -> DecodeError:
    row, expected, got, text = ragged.groups()
    return DecodeError(
        f"Row {rows_before + int(row)} of the export has {got} cell{'' if got == '1' else 's'} instead of {expected}: "
        # pyarrow cuts long rows; what it appends would hide a beginning of the token from the mask.
        f"{excerpt(text.removesuffix(' ...'), SHOWN)!r}"
    )


def _bad_cell(reason: str, name: str, row: int, value: bytes) -> DecodeError:
    text = value.decode(errors="replace")
    if _NOT_UTF8 in reason:
        return DecodeError(f"Column {name!r}, row {row} of the export is not UTF-8: {excerpt(text, SHOWN)!r}")
    return misfit_error(name, row, text)


def _find_first_misfit(column: Column, cells: pa.Array[Any]) -> int:
    # If a beginning of the column fails, every longer one fails: the misfit is the last row of the shortest that does.
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
