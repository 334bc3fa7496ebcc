"""Every field type has an Arrow type, and a user may choose another that text can become."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from appmetrica_frames.decode import numbers
from appmetrica_frames.decode.csv import CsvDecoder
from appmetrica_frames.decode.decoder import build_schema
from appmetrica_frames.decode.json.decoder import JsonDecoder
from appmetrica_frames.errors import InvalidRequestError, SchemaError
from appmetrica_frames.schema.catalog import FieldType
from appmetrica_frames.schema.types import Column, get_arrow_type

WORDS = pa.dictionary(pa.int32(), pa.string())


def cell(text: str, wire: FieldType, type_: pa.DataType) -> Any:
    columns = [Column("cell", wire, type_), Column("other", "string", pa.string())]
    (batch,) = CsvDecoder(columns).decode([f'cell,other\n"{text}",x\n'.encode()])
    assert batch.schema == build_schema(columns)
    assert batch["cell"].type == type_
    return batch["cell"][0].as_py()


def test_every_field_type_has_an_get_arrow_type() -> None:
    for field_type in get_args(FieldType):
        assert Column("name", field_type, get_arrow_type(field_type)).type == get_arrow_type(field_type)


@pytest.mark.parametrize(
    ("text", "wire", "type_", "value"),
    [
        ("18446744073709551615", "uint64", pa.uint64(), 2**64 - 1),
        ("-9223372036854775808", "int64", pa.int64(), -(2**63)),
        ("0.1", "float64", pa.float64(), 0.1),
        ("true", "bool", pa.bool_(), True),
        ("0", "bool", pa.bool_(), False),
        ("2024-02-29", "date", pa.date32(), date(2024, 2, 29)),
        ("2024-02-29 23:59:59", "datetime", pa.timestamp("us"), datetime(2024, 2, 29, 23, 59, 59)),  # noqa: DTZ001
        ("1709251199", "unix_time", pa.timestamp("us", "UTC"), datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)),
        ("-1", "unix_time", pa.timestamp("us", "UTC"), datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_catalogue_types_are_exact(text: str, wire: FieldType, type_: pa.DataType, value: object) -> None:
    assert cell(text, wire, type_) == value


@pytest.mark.parametrize(
    ("text", "wire", "type_", "value"),
    [
        ("5", "uint64", pa.string(), "5"),
        ("5", "uint64", pa.large_string(), "5"),
        ("-5", "string", pa.int8(), -5),
        ("1.5", "string", pa.float32(), 1.5),
        ("19.90", "float64", pa.decimal128(10, 2), Decimal("19.90")),
        ("iOS", "string", WORDS, "iOS"),
        ("iOS", "string", pa.dictionary(pa.uint8(), pa.large_string(), ordered=True), "iOS"),
        ("2024-02-29", "string", pa.date64(), date(2024, 2, 29)),
        ("2024-02-29T01:02:03", "string", pa.timestamp("s"), datetime(2024, 2, 29, 1, 2, 3)),  # noqa: DTZ001
        ("86399", "unix_time", pa.date32(), date(1970, 1, 1)),
        ("-1", "unix_time", pa.date32(), date(1969, 12, 31)),
        ("86400", "unix_time", pa.int64(), 86400),
        ("86400", "unix_time", pa.string(), "86400"),
        ("0", "unix_time", pa.timestamp("us"), datetime(1970, 1, 1)),  # noqa: DTZ001
        (
            "0",
            "unix_time",
            pa.timestamp("s", "Europe/Moscow"),
            datetime(1970, 1, 1, 3, tzinfo=ZoneInfo("Europe/Moscow")),
        ),
    ],
)
def test_a_chosen_type_is_honoured(text: str, wire: FieldType, type_: pa.DataType, value: object) -> None:
    assert cell(text, wire, type_) == value
    assert cell("", wire, type_) is None


@pytest.mark.parametrize(
    ("wire", "type_"),
    [
        ("string", pa.list_(pa.string())),
        ("string", pa.struct([("a", pa.string())])),
        ("string", pa.binary()),
        ("string", pa.null()),
        ("string", pa.float16()),
        ("string", pa.dictionary(pa.int32(), pa.int64())),
        ("datetime", pa.timestamp("us", "UTC")),
    ],
)
def test_a_type_that_text_cannot_become_is_refused_at_once(wire: FieldType, type_: pa.DataType) -> None:
    with pytest.raises(InvalidRequestError, match="'cell' cannot be read as"):
        Column("cell", wire, type_)


@pytest.mark.parametrize(
    ("text", "wire", "type_"),
    [
        ("-1", "uint64", pa.uint64()),
        ("18446744073709551616", "uint64", pa.uint64()),
        ("1.0", "int64", pa.int64()),
        ("1,5", "float64", pa.float64()),
        ("yes", "bool", pa.bool_()),
        ("2023-02-29", "date", pa.date32()),
        ("29.02.2024", "datetime", pa.timestamp("us")),
        ("2024-02-29 01:02:03Z", "datetime", pa.timestamp("us")),
        ("1709251199.5", "unix_time", pa.timestamp("us", "UTC")),
        ("99999999999999", "unix_time", pa.timestamp("us", "UTC")),
        ("999999999999999999", "unix_time", pa.date32()),
        ("9999999999", "unix_time", pa.timestamp("ns")),
        ("128", "string", pa.int8()),
        ("1.234", "float64", pa.decimal128(5, 2)),
        ("123456.78", "float64", pa.decimal128(5, 2)),
        ("NA", "int64", pa.int64()),
        ("null", "float64", pa.float64()),
        ("it's 'quoted': invalid value 'x'", "uint64", pa.uint64()),
    ],
)
def test_a_misfit_names_column_row_and_value(text: str, wire: FieldType, type_: pa.DataType) -> None:
    with pytest.raises(SchemaError, match="'cell', row 1 ") as caught:
        cell(text, wire, type_)
    assert (caught.value.column, caught.value.row, caught.value.value) == ("cell", 1, text)


def test_more_values_than_a_dictionary_can_number_are_a_misfit() -> None:
    columns = [Column("word", "string", pa.dictionary(pa.int8(), pa.string())), Column("n", "int64", pa.int64())]
    body = "word,n\n" + "".join(f"w{n},{n}\n" for n in range(200))
    with pytest.raises(SchemaError) as caught:
        list(CsvDecoder(columns).decode([body.encode()]))
    assert (caught.value.column, caught.value.row, caught.value.value) == ("word", 129, "w128")


NO_NUMBERS = ["0x1F", "0X1f", " 0x1F", "nan", "NaN", "-nan", "inf", "+inf", "INF", "-Infinity", "1e400", "-1e400"]
NUMBERS: list[tuple[FieldType, pa.DataType]] = [
    ("uint64", pa.uint64()),
    ("int64", pa.int64()),
    ("unix_time", pa.timestamp("us", "UTC")),
    ("string", pa.int8()),
    ("float64", pa.float64()),
    ("float64", pa.float32()),
    ("float64", pa.decimal128(10, 2)),
]


def read_csv(texts: list[str], columns: list[Column], block_bytes: int) -> Any:
    body = "cell,other\n" + "".join(f'"{text}",x\n' for text in texts)
    return list(CsvDecoder(columns, block_bytes=block_bytes).decode([body.encode()]))


def read_json(texts: list[str], columns: list[Column], block_bytes: int) -> Any:
    body = json.dumps({"data": [{"cell": text, "other": "x"} for text in texts]}, separators=(",", ":"))
    return list(JsonDecoder(columns, block_bytes=block_bytes).decode([body.encode()]))


def read_json_exactly(texts: list[str], columns: list[Column], block_bytes: int) -> Any:
    body = json.dumps({"data": [{"cell": text, "other": ["x"]} for text in texts]})
    return list(JsonDecoder(columns, block_bytes=block_bytes).decode([body.encode()]))


@pytest.mark.parametrize("block_bytes", [20, 1 << 20])
@pytest.mark.parametrize("read", [read_csv, read_json, read_json_exactly])
@pytest.mark.parametrize(("wire", "type_"), NUMBERS, ids=str)
@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_not_a_decimal_number_fits_no_number_column(
    text: str, wire: FieldType, type_: pa.DataType, read: Any, block_bytes: int
) -> None:
    columns = [Column("cell", wire, type_), Column("other", "string", pa.string())]
    with pytest.raises(SchemaError, match="'cell', row 3 ") as caught:
        read(["1", "", text, "1"], columns, block_bytes)
    assert (caught.value.column, caught.value.row, caught.value.value) == ("cell", 3, text)


@pytest.mark.parametrize("read", [read_csv, read_json, read_json_exactly])
def test_texts_may_look_like_hexadecimal_numbers(read: Any) -> None:
    columns = [Column("cell", "string", pa.string()), Column("other", "string", pa.string())]
    for text in NO_NUMBERS:
        assert read([text], columns, 1 << 20)[0]["cell"].to_pylist() == [text]
    columns[1] = Column("other", "int64", pa.int64())
    body = 'cell,other\n"0x1F",31\n"a,0x1F",310\n'
    (batch,) = CsvDecoder(columns).decode([body.encode()])
    assert batch.to_pydict() == {"cell": ["0x1F", "a,0x1F"], "other": [31, 310]}


@pytest.mark.parametrize("prefix", ["0x", "0X"])
@pytest.mark.parametrize("shift", range(-4, 4))
@pytest.mark.parametrize("slices", [0, 1, 2])
def test_a_hexadecimal_number_is_found_wherever_a_block_is_sliced(prefix: str, shift: int, slices: int) -> None:
    start = max(0, slices * numbers.SLICE_BYTES + shift)
    text = "," * start + prefix + "," * numbers.SLICE_BYTES
    assert numbers.may_hold_hexadecimal(text.encode())
    assert not numbers.may_hold_hexadecimal(("a" + text.replace(",", "a")).encode())
