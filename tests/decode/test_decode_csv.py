"""What a CSV writer wrote is what arrives, and anything else is an error that shows where."""

from __future__ import annotations

import csv
import io
import threading
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appmetrica_frames.decode.csv import CsvDecoder
from appmetrica_frames.decode.decoder import build_schema
from appmetrica_frames.errors import DecodeError, DownloadError, SchemaError
from appmetrica_frames.schema.types import Column, get_arrow_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from appmetrica_frames.schema.catalog import FieldType

# fmt: off
AWKWARD = [
    "Привет, мир", "🎉", 'a "quoted" word', "two\nlines", "two\r\nlines", "a\n\n\nb", '[{"a":1},{"b":2}]', "NA", "null",
    "nan", " padded ", "\t", "\\", '\\"', "'", "a\x00b", "\ufeff", "\ufeff\ufeffx", ",", '"', '""', "\r", "\n",
    "N/A", "#N/A",
]
# fmt: on
TEXTS = st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ROWS = st.lists(st.tuples(TEXTS, st.none() | st.integers(0, 2**64 - 1), TEXTS), max_size=12)


def columns(**wire: FieldType) -> list[Column]:
    return [Column(name, type_, get_arrow_type(type_)) for name, type_ in wire.items()]


COLUMNS = columns(name="string", id="uint64", json="string")


def written(rows: Iterable[Iterable[object]], *, end: str = "\n", quoting: Any = csv.QUOTE_NONNUMERIC) -> bytes:
    file = io.StringIO()
    csv.writer(file, lineterminator=end, quoting=quoting).writerows(rows)
    return f"name,id,json{end}{file.getvalue()}".encode()


def read(body: bytes | Iterable[bytes], requested: list[Column] = COLUMNS, **settings: int) -> list[tuple[Any, ...]]:
    batches = list(CsvDecoder(requested, **settings).decode([body] if isinstance(body, bytes) else body))
    table = pa.Table.from_batches(batches, build_schema(requested))
    return [tuple(row.values()) for row in table.to_pylist()]


def nulled(rows: Iterable[Iterable[Any]]) -> list[tuple[Any, ...]]:
    return [tuple(None if cell == "" else cell for cell in row) for row in rows]


def cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


@given(
    rows=ROWS,
    dialect=st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
    block_bytes=st.integers(1, 200),
    bom=st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_what_was_written_is_what_arrives(
    rows: list[tuple[Any, ...]], dialect: tuple[str, Any], block_bytes: int, bom: bytes
) -> None:
    end, quoting = dialect
    body = bom + written(rows, end=end, quoting=quoting)
    assert read(body, block_bytes=block_bytes) == nulled(rows)
    assert read(body.removesuffix(end.encode()), block_bytes=block_bytes) == nulled(rows)


@given(rows=ROWS, places=st.lists(st.integers(0, 10**6), max_size=20), block_bytes=st.integers(1, 200))
def test_batches_do_not_depend_on_the_chunks(rows: list[tuple[Any, ...]], places: list[int], block_bytes: int) -> None:
    body = written(rows)
    whole = list(CsvDecoder(COLUMNS, block_bytes=block_bytes).decode([body]))
    assert list(CsvDecoder(COLUMNS, block_bytes=block_bytes).decode(cut(body, places))) == whole


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_text_arrives(text: str) -> None:
    assert read(written([(text, 1, text)] * 3)) == [(text, 1, text)] * 3


def test_only_the_empty_cell_is_null() -> None:
    requested = columns(a="string", b="uint64", c="bool", d="unix_time", e="float64")
    assert read(b'a,b,c,d,e\n,,,,\n"","","","",""\n', requested) == [(None,) * 5] * 2
    assert read(b"a,b,c,d,e\nNA,1,true,,0\nnan,1,true,,0\n", requested) == [
        (a, 1, True, None, 0) for a in ("NA", "nan")
    ]


def test_ids_keep_all_64_bits() -> None:
    ids = [0, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
    assert [row[1] for row in read(written([("x", n, "y") for n in ids]))] == ids


@pytest.mark.parametrize("header", [b"name,id,json", b'"name","id","json"', b"\xef\xbb\xbfname,id,json"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_header_alone_is_an_export_without_rows(header: bytes, end: bytes) -> None:
    assert list(CsvDecoder(COLUMNS).decode([header + end])) == []


@pytest.mark.parametrize("block_bytes", [8, 1 << 20])
def test_a_column_may_be_repeated_if_its_cells_are(block_bytes: int) -> None:
    body = b"id,name,id,json,name,id\n" + b'1,x,1,,"x",01\n' * 50 + b',"a\n\nb",,"","a\n\nb",""\n'
    assert read(body, block_bytes=block_bytes) == [("x", 1, None)] * 50 + [("a\n\nb", None, None)]


@pytest.mark.parametrize("block_bytes", [8, 1 << 20])
@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"1,x,2,y\n", "Column 'id' is repeated in the export, with different values in row 51: '1' and '2'"),
        (b"1,x,,y\n", "Column 'id' is repeated in the export, with different values in row 51: '1' and 'None'"),
        (b"1,x,one,y\n", "Column 'id', row 51 of the export: 'one' does not fit"),
        (b"1,x,0x1,y\n", "Column 'id', row 51 of the export: '0x1' does not fit"),
        (b"1,x,1\n", "Row 51 of the export has 3 cells instead of 4"),
    ],
)
def test_a_repeated_column_with_other_cells_is_refused(row: bytes, message: str, block_bytes: int) -> None:
    with pytest.raises(DecodeError, match=message):
        read(b"id,name,id,json\n" + b"1,x,1,y\n" * 50 + row + b"1,x,1,y\n" * 50, block_bytes=block_bytes)


def test_names_may_hold_commas_and_line_breaks() -> None:
    requested = columns(**{"a,b": "string", "c\nd": "uint64"})
    assert read(b'"a,b","c\nd"\nx,1\n', requested) == [("x", 1)]


def test_columns_in_another_order_are_put_in_the_requested_one() -> None:
    assert read(b"json,name,id\n{},x,1\n") == [("x", 1, "{}")]
    with pytest.raises(SchemaError) as caught:
        read(b"json,name,id\n{},x,1\n{},x,one\n")
    assert (caught.value.column, caught.value.row, caught.value.value) == ("id", 2, "one")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"name,json\n", "missing 'id'"),
        (b"name,id,json,extra\n", "not requested 'extra'"),
        (b"name,id,id\n", "missing 'json'"),
        (b"name,id" + b",id" * 101 + b",json\n", "repeats more than 100 columns"),
        (b"name,ID,json\n", "missing 'id'; not requested 'ID'"),
        (b"<html><body>Bad gateway</body></html>", "begins with '<html><body>Bad gateway"),
        (b'{"message": "quota exceeded"}\n', "begins with .*quota exceeded"),
        (b'"name,id,json\n', "begins with"),
        (b"\n", "missing 'name', 'id', 'json'"),
        (b"x" * (3 << 20), "begins with 'xxx"),
        (b"n\xff,id,json\n", "missing 'name'"),
    ],
)
def test_another_header_is_refused(header: bytes, message: str) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        read(header)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("body", [[], [b""], [b"\xef\xbb\xbf"]])
def test_a_body_of_no_bytes_is_a_failed_download(body: list[bytes]) -> None:
    with pytest.raises(DownloadError, match="empty"):
        read(body)


@pytest.mark.parametrize("block_bytes", [16, 1 << 20])
@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"x,1\n", "has 2 cells instead of 3: 'x,1'"),
        (b"x,1,y,z\n", "has 4 cells instead of 3: 'x,1,y,z'"),
        (b"\n", "is an empty line instead of 3 cells"),
        (b"\r\n", "is an empty line instead of 3 cells"),
        (b"x,1,\xff\xfe\n", "'json', row {row} of the export is not UTF-8"),
        (b"x,one,y\n", "'id', row {row} of the export: 'one' does not fit"),
    ],
)
def test_a_bad_row_is_an_error_that_says_where(row: bytes, message: str, block_bytes: int) -> None:
    good = b'"line\n\nbreak",1,y\n'
    for before in (0, 1, 50):
        body = b"name,id,json\n" + good * before + row + good * 5
        with pytest.raises(DecodeError, match=rf"(?i)row {before + 1} ") as caught:
            read(body, block_bytes=block_bytes)
        assert message.format(row=before + 1) in str(caught.value)


def test_a_row_of_nulls_is_no_empty_line() -> None:
    assert read(b'name,id,json\n,,\n"a\n\nb",,\n') == [(None,) * 3, ("a\n\nb", None, None)]
    assert read(b"name\na\n\nb\n", columns(name="string")) == [("a",), (None,), ("b",)]


def test_rows_are_counted_across_blocks_for_casts_too() -> None:
    requested = columns(text="string", time="unix_time")
    body = b"text,time\n" + b"x,5\n" * 100 + b"x,99999999999999\n" + b"x,88888888888888\n"
    for block_bytes in (10, 64, 1 << 20):
        with pytest.raises(SchemaError) as caught:
            read(body, requested, block_bytes=block_bytes)
        assert (caught.value.column, caught.value.row, caught.value.value) == ("time", 101, "99999999999999")


def test_a_cut_inside_quotes_is_noticed_at_every_byte() -> None:
    head = b'name,id,json\nx,1,"'
    cell = 'a ""quoted"" {},\n🎉Ж'.encode()
    for length in range(len(cell)):
        if (head + cell[:length]).count(b'"') % 2:  # after half of a doubled quote the cell looks closed
            with pytest.raises(DecodeError, match="inside a quoted cell"):
                read(head + cell[:length])


def test_a_stray_carriage_return_ends_a_row_and_so_is_noticed() -> None:
    with pytest.raises(DecodeError, match="Row 2 of the export has 1 cell instead of 3: 'a'"):
        read(b"name,id,json\nx,1,y\na\rb,1,y\n")


@pytest.mark.parametrize("block_bytes", [8, 1 << 20])
def test_text_that_begins_with_a_byte_order_mark_keeps_it(block_bytes: int) -> None:
    rows = [("\ufeffx", 1, "\ufeffy")] * 9
    body = "\ufeffname,id,json\n" + "\ufeffx,1,\ufeffy\n" * 9
    assert read(body.encode(), block_bytes=block_bytes) == rows


@pytest.mark.parametrize("length", [100, 5_000, 3_000_000])
def test_cells_longer_than_blocks_arrive(length: int) -> None:
    text = ('"x,\n' * length)[:length]
    for block_bytes in (64, 1 << 20):
        assert read(written([("a", 1, text), ("b", 2, "y")]), block_bytes=block_bytes * 16) == [
            ("a", 1, text),
            ("b", 2, "y"),
        ]


def test_a_row_without_end_does_not_fill_the_memory() -> None:
    endless = (b"x" * (1 << 20) for _ in iter(int, 1))
    with pytest.raises(DecodeError, match="row is longer"):
        read(chain([b'name,id,json\n"'], endless))


@pytest.mark.parametrize("error", [DownloadError("lost"), KeyboardInterrupt(), ZeroDivisionError()])
def test_an_error_of_the_source_comes_out_unchanged(error: BaseException) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"name,id,json\n" + b"x,1,y\n" * 100
        raise error

    with pytest.raises(type(error)) as caught:
        list(CsvDecoder(COLUMNS, block_bytes=64).decode(chunks()))
    assert caught.value is error


def test_an_early_close_reads_no_further() -> None:
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        yield b"name,id,json\n"
        while True:
            taken += 1
            assert threading.current_thread() is threading.main_thread()
            yield b"x,1,y\n" * 20

    before = threading.active_count()
    batches = CsvDecoder(COLUMNS, block_bytes=64).decode(chunks())
    next(batches)
    so_far = taken
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert so_far == taken <= 5


def test_another_message_of_pyarrow_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_other_message(*_: object, **__: object) -> None:
        raise pa.ArrowInvalid("something else")

    monkeypatch.setattr("appmetrica_frames.decode.csv.read_table", raise_other_message)
    with pytest.raises(SchemaError, match="something else") as caught:
        read(b"name,id,json\nx,1,y\n")
    assert caught.value.column is None
