"""Decode a JSON body into typed record batches.

A block whose values are all quoted is read as CSV. Of another one, pyarrow reads newline-delimited JSON; Python's own
parser takes the blocks that pyarrow refuses or could misread: text with bare numbers in it, nested values, repeated
names. Texts are then cast as in CSV, so that the two formats give equal frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pyarrow as pa

from appmetrica_frames.decode.decoder import Decoder
from appmetrica_frames.errors import AppMetricaError

from .cells import cast_text, to_text
from .ndjson import NdjsonDecoder, NotPlainError
from .python import PythonJsonDecoder
from .quoted import QuotedJsonToCsv
from .records import RecordBlock, refuse_endless_record, split_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from appmetrica_frames.schema.types import Column

BLOCK_BYTES = 1 << 22
MAX_FAST_BYTES = 1 << 23  # the fast ways take many times the memory of a block whose bytes are chosen for it


class ParsedJson(NamedTuple):
    """A block, its columns unless it could not be parsed, and what is left of a record that does not end in it."""

    block: RecordBlock
    arrays: list[pa.Array[Any]] | None
    rest: bytes = b""


class JsonDecoder(Decoder[RecordBlock, ParsedJson]):
    """Reads JSON into the batches that CSV would give for the same rows.

    Empty text and null are null in every column. Numbers, arrays and objects arrive in text columns as they are
    written. Half of a surrogate pair, which no UTF-8 can hold, becomes U+FFFD.
    """

    min_workers: ClassVar[int] = 2

    def __init__(
        self, columns: Sequence[Column], *, collect_misfits: bool = False, block_bytes: int = BLOCK_BYTES
    ) -> None:
        super().__init__(columns, collect_misfits=collect_misfits)
        self._block_bytes = block_bytes
        self._ndjson = NdjsonDecoder(columns)
        self._rest = bytearray()
        self._enough = 0

    def split(self, chunks: Iterable[bytes]) -> Iterator[RecordBlock]:
        return split_records(chunks, size=self._block_bytes)

    def build_parser(self) -> Callable[[RecordBlock], ParsedJson]:
        converter = QuotedJsonToCsv([column.name for column in self.columns])

        def parse(block: RecordBlock) -> ParsedJson:
            arrays = self._parse_as_csv(block, converter)
            return ParsedJson(block, arrays) if arrays else self._try_to_parse(block)

        return parse

    def assemble(self, parsed: ParsedJson) -> pa.RecordBatch | None:
        if self._rest or parsed.arrays is None:
            # The block begins within a record, or has an error that does not know its row.
            self._rest += parsed.block.text
            if len(self._rest) < self._enough and not parsed.block.is_last:
                return None
            block = RecordBlock(bytes(self._rest), parsed.block.is_last)
            parsed = self._collecting(lambda: self._parse(block, rows_before=self.rows))
        refuse_endless_record(parsed.rest)
        self._rest = bytearray(parsed.rest)
        # A record of many blocks is parsed again when it has doubled, not with each block: linear in time.
        self._enough = 2 * len(self._rest)
        return self._finish(parsed.arrays or [])

    def _parse_as_csv(self, block: RecordBlock, converter: QuotedJsonToCsv) -> list[pa.Array[Any]] | None:
        if len(block.text) > MAX_FAST_BYTES:
            return None
        try:
            return converter.convert(block).read_columns(self.columns)
        except (pa.ArrowInvalid, NotPlainError):
            return None

    def _try_to_parse(self, block: RecordBlock) -> ParsedJson:
        try:
            return self._parse(block, rows_before=0)
        except AppMetricaError:
            return ParsedJson(block, None)

    def _parse(self, block: RecordBlock, *, rows_before: int) -> ParsedJson:
        cells, rest = self._parse_fast(block) or self._parse_exactly(block, rows_before)
        return ParsedJson(block, [cast_text(column, cells[column.name], rows_before) for column in self.columns], rest)

    def _parse_fast(self, block: RecordBlock) -> tuple[dict[str, pa.Array[Any]], bytes] | None:
        if len(block.text) > MAX_FAST_BYTES:
            return None
        try:
            return self._ndjson.parse(block), b""
        except NotPlainError:
            return None

    def _parse_exactly(self, block: RecordBlock, rows_before: int) -> tuple[dict[str, pa.Array[Any]], bytes]:
        decoder = PythonJsonDecoder(block, [column.name for column in self.columns], rows_before)
        values = [*zip(*decoder.read_values(), strict=True)] or [()] * len(self.columns)
        self._ndjson.learn([{*map(type, column)} - {type(None)} for column in values])
        cells = {column.name: to_text(texts) for column, texts in zip(self.columns, values, strict=True)}
        return cells, decoder.rest
