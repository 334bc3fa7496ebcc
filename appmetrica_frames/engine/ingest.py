"""Receive the bodies of an export into one Parquet file: decompress, parse, write, join the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appmetrica_frames.decode.body import decode_body
from appmetrica_frames.decode.decoder import build_schema
from appmetrica_frames.errors import SchemaError
from appmetrica_frames.schema import catalog
from appmetrica_frames.schema.types import Column, get_arrow_type

from . import parquet
from .pipeline import Pipeline, count_workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from appmetrica_frames.cache.store import PendingWrite
    from appmetrica_frames.decode.decoder import Decoder
    from appmetrica_frames.logs_api.transport import ResponseBody
    from appmetrica_frames.progress import ProgressReporter
    from appmetrica_frames.request.export import ExportRequest
    from appmetrica_frames.request.part import Part

PIECES_AHEAD = 8


def build_decoder(wire_format: str, columns: Sequence[Column]) -> Decoder[Any, Any]:
    """Return a decoder of a format; what decodes the other one is not imported."""
    if wire_format == "json":
        from appmetrica_frames.decode.json.decoder import JsonDecoder

        return JsonDecoder(columns)
    from appmetrica_frames.decode.csv import CsvDecoder

    return CsvDecoder(columns)


def decode(
    decoder: Decoder[Any, Any], chunks: Iterable[bytes], pipeline: Pipeline, *, workers: int
) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a body whose blocks are parsed by so many threads of a pipeline."""
    blocks = decoder.split(chunks)
    return decoder.assemble_all(pipeline.map(decoder.build_parser, blocks, workers=workers, name="parse"))


class ParquetIngest:
    """Receives the bodies of one export until all are complete and fit their columns.

    Parameters
    ----------
    write
        Where the file goes: ``path``, and ``part(number)`` for the parts of an export in parts.
    workers
        The number of threads that parse; by default, as many as the machine has cores to spare.

    Attributes
    ----------
    text_columns
        The columns that did not fit their type and are read as text, each with the reason.
    """

    def __init__(
        self,
        request: ExportRequest,
        write: PendingWrite,
        *,
        strict: bool,
        reporter: ProgressReporter,
        workers: int | None = None,
    ) -> None:
        self.text_columns: dict[str, str] = {}
        self._request = request
        self._write = write
        self._strict = strict
        self._reporter = reporter
        self._workers = workers or count_workers()
        self._rows: dict[Part, int] = {}

    @property
    def rows(self) -> int:
        """The number of rows that were written."""
        return sum(self._rows.values())

    def receive(self, body: ResponseBody, part: Part) -> bool:
        """Write a body; return False if the export must be downloaded again, to read one more column as text."""
        if part.number == 0:
            self._rows.clear()
        path = self._write.path if part.count == 1 else self._write.part(part.number)
        try:
            self._rows[part] = self._write_body(body, path)
        except SchemaError as misfit:
            if self._strict or misfit.column is None or misfit.column in self.text_columns:
                raise
            self.text_columns[misfit.column] = f"{misfit} The column arrives as text."
            return False
        if part.count > 1 and part.number == part.count - 1:
            self._join_parts(part.count)
        return True

    def _write_body(self, body: ResponseBody, path: Path) -> int:
        # Download and gunzip, splitting, parsing, and Parquet each have a thread, and each waits for the next one.
        columns = [self._column(name) for name in self._request.wire_fields]
        decoder = build_decoder(self._request.wire_format, columns)
        with Pipeline(abort=body.abort) as pipeline:
            chunks = pipeline.prefetch(decode_body(body), depth=PIECES_AHEAD, name="download")
            batches = self._report(decode(decoder, chunks, pipeline, workers=self._workers))
            groups = pipeline.prefetch(parquet.build_row_groups(batches), depth=1, name="gather")
            return parquet.write(path, build_schema(columns), groups, about=self._request.to_dict())

    def _report(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = self.rows  # of the parts before
        for batch in batches:
            rows += batch.num_rows
            self._reporter.decoded(rows)
            yield batch

    def _join_parts(self, count: int) -> None:
        parts = [self._write.part(number) for number in range(count)]
        parquet.join(parts, self._write.path)
        for part in parts:
            part.unlink()

    def _column(self, name: str) -> Column:
        if name in self.text_columns:
            return Column(name, "string", get_arrow_type("string"))
        field_type = catalog.resource(self._request.resource).wire_type(name)
        return Column(name, field_type, self._request.overrides.get(name, get_arrow_type(field_type)))
