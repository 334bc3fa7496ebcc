"""Records of a JSON export whose values are all quoted, as most are: a block of them becomes CSV.

Where every value is quoted and no space is wasted, an unescaped quote begins or ends a name or a value, in turns, and
what stands between two of them is known to the byte. All of that is looked at. Such a block is CSV with backslashes but
for its colons and the ends of its records, and those are overwritten in a copy. The names become columns of their own,
which are compared with what they should be.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from pyarrow import csv

from .csv import joined, table
from .lines import NotPlainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from appmetrica_frames.schema.types import Column

    from .records import Block

Bytes: TypeAlias = "NDArray[np.uint8]"
Places: TypeAlias = "NDArray[np.int64]"

_QUOTE, _BACKSLASH, _COMMA, _COLON, _LINE_END, _SPACE = b'"\\,:\n '
_BETWEEN = np.frombuffer(b"},{", np.uint8)
# Behind a backslash, pyarrow takes any byte for what it is: the letter of an escape gives way to what it stands for.
_MEANT = np.zeros(256, np.uint8)
_MEANT[[*b"bfnrt/"]] = [*b"\b\f\n\r\t/"]
# A bare value, or a character by its number: not worth a closer look.
_OTHERWISE = re.compile(rb'[{,]"[^"\\]*":[^"]|\\u')
_LOOKED_AT = 1 << 13
_BACKSLASHES = csv.ParseOptions(escape_char="\\", double_quote=False, ignore_empty_lines=True)


class AsCsv(NamedTuple):
    """A block as CSV, and the names in the order in which its records have them."""

    text: Bytes
    names: list[str]

    def columns(self, columns: Sequence[Column]) -> list[pa.Array[Any]]:
        """Return the columns, or raise `pyarrow.ArrowInvalid` or `NotPlainError`."""
        types = {column.name: column.parsed for column in columns}
        types |= {_over(name): pa.binary(len(name.encode())) for name in self.names}
        cells = table(self.text, [cell for name in self.names for cell in (_over(name), name)], types, _BACKSLASHES)
        if not all(_all_are(name, joined(cells[_over(name)])) for name in self.names):
            raise NotPlainError
        return [column.cast(joined(cells[column.name])) for column in columns]


def _over(name: str) -> str:
    """Return the name of the column that has the name itself in every row."""
    return f"{name}\0"


def _all_are(name: str, cells: pa.Array[Any]) -> bool:
    expected = np.frombuffer(name.encode(), np.uint8)
    found: Bytes = np.frombuffer(cells.buffers()[1], np.uint8)  # type: ignore[call-overload]  # an Arrow buffer is one
    return bool((found.reshape(-1, expected.size) == expected).all())


class Quoted:
    """Makes CSV of blocks of records whose values are all quoted."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = {*names}
        self._width = 4 * len(names)
        self._marks = Marks()

    def as_csv(self, block: Block) -> AsCsv:
        """Return the CSV of a block, or raise `NotPlainError`."""
        text, size = block.text, len(block.text) - (not block.last)
        ended = text.endswith((b'"}', b'"},')) and text.endswith(b"}") == block.last
        if not (ended and text.startswith(b'{"')) or _OTHERWISE.search(text, 0, _LOOKED_AT):
            raise NotPlainError
        written = np.frombuffer(text, np.uint8, size).copy()
        quotes, letters = self._marks.of(written)
        places = _records(quotes, self._width)
        colons, between = _colons(written, places), _between(written, places)
        names = self._first_names(text, places[0])
        written[letters] = _meant(written[letters])
        written[colons] = _COMMA
        written[between] = _LINE_END
        return AsCsv(written[1:-1], names)

    def _first_names(self, text: bytes, first: Places) -> list[str]:
        spans = zip(first[::4], first[1::4], strict=True)
        names = [text[start + 1 : end].decode(errors="replace") for start, end in spans]
        if {*names} != self._names:
            raise NotPlainError
        return names


class _Room:
    """Memory that is used again for every block: to get it anew each time takes as long as what is done in it."""

    def __init__(self) -> None:
        self._all = np.empty(0, np.bool_)

    def of(self, size: int) -> NDArray[np.bool_]:
        if self._all.size < size:
            self._all = np.empty(size, np.bool_)
        return self._all[:size]


class Marks:
    """Finds quotes and backslashes."""

    def __init__(self) -> None:
        self._quote, self._backslash, self._pairs = _Room(), _Room(), _Room()

    def of(self, written: Bytes) -> tuple[Places, Places]:
        """Return the places of unescaped quotes, and those of the letters of escapes."""
        if written.min() < _SPACE:
            raise NotPlainError
        size = written.size
        quote = np.equal(written, _QUOTE, out=self._quote.of(size))
        backslash = np.equal(written, _BACKSLASH, out=self._backslash.of(size))
        pairs = self._pairs.of(size - 1)
        letters, idle = _escapes(np.flatnonzero(np.greater(backslash[:-1], quote[1:], out=pairs)), written)
        np.greater(quote[1:], backslash[:-1], out=pairs)
        pairs[idle] = quote[idle + 1]
        places = np.flatnonzero(pairs)
        places += 1
        return places, letters


def _escapes(backslashes: Places, written: Bytes) -> tuple[Places, Places]:
    """Return where the letters of escapes stand, and the backslashes that are themselves escaped, last in their run.

    Of the backslashes, those are given which no quote follows.
    """
    followed = written[backslashes + 1] == _BACKSLASH
    run = backslashes[followed]
    begins = np.diff(run, prepend=-2) != 1
    lengths = np.diff(np.flatnonzero(np.append(begins, True))) + 1
    last = run[begins] + lengths - 1
    idle = last[lengths % 2 == 0]
    return np.setdiff1d(backslashes[~followed], idle, assume_unique=True) + 1, idle


def _records(quotes: Places, width: int) -> Places:
    """Return the places of the quotes, a row for each record."""
    if not quotes.size or quotes.size % width:
        raise NotPlainError
    places = quotes.reshape(-1, width)
    if not (places[:, 2::2] - places[:, 1:-1:2] == 2).all():  # noqa: PLR2004 - there is one byte between them
        raise NotPlainError
    return places


def _colons(written: Bytes, places: Places) -> Places:
    # What stands between a value and the next name needs no look: anything but a comma leaves a row with too few cells.
    colons = places[:, 1::4] + 1
    if not (written[colons] == _COLON).all():
        raise NotPlainError
    return colons


def _between(written: Bytes, places: Places) -> Places:
    ends = places[:, -1]
    between = ends[:-1, None] + np.arange(1, 1 + _BETWEEN.size)
    edges = (places[0, 0], ends[-1]) == (1, written.size - 2)
    if not edges or not (places[1:, 0] == between[:, -1] + 1).all() or not (written[between] == _BETWEEN).all():
        raise NotPlainError
    return between


def _meant(letters: Bytes) -> Bytes:
    meant = _MEANT[letters]
    if not meant.all():
        raise NotPlainError
    return meant
