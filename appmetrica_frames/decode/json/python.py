"""Parse records in Python: slower than pyarrow, and exact about everything.

Every value becomes its text: numbers, arrays and objects as they are written.
"""

from __future__ import annotations

import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # the stubs have only its other name
from typing import TYPE_CHECKING, TypeAlias

from appmetrica_frames.decode.parse_errors import SHOWN, compare_names
from appmetrica_frames.errors import DecodeError, DownloadError, SchemaError
from appmetrica_frames.util.excerpts import excerpt

from .scan import (
    NUMBER,
    SMALL_DEPTH,
    SPACE,
    WORD,
    JsonSyntaxError,
    expect,
    match_small_value,
    skip_space,
    skip_string,
    skip_value,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .records import RecordBlock

_PLAIN = rb'[^"\\\x00-\x1f]*'
_MEMBER = re.compile(
    rb'%s"(%s)"%s:%s(?:"(%s)"|(%s)|(%s)|(%s))%s([,}])'
    % (SPACE, _PLAIN, SPACE, SPACE, _PLAIN, NUMBER, WORD, match_small_value(SMALL_DEPTH), SPACE)
)
_WORDS = {b"true": True, b"false": False, b"null": None}
MAX_UNKNOWN_NAMES = 10
_MAX_CUT = 12  # bytes before the end of a block in which an error may come from the cut: half of a word or an escape

Value: TypeAlias = "bytes | bool | None"


class Number(bytes):
    """The text of a number without quotes."""

    __slots__ = ()


class PythonJsonDecoder:
    """Parses the records of one block, and keeps the rest of a block that ends within a record."""

    def __init__(self, block: RecordBlock, names: Sequence[str], rows_before: int) -> None:
        self.rest = b""
        self._rows = rows_before
        self._text = block.text
        self._is_last = block.is_last
        self._names = {name.encode(): name for name in names}

    def read_values(self) -> list[list[Value]]:
        """Return the values of each record in the order of the names: text, `Number`, bool or None."""
        return [*self._iterate_values()]

    def _iterate_values(self) -> Iterator[list[Value]]:
        at, end = 0, len(self._text)
        while at < end or self._is_last:
            try:
                values, following = self._parse_record(at)
            except JsonSyntaxError as error:
                if self._is_incomplete(error):
                    self.rest = self._text[at:]
                    return
                raise self._explain(error, at) from error
            yield values
            self._rows += 1
            if (at := following) == end and self._is_last:
                return

    def _parse_record(self, at: int) -> tuple[list[Value], int]:
        """Return the values of the record at this position, and the position of the next one."""
        if self._text[at : at + 1] != b"{":
            raise JsonSyntaxError("expected an object", at)
        record = _Record(self._names)
        at = skip_space(self._text, at + 1)
        is_open = self._text[at : at + 1] != b"}"
        at = self._parse_members(record, at) if is_open else at + 1
        following = self._skip_comma(at)
        if differences := record.differences():
            raise SchemaError(f"Row {self._rows + 1} of the export does not have the requested fields: {differences}.")
        return record.values_in_order(), following

    def _parse_members(self, record: _Record, at: int) -> int:
        end = b","
        while end == b",":
            if match := _MEMBER.match(self._text, at):
                name, string, number, word, nested, end = match.groups()
                at = match.end()
                if number is not None:
                    value: Value = Number(number)
                elif word is not None:
                    value = _WORDS[word]
                else:
                    value = self._check_utf8(name, string) if nested is None else self._read_value(name, nested)
            else:
                name, value, end, at = self._parse_complex_member(at)
            record.add(name, value)
        return at

    def _parse_complex_member(self, at: int) -> tuple[bytes, Value, bytes, int]:
        """Return the name and the value of a member with escapes or deep nesting, and what ends it and where."""
        at = skip_space(self._text, at)
        if self._text[at : at + 1] != b'"':
            raise JsonSyntaxError("expected a name in quotes", at)
        end = skip_string(self._text, at)
        name = self._unquote(self._text[at + 1 : end - 1], self._text[at:end])
        at = expect(self._text, end, ord(":"))
        end = skip_value(self._text, at)
        value = self._read_value(name, self._text[at:end])
        at = skip_space(self._text, end)
        end_mark = self._text[at : at + 1]
        if end_mark not in {b",", b"}"}:
            raise JsonSyntaxError("expected ',' or '}'", at)
        return name, value, end_mark, at + 1

    def _read_value(self, name: bytes, source: bytes) -> Value:
        if source.startswith(b'"'):
            return self._unquote(name, source)
        if source.startswith((b"[", b"{")):
            return self._check_utf8(name, source)
        return _WORDS[source] if source in _WORDS else Number(source)

    def _unquote(self, name: bytes, source: bytes) -> bytes:
        self._check_utf8(name, source)
        if b"\\" not in source:
            return source[1:-1]
        text: str = scanstring(source.decode(), 1, True)[0]  # noqa: FBT003 - its only signature
        try:
            return text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()

    def _check_utf8(self, name: bytes, text: bytes) -> bytes:
        if not text.isascii() and not _is_utf8(text):
            column, shown = name.decode(errors="replace"), excerpt(text, SHOWN)
            raise DecodeError(f"Column {column!r}, row {self._rows + 1} of the export is not UTF-8: {shown!r}")
        return text

    def _skip_comma(self, at: int) -> int:
        at = skip_space(self._text, at)
        if at == len(self._text) and self._is_last:
            return at
        return expect(self._text, at, ord(","))

    def _is_incomplete(self, error: JsonSyntaxError) -> bool:
        return not self._is_last and error.position >= len(self._text.rstrip()) - _MAX_CUT

    def _explain(self, error: JsonSyntaxError, at: int) -> DecodeError | DownloadError:
        is_cut = error.position >= len(self._text.rstrip())
        kind, advice = (DownloadError, " Download it again.") if is_cut else (DecodeError, "")
        first = max(at, error.position - SHOWN // 2)
        shown = excerpt(self._text, error.position + SHOWN // 2 - first, start=first)
        return kind(f"Row {self._rows + 1} of the export is not valid JSON ({error.reason}): {shown!r}.{advice}")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Record:
    """The values of one record, as far as its names are known."""

    def __init__(self, names: dict[bytes, str]) -> None:
        self._names = names
        self._values: dict[bytes, Value] = {}
        self._unknown: dict[bytes, None] = {}
        self._repeated: dict[bytes, None] = {}

    def add(self, name: bytes, value: Value) -> None:
        if name not in self._names:
            if len(self._unknown) < MAX_UNKNOWN_NAMES:
                self._unknown[name] = None
        elif self._values.setdefault(name, value) != value:
            self._repeated[name] = None

    def differences(self) -> str:
        """Return in which way the names differ from the requested ones, or an empty text."""
        if len(self._values) == len(self._names) and not self._unknown and not self._repeated:
            return ""
        names = [name.decode(errors="replace") for name in (*self._values, *self._unknown, *self._repeated)]
        return compare_names(names, [*self._names.values()])

    def values_in_order(self) -> list[Value]:
        return [self._values[name] for name in self._names]
