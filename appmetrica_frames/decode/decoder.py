"""What the decoders of all wire formats have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import pyarrow as pa

from appmetrica_frames.errors import SchemaError
from appmetrica_frames.schema.types import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from appmetrica_frames.schema.types import Column

Block = TypeVar("Block")
Parsed = TypeVar("Parsed")
Result = TypeVar("Result")


def build_schema(columns: Sequence[Column]) -> pa.Schema:
    """Return the schema of the batches that decoders make of these columns."""
    return pa.schema([(column.name, column.type) for column in columns])


class Decoder(ABC, Generic[Block, Parsed]):
    """Turns the content of one body into record batches, in three steps that a caller may run in threads of its own.

    ``split`` cuts the content into blocks of whole rows. Where a block ends depends on the content alone, never on how
    the network cut it. ``build_parser`` returns a function of one block; those of several blocks may run side by side,
    each with a parser of its own. ``assemble`` takes what the parsers made, in the order of the blocks: it counts the
    rows, so that an error can name the row of the export.

    Attributes
    ----------
    columns
        The columns, in the order in which they are wanted.
    rows
        The number of rows that are assembled.
    min_workers
        How many threads must parse so that, on two cores, parsing does not take longer than everything else.
    misfits
        The first misfit of each column, if they are collected. The batches end with the first of them; the rest of the
        body is then read for those of other columns.
    """

    min_workers: ClassVar[int] = 1

    def __init__(self, columns: Sequence[Column], *, collect_misfits: bool = False) -> None:
        self.columns = list(columns)
        self.rows = 0
        self.misfits: dict[str, SchemaError] = {}
        self._collect_misfits = collect_misfits

    @abstractmethod
    def split(self, chunks: Iterable[bytes]) -> Iterator[Block]:
        """Yield blocks of whole rows."""

    @abstractmethod
    def build_parser(self) -> Callable[[Block], Parsed]:
        """Return a function that parses a block, and raises nothing that depends on the rows before it."""

    @abstractmethod
    def assemble(self, parsed: Parsed) -> pa.RecordBatch | None:
        """Return the rows that are complete with this block, if any, or raise `DecodeError` or `DownloadError`."""

    def decode(self, chunks: Iterable[bytes]) -> Iterator[pa.RecordBatch]:
        """Yield the batches of a body, one block after the other."""
        return self.assemble_all(map(self.build_parser(), self.split(chunks)))

    def assemble_all(self, blocks: Iterable[Parsed]) -> Iterator[pa.RecordBatch]:
        """Yield the batches of parsed blocks."""
        return (batch for batch in map(self.assemble, blocks) if batch)

    def _finish(self, arrays: list[pa.Array[Any]]) -> pa.RecordBatch | None:
        self.rows += len(arrays[0])
        if self.misfits or not len(arrays[0]):
            return None
        return pa.record_batch(arrays, schema=build_schema(self.columns))

    def _collecting(self, parse: Callable[[], Result]) -> Result:
        """Return what `parse` returns once the columns that do not fit are read as text, or raise the misfit."""
        while True:
            try:
                return parse()
            except SchemaError as misfit:
                if not self._collect_misfits or misfit.column is None or misfit.column in self.misfits:
                    raise
                self.misfits[misfit.column] = misfit
                self.columns = [as_text(c) if c.name == misfit.column else c for c in self.columns]
