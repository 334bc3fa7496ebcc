"""Exports: a request becomes a file of simulated rows, batch by batch, as CSV or JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl
import polars.selectors as cs

from .files import FileWriter
from .request import ApiError
from .simulation.population import FIRST_DAY, LIFETIME
from .simulation.rng import draw, mix
from .simulation.sessions import DAY, MAX_LATENESS
from .simulation.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .files import FileStore, PreparedFile
    from .request import ExportRequest
    from .simulation.population import Population, Visits
    from .simulation.rng import U64, Bools, Ints
    from .simulation.rows import Rows
    from .simulation.tables import Table


DATETIME_FORMAT = "%Y-%m-%d %H:%M:%S"
BOM = b"\xef\xbb\xbf"
MORE_PARTS = "The export is too large: {rows} rows and more. Try to use more parts."
SHUFFLE_SECONDS = 30
SLICE_ROWS = 16_384
MAX_LATENESS_DAYS = int(MAX_LATENESS // DAY) + 1


class Format(Protocol):
    """Encodes frames: `begin`, any number of `frame`, `end`."""

    media_type: str

    def begin(self) -> bytes: ...

    def frame(self, frame: pl.DataFrame) -> bytes: ...

    def end(self) -> bytes: ...


class Csv:
    """CSV with a header line and without a line end after the last row."""

    media_type = "text/csv"

    def __init__(self, fields: Sequence[str], *, bom: bool) -> None:
        self._head = (BOM if bom else b"") + ",".join(fields).encode()
        self._columns = [pl.col(name).alias(str(index)) for index, name in enumerate(fields)]
        self._empty = True

    def begin(self) -> bytes:
        return self._head

    def frame(self, frame: pl.DataFrame) -> bytes:
        self._empty = False
        buffer = BytesIO()
        frame.select(self._columns).write_csv(buffer, include_header=False, datetime_format=DATETIME_FORMAT)
        return b"\n" + buffer.getvalue()[:-1]

    def end(self) -> bytes:
        return b"\n" if self._empty else b""


class Json:
    """One JSON object with all rows in ``data``."""

    media_type = "application/json"

    def __init__(self, fields: Sequence[str], *, native: bool) -> None:
        self._fields = fields
        self._native = native
        self._separator = b""

    def begin(self) -> bytes:
        return b'{"data":['

    def frame(self, frame: pl.DataFrame) -> bytes:
        texts = frame.with_columns(cs.datetime().dt.strftime(DATETIME_FORMAT), cs.date().dt.strftime("%Y-%m-%d"))
        if not self._native:
            texts = texts.select(pl.all().cast(pl.String).fill_null(""))
        separator, self._separator = self._separator, b","
        return separator + self._write(texts)

    def _write(self, frame: pl.DataFrame) -> bytes:
        if len(set(self._fields)) < len(self._fields):
            # A frame cannot repeat a column.
            return ",".join(map(self._write_record, frame.iter_rows(named=True))).encode()
        buffer = BytesIO()
        frame.write_json(buffer)
        return buffer.getvalue()[1:-1]

    def _write_record(self, row: dict[str, object]) -> str:
        """Return a record with a key for each field, also for a repeated one."""
        pairs = ((json.dumps(name, ensure_ascii=False), row[name]) for name in self._fields)
        return "{" + ",".join(f"{key}:{json.dumps(value, ensure_ascii=False)}" for key, value in pairs) + "}"

    def end(self) -> bytes:
        return b"]}"


class BuildCancelled(Exception):  # noqa: N818 - not an error: the job was moved, or the server stops
    """The build was cancelled."""


@dataclass(frozen=True)
class Export:
    """An export of the data that the server had at one instant.

    Attributes
    ----------
    as_of
        UNIX seconds; rows received later are left out.
    """

    request: ExportRequest
    population: Population
    as_of: float
    max_rows_per_file: int | None = None
    native_json: bool = False

    def build(self, store: FileStore, progress: Callable[[float], None]) -> PreparedFile:
        """Write the file; `progress` gets the share done after each batch, and may raise to cancel."""
        form = self._make_format()
        writer = FileWriter(store, 200, form.media_type)
        try:
            for chunk in self._encode(form, progress):
                writer.write(chunk)
        except BaseException:
            writer.discard()
            raise
        return writer.close()

    def frames(self, progress: Callable[[float], None] = lambda _: None) -> Iterator[pl.DataFrame]:
        """Yield the rows as frames with the requested columns, each once."""
        remaining = self.request.limit
        latest = LatestPerDevice()
        for visits in self._visits(progress):
            rows = self._rows(visits)
            if self._table.latest_only:
                rows = latest.filter(rows)
            frame = self._frame(rows.take(_shuffle(rows["received"])))
            frame = frame if remaining is None else frame.head(remaining)
            if len(frame):
                yield frame
            remaining = remaining if remaining is None else remaining - len(frame)
            if remaining == 0:
                return

    def _make_format(self) -> Format:
        if self.request.wire_format == "csv":
            return Csv(self.request.fields, bom=self.request.bom)
        return Json(self.request.fields, native=self.native_json)

    def _encode(self, form: Format, progress: Callable[[float], None]) -> Iterator[bytes]:
        rows = 0
        yield form.begin()
        for frame in self.frames(progress):
            rows += len(frame)
            if self.max_rows_per_file is not None and rows > self.max_rows_per_file:
                raise ApiError(400, MORE_PARTS.format(rows=self.max_rows_per_file), error_type="query_error")
            yield from map(form.frame, frame.iter_slices(SLICE_ROWS))
        yield form.end()

    @property
    def _table(self) -> Table:
        return TABLES[self.request.resource.name]

    @property
    def _since(self) -> float:
        return self.as_of - LIFETIME * DAY if self.request.since is None else self.request.since

    @property
    def _until(self) -> float:
        return self.as_of if self.request.until is None else min(self.request.until, self.as_of)

    def _days(self) -> range:
        """Return the days whose rows can be in the export; by receive time, these are some earlier days, too."""
        application = self.request.application
        earlier = MAX_LATENESS_DAYS if self.request.by_receive_time else 0
        first = max(FIRST_DAY, application.day(self._since) - earlier)
        return range(first, application.day(self._until) + 1)

    def _visits(self, progress: Callable[[float], None]) -> Iterator[Visits]:
        days = self._days()
        ordered = days[::-1] if self._table.latest_only else days
        for visits in self.population.visits(ordered, installs_only=self._table.installs_only):
            yield self._select_part(visits)
            progress((abs(int(visits.day[-1]) - ordered[0]) + 1) / len(days) if len(visits) else 0.0)

    def _select_part(self, visits: Visits) -> Visits:
        number, count = self.request.part
        if count == 1:
            return visits
        return visits.take(np.flatnonzero(draw(visits.seed, "part") % np.uint64(count) == number))

    def _rows(self, visits: Visits) -> Rows:
        rows = self._table.rows(visits)
        return rows.take(np.flatnonzero(self._select(rows)))

    def _frame(self, rows: Rows) -> pl.DataFrame:
        filters = self.request.filters
        fields = tuple(dict.fromkeys(self.request.fields))
        names = dict.fromkeys((*fields, *(name for name, _ in filters)))
        frame = self._table.build_frame(rows, tuple(names))
        for name, value in filters:
            frame = frame.filter(_format_as_text(frame[name]) == value)
        return frame.select(fields)

    def _select(self, rows: Rows) -> Bools:
        when = rows["received"] if self.request.by_receive_time else rows["time"]
        return (when >= self._since) & (when <= self._until) & (rows["received"] <= self.as_of)


class LatestPerDevice:
    """Keeps the first row of each device, which is its latest one where days come in descending order."""

    def __init__(self) -> None:
        self._seen: U64 = np.empty(0, np.uint64)

    def filter(self, rows: Rows) -> Rows:
        devices, first = np.unique(rows.device_id, return_index=True)
        new = ~np.isin(devices, self._seen, assume_unique=True)
        self._seen = np.concatenate([self._seen, devices[new]])
        return rows.take(first[new])


def _shuffle(receive_time: Ints) -> Ints:
    """Return an order like the server's: not by time, but rows of the same half-minute stay together."""
    return np.argsort(mix((receive_time // SHUFFLE_SECONDS).astype(np.uint64)), kind="stable")


def _format_as_text(series: pl.Series) -> pl.Series:
    """Return the column as the text of the export, which filters are compared with."""
    return series.dt.strftime(DATETIME_FORMAT) if series.dtype == pl.Datetime else series.cast(pl.String)
