"""A JSON export gives the batches that CSV gives for the same rows, and anything else is an error that shows where."""

from __future__ import annotations

import csv
import io
import json
import threading
from contextlib import suppress
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appmetrica_frames.decode.csv import CsvDecoder
from appmetrica_frames.decode.decoder import build_schema
from appmetrica_frames.decode.json.cells import cast_text, to_text
from appmetrica_frames.decode.json.decoder import JsonDecoder
from appmetrica_frames.decode.json.ndjson import NdjsonDecoder, NotPlainError
from appmetrica_frames.decode.json.python import PythonJsonDecoder
from appmetrica_frames.decode.json.records import RecordBlock
from appmetrica_frames.errors import DecodeError, DownloadError, SchemaError
from appmetrica_frames.schema.types import Column, get_arrow_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from appmetrica_frames.schema.catalog import FieldType

# fmt: off
AWKWARD = [
    "Привет, мир", "🎉", 'a "quoted" word', "two\nlines", "two\r\nlines", '[{"a":1},{"b":2}]', "null", "true", "nan",
    "},{", "},", '},{"name":', "]}", "]", "{", "\\", '\\"', '"', '"},{"', "\\\\", ":null", '":null', ":", "a\x00b",
    "\x7f", "\u2028", "\ufeff", " padded ", "/", "\b\f\t", '{"name":"x"}', '{"name"', ',\n{"name"', "\x1f{", "\x1f},{",
]
# fmt: on
TEXTS = st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
IDS = st.none() | st.integers(0, 2**64 - 1)
VALUES = st.fixed_dictionaries(
    {"name": TEXTS, "id": IDS | st.integers(0, 2**64 - 1).map(str), "json": st.none() | TEXTS}
)
ROWS = st.lists(VALUES, max_size=12)
SIZES = st.sampled_from([1, 7, 50, 200, 1000, 1 << 22])
DIALECTS = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 0, 2, "\t"]),
        "separators": st.sampled_from([None, (",", ":"), (" ,\r\n", " : ")]),
    }
)


def columns(**wire: FieldType) -> list[Column]:
    return [Column(name, type_, get_arrow_type(type_)) for name, type_ in wire.items()]


COLUMNS = columns(name="string", id="uint64", json="string")
GOOD = b'{"name":"x","id":"1","json":"y"}'


def read(body: bytes | Iterable[bytes], requested: list[Column] = COLUMNS, **settings: int) -> list[tuple[Any, ...]]:
    batches = list(JsonDecoder(requested, **settings).decode([body] if isinstance(body, bytes) else body))
    assert all(batch.num_rows for batch in batches)
    table = pa.Table.from_batches(batches, build_schema(requested))
    table.validate(full=True)
    return [tuple(row.values()) for row in table.to_pylist()]


def body(*records: bytes) -> bytes:
    return b'{"data":[' + b",".join(records) + b"]}"


def expected(rows: Iterable[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["name"] or None, row["id"] and int(row["id"]), row["json"] or None) for row in map(nulled, rows)]


def nulled(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if value in ("", None) else value for name, value in row.items()}


def cut(text: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def write_csv(rows: Iterable[Iterable[Any]], names: Iterable[str]) -> bytes:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([names, *rows])
    return file.getvalue().encode()


@given(rows=ROWS, dialect=DIALECTS, size=SIZES, bom=st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_what_was_written_is_what_arrives(
    rows: list[dict[str, Any]], dialect: dict[str, Any], size: int, bom: bytes
) -> None:
    written = json.dumps({"data": rows}, **dialect).encode()
    assert read(bom + written + b"\r\n \t", block_bytes=size) == expected(rows)


@given(rows=ROWS, shuffled=st.randoms(use_true_random=False), size=SIZES)
def test_each_record_may_have_its_own_order(rows: list[dict[str, Any]], shuffled: Any, size: int) -> None:
    other = [dict(shuffled.sample([*row.items()], len(row))) for row in rows]
    assert read(json.dumps({"data": other}).encode(), block_bytes=size) == expected(rows)


@given(rows=ROWS, places=st.lists(st.integers(0, 10**6), max_size=20), size=SIZES)
def test_batches_do_not_depend_on_the_chunks(rows: list[dict[str, Any]], places: list[int], size: int) -> None:
    written = json.dumps({"data": rows}).encode()
    whole = list(JsonDecoder(COLUMNS, block_bytes=size).decode([written]))
    assert list(JsonDecoder(COLUMNS, block_bytes=size).decode(cut(written, places))) == whole
    assert list(JsonDecoder(COLUMNS, block_bytes=size).decode(bytes([byte]) for byte in written)) == whole


@given(rows=st.lists(st.tuples(TEXTS, IDS, TEXTS), max_size=12))
def test_rows_are_those_of_csv(rows: list[tuple[Any, ...]]) -> None:
    names = ["name", "id", "json"]
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    tables = [
        pa.Table.from_batches(batches, build_schema(COLUMNS))
        for batches in (
            CsvDecoder(COLUMNS).decode([write_csv(texts, names)]),
            JsonDecoder(COLUMNS).decode(
                [json.dumps({"data": [dict(zip(names, row, strict=True)) for row in texts]}).encode()]
            ),
            JsonDecoder(COLUMNS).decode(
                [json.dumps({"data": [dict(zip(names, row, strict=True)) for row in rows]}).encode()]
            ),
        )
    ]
    assert tables[0].combine_chunks() == tables[1].combine_chunks() == tables[2].combine_chunks()


# fmt: off
CELLS = st.sampled_from([
    "", "0", "1", "-1", "+1", "01", "-0", "1.0", "1e2", "1e999", " 1", "1 ", "0x1F", "0X1f", "18446744073709551615",
    "18446744073709551616", "9223372036854775808", "true", "True", "TRUE", "tRue", "false", "t", "yes", "nan", "NaN",
    "inf", "-inf", "Infinity", "null", "1.5", ".5", "5.", "2026-01-02", "2026-1-2", "2026-01-02 03:04:05",
    "2026-01-02T03:04:05", "2026-01-02 03:04", "2026-01-02 03:04:05.123456", "2026-01-02 03:04:05.1234567",
    "2026-01-02 03:04:05Z", "2026-01-02 25:00:00", "0000-00-00", "9999-12-31 23:59:59", "99999999999999", "12.345",
    "123456", "x\ny", 'a"b', "2026-13-01", "2026-02-30", "1_000", "1,5", "\u0661",
]) | st.text(st.sampled_from("0123456789-+.eExX :TZ"), max_size=8)
TYPES: list[tuple[FieldType, pa.DataType]] = [
    ("uint64", pa.uint64()), ("int64", pa.int64()), ("string", pa.int8()), ("float64", pa.float64()),
    ("string", pa.float32()), ("bool", pa.bool_()), ("date", pa.date32()), ("datetime", pa.timestamp("us")),
    ("datetime", pa.timestamp("s")), ("datetime", pa.timestamp("ns")), ("string", pa.date64()),
    ("unix_time", pa.timestamp("us", tz="UTC")), ("unix_time", pa.date32()), ("string", pa.decimal128(5, 2)),
    ("string", pa.large_string()), ("string", pa.dictionary(pa.int32(), pa.string())),
]
# fmt: on


def outcome(batches: Iterable[pa.RecordBatch], requested: list[Column]) -> tuple[Any, ...]:
    try:
        return ("fits", repr(pa.Table.from_batches(batches, build_schema(requested)).to_pylist()))
    except SchemaError as error:
        return (str(error), error.column, error.row, error.value)


@pytest.mark.parametrize("type_", TYPES, ids=str)
@settings(max_examples=40)
@given(cells=st.lists(CELLS, min_size=1, max_size=4), quoted=st.booleans())
def test_a_cell_fits_or_not_as_it_does_in_csv(
    type_: tuple[FieldType, pa.DataType], cells: list[str], *, quoted: bool
) -> None:
    requested = [Column("a,b", *type_)]
    records = [b'{"a,b":%s}' % spelling(cell, quoted=quoted) for cell in cells]
    written = write_csv([[cell] for cell in cells], ["a,b"])
    for size in (1, 1 << 20):
        in_csv = outcome(CsvDecoder(requested, block_bytes=size).decode([written]), requested)
        found = outcome(JsonDecoder(requested, block_bytes=size).decode([body(*records)]), requested)
        # Which of several misfits is met first depends on where blocks end.
        assert found == in_csv or (len(cells) > 1 and "fits" not in {found[0], in_csv[0]})


def spelling(cell: str, *, quoted: bool) -> bytes:
    try:
        bare = (
            not quoted and type(json.loads(cell)) in {int, float, bool, type(None)} and cell not in {"NaN", "Infinity"}
        )
    except ValueError:
        bare = False
    return (cell if bare and cell == cell.strip() and cell != "null" else json.dumps(cell)).encode()


SOURCES = st.sampled_from(  # as they are written
    r"""
    "x" "" null 1 0 -0 1.0 1.10 25.010 1E5 1e999 true false 18446744073709551615 123456789012345678901234567890 [] {}
    [{"wood":25.01}] [{"name":1},{"name":"},{"}] {"name":{"name":[]}} [{"name":"a","id":1,"json":2},{"name":"b"}]
    "\u0041\n\/" "\ud83d\ude00" "},{\"name\":" "1" ":null" "a\\" "\":null" "\":1" ":1" "\"name\":1" {"name":1,"name":2}
    """.split()  # noqa: SIM905 - a list of quoted quotes is hard to read
) | st.just("[1 ,\n\t2]")
WIRE: list[tuple[FieldType, ...]] = [
    ("string", "string", "string"), ("string", "uint64", "bool"), ("int64", "unix_time", "float64"),
    ("float64", "bool", "datetime"),
]  # fmt: skip
TEXT_COLUMNS = columns(name="string", id="string", json="string")


def source_text(source: str) -> str | None:
    if source[0] in "[{":
        return source
    value = json.loads(source, parse_int=str, parse_float=str)
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value or None


@given(rows=st.lists(st.tuples(SOURCES, SOURCES, SOURCES), min_size=1, max_size=8), size=SIZES)
def test_values_arrive_in_text_columns_as_they_are_written(rows: list[tuple[str, ...]], size: int) -> None:
    records = ['{{"name":{}, "id":{},"json" : {}}}'.format(*row) for row in rows]
    assert read(body(*map(str.encode, records)), TEXT_COLUMNS, block_bytes=size) == [
        tuple(map(source_text, row)) for row in rows
    ]


@given(rows=st.lists(st.tuples(SOURCES, SOURCES, SOURCES), min_size=1, max_size=8), wire=st.sampled_from(WIRE))
def test_the_fast_path_gives_what_the_exact_one_gives(rows: list[tuple[str, ...]], wire: tuple[FieldType, ...]) -> None:
    requested = columns(**dict(zip(("name", "id", "json"), wire, strict=True)))
    block = RecordBlock(
        ",".join('{{"name":{},"id" : {},"json":{}}}'.format(*row) for row in rows).encode(), is_last=True
    )
    exact, values = exactly(block, requested)
    fast = NdjsonDecoder(requested)
    for _ in range(2):  # before and after it has learned what stands in the columns
        with suppress(NotPlainError):
            assert [outcome_of(column, fast.parse(block)[column.name]) for column in requested] == exact
        fast.learn([{*map(type, column)} - {type(None)} for column in values])
    if not any(source[0] in "[{" for row in rows for source in row) and wire == ("string",) * 3:
        fast.parse(block)


def exactly(block: RecordBlock, requested: list[Column]) -> tuple[list[Any], list[tuple[Any, ...]]]:
    values = [*zip(*PythonJsonDecoder(block, [column.name for column in requested], 0).read_values(), strict=True)]
    return [outcome_of(column, to_text(cells)) for column, cells in zip(requested, values, strict=True)], values


def outcome_of(column: Column, cells: pa.Array[Any]) -> str:
    try:
        return repr(cast_text(column, cells, 0).to_pylist())
    except SchemaError as error:
        return str(error)


@given(rows=st.lists(st.tuples(SOURCES, SOURCES, SOURCES), min_size=1, max_size=8), drop=st.integers(0, 7))
def test_a_missing_value_is_never_taken_for_null(rows: list[tuple[str, ...]], drop: int) -> None:
    records = ['{{"name":{},"id":{},"json":{}}}'.format(*row) for row in rows]
    records[drop % len(records)] = '{"name":":null","json":"\\":null"}'
    for size in (1, 100, 1 << 20):
        with pytest.raises(SchemaError, match=f"Row {drop % len(records) + 1} .*missing 'id'"):
            read(body(*map(str.encode, records)), TEXT_COLUMNS, block_bytes=size)


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_text_arrives(text: str) -> None:
    rows = [{"name": text, "id": 1, "json": text}] * 3
    for size in (1, 20, 1 << 20):
        assert read(json.dumps({"data": rows}).encode(), block_bytes=size) == [(text, 1, text)] * 3


@pytest.mark.parametrize("size", [1, 50, 1 << 20])
def test_a_name_may_be_repeated_if_its_value_is(size: int) -> None:
    repeated = b'{"name":"x","id":1,"json":[1],"id":1,"name":"\\u0078","json":[1],"id":1}'
    assert read(body(GOOD, repeated, GOOD), block_bytes=size) == [("x", 1, "y"), ("x", 1, "[1]"), ("x", 1, "y")]


def test_ids_keep_all_64_bits() -> None:
    ids = [0, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
    for written in (ids, [str(number) for number in ids]):
        rows = [{"name": "x", "id": number, "json": "y"} for number in written]
        for size in (40, 1 << 20):
            assert [row[1] for row in read(json.dumps({"data": rows}).encode(), block_bytes=size)] == ids


@pytest.mark.parametrize("written", ["true", '"true"', '"True"', "1", '"1"'])
def test_booleans_in_all_spellings(written: str) -> None:
    records = [b'{"a":%s}' % written.encode(), b'{"a":null}', b'{"a":""}', b'{"a":false}', b'{"a":0}', b'{"a":"0"}']
    for size in (1, 1 << 20):
        found = read(body(*records), columns(a="bool"), block_bytes=size)
        assert found == [(True,), (None,), (None,), (False,), (False,), (False,)]


@pytest.mark.parametrize("empty", ['{"data":[]}', ' { "data" : [ ] } \n', "{}", "\n{ }\n", '\ufeff{"data":[]}'])
def test_an_export_without_rows(empty: str) -> None:
    assert list(JsonDecoder(COLUMNS).decode([empty.encode()])) == []
    assert list(JsonDecoder(COLUMNS).decode(bytes([byte]) for byte in empty.encode())) == []


@pytest.mark.parametrize("nothing", [[], [b""], [b"\xef\xbb\xbf"]])
def test_a_body_of_no_bytes_is_a_failed_download(nothing: list[bytes]) -> None:
    with pytest.raises(DownloadError, match="empty"):
        read(nothing)


@pytest.mark.parametrize(
    "other",
    [
        b'{"errors":[{"message":"quota exceeded"}]}', b"<html>Bad gateway</html>", b"[]", b"null", b'{"data":{}}',
        b'{"data":null}',
        b'{"rows":0,"data":[]}', b" ", b'{"data"', b'"data"', b"name,id,json\n", b"{}{}", b"x" * (3 << 20),
    ],
)  # fmt: skip
def test_another_body_is_refused(other: bytes) -> None:
    with pytest.raises(DecodeError, match="begins with") as caught:
        read(other)
    assert other[:10].decode() in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("after", [b"x", b"{}", b"]}", b",", body(GOOD), b"\x00", b"\x0b"])
@pytest.mark.parametrize("size", [1, 50, 1 << 20])
def test_what_follows_the_end_is_refused(after: bytes, size: int) -> None:
    for before in (body(), body(GOOD), body(GOOD, GOOD)):
        with pytest.raises((DecodeError, DownloadError)):
            read(before + after, block_bytes=size)


@pytest.mark.parametrize("size", [1, 50, 1 << 20])
def test_a_cut_is_noticed_at_every_byte(size: int) -> None:
    nested = '{"name":"]}","id":2,"json":[{"name":"},{"},{"name":[1]}]}'
    whole = body(GOOD, nested.encode(), '{"name":"a\\"}]}","id":null,"json":"🎉]}"}'.encode())
    assert len(read(whole, block_bytes=size)) == 3
    for length in range(len(whole)):
        with pytest.raises((DecodeError, DownloadError)):
            read(whole[:length], block_bytes=size)


@pytest.mark.parametrize("size", [1, 40, 200, 1 << 20])
@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b'{"name":"x","id":"1"}', "missing 'json'"),
        (b'{"name":"x","id":"1","json":"y","more":"z"}', "not requested 'more'"),
        (b'{"name":"x","id":"1","json":"y","id":"2"}', "repeated with different values 'id'"),
        (b'{"name":null,"name":"","id":"1","json":"y"}', "repeated with different values 'name'"),
        (b'{"name":[1],"name":[2],"id":"1","json":"y","json":"y"}', "repeated with different values 'name'"),
        (b"{}", "missing 'name', 'id', 'json'"),
        (b'{"name":"x","id":"1","json":"\xff\xfe"}', "'json', row {row} of the export is not UTF-8"),
        (b'{"name":"x","id":"one","json":"y"}', "'id', row {row} of the export: 'one' does not fit"),
        (b'{"name":"x","id":1.0,"json":"y"}', "'1.0' does not fit"),
        (b'{"name":"x","id":-1,"json":"y"}', "'-1' does not fit"),
        (b'{"name":"x","id":true,"json":"y"}', "'true' does not fit"),
        (b'{"name":"x","id":18446744073709551616,"json":"y"}', "'18446744073709551616' does not fit"),
        (b'{"name":"x","id":NaN,"json":"y"}', "not valid JSON"),
        (b'{"name":"x","id":01,"json":"y"}', "not valid JSON"),
        (b'{"name":"x","id":"1","json":"y",}', "not valid JSON"),
        (b'{"name":"x","id":"1","json":"\n"}', "not valid JSON"),
        (b'{"name":"x","id":"1","json":"\\x"}', "not valid JSON"),
        (GOOD + GOOD, "not valid JSON"),
        (GOOD + b" " + GOOD, "not valid JSON"),
        (b"null", "not valid JSON"),
        (b"[]", "not valid JSON"),
        (b"5", "not valid JSON"),
        (b"", "not valid JSON"),
        (b'{"name":"x","id":' + b"[" * 100_000 + b"]" * 100_001 + b',"json":"y"}', "not valid JSON"),
        (b'{"name":"x","id":' + b"[" * 100_000 + b"]" * 100_000 + b',"json":"y"}', "does not fit"),
    ],
)
def test_a_bad_record_is_an_error_that_says_where(record: bytes, message: str, size: int) -> None:
    for before in (0, 1, 30):
        row = before + 1 + record.startswith(GOOD) * (message == "not valid JSON")
        with pytest.raises(DecodeError, match=r"[Rr]ow ") as caught:
            read(body(*[GOOD] * before, record, *[GOOD] * 5), block_bytes=size)
        assert message.format(row=before + 1) in str(caught.value)
        assert f"ow {before + 1} " in str(caught.value) or f"ow {row} " in str(caught.value)
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize("nested", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_any_depth_of_nesting_arrives_in_a_text_column(nested: str) -> None:
    record = f'{{"name":"x","id":1,"json":{nested}}}'
    for size in (100, 1 << 20):
        assert read(body(record.encode(), GOOD), block_bytes=size) == [("x", 1, nested), ("x", 1, "y")]


def test_rows_are_counted_across_blocks_for_casts_too() -> None:
    requested = columns(text="string", time="unix_time")
    late = b'{"text":"x","time":"99999999999999"}'
    for size in (10, 64, 1 << 20):
        with pytest.raises(SchemaError) as caught:
            read(body(*[b'{"text":"x","time":5}'] * 100, late, late), requested, block_bytes=size)
        assert (caught.value.column, caught.value.row, caught.value.value) == ("time", 101, "99999999999999")


def test_half_of_a_surrogate_pair_becomes_a_replacement_character() -> None:
    for half in ("\\ud83d", "\\ude00", "\\ude00\\ud83d", "\\ud83d\\u0041"):
        found = read(body(b'{"name":"a%s","id":"1","json":"\\ud83d\\ude00"}' % half.encode()))
        assert found[0][0].startswith("a\ufffd")
        assert found[0][2] == "😀"


@pytest.mark.parametrize("length", [100, 5_000, 1_000_000])
def test_values_longer_than_blocks_arrive(length: int) -> None:
    text = ('"x,\n{},{' * length)[:length]
    rows = [{"name": "a", "id": 1, "json": text}, {"name": "b", "id": 2, "json": "y"}]
    for size in (1 << 14, 1 << 20):
        assert read(json.dumps({"data": rows}).encode(), block_bytes=size) == [("a", 1, text), ("b", 2, "y")]


@pytest.mark.parametrize("start", [b'{"name":"', b"[", b" " * 100, b'{"name":[{"name":"x"},'])
def test_a_record_without_end_does_not_fill_the_memory(start: bytes) -> None:
    endless = (b"x" * (1 << 20) for _ in iter(int, 1))
    with pytest.raises(DecodeError, match="record is longer"):
        read(chain([b'{"data":[', start], endless))


@pytest.mark.parametrize("error", [DownloadError("lost"), KeyboardInterrupt(), ZeroDivisionError()])
def test_an_error_of_the_source_comes_out_unchanged(error: BaseException) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"data":[' + (GOOD + b",") * 100
        raise error

    with pytest.raises(type(error)) as caught:
        list(JsonDecoder(COLUMNS, block_bytes=64).decode(chunks()))
    assert caught.value is error


def test_an_early_close_reads_no_further() -> None:
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        yield b'{"data":['
        while True:
            taken += 1
            assert threading.current_thread() is threading.main_thread()
            yield (GOOD + b",") * 20

    before = threading.active_count()
    batches = JsonDecoder(COLUMNS, block_bytes=640).decode(chunks())
    next(batches)
    so_far = taken
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert so_far == taken <= 6
