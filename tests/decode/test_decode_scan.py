"""The parser that builds no objects accepts what `json.loads` accepts, and takes values as they are written."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from appmetrica_frames.decode.json.python import PythonJsonDecoder
from appmetrica_frames.decode.json.records import RecordBlock
from appmetrica_frames.decode.json.scan import JsonSyntaxError, skip_value
from appmetrica_frames.errors import AppMetricaError

PIECES = [
    *'{}[]",:\\ \n0e.-1tfu\x00',
    '"a":',
    "true",
    "null",
    "1.5e3",
    '"x"',
    "[[",
    "]]",
    "{}",
    "[]",
    "NaN",
    "\\n",
    "\\u00e9",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text("ab\n", max_size=3), inner, max_size=3),
    max_leaves=40,
)
DIALECTS = st.sampled_from([{}, {"ensure_ascii": False}, {"indent": 1}, {"separators": (" ,", ":\t")}])


def refuse_constant(name: str) -> None:
    raise ValueError(name)


def is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=refuse_constant)
    except ValueError:
        return False
    return True


def is_accepted(text: str) -> bool:
    source = text.strip(" \n").encode()
    try:
        return skip_value(source, 0) == len(source)
    except JsonSyntaxError:
        return False


def mangle(text: str, data: Any) -> str:
    place = data.draw(st.integers(0, len(text)))
    return text[:place] + data.draw(st.sampled_from(["", *PIECES])) + text[place + data.draw(st.integers(0, 2)) :]


@settings(max_examples=1000)
@given(text=TEXTS)
def test_values_are_accepted_as_by_json_loads(text: str) -> None:
    assert is_accepted(text) == is_json(text)


@settings(max_examples=500)
@given(value=VALUES, dialect=DIALECTS, depth=st.integers(0, 6), data=st.data())
def test_mangled_values_are_accepted_as_by_json_loads(value: Any, dialect: Any, depth: int, data: Any) -> None:
    for level in range(depth):
        value = [value] if level % 2 else {"a": 1, "b": value}
    text = json.dumps(value, **dialect)
    assert is_accepted(text)
    text = mangle(text, data)
    assert is_accepted(text) == is_json(text)


@settings(max_examples=500)
@given(values=st.tuples(VALUES, VALUES), dialect=DIALECTS, data=st.data())
def test_records_are_accepted_as_by_json_loads(values: tuple[Any, ...], dialect: Any, data: Any) -> None:
    text = json.dumps(dict(zip("ab", values, strict=True)), **dialect)
    if data.draw(st.booleans()):
        text = mangle(text, data).strip()
    try:
        ((first, second),) = PythonJsonDecoder(RecordBlock(text.encode(), is_last=True), "ab", 0).read_values()
    except (AppMetricaError, ValueError):
        assert not is_json(text) or sorted(names_of(text)) != ["a", "b"]
        return
    record = json.loads(text, parse_constant=refuse_constant)
    for value, expected in ((first, record["a"]), (second, record["b"])):
        if isinstance(expected, str):
            assert value == expected.encode()
        elif isinstance(value, bytes):
            assert json.loads(value) == expected
        else:
            assert value is expected


def names_of(text: str) -> list[str]:
    pairs = json.loads(text, object_pairs_hook=list)
    return [name for name, _ in pairs] if text.startswith("{") else []
