"""Typed record batches out of a JSON body.

A block of nothing but quoted values is read as CSV. Of another one, pyarrow makes lines of JSON, and text of those;
Python's own parser takes the blocks that pyarrow refuses or that it may read in another way: text with bare numbers in
it, nested values, repeated names. What becomes of text is the business of the CSV side, so that the two formats give
equal frames.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .ahead import one_ahead
from .cells import spelled, typed
from .csv import schema
from .lines import Lines, NotPlainError
from .objects import Objects
from .quoted import AsCsv, Quoted
from .records import Block, records, refuse_endless_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from appmetrica_frames.schema.types import Column


def read_json(
    chunks: Iterable[bytes], columns: Sequence[Column], *, block_size: int = 1 << 22
) -> Iterator[pa.RecordBatch]:
    """Yield the batches that `read_csv` would yield for the same rows, or raise `DecodeError` or `DownloadError`.

    Empty text and null are null in every column. Numbers, arrays and objects arrive in text columns as they are
    written. Half of a surrogate pair, which no UTF-8 can hold, becomes U+FFFD.
    """
    parser = _Parser(columns)
    blocks = one_ahead(parser.prepare, records(chunks, size=block_size), name="appmetrica-frames-quoted")
    batches = one_ahead(parser.parse, blocks, name="appmetrica-frames-json")
    with closing(blocks), closing(batches):
        yield from (batch for batch in batches if batch.num_rows)


class _Parser:
    """Parses blocks, counts their rows, and keeps what is left of a block that ends within a record."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.rows = 0
        self.left = b""
        self.quoted = Quoted([column.name for column in columns])
        self.lines = Lines(columns)

    def prepare(self, block: Block) -> tuple[Block, AsCsv | None]:
        try:
            return block, self.quoted.as_csv(block)
        except NotPlainError:
            return block, None

    def parse(self, prepared: tuple[Block, AsCsv | None]) -> pa.RecordBatch:
        block, as_csv = prepared
        arrays = (as_csv and not self.left and self._at_once(as_csv)) or self._one_by_one(block)
        self.rows += len(arrays[0])
        return pa.record_batch(arrays, schema=schema(self.columns))

    def _at_once(self, as_csv: AsCsv) -> list[pa.Array[Any]] | None:
        try:
            return as_csv.columns(self.columns)
        except (pa.ArrowInvalid, NotPlainError):
            return None

    def _one_by_one(self, block: Block) -> list[pa.Array[Any]]:
        block = Block(self.left + block.text, last=block.last)
        self.left = b""
        cells = self._cells(block)
        return [typed(column, cells[column.name], self.rows) for column in self.columns]

    def _cells(self, block: Block) -> dict[str, pa.Array[Any]]:
        try:
            return self.lines.parse(block)
        except NotPlainError:
            return self._exactly(block)

    def _exactly(self, block: Block) -> dict[str, pa.Array[Any]]:
        objects = Objects(block, [column.name for column in self.columns], self.rows)
        values = [*zip(*objects.values(), strict=True)] or [()] * len(self.columns)
        self.left = objects.left
        refuse_endless_record(self.left)
        self.lines.learn([{*map(type, column)} - {type(None)} for column in values])
        return {column.name: spelled(cells) for column, cells in zip(self.columns, values, strict=True)}
