"""The body of an answer, on its way into a Parquet file: gunzip, parse, write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import catalog, parquet
from .decode.csv import read_csv, schema
from .decode.gunzip import gunzip, sniffed
from .decode.types import Column, arrow_type
from .errors import DecodeError, DownloadError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .request import ExportRequest
    from .transport import Body


class Reception:
    """Receives bodies of one export until one is whole and fits its columns.

    Attributes
    ----------
    rows
        The number of rows that were written.
    as_text
        Columns that did not fit their type, each with what is said of it.
    """

    def __init__(self, request: ExportRequest, path: Path, *, strict: bool) -> None:
        self.rows = 0
        self.as_text: dict[str, str] = {}
        self._request = request
        self._path = path
        self._strict = strict

    def receive(self, body: Body) -> bool:
        """Write the body to the Parquet file; return False if it has to come again, with a column more as text."""
        columns = [self._column(name) for name in self._request.wire_fields]
        batches = read_csv(decompressed(body), columns)
        try:
            self.rows = parquet.write(self._path, schema(columns), batches, about=self._request.described())
        except SchemaError as misfit:
            if self._strict or misfit.column is None or misfit.column in self.as_text:
                raise
            self.as_text[misfit.column] = f"{misfit} The column arrives as text."
            return False
        return True

    def _column(self, name: str) -> Column:
        wire = catalog.resource(self._request.resource).wire_type(name)
        if name in self.as_text:
            return Column(name, "string", arrow_type("string"))
        return Column(name, wire, self._request.overrides.get(name, arrow_type(wire)))


def decompressed(body: Body) -> Iterator[bytes]:
    """Return the content of a body, and refuse one that could be cut without anybody noticing."""
    gzipped, chunks = sniffed(body)
    if gzipped:
        return gunzip(chunks)
    if body.encoding not in {"", "identity", "gzip"}:
        raise DecodeError(f"The server answered with Content-Encoding {body.encoding!r}, which was not asked for.")
    if body.encoding == "gzip":
        raise DownloadError("The body is announced as gzip and does not begin like it.")
    if not body.framed:
        raise DownloadError("The body has neither gzip nor a length nor chunks, so that a cut would go unnoticed.")
    return chunks
