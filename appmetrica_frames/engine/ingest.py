"""The bodies of an export, on their way into one Parquet file: decompress, parse, write, join the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appmetrica_frames.decode.body import content
from appmetrica_frames.decode.csv import read_csv, schema
from appmetrica_frames.decode.json import read_json
from appmetrica_frames.errors import SchemaError
from appmetrica_frames.schema import catalog
from appmetrica_frames.schema.types import Column, arrow_type

from . import parquet
from .pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from appmetrica_frames.cache.store import PendingWrite
    from appmetrica_frames.logs_api.transport import ResponseBody
    from appmetrica_frames.progress import ProgressReporter
    from appmetrica_frames.request.export import ExportRequest
    from appmetrica_frames.request.part import Part

PIECES_AHEAD = 8
READERS = {"csv": read_csv, "json": read_json}


class ParquetIngest:
    """Receives the bodies of one export until all are whole and fit their columns.

    Attributes
    ----------
    as_text
        Columns that did not fit their type, each with what is said of it.
    """

    def __init__(
        self, request: ExportRequest, draft: PendingWrite, *, strict: bool, reporter: ProgressReporter
    ) -> None:
        self.as_text: dict[str, str] = {}
        self._request = request
        self._draft = draft
        self._strict = strict
        self._reporter = reporter
        self._rows: dict[Part, int] = {}

    @property
    def rows(self) -> int:
        """The number of rows that were written."""
        return sum(self._rows.values())

    def receive(self, body: ResponseBody, part: Part) -> bool:
        """Write a body; return False if the export has to come again, with a column more as text."""
        if part.number == 0:
            self._rows.clear()
        columns = [self._column(name) for name in self._request.wire_fields]
        path = self._draft.path if part.count == 1 else self._draft.part(part.number)
        try:
            self._rows[part] = self._written(body, columns, path)
        except SchemaError as misfit:
            if self._strict or misfit.column is None or misfit.column in self.as_text:
                raise
            self.as_text[misfit.column] = f"{misfit} The column arrives as text."
            return False
        if part.count > 1 and part.number == part.count - 1:
            self._join(part.count)
        return True

    def _written(self, body: ResponseBody, columns: list[Column], path: Path) -> int:
        # Network and gunzip, parsing, and Parquet each keep a core busy, at a distance that bounds what is held.
        with Pipeline(abort=body.abort) as pipeline:
            pieces = pipeline.ahead(content(body), depth=PIECES_AHEAD, name="download")
            batches = self._counted(READERS[self._request.wire_format](pieces, columns))
            groups = pipeline.ahead(parquet.row_groups(batches), depth=1, name="gather")
            return parquet.write(path, schema(columns), groups, about=self._request.to_dict())

    def _counted(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = self.rows  # of the parts before
        for batch in batches:
            rows += batch.num_rows
            self._reporter.decoded(rows)
            yield batch

    def _join(self, count: int) -> None:
        parts = [self._draft.part(number) for number in range(count)]
        parquet.join(parts, self._draft.path)
        for part in parts:
            part.unlink()

    def _column(self, name: str) -> Column:
        if name in self.as_text:
            return Column(name, "string", arrow_type("string"))
        wire = catalog.resource(self._request.resource).wire_type(name)
        return Column(name, wire, self._request.overrides.get(name, arrow_type(wire)))
