"""Read records whose values are all quoted, as most exports have them, by turning a block of them into CSV.

If every value is quoted and there is no insignificant space, unescaped quotes begin and end names and values in turns,
and the bytes between two of them are known. All of that is checked. Such a block is CSV with backslash escapes, but for
its colons and the ends of its records; those are overwritten in a copy. The names become columns of their own, to be
compared with the expected ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from pyarrow import csv
from pyarrow import types as is_type

from appmetrica_frames.decode.csv import join_chunks, read_table
from appmetrica_frames.decode.numbers import find_infinite

from .ndjson import NotPlainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from appmetrica_frames.schema.types import Column

    from .records import RecordBlock

Bytes: TypeAlias = "NDArray[np.uint8]"
Positions: TypeAlias = "NDArray[np.int64]"

_QUOTE, _BACKSLASH, _COMMA, _COLON, _LINE_END, _SPACE, _ZERO, _X = b'"\\,:\n 0x'
_LOWER_CASE = 0x20
_RECORD_SEPARATOR = np.frombuffer(b"},{", np.uint8)
# pyarrow takes the byte after a backslash literally, so the letter of an escape is replaced by the character it means.
_UNESCAPED = np.zeros(256, np.uint8)
_UNESCAPED[[*b"bfnrt/"]] = [*b"\b\f\n\r\t/"]
# A value without quotes or a \\u escape: the block is not worth a scan.
_NOT_QUOTED = re.compile(rb'[{,]"[^"\\]*":[^"]|\\u')
_PROBED_BYTES = 1 << 13
_BACKSLASHES = csv.ParseOptions(escape_char="\\", double_quote=False, ignore_empty_lines=True)


class CsvText(NamedTuple):
    """A block as CSV, the names in the order of its records, and where the values of each record begin."""

    text: Bytes
    names: list[str]
    starts: Positions

    def read_columns(self, columns: Sequence[Column]) -> list[pa.Array[Any]]:
        """Return the columns, or raise `pyarrow.ArrowInvalid` or `NotPlainError`."""
        types = {column.name: column.parsed for column in columns}
        types |= {_name_column(name): pa.binary(len(name.encode())) for name in self.names}
        names = [cell for name in self.names for cell in (_name_column(name), name)]
        cells = read_table(self.text, names, types, _BACKSLASHES)
        if not all(_are_all(name, join_chunks(cells[_name_column(name)])) for name in self.names):
            raise NotPlainError
        arrays = [join_chunks(cells[column.name]) for column in columns]
        if self._may_hold_hexadecimal(columns) or any(find_infinite(array) is not None for array in arrays):
            raise NotPlainError
        return [column.cast(array) for column, array in zip(columns, arrays, strict=True)]

    def _may_hold_hexadecimal(self, columns: Sequence[Column]) -> bool:
        integers = [self.names.index(column.name) for column in columns if is_type.is_integer(column.parsed)]
        starts = self.starts[:, integers]
        first, second = (self.text.take(starts + offset, mode="clip") for offset in (0, 1))
        return bool((((first == _ZERO) & (second | _LOWER_CASE == _X)) | (first == _SPACE)).any())


def _name_column(name: str) -> str:
    """Return the name of the column that holds the name in every row."""
    return f"{name}\0"


def _are_all(name: str, cells: pa.Array[Any]) -> bool:
    expected = np.frombuffer(name.encode(), np.uint8)
    actual: Bytes = np.frombuffer(cells.buffers()[1], np.uint8)  # type: ignore[call-overload]  # an Arrow buffer is one
    return bool((actual.reshape(-1, expected.size) == expected).all())


class QuotedJsonToCsv:
    """Converts blocks whose values are all quoted; not for several threads at once."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = {*names}
        self._width = 4 * len(names)
        self._scanner = QuoteScanner()

    def convert(self, block: RecordBlock) -> CsvText:
        """Return the CSV of a block, or raise `NotPlainError`."""
        text, size = block.text, len(block.text) - (not block.is_last)
        is_complete = text.endswith((b'"}', b'"},')) and text.endswith(b"}") == block.is_last
        if not (is_complete and text.startswith(b'{"')) or _NOT_QUOTED.search(text, 0, _PROBED_BYTES):
            raise NotPlainError
        csv_text = np.frombuffer(text, np.uint8, size).copy()
        quotes, letters = self._scanner.scan(csv_text)
        records = _split_into_records(quotes, self._width)
        colons, separators = _find_colons(csv_text, records), _find_separators(csv_text, records)
        names = self._read_names(text, records[0])
        csv_text[letters] = _unescape(csv_text[letters])
        csv_text[colons] = _COMMA
        csv_text[separators] = _LINE_END
        return CsvText(csv_text[1:-1], names, records[:, 2::4])

    def _read_names(self, text: bytes, first: Positions) -> list[str]:
        spans = zip(first[::4], first[1::4], strict=True)
        names = [text[start + 1 : end].decode(errors="replace") for start, end in spans]
        if {*names} != self._names:
            raise NotPlainError
        return names


class Buffer:
    """Memory that is reused for every block: to allocate it takes as long as what is computed in it."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.bool_)

    def take(self, size: int) -> NDArray[np.bool_]:
        if self._memory.size < size:
            self._memory = np.empty(size, np.bool_)
        return self._memory[:size]


class QuoteScanner:
    """Finds quotes and escapes."""

    def __init__(self) -> None:
        self._quote, self._backslash, self._pairs = Buffer(), Buffer(), Buffer()

    def scan(self, text: Bytes) -> tuple[Positions, Positions]:
        """Return the positions of unescaped quotes, and those of the letters of escapes."""
        if text.min() < _SPACE:
            raise NotPlainError
        size = text.size
        quote = np.equal(text, _QUOTE, out=self._quote.take(size))
        backslash = np.equal(text, _BACKSLASH, out=self._backslash.take(size))
        pairs = self._pairs.take(size - 1)
        letters, escaped = _find_escapes(np.flatnonzero(np.greater(backslash[:-1], quote[1:], out=pairs)), text)
        np.greater(quote[1:], backslash[:-1], out=pairs)
        pairs[escaped] = quote[escaped + 1]
        quotes = np.flatnonzero(pairs)
        quotes += 1
        return quotes, letters


def _find_escapes(backslashes: Positions, text: Bytes) -> tuple[Positions, Positions]:
    """Return the positions of the letters of escapes, and of the escaped backslashes that end their run.

    Of the backslashes, those are given that no quote follows.
    """
    is_followed = text[backslashes + 1] == _BACKSLASH
    run = backslashes[is_followed]
    begins = np.diff(run, prepend=-2) != 1
    lengths = np.diff(np.flatnonzero(np.append(begins, True))) + 1
    last = run[begins] + lengths - 1
    escaped = last[lengths % 2 == 0]
    return np.setdiff1d(backslashes[~is_followed], escaped, assume_unique=True) + 1, escaped


def _split_into_records(quotes: Positions, width: int) -> Positions:
    """Return the positions of the quotes, a row for each record."""
    if not quotes.size or quotes.size % width:
        raise NotPlainError
    records = quotes.reshape(-1, width)
    if not (records[:, 2::2] - records[:, 1:-1:2] == 2).all():  # noqa: PLR2004 - there is one byte between them
        raise NotPlainError
    return records


def _find_colons(text: Bytes, records: Positions) -> Positions:
    # Between a value and the next name, anything but a comma leaves a row with too few cells: no need to check it.
    colons = records[:, 1::4] + 1
    if not (text[colons] == _COLON).all():
        raise NotPlainError
    return colons


def _find_separators(text: Bytes, records: Positions) -> Positions:
    ends = records[:, -1]
    separators = ends[:-1, None] + np.arange(1, 1 + _RECORD_SEPARATOR.size)
    edges = (records[0, 0], ends[-1]) == (1, text.size - 2)
    is_separated = (text[separators] == _RECORD_SEPARATOR).all()
    if not edges or not (records[1:, 0] == separators[:, -1] + 1).all() or not is_separated:
        raise NotPlainError
    return separators


def _unescape(letters: Bytes) -> Bytes:
    characters = _UNESCAPED[letters]
    if not characters.all():
        raise NotPlainError
    return characters
