"""A block of quoted values is read as CSV, and gives exactly what the slower ways give, or is left to them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appmetrica_frames.decode.decoder import build_schema
from appmetrica_frames.decode.json.decoder import JsonDecoder
from appmetrica_frames.decode.json.ndjson import NotPlainError
from appmetrica_frames.decode.json.quoted import QuotedJsonToCsv
from appmetrica_frames.decode.json.records import RecordBlock
from appmetrica_frames.errors import AppMetricaError
from appmetrica_frames.schema.types import Column, get_arrow_type

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ["name", "id", "event_json", "Город"]
TEXT = [Column(name, "string", get_arrow_type("string")) for name in NAMES]
TYPED = [
    Column(name, "uint64" if name == "id" else "string", get_arrow_type("uint64" if name == "id" else "string"))
    for name in NAMES
]
# fmt: off
AWKWARD = [
    "", ":", ",", '":"', '","', '"},{"', "},{", '{"a":"b","c":1}', "\\", "\\\\", "a\\", '"', '\\"', 'x":', ',"', '":',
    "::ffff:1.2.3.4", "two\nlines", "\r\n", "\t", "\b\f", "/", "null", "name", "id", "Привет", "🎉", "\u2028", "\ufeff",
    " padded ", "n", "\\n", "\\u0041", "\x7f",
]
# fmt: on
TEXTS = st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["Cs"], min_codepoint=32), max_size=20)
ROWS = st.lists(st.tuples(*[TEXTS] * len(NAMES)), min_size=1, max_size=6)
IDS = st.sampled_from(["", "0", "18446744073709551615", "-1", " 7", "x"])


def written(rows: Sequence[Sequence[str]], names: Sequence[str] = NAMES) -> bytes:
    records = [dict(zip(names, row, strict=True)) for row in rows]
    return json.dumps(records, ensure_ascii=False, separators=(",", ":")).encode()[1:-1]


def values(arrays: Sequence[pa.Array[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*(array.to_pylist() for array in arrays), strict=True))


def outcome(text: bytes, columns: list[Column], *, size: int = 1 << 22) -> Any:
    try:
        batches = list(JsonDecoder(columns, block_bytes=size).decode([b'{"data":[', text, b"]}"]))
    except AppMetricaError as error:
        return type(error), str(error)
    table = pa.Table.from_batches(batches, build_schema(columns))
    table.validate(full=True)
    return table.to_pylist()


def otherwise(text: bytes, columns: list[Column], *, size: int = 1 << 22) -> Any:
    """Return the outcome without the way that is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuotedJsonToCsv, "convert", refuse)
        return outcome(text, columns, size=size)


def refuse(*_: Any) -> Any:
    raise NotPlainError


@given(rows=ROWS, again=ROWS, last=st.booleans())
def test_texts_arrive_through_csv(rows: list[tuple[str, ...]], again: list[tuple[str, ...]], *, last: bool) -> None:
    quoted = QuotedJsonToCsv(NAMES)
    for part in (rows, again, rows):  # its memory is used again
        text = written(part)
        block = RecordBlock(text if last else text + b",", is_last=last)
        if b"\\u" in text:
            continue
        assert values(quoted.convert(block).read_columns(TEXT)) == [tuple(cell or None for cell in row) for row in part]


@given(rows=ROWS, order=st.permutations(range(len(NAMES))))
def test_records_may_have_any_one_order(rows: list[tuple[str, ...]], order: list[int]) -> None:
    text = written([[row[at] for at in order] for row in rows], [NAMES[at] for at in order])
    assert outcome(text, TEXT) == [dict(zip(NAMES, (cell or None for cell in row), strict=True)) for row in rows]


@given(rows=ROWS, ids=st.lists(IDS, min_size=6, max_size=6), size=st.sampled_from([1, 60, 300, 1 << 22]))
def test_types_and_misfits_are_those_of_the_slower_paths(
    rows: list[tuple[str, ...]], ids: list[str], size: int
) -> None:
    text = written([(row[0], id_, *row[2:]) for row, id_ in zip(rows, ids, strict=False)])
    found, other = outcome(text, TYPED, size=size), otherwise(text, TYPED, size=size)
    assert found == other


BYTES = st.sampled_from([*b'"\\,:{}[] \nnu0a\xff\x00'])


@settings(max_examples=400)
@given(rows=ROWS, data=st.data())
def test_whatever_a_byte_becomes_the_outcome_is_that_of_the_slower_paths(
    rows: list[tuple[str, ...]], data: Any
) -> None:
    text = bytearray(written(rows))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 2))] = bytes(data.draw(st.lists(BYTES, max_size=2)))
    assert outcome(bytes(text), TEXT) == otherwise(bytes(text), TEXT)


@pytest.mark.parametrize(
    "record",
    [
        b'{"name":1,"id":"2","event_json":"3"}',
        b'{"name":null,"id":"2","event_json":"3"}',
        b'{"name":"1", "id":"2","event_json":"3"}',
        b'{"name":"1","id":"2","event_json":"\\u0033"}',
        b'{"name":"1","id":"2","event_json":"\\x"}',
        b'{"name":"1","id":"2","event_json":"a\tb"}',
        b'{"name":"1","id":"2","event_jsom":"3"}',
        b'{"name":"1","name":"2","event_json":"3"}',
        b'{"name","1","id":"2","event_json":"3"}',
        b'{"name":"1":"id":"2","event_json":"3"}',
        b'{"name":"1","id":"2","event_json":{"a":"b"}}',
        b"{}",
        b"",
    ],
)
def test_anything_else_is_left_to_the_slower_paths(record: bytes) -> None:
    good = b'{"name":"1","id":"2","event_json":"3"}'
    for text in (record, good + b"," + record, good + b"," + record + b"," + good):
        with pytest.raises((NotPlainError, pa.ArrowInvalid)):
            QuotedJsonToCsv(NAMES[:3]).convert(RecordBlock(text, is_last=True)).read_columns(TEXT[:3])


def test_records_of_different_orders_are_left_to_the_slower_paths() -> None:
    text = b'{"name":"1","id":"2","event_json":"3"},{"id":"2","name":"1","event_json":"3"}'
    with pytest.raises((NotPlainError, pa.ArrowInvalid)):
        QuotedJsonToCsv(NAMES[:3]).convert(RecordBlock(text, is_last=True)).read_columns(TEXT[:3])
    assert outcome(text, TEXT[:3]) == [{"name": "1", "id": "2", "event_json": "3"}] * 2


def test_values_that_look_like_names_or_separators_are_values() -> None:
    rows = [(":", ",", '":"', '","'), ('"},{"', "name", "id", '":"'), (":", ":", ":", ":"), (",", ",", ",", ",")]
    quoted = QuotedJsonToCsv(NAMES)
    assert values(quoted.convert(RecordBlock(written(rows), is_last=True)).read_columns(TEXT)) == rows
