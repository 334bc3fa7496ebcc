"""Receive the bodies of an export into one Parquet file: decompress, parse, write, join the parts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from appmetrica_frames.decode.body import decode_body
from appmetrica_frames.decode.decoder import build_schema
from appmetrica_frames.decode.parse_errors import misfit_error
from appmetrica_frames.errors import AppMetricaError, SchemaError
from appmetrica_frames.schema import catalog
from appmetrica_frames.schema.types import Column, get_arrow_type

from . import parquet
from .pipeline import Pipeline, count_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from appmetrica_frames.cache.store import PendingWrite
    from appmetrica_frames.decode.decoder import Decoder
    from appmetrica_frames.logs_api.transport import ResponseBody
    from appmetrica_frames.progress import ProgressReporter
    from appmetrica_frames.request.export import ExportRequest
    from appmetrica_frames.request.part import Part

PIECES_AHEAD = 8


def build_decoder(wire_format: str, columns: Sequence[Column], *, collect_misfits: bool) -> Decoder[Any, Any]:
    """Return a decoder of a format; the one of the other format is not imported."""
    if wire_format == "json":
        from appmetrica_frames.decode.json.decoder import JsonDecoder

        return JsonDecoder(columns, collect_misfits=collect_misfits)
    from appmetrica_frames.decode.csv import CsvDecoder

    return CsvDecoder(columns, collect_misfits=collect_misfits)


def decode(
    decoder: Decoder[Any, Any], chunks: Iterable[bytes], pipeline: Pipeline, *, workers: int
) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a body whose blocks are parsed by so many threads of a pipeline, or as many as it takes."""
    blocks, workers = decoder.split(chunks), max(workers, decoder.min_workers)
    return decoder.assemble_all(pipeline.map(decoder.build_parser, blocks, workers=workers, name="parse"))


class ParquetIngest:
    """Receives the bodies of one export until all are complete and fit their columns.

    Parameters
    ----------
    write
        Where the file goes: ``path``, and ``part(number)`` for the parts of an export in parts.
    strict
        Whether a column that does not fit its type is an error. Otherwise, all columns that do not fit are found in one
        download and read as text in the next.
    redact
        Applied to every text from the server that errors and `text_columns` hold.
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
        redact: Callable[[str], str] = str,
        workers: int | None = None,
    ) -> None:
        self.text_columns: dict[str, str] = {}
        self._misfits: dict[str, SchemaError] = {}
        self._redact = redact
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
        """Write a body; return False if the export must be downloaded again, to read columns as text."""
        if part.number == 0:
            self._rows.clear()
            self._misfits.clear()
        path = self._write.path if part.count == 1 else self._write.part(part.number)
        with redact_errors(self._redact):
            self._write_body(body, part, path)
        if part.number < part.count - 1:
            return True
        if self._misfits:
            self.text_columns |= {column: self._explain(misfit) for column, misfit in self._misfits.items()}
            return False
        if part.count > 1:
            self._join_parts(part.count)
        return True

    def _write_body(self, body: ResponseBody, part: Part, path: Path) -> None:
        # Download and gunzip, splitting, parsing, and Parquet each have a thread, and each waits for the next one.
        columns = [self._column(name) for name in self._request.wire_fields]
        decoder = build_decoder(self._request.wire_format, columns, collect_misfits=not self._strict)
        with Pipeline(abort=body.abort) as pipeline:
            chunks = pipeline.prefetch(decode_body(body), depth=PIECES_AHEAD, name="download")
            batches = self._report(decode(decoder, chunks, pipeline, workers=self._workers))
            groups = pipeline.prefetch(parquet.build_row_groups(batches), depth=1, name="gather")
            rows = parquet.write(path, build_schema(columns), groups, about=self._request.to_dict())
            parquet.release_memory()
        # Only now is it known that the body is complete and sound, and so are the misfits.
        self._rows[part] = rows
        self._misfits |= decoder.misfits

    def _explain(self, misfit: SchemaError) -> str:
        return str(misfit_error(misfit.column or "", misfit.row or 0, self._redact(misfit.value or "")))

    def _report(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = self.rows  # of the parts before
        for batch in batches:
            rows += batch.num_rows
            self._reporter.decoded(rows)
            yield batch

    def _join_parts(self, count: int) -> None:
        parts = [self._write.part(number) for number in range(count)]
        parquet.join(parts, self._write.path)
        parquet.release_memory()
        for part in parts:
            part.unlink()

    def _column(self, name: str) -> Column:
        if name in self.text_columns or name in self._misfits:
            return Column(name, "string", get_arrow_type("string"))
        field_type = catalog.resource(self._request.resource).wire_type(name)
        return Column(name, field_type, self._request.arrow_type(name))


@contextmanager
def redact_errors(redact: Callable[[str], str]) -> Iterator[None]:
    """Apply a function to all texts of an error that leaves the block, and of its causes."""
    try:
        yield
    except AppMetricaError as error:
        if isinstance(error, SchemaError) and error.value is not None:
            # The message holds the beginning of the value, in which a secret may be cut.
            error.value = redact(error.value)
            error.args = misfit_error(error.column or "", error.row or 0, error.value).args
        _redact_arguments(error, redact)
        raise


def _redact_arguments(error: BaseException | None, redact: Callable[[str], str]) -> None:
    while error is not None:
        error.args = tuple(redact(value) if isinstance(value, str) else value for value in error.args)
        error = error.__cause__ or error.__context__
