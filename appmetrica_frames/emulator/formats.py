"""Frames as the bytes of an export, piece by piece."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Protocol

import polars as pl
import polars.selectors as cs

if TYPE_CHECKING:
    from collections.abc import Sequence

MOMENT = "%Y-%m-%d %H:%M:%S"
BOM = b"\xef\xbb\xbf"


class Format(Protocol):
    """A way to write frames; `begin`, any number of `frame`, `end`."""

    media_type: str

    def begin(self) -> bytes: ...

    def frame(self, frame: pl.DataFrame) -> bytes: ...

    def end(self) -> bytes: ...


class Csv:
    """A header line, and each row on a line of its own that nothing ends but the next one."""

    media_type = "text/csv"

    def __init__(self, fields: Sequence[str], *, bom: bool) -> None:
        self._head = (BOM if bom else b"") + ",".join(fields).encode()
        self._empty = True

    def begin(self) -> bytes:
        return self._head

    def frame(self, frame: pl.DataFrame) -> bytes:
        self._empty = False
        buffer = BytesIO()
        frame.write_csv(buffer, include_header=False, datetime_format=MOMENT)
        return b"\n" + buffer.getvalue()[:-1]

    def end(self) -> bytes:
        return b"\n" if self._empty else b""


class Json:
    """One object with all rows under ``data``."""

    media_type = "application/json"

    def __init__(self, *, native: bool) -> None:
        self._native = native
        self._between = b""

    def begin(self) -> bytes:
        return b'{"data":['

    def frame(self, frame: pl.DataFrame) -> bytes:
        worded = frame.with_columns(cs.datetime().dt.strftime(MOMENT), cs.date().dt.strftime("%Y-%m-%d"))
        if not self._native:
            worded = worded.select(pl.all().cast(pl.String).fill_null(""))
        buffer = BytesIO()
        worded.write_json(buffer)
        between, self._between = self._between, b","
        return between + buffer.getvalue()[1:-1]

    def end(self) -> bytes:
        return b"]}"
