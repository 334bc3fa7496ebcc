"""Blocks are parsed side by side: the rows, their order and the errors are those of one block after the other."""

from __future__ import annotations

import csv
import io
import json
import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appmetrica_frames.decode.csv import CsvDecoder
from appmetrica_frames.decode.decoder import build_schema
from appmetrica_frames.decode.json.decoder import JsonDecoder
from appmetrica_frames.engine.ingest import decode
from appmetrica_frames.engine.pipeline import Pipeline
from appmetrica_frames.errors import AppMetricaError, DecodeError, DownloadError, SchemaError
from appmetrica_frames.schema.types import Column, get_arrow_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from appmetrica_frames.decode.decoder import Decoder

    AnyDecoder = Decoder[Any, Any]

WORKERS = 4
COLUMNS = [
    Column("name", "string", get_arrow_type("string")),
    Column("id", "uint64", get_arrow_type("uint64")),
    Column("json", "string", get_arrow_type("string")),
]
NAMES = [column.name for column in COLUMNS]
DECODERS = [CsvDecoder, JsonDecoder]

TEXTS = st.sampled_from(["", "x", 'a"b', "two\nlines", '{"name":"x"}', "},{", "\\", "Привет", "🎉"])
IDS = st.none() | st.integers(0, 2**64 - 1)
ROWS = st.lists(st.tuples(TEXTS, IDS, TEXTS), min_size=1, max_size=40)
NESTED = st.sampled_from(
    [[{"name": 1}], {"name": {"name": []}}, [{"name": "a", "id": 1, "json": 2}, {"name": "b"}], 1.5]
)


def nothing() -> None:
    pass


def in_threads(decoder: AnyDecoder, chunks: Iterable[bytes]) -> list[pa.RecordBatch]:
    with Pipeline(nothing) as pipeline:
        return list(decode(decoder, chunks, pipeline, workers=WORKERS))


def outcome(batches: Any) -> Any:
    try:
        table = pa.Table.from_batches(batches(), build_schema(COLUMNS))
    except AppMetricaError as error:
        return type(error), str(error), vars(error)
    table.validate(full=True)
    return table.to_pylist()


def compare(decoder_type: Any, body: bytes, block_bytes: int) -> Any:
    alone = outcome(lambda: list(decoder_type(COLUMNS, block_bytes=block_bytes).decode([body])))
    together = outcome(lambda: in_threads(decoder_type(COLUMNS, block_bytes=block_bytes), [body]))
    assert together == alone
    return together


def write_csv(rows: Iterable[Iterable[object]]) -> bytes:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([NAMES, *rows])
    return file.getvalue().encode()


def write_json(rows: Iterable[Iterable[object]]) -> bytes:
    records = [dict(zip(NAMES, row, strict=True)) for row in rows]
    return json.dumps({"data": records}, ensure_ascii=False, separators=(",", ":")).encode()


WRITERS = {CsvDecoder: write_csv, JsonDecoder: write_json}


@pytest.mark.parametrize("decoder_type", DECODERS)
@settings(deadline=None, max_examples=60)
@given(rows=ROWS, block_bytes=st.integers(1, 300))
def test_rows_keep_their_order(decoder_type: Any, rows: list[tuple[Any, ...]], block_bytes: int) -> None:
    expected = [dict(zip(NAMES, (cell if cell != "" else None for cell in row), strict=True)) for row in rows]
    assert compare(decoder_type, WRITERS[decoder_type](rows), block_bytes) == expected


@settings(deadline=None, max_examples=100)
@given(rows=st.lists(st.tuples(TEXTS, IDS, NESTED | TEXTS), min_size=1, max_size=40), block_bytes=st.integers(1, 300))
def test_json_blocks_that_end_within_records_are_mended(rows: list[tuple[Any, ...]], block_bytes: int) -> None:
    found = compare(JsonDecoder, write_json(rows), block_bytes)
    assert [(row["name"], row["id"]) for row in found] == [(row[0] or None, row[1]) for row in rows]
    for row, (_, _, value) in zip(found, rows, strict=True):
        assert row["json"] == (value or None) if isinstance(value, str) else json.loads(row["json"]) == value


@pytest.mark.parametrize("decoder_type", DECODERS)
@settings(deadline=None, max_examples=100)
@given(rows=ROWS, block_bytes=st.integers(1, 300), data=st.data())
def test_errors_are_those_of_one_block_after_the_other(
    decoder_type: Any, rows: list[tuple[Any, ...]], block_bytes: int, data: Any
) -> None:
    body = bytearray(WRITERS[decoder_type](rows))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b'"', b"\n", b",", b"x", b"\xff"])
        )
    compare(decoder_type, bytes(body), block_bytes)


@pytest.mark.parametrize("decoder_type", DECODERS)
@pytest.mark.parametrize("bad_row", [1, 2, 37, 100])
def test_an_error_names_its_row_while_later_blocks_are_parsed(decoder_type: Any, bad_row: int) -> None:
    rows = [("x" * 20, "one" if row in {bad_row, bad_row + 30} else row, "y") for row in range(1, 151)]
    with pytest.raises(SchemaError) as caught:
        in_threads(decoder_type(COLUMNS, block_bytes=64), [WRITERS[decoder_type](rows)])
    assert (caught.value.column, caught.value.row, caught.value.value) == ("id", bad_row, "one")


@pytest.mark.parametrize("decoder_type", DECODERS)
@pytest.mark.parametrize("block_bytes", [40, 300, 1 << 20])
def test_misfits_of_all_columns_are_collected(decoder_type: Any, block_bytes: int) -> None:
    columns = [Column(name, "uint64", get_arrow_type("uint64")) for name in NAMES]
    rows = [("x" if row == 40 else row, row, "y" if row in {90, 91, 140} else row) for row in range(1, 151)]
    decoder = decoder_type(columns, collect_misfits=True, block_bytes=block_bytes)
    batches = in_threads(decoder, [WRITERS[decoder_type](rows)])
    assert {name: (misfit.row, misfit.value) for name, misfit in decoder.misfits.items()} == {
        "name": (40, "x"),
        "json": (90, "y"),
    }
    assert decoder.rows == 150
    assert sum(batch.num_rows for batch in batches) < 40


@pytest.mark.parametrize("decoder_type", DECODERS)
def test_blocks_of_different_sizes_do_not_share_memory(decoder_type: Any) -> None:
    rows = [(f"{row}" * (1 + 997 * row % 89), row, f'"{row}"\n') for row in range(3000)]
    found = compare(decoder_type, WRITERS[decoder_type](rows), 2000)
    assert [tuple(row.values()) for row in found] == rows


@pytest.mark.parametrize("decoder_type", DECODERS)
@pytest.mark.parametrize("error", [DownloadError("lost"), KeyboardInterrupt(), ZeroDivisionError()])
def test_an_error_of_the_source_comes_out_unchanged(decoder_type: Any, error: BaseException) -> None:
    body = WRITERS[decoder_type]([("x", 1, "y")] * 100)

    def chunks() -> Iterator[bytes]:
        yield body[:-20]
        raise error

    with pytest.raises(type(error)) as caught:
        in_threads(decoder_type(COLUMNS, block_bytes=64), chunks())
    assert caught.value is error


@pytest.mark.parametrize(
    ("decoder_type", "head", "row"),
    [(CsvDecoder, b"name,id,json\n", b"x,1,y\n"), (JsonDecoder, b'{"data":[', b'{"name":"x","id":"1","json":"y"},')],
)
def test_an_early_end_leaves_no_thread_and_reads_no_further(decoder_type: Any, head: bytes, row: bytes) -> None:
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        yield head
        while True:
            taken += 1
            assert threading.current_thread() is threading.main_thread()
            yield row * 20

    before = threading.active_count()
    with Pipeline(nothing) as pipeline:
        next(decode(decoder_type(COLUMNS, block_bytes=20 * len(row)), chunks(), pipeline, workers=WORKERS))
        so_far = taken
    assert threading.active_count() == before
    assert so_far == taken <= WORKERS + 3


@pytest.mark.parametrize("decoder_type", DECODERS)
def test_a_body_that_is_cut_is_refused(decoder_type: Any) -> None:
    body = WRITERS[decoder_type]([("x", 1, "y")] * 100)
    with pytest.raises((DecodeError, DownloadError)):
        in_threads(decoder_type(COLUMNS, block_bytes=100), [body[:-3]])
