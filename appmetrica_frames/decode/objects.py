"""Records of a JSON export as Python's own parser reads them: slower than pyarrow, and exact about everything.

Every value becomes its text: a number as it was written, an array or an object likewise.
"""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # the stubs have only its other name
from typing import TYPE_CHECKING, Any

from appmetrica_frames.errors import DecodeError, DownloadError, SchemaError

from .header import name_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .records import Block

_SPACE = re.compile(r"[ \t\n\r]*")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how Python marks bytes that are not
_ESCAPES = 12  # where a block ends within a text, an escaped surrogate pair is called invalid at its own place
_SHOWN = 80


class Number(str):
    """The text of a number that stood without quotes."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """The names and values of an object in their order, repeated names included."""

    __slots__ = ()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
)


class Objects:
    """The records of one block, and what is left of it when it ends within a record."""

    def __init__(self, block: Block, names: Sequence[str], rows: int) -> None:
        self.rows = rows
        self.left = b""
        self._block = block
        self._names = names
        self._text, self._damaged = _decoded(block.text)

    def values(self) -> list[list[Any]]:
        """Return the values of each record in the order of the names: text, `Number`, bool or None."""
        return [*self._values()]

    def _values(self) -> Iterator[list[Any]]:
        for pairs in self._records():
            values = self._ordered(pairs)
            if self._damaged:
                self._refuse_damage(values)
            yield values

    def _records(self) -> Iterator[Pairs]:
        at, end = 0, len(self._text)
        while at < end or self._block.last:
            try:
                found, after = self._record(at)
            except _Incomplete:
                self.left = self._text[at:].encode(errors="surrogateescape")
                return
            yield found
            self.rows += 1
            if (at := after) == end and self._block.last:
                return

    def _record(self, at: int) -> tuple[Pairs, int]:
        """Return the record at this place, and the place of the next one."""
        try:
            found, end = _DECODER.raw_decode(self._text, at)
        except json.JSONDecodeError as fault:
            raise self._fault(fault.msg, at, fault.pos) from fault
        except (ValueError, RecursionError) as fault:
            raise self._fault(str(fault), at, at) from fault
        if not isinstance(found, Pairs):
            raise self._fault("Expecting an object", at, at)
        if any(isinstance(value, list) for _, value in found):
            found = _sourced(self._text, at)
        return found, self._after(end)

    def _after(self, at: int) -> int:
        at = _skipped(self._text, at)
        if at == len(self._text):
            if self._block.last:
                return at
            raise _Incomplete
        if self._text[at] != ",":
            raise self._fault("Expecting ',' delimiter", at, at)
        return _skipped(self._text, at + 1)

    def _fault(self, reason: str, at: int, place: int) -> Exception:
        end = len(self._text.rstrip(" \t\n\r")) - (0 if self._block.last else _ESCAPES)
        cut = reason.startswith("Unterminated string") or place >= end
        if cut and not self._block.last:
            return _Incomplete()
        kind, advice = (DownloadError, " Download it again.") if cut else (DecodeError, "")
        excerpt = self._text[max(at, place - _SHOWN // 2) : place + _SHOWN // 2]
        return kind(f"Row {self.rows + 1} of the export is no JSON ({reason}): {excerpt!r}.{advice}")

    def _ordered(self, pairs: Pairs) -> list[Any]:
        given = [name for name, _ in pairs]
        if given == self._names:
            return [value for _, value in pairs]
        if faults := [*name_faults(given, self._names)]:
            raise SchemaError(f"Row {self.rows + 1} of the export is not what was asked: {'; '.join(faults)}.")
        by_name = dict(pairs)
        return [by_name[name] for name in self._names]

    def _refuse_damage(self, values: list[Any]) -> None:
        for name, value in zip(self._names, values, strict=True):
            if isinstance(value, str) and _NOT_UTF8.search(value):
                shown = value[:_SHOWN].encode(errors="surrogateescape").decode(errors="replace")
                raise DecodeError(f"Column {name!r}, row {self.rows + 1} of the export is not UTF-8: {shown!r}")


class _Incomplete(Exception):  # noqa: N818 - nobody's fault: the rest of the record is in the next block
    """The block ends within a record."""


def _decoded(text: bytes) -> tuple[str, bool]:
    try:
        return text.decode(), False
    except UnicodeDecodeError:
        return text.decode(errors="surrogateescape"), True


def _skipped(text: str, at: int) -> int:
    # An index past the end is one that the caller compares with the end.
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _sourced(text: str, at: int) -> Pairs:
    """Read a sound record once more, and take its arrays and objects as they are written."""
    pairs, at = Pairs(), _skipped(text, at + 1)
    while text[at] != "}":
        name, colon = scanstring(text, at + 1, True)  # noqa: FBT003 - its only signature
        start = _skipped(text, _skipped(text, colon) + 1)
        value, end = _DECODER.raw_decode(text, start)
        pairs.append((name, text[start:end] if isinstance(value, list) else value))
        at = _skipped(text, end)
        at = _skipped(text, at + 1) if text[at] == "," else at
    return pairs
