"""Typed record batches out of a JSON body.

pyarrow parses a block as lines of JSON, into text; Python's own parser takes the blocks that pyarrow refuses or that it
may read in another way: text with bare numbers in it, nested values, repeated names. What becomes of the text is
the business of the CSV side, so that the two formats give equal frames.
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
from .records import Block, records, refuse_endless_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .types import Column


def read_json(
    chunks: Iterable[bytes], columns: Sequence[Column], *, block_size: int = 1 << 22
) -> Iterator[pa.RecordBatch]:
    """Yield the batches that `read_csv` would yield for the same rows, or raise `DecodeError` or `DownloadError`.

    Empty text and null are null in every column. Numbers, arrays and objects arrive in text columns as they are
    written. Half of a surrogate pair, which no UTF-8 can hold, becomes U+FFFD.
    """
    parser = _Parser(columns)
    batches = one_ahead(parser.parse, records(chunks, size=block_size), name="appmetrica-frames-json")
    with closing(batches):
        yield from (batch for batch in batches if batch.num_rows)


class _Parser:
    """Parses blocks, counts their rows, and keeps what is left of a block that ends within a record."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.rows = 0
        self.left = b""
        self.lines = Lines(columns)

    def parse(self, block: Block) -> pa.RecordBatch:
        block = Block(self.left + block.text, last=block.last)
        self.left = b""
        try:
            cells = self.lines.parse(block)
        except NotPlainError:
            cells = self._exactly(block)
        arrays = [typed(column, cells[column.name], self.rows) for column in self.columns]
        self.rows += len(arrays[0])
        return pa.record_batch(arrays, schema=schema(self.columns))

    def _exactly(self, block: Block) -> dict[str, pa.Array[Any]]:
        objects = Objects(block, [column.name for column in self.columns], self.rows)
        values = [*zip(*objects.values(), strict=True)] or [()] * len(self.columns)
        self.left = objects.left
        refuse_endless_record(self.left)
        self.lines.learn([{*map(type, column)} - {type(None)} for column in values])
        return {column.name: spelled(cells) for column, cells in zip(self.columns, values, strict=True)}
