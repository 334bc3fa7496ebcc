"""One export: from a request over the simulated population to a prepared file, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl
import polars.selectors as cs

from .files import FileWriter
from .request import Refusal
from .simulation.population import FIRST_DAY, LIFETIME
from .simulation.rng import draw, mix
from .simulation.sessions import DAY, MAX_LATENESS
from .simulation.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .files import PreparedFile, Shelf
    from .request import ExportRequest
    from .simulation.population import Population, Visits
    from .simulation.rng import U64, Bools, Ints
    from .simulation.rows import Rows
    from .simulation.tables import Table


MORE_PARTS = "The export is too large: {rows} rows and more. Try to use more parts."
TOGETHER = 30
WRITTEN_AT_ONCE = 16_384
LATEST_DAYS = int(MAX_LATENESS // DAY) + 1


class Abandoned(Exception):  # noqa: N818 - nobody's fault: the job was moved, or the server stops
    """The build is no longer wanted."""


@dataclass(frozen=True)
class Export:
    """An export of what the server knew at one instant.

    Attributes
    ----------
    as_of
        UNIX seconds; what was received later is not in it.
    """

    request: ExportRequest
    population: Population
    as_of: float
    parts_above: int | None = None
    native_json: bool = False

    def build(self, shelf: Shelf, progress: Callable[[float], None]) -> PreparedFile:
        """Write the file; `progress` is told the share done after each batch, and may raise to give up."""
        form = self._form()
        writer = FileWriter(shelf, 200, form.media_type)
        try:
            for piece in self._pieces(form, progress):
                writer.write(piece)
        except BaseException:
            writer.abandon()
            raise
        return writer.close()

    def frames(self, progress: Callable[[float], None] = lambda _: None) -> Iterator[pl.DataFrame]:
        """Yield the rows, as frames with the request's columns."""
        left = self.request.limit
        latest = Latest()
        for visits in self._visits(progress):
            rows = self._rows(visits)
            if self._table.latest_only:
                rows = latest.of(rows)
            frame = self._frame(rows.take(_shuffled(rows["received"])))
            frame = frame if left is None else frame.head(left)
            if len(frame):
                yield frame
            left = left if left is None else left - len(frame)
            if left == 0:
                return

    def _form(self) -> Format:
        if self.request.wire_format == "csv":
            return Csv(self.request.fields, bom=self.request.bom)
        return Json(native=self.native_json)

    def _pieces(self, form: Format, progress: Callable[[float], None]) -> Iterator[bytes]:
        rows = 0
        yield form.begin()
        for frame in self.frames(progress):
            rows += len(frame)
            if self.parts_above is not None and rows > self.parts_above:
                raise Refusal(400, MORE_PARTS.format(rows=self.parts_above), error_type="query_error")
            yield from map(form.frame, frame.iter_slices(WRITTEN_AT_ONCE))
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
        """Return the days whose rows can be in the export: by receipt, some happened days before."""
        application = self.request.application
        early = LATEST_DAYS if self.request.by_receipt else 0
        first = max(FIRST_DAY, application.day(self._since) - early)
        return range(first, application.day(self._until) + 1)

    def _visits(self, progress: Callable[[float], None]) -> Iterator[Visits]:
        days = self._days()
        ordered = days[::-1] if self._table.latest_only else days
        for visits in self.population.visits(ordered, installs_only=self._table.installs_only):
            yield self._share(visits)
            progress((abs(int(visits.day[-1]) - ordered[0]) + 1) / len(days) if len(visits) else 0.0)

    def _share(self, visits: Visits) -> Visits:
        number, count = self.request.part
        if count == 1:
            return visits
        return visits.take(np.flatnonzero(draw(visits.seed, "part") % np.uint64(count) == number))

    def _rows(self, visits: Visits) -> Rows:
        rows = self._table.rows(visits)
        return rows.take(np.flatnonzero(self._wanted(rows)))

    def _frame(self, rows: Rows) -> pl.DataFrame:
        filters = self.request.filters
        names = dict.fromkeys((*self.request.fields, *(name for name, _ in filters)))
        frame = self._table.build_frame(rows, tuple(names))
        for name, value in filters:
            frame = frame.filter(_worded(frame[name]) == value)
        return frame.select(self.request.fields)

    def _wanted(self, rows: Rows) -> Bools:
        when = rows["received"] if self.request.by_receipt else rows["time"]
        return (when >= self._since) & (when <= self._until) & (rows["received"] <= self.as_of)


class Latest:
    """Keeps the first row of each owner; when the days come last one first, that is the row of the latest day."""

    def __init__(self) -> None:
        self._seen: U64 = np.empty(0, np.uint64)

    def of(self, rows: Rows) -> Rows:
        owners, first = np.unique(rows.device_id, return_index=True)
        new = ~np.isin(owners, self._seen, assume_unique=True)
        self._seen = np.concatenate([self._seen, owners[new]])
        return rows.take(first[new])


def _shuffled(receive_time: Ints) -> Ints:
    """Return an order in which rows of the same half-minute stay together; more order than this is not promised."""
    return np.argsort(mix((receive_time // TOGETHER).astype(np.uint64)), kind="stable")


def _worded(series: pl.Series) -> pl.Series:
    """Return the column as it stands in the export, which is what filters compare with."""
    return series.dt.strftime(MOMENT) if series.dtype == pl.Datetime else series.cast(pl.String)


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
