"""Cast the texts of a column to its type as the CSV decoder would.

Nothing in here may turn Python values into Arrow arrays or scalars with ``pa.array`` or ``pa.scalar``, which import
pandas: a quarter of a second that a Polars user would wait for nothing.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import compute, csv
from pyarrow import types as is_type

from appmetrica_frames.decode.csv import CsvBlock, parse_block
from appmetrica_frames.decode.numbers import find_infinite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appmetrica_frames.schema.types import Column

_BOOLEANS = {True: b"true", False: b"false"}


def to_text(values: Sequence[Any]) -> pa.Array[Any]:
    """Return values that Python parsed, UTF-8 in bytes, as an array of text."""
    texts = [_BOOLEANS[value] if isinstance(value, bool) else value or b"" for value in values]
    ends = np.zeros(len(texts) + 1, np.int32)
    np.cumsum([*map(len, texts)], out=ends[1:])
    is_text = np.fromiter((value is not None for value in values), np.bool_, len(values))
    parts: list[Any] = [np.packbits(is_text, bitorder="little"), ends, b"".join(texts)]
    return pa.Array.from_buffers(pa.string(), len(texts), [*map(pa.py_buffer, parts)])


def cast_text(column: Column, cells: pa.Array[Any], rows_before: int) -> pa.Array[Any]:
    """Cast cells to the column's type, or raise `SchemaError`; `rows_before` are the rows of the export before them."""
    try:
        return column.cast(_parse(_replace_empty(cells), column.parsed))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _parse_as_csv(column, cells, rows_before)


def _replace_empty(cells: pa.Array[Any]) -> pa.Array[Any]:
    """Make empty texts null, and share the memory of the others."""
    if not is_type.is_string(cells.type):
        return cells
    lengths: pa.Array[Any] = compute.binary_length(cells)  # type: ignore[call-overload]  # its stub wants a subclass
    is_full: Any = lengths.cast(pa.bool_())
    bits: pa.Array[Any] = compute.and_kleene(is_full, is_full.is_valid())
    return pa.Array.from_buffers(cells.type, len(cells), [bits.buffers()[1], *cells.buffers()[1:]])


def _parse(cells: pa.Array[Any], type_: pa.DataType) -> pa.Array[Any]:
    if cells.type == type_:
        return cells
    if is_type.is_boolean(type_):
        return _parse_booleans(cells)
    if is_type.is_decimal(type_) or not is_type.is_string(cells.type):
        raise pa.ArrowInvalid("Only the CSV parser knows.")
    numbers = cells.cast(type_)
    # What looks like a number to pyarrow alone is left to the CSV decoder, which refuses it.
    if is_type.is_integer(type_) and b"0x" in bytes(cells.buffers()[2] or b"").lower():
        raise pa.ArrowInvalid("A number in hexadecimal digits.")
    if find_infinite(numbers) is not None:
        raise pa.ArrowInvalid("Not a finite number.")
    return numbers


_TRUE = to_text([b"1", b"true", b"True", b"TRUE"])
_FALSE = to_text([b"0", b"false", b"False", b"FALSE"])


def _parse_booleans(cells: pa.Array[Any]) -> pa.Array[Any]:
    is_true, is_false = compute.is_in(cells, _TRUE), compute.is_in(cells, _FALSE)
    if is_true.true_count + is_false.true_count != len(cells) - cells.null_count:
        raise pa.ArrowInvalid("Not a boolean.")
    validity = cells.is_valid().buffers()[1]
    return pa.Array.from_buffers(pa.bool_(), len(cells), [validity, is_true.buffers()[1]])


def _parse_as_csv(column: Column, cells: pa.Array[Any], rows_before: int) -> pa.Array[Any]:
    # The CSV parser has the last word on what fits, and says where something does not.
    body = BytesIO()
    table = pa.table([cells.cast(pa.string())], [column.name])
    csv.write_csv(table, body, csv.WriteOptions(include_header=False, quoting_style="all_valid"))
    return parse_block(CsvBlock(body.getvalue(), [column.name]), [column], rows_before)[0]
