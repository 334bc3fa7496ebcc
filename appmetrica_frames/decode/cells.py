"""Texts of one column to its type, as the CSV side reads them."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import compute, csv
from pyarrow import types as is_type

from .csv import Parser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appmetrica_frames.schema.types import Column

_WORDS = {True: "true", False: "false"}
_EMPTY: pa.Scalar[Any] = pa.scalar("")
_TRUE = pa.array(["1", "true", "True", "TRUE"])
_FALSE = pa.array(["0", "false", "False", "FALSE"])


def spelled(values: Sequence[Any]) -> pa.Array[Any]:
    """Return values that Python read as an array of text."""
    texts = [_WORDS[value] if isinstance(value, bool) else value for value in values]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([text and _whole_characters(text) for text in texts], pa.string())


def typed(column: Column, cells: pa.Array[Any], rows: int) -> pa.Array[Any]:
    """Take cells to the column's type, or raise `SchemaError`; `rows` are the rows of the export before them."""
    try:
        return column.cast(_parsed(_nulled(cells), column.parsed))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _as_csv(column, cells, rows)


def _whole_characters(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _nulled(cells: pa.Array[Any]) -> pa.Array[Any]:
    """Make empty texts null, and share the memory of the others."""
    if not is_type.is_string(cells.type):
        return cells
    full: pa.Array[Any] = compute.not_equal(cells, _EMPTY).fill_null(False)  # noqa: FBT003 - the value to fill with
    return pa.Array.from_buffers(cells.type, len(cells), [full.buffers()[1], *cells.buffers()[1:]])


def _parsed(cells: pa.Array[Any], type_: pa.DataType) -> pa.Array[Any]:
    if cells.type == type_:
        return cells
    if is_type.is_boolean(type_):
        return _truths(cells)
    if is_type.is_decimal(type_) or not is_type.is_string(cells.type):
        raise pa.ArrowInvalid("Only the CSV parser knows.")
    return cells.cast(type_)


def _truths(cells: pa.Array[Any]) -> pa.Array[Any]:
    true, false = compute.is_in(cells, _TRUE), compute.is_in(cells, _FALSE)
    if true.true_count + false.true_count != len(cells) - cells.null_count:
        raise pa.ArrowInvalid("Not a boolean.")
    truths: pa.Array[Any] = compute.if_else(cells.is_null(), pa.scalar(None, pa.bool_()), true)
    return truths


def _as_csv(column: Column, cells: pa.Array[Any], rows: int) -> pa.Array[Any]:
    # The CSV parser has the last word on what fits, and says where something does not.
    body = BytesIO()
    table = pa.table([cells.cast(pa.string())], [column.name])
    csv.write_csv(table, body, csv.WriteOptions(include_header=False, quoting_style="all_valid"))
    return Parser([column.name], [column], rows=rows).parse(body.getvalue()).column(0)
