"""Parse records with Python's own JSON parser: slower than pyarrow, and exact about everything.

Every value becomes its text: numbers, arrays and objects as they are written.
"""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # the stubs have only its other name
from typing import TYPE_CHECKING, Any

from appmetrica_frames.decode.parse_errors import compare_names
from appmetrica_frames.errors import DecodeError, DownloadError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .records import RecordBlock

_SPACE = re.compile(r"[ \t\n\r]*")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how Python marks bytes that are not
_ESCAPES = 12  # if a block ends within a text, an error in a surrogate pair is reported at the beginning of the pair
_SHOWN = 80


class Number(str):
    """The text of a number without quotes."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """The names and values of an object in their order, including repeated names."""

    __slots__ = ()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
)


class PythonJsonDecoder:
    """Parses the records of one block, and keeps the rest of a block that ends within a record."""

    def __init__(self, block: RecordBlock, names: Sequence[str], rows_before: int) -> None:
        self._rows = rows_before
        self.rest = b""
        self._block = block
        self._names = names
        self._text, self._is_damaged = _decode(block.text)

    def read_values(self) -> list[list[Any]]:
        """Return the values of each record in the order of the names: text, `Number`, bool or None."""
        return [*self._iterate_values()]

    def _iterate_values(self) -> Iterator[list[Any]]:
        for pairs in self._iterate_records():
            values = self._select(pairs)
            if self._is_damaged:
                self._refuse_damage(values)
            yield values

    def _iterate_records(self) -> Iterator[Pairs]:
        at, end = 0, len(self._text)
        while at < end or self._block.is_last:
            try:
                record, following = self._parse_record(at)
            except _Incomplete:
                self.rest = self._text[at:].encode(errors="surrogateescape")
                return
            yield record
            self._rows += 1
            if (at := following) == end and self._block.is_last:
                return

    def _parse_record(self, at: int) -> tuple[Pairs, int]:
        """Return the record at this position, and the position of the next one."""
        try:
            record, end = _DECODER.raw_decode(self._text, at)
        except json.JSONDecodeError as error:
            raise self._error(error.msg, at, error.pos) from error
        except (ValueError, RecursionError) as error:
            raise self._error(str(error), at, at) from error
        if not isinstance(record, Pairs):
            raise self._error("Expecting an object", at, at)
        if any(isinstance(value, list) for _, value in record):
            record = _parse_with_sources(self._text, at)
        return record, self._skip_comma(end)

    def _skip_comma(self, at: int) -> int:
        at = _skip_space(self._text, at)
        if at == len(self._text):
            if self._block.is_last:
                return at
            raise _Incomplete
        if self._text[at] != ",":
            raise self._error("Expecting ',' delimiter", at, at)
        return _skip_space(self._text, at + 1)

    def _error(self, reason: str, at: int, position: int) -> Exception:
        end = len(self._text.rstrip(" \t\n\r")) - (0 if self._block.is_last else _ESCAPES)
        is_cut = reason.startswith("Unterminated string") or position >= end
        if is_cut and not self._block.is_last:
            return _Incomplete()
        kind, advice = (DownloadError, " Download it again.") if is_cut else (DecodeError, "")
        excerpt = self._text[max(at, position - _SHOWN // 2) : position + _SHOWN // 2]
        return kind(f"Row {self._rows + 1} of the export is no JSON ({reason}): {excerpt!r}.{advice}")

    def _select(self, pairs: Pairs) -> list[Any]:
        names = [name for name, _ in pairs]
        if names == self._names:
            return [value for _, value in pairs]
        if differences := compare_names(names, self._names):
            raise SchemaError(f"Row {self._rows + 1} of the export does not have the requested fields: {differences}.")
        by_name = dict(pairs)
        return [by_name[name] for name in self._names]

    def _refuse_damage(self, values: list[Any]) -> None:
        for name, value in zip(self._names, values, strict=True):
            if isinstance(value, str) and _NOT_UTF8.search(value):
                shown = value[:_SHOWN].encode(errors="surrogateescape").decode(errors="replace")
                raise DecodeError(f"Column {name!r}, row {self._rows + 1} of the export is not UTF-8: {shown!r}")


class _Incomplete(Exception):  # noqa: N818 - the rest of the record is in the next block
    """The block ends within a record."""


def _decode(text: bytes) -> tuple[str, bool]:
    try:
        return text.decode(), False
    except UnicodeDecodeError:
        return text.decode(errors="surrogateescape"), True


def _skip_space(text: str, at: int) -> int:
    # An index past the end is one that the caller compares with the end.
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _parse_with_sources(text: str, at: int) -> Pairs:
    """Parse a valid record once more, and take its arrays and objects as they are written."""
    pairs, at = Pairs(), _skip_space(text, at + 1)
    while text[at] != "}":
        name, colon = scanstring(text, at + 1, True)  # noqa: FBT003 - its only signature
        start = _skip_space(text, _skip_space(text, colon) + 1)
        value, end = _DECODER.raw_decode(text, start)
        pairs.append((name, text[start:end] if isinstance(value, list) else value))
        at = _skip_space(text, end)
        at = _skip_space(text, at + 1) if text[at] == "," else at
    return pairs
